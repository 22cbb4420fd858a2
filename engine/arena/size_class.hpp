// Size classes: multiples of 32 bytes; 64, 96, 128, then four per doubling (160, 192, 224, 256, 320, …) up to
// half a chunk. So at most a fifth of a block is padding. Larger blocks take runs of whole chunks (runs.hpp).
#pragma once

#include <bit>
#include <cstdint>

#include "segment/segment.hpp"

namespace keystile::engine {

using SizeClass = std::uint32_t;

inline constexpr std::uint64_t kClassBytesMax = kChunkBytes / 2;

// For 1..kClassBytesMax bytes.
constexpr SizeClass class_of(std::uint64_t bytes) noexcept {
    const std::uint64_t units = (bytes + kRefUnit - 1) / kRefUnit;
    if (units <= 4) return units <= 2 ? 0 : static_cast<SizeClass>(units - 2);
    const std::uint64_t last = units - 1;
    const int shift = static_cast<int>(std::bit_width(last)) - 3;  // keeps the three leading bits: 1qq
    return static_cast<SizeClass>(3 + shift * 4 + static_cast<int>((last >> shift) & 3u));
}

constexpr std::uint64_t bytes_of(SizeClass size_class) noexcept {
    if (size_class < 3) return kRefUnit * (size_class + 2);
    const std::uint64_t step = size_class - 3;
    return kRefUnit * ((5 + step % 4) << (step / 4));
}

inline constexpr SizeClass kClasses = class_of(kClassBytesMax) + 1;
static_assert(bytes_of(kClasses - 1) == kClassBytesMax && bytes_of(class_of(160)) == 160 &&
              class_of(161) == class_of(192));

// What a chunk is for, once and for all: {Tag::kFixed, id} with id = class + 1, or kSlotsUse.
inline constexpr std::uint64_t kSlotsUse = 255;
constexpr std::uint64_t fixed_use(std::uint64_t what) noexcept {
    return owned(Tag::kFixed, what);
}
static_assert(kClasses < kSlotsUse);

}  // namespace keystile::engine
