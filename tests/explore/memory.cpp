#include "explore/memory.hpp"

#include <algorithm>
#include <cstring>

namespace keystile::explore {

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
    const std::size_t place = offset;
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
    if (told_) told_(place);
}

}  // namespace keystile::explore
