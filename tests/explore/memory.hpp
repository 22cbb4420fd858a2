// The shared memory of one execution: written through here, so that it can be told from another state by one
// number and be put back to where the execution began.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <unordered_map>
#include <vector>

namespace keystile::explore {

using Granule = std::uint32_t;  // 8 bytes of the segment, by their place in it

// A number for "this granule has this value": a sum of them changes with each write by a difference.
// (The finaliser of MurmurHash3.)
inline std::uint64_t mix(Granule granule, std::uint64_t value) noexcept {
    std::uint64_t x = value * 0x9E3779B97F4A7C15u + granule;
    x = (x ^ (x >> 33)) * 0xFF51AFD7ED558CCDu;
    x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53u;
    return x ^ (x >> 33);
}

// memcpy, for what is mostly one word.
inline void copy_word(void* to, const void* from, std::size_t bytes) noexcept {
    if (bytes == sizeof(std::uint64_t)) {
        std::memcpy(to, from, sizeof(std::uint64_t));
    } else {
        std::memcpy(to, from, bytes);
    }
}

class Memory {
public:
    // A mapping of the one segment; every simulated process has its own.
    void add_mapping(std::byte* base, std::size_t bytes);
    std::size_t bytes() const noexcept { return bytes_; }

    // Where in the segment an address lies; bytes() for private memory.
    std::size_t offset_of(const void* address) const noexcept {
        for (std::byte* const base : bases_) {
            const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(address) - base);
            if (offset < bytes_) return offset;
        }
        return bytes_;
    }

    void write(std::size_t offset, const void* from, std::size_t bytes) noexcept;
    // Called after each write with where it was.
    void on_write(std::function<void(std::size_t offset)> told) { told_ = std::move(told); }
    void read(std::size_t offset, void* to, std::size_t bytes) const noexcept {
        copy_word(to, bases_.front() + offset, bytes);
    }

    // The same number for the same bytes since start(), however they came about.
    std::uint64_t fingerprint() const noexcept { return fingerprint_; }
    // That of the granules alone for which `is_wanted`.
    template <class IsWanted>
    std::uint64_t fingerprint_of(IsWanted is_wanted) const {
        std::unordered_map<Granule, std::uint64_t> before;
        for (const Old& old : log_) before.try_emplace(old.granule, old.value);
        std::uint64_t sum = 0;
        for (const auto& [granule, value] : before) {
            if (is_wanted(granule)) sum += mix(granule, *at(granule)) - mix(granule, value);
        }
        return sum;
    }
    // From here on writes are noted; undo() takes them back.
    void start() noexcept;
    void undo() noexcept;

private:
    struct Old {
        Granule granule;
        std::uint64_t value;
    };
    std::uint64_t* at(Granule granule) const noexcept {
        return reinterpret_cast<std::uint64_t*>(bases_.front()) + granule;
    }
    void set(Granule granule, std::uint64_t value) noexcept;

    std::vector<std::byte*> bases_;
    std::size_t bytes_ = 0;
    std::vector<Old> log_;
    std::function<void(std::size_t)> told_;
    std::uint64_t fingerprint_ = 0;
};

}  // namespace keystile::explore
