// The shared memory of one execution: written through here, so that it can be told from another state by one
// number and be put back to where the execution began.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace keystile::explore {

using Granule = std::uint32_t;  // 8 bytes of the segment, by their place in it

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
    void read(std::size_t offset, void* to, std::size_t bytes) const noexcept;

    // The same number for the same bytes since start(), however they came about.
    std::uint64_t fingerprint() const noexcept { return fingerprint_; }
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
    std::uint64_t fingerprint_ = 0;
};

}  // namespace keystile::explore
