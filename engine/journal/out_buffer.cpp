#include "journal/out_buffer.hpp"

#include <algorithm>
#include <cstring>

namespace keystile::engine {

Status OutBuffer::drain() noexcept {
    if (taker_ == nullptr) return own_fault(Status::kTooSmall);
    if (is_in_unit_) {
        if (unit_gone_ == 0) XXH3_64bits_reset_withSeed(&hash_, seed_);
        XXH3_64bits_update(&hash_, memory_ + unit_at_, used_ - unit_at_);
        unit_gone_ += used_ - unit_at_;
    }
    const Status s = taker_(user_, memory_, used_);
    if (s == Status::kOk) clear();
    return s;
}

Status OutBuffer::room(std::byte** at_out, std::size_t* bytes_out) noexcept {
    if (used_ == capacity_) {
        if (const Status s = drain(); s != Status::kOk) return s;
    }
    *at_out = memory_ + used_;
    *bytes_out = capacity_ - used_;
    return Status::kOk;
}

Status OutBuffer::put(const void* from, std::size_t bytes) noexcept {
    const auto* in = static_cast<const std::byte*>(from);
    while (bytes != 0) {
        std::byte* to;
        std::size_t some;
        if (const Status s = room(&to, &some); s != Status::kOk) return s;
        some = std::min(some, bytes);
        std::memcpy(to, in, some);
        advance(some);
        in += some;
        bytes -= some;
    }
    return Status::kOk;
}

void OutBuffer::begin_unit(std::uint64_t seed) noexcept {
    unit_at_ = used_;
    unit_gone_ = 0;
    seed_ = seed;
    is_in_unit_ = true;
}

Status OutBuffer::pad() noexcept {
    constexpr std::uint64_t kZeros = 0;
    return put(&kZeros, (8 - unit_bytes() % 8) % 8);
}

Status OutBuffer::end_unit() noexcept {
    if (const Status s = pad(); s != Status::kOk) return s;
    const std::byte* rest = memory_ + unit_at_;
    const std::size_t bytes = used_ - unit_at_;
    std::uint64_t sum;
    if (unit_gone_ == 0) {
        sum = XXH3_64bits_withSeed(rest, bytes, seed_);
    } else {
        XXH3_64bits_update(&hash_, rest, bytes);
        sum = XXH3_64bits_digest(&hash_);
    }
    is_in_unit_ = false;
    return put(&sum, sizeof sum);
}

}  // namespace keystile::engine
