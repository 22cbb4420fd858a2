// Bytes on their way to a file, in memory of the caller's; who gave a drain gets them when the memory is full.
//
// A *unit* is what one checksum covers. It may be longer than the buffer: what has to leave is hashed first. A unit
// that fits is hashed in one go at its end.
#pragma once

#include <xxhash.h>

#include <cstddef>
#include <cstdint>

#include "platform/platform.hpp"

namespace keystile::engine {

class OutBuffer {
public:
    // kOk: they are gone, the memory is free again.
    using Drain = Status (*)(void* user, const std::byte* data, std::size_t bytes) noexcept;

    // capacity: a multiple of 8. Without a drain a full buffer is kTooSmall.
    OutBuffer(std::byte* memory, std::size_t capacity, Drain taker = nullptr, void* user = nullptr) noexcept
        : memory_(memory), capacity_(capacity), taker_(taker), user_(user) {}

    // What is in it now.
    const std::byte* data() const noexcept { return memory_; }
    std::size_t bytes() const noexcept { return used_; }
    // Forget it. Between units.
    void clear() noexcept { used_ = unit_at_ = 0; }

    // Room for at least one byte, and then what was written there. Who writes multiples of 8 finds multiples of 8.
    Status room(std::byte** at_out, std::size_t* bytes_out) noexcept;
    void advance(std::size_t bytes) noexcept { used_ += bytes; }

    Status put(const void* from, std::size_t bytes) noexcept;
    Status drain() noexcept;

    void begin_unit(std::uint64_t seed) noexcept;
    std::uint64_t unit_bytes() const noexcept { return unit_gone_ + (used_ - unit_at_); }
    Status pad() noexcept;       // with zeros, to a multiple of 8 from the beginning of the unit
    Status end_unit() noexcept;  // pads, puts the checksum

private:
    std::byte* memory_;
    std::size_t capacity_;
    Drain taker_;
    void* user_;
    std::size_t used_ = 0;
    std::size_t unit_at_ = 0;      // where the unit's first byte lies that is not hashed yet
    std::uint64_t unit_gone_ = 0;  // its bytes that are hashed and gone
    std::uint64_t seed_ = 0;
    bool is_in_unit_ = false;
    XXH3_state_t hash_{};  // zeros: a reset looks at what seed it had
};

}  // namespace keystile::engine
