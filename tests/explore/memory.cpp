#include "explore/memory.hpp"

#include <algorithm>
#include <cstring>

namespace keystile::explore {

namespace {

// A number for "this granule has this value"; the sum over all granules changes with each write by a
// difference. (The finaliser of MurmurHash3.)
std::uint64_t mix(Granule granule, std::uint64_t value) noexcept {
    std::uint64_t x = value * 0x9E3779B97F4A7C15u + granule;
    x = (x ^ (x >> 33)) * 0xFF51AFD7ED558CCDu;
    x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53u;
    return x ^ (x >> 33);
}

}  // namespace

void Memory::add_mapping(std::byte* base, std::size_t bytes) {
    bases_.push_back(base);
    bytes_ = bytes;
}

void Memory::start() noexcept {
    log_.clear();
    fingerprint_ = 0;
}

void Memory::undo() noexcept {
    for (auto old = log_.rbegin(); old != log_.rend(); ++old) *at(old->granule) = old->value;
    start();
}

void Memory::set(Granule granule, std::uint64_t value) noexcept {
    std::uint64_t& now = *at(granule);
    if (now == value) return;
    log_.push_back({granule, now});
    fingerprint_ += mix(granule, value) - mix(granule, now);
    now = value;
}

void Memory::write(std::size_t offset, const void* from, std::size_t bytes) noexcept {
    const auto* in = static_cast<const std::byte*>(from);
    while (bytes != 0) {
        const auto granule = static_cast<Granule>(offset / 8);
        const std::size_t inside = offset % 8, part = std::min(bytes, 8 - inside);
        std::uint64_t value = *at(granule);
        std::memcpy(reinterpret_cast<std::byte*>(&value) + inside, in, part);
        set(granule, value);
        offset += part;
        in += part;
        bytes -= part;
    }
}

void Memory::read(std::size_t offset, void* to, std::size_t bytes) const noexcept {
    std::memcpy(to, bases_.front() + offset, bytes);
}

}  // namespace keystile::explore
