// A processor's store buffer: plain stores wait here, in order, seen by their own process alone.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>

#include "explore/memory.hpp"

namespace keystile::explore {

class StoreBuffer {
public:
    static constexpr std::size_t kStoresMax = 56;   // as Skylake's
    static constexpr std::size_t kBytesMax = 1024;  // of one execution's stores between two drains

    struct Store {
        std::size_t offset;
        std::uint32_t bytes;
        std::uint32_t at;  // its value, in pool_
        Granule first() const noexcept { return static_cast<Granule>(offset / 8); }
        Granule last() const noexcept { return static_cast<Granule>((offset + bytes - 1) / 8); }
    };

    std::size_t count() const noexcept { return count_ - drained_; }
    const Store& operator[](std::size_t index) const noexcept { return stores_[drained_ + index]; }
    void clear() noexcept { count_ = drained_ = used_ = 0; }

    void push(Memory& memory, std::size_t offset, const void* from, std::size_t bytes) noexcept {
        if (drained_ == count_) clear();
        if (count_ == kStoresMax ||
            used_ + bytes > kBytesMax) {  // full: the processor waits for the oldest ones
            drain(memory, count());
            clear();
        }
        std::memcpy(pool_.data() + used_, from, bytes);
        stores_[count_++] = {offset, static_cast<std::uint32_t>(bytes), used_};
        used_ += static_cast<std::uint32_t>(bytes);
    }

    // The oldest `stores` become visible to all.
    void drain(Memory& memory, std::size_t stores) noexcept {
        for (; stores != 0; --stores) {
            const Store& store = stores_[drained_++];
            memory.write(store.offset, pool_.data() + store.at, store.bytes);
        }
    }

    // What the owner's load finds: memory under its own pending stores.
    void forward(std::size_t offset, void* to, std::size_t bytes) const noexcept {
        for (std::size_t i = drained_; i < count_; ++i) {
            const Store& store = stores_[i];
            const std::size_t from = std::max(offset, store.offset);
            const std::size_t end = std::min(offset + bytes, store.offset + store.bytes);
            if (from >= end) continue;
            std::memcpy(static_cast<std::byte*>(to) + (from - offset),
                        pool_.data() + store.at + (from - store.offset), end - from);
        }
    }

private:
    std::array<Store, kStoresMax> stores_;
    std::array<std::byte, kBytesMax> pool_;
    std::size_t count_ = 0, drained_ = 0;
    std::uint32_t used_ = 0;
};

}  // namespace keystile::explore
