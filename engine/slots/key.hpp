// A key as a caller gives it: its bytes, its keyed hash, and, if it is short, its inline form.
#pragma once

#include <xxhash.h>  // built with XXH_INLINE_ALL: the hash is part of the library, not a dependency of it

#include <cstring>

#include "segment/segment.hpp"

namespace keystile::engine {

struct KeyBytes {
    const void* data = nullptr;
    std::size_t size = 0;
    bool is_inline() const noexcept { return size <= kKeyBytesInline; }
};

struct InlineKey {
    std::uint64_t lo = 0, hi = 0;
    friend bool operator==(const InlineKey&, const InlineKey&) = default;
};

// Up to 16 bytes, zero padded, without a call of memcpy with a variable size.
inline InlineKey inline_key(KeyBytes key) noexcept {
    const auto* bytes = static_cast<const unsigned char*>(key.data);
    const auto load8 = [](const unsigned char* from) {
        std::uint64_t word;
        std::memcpy(&word, from, 8);
        return word;
    };
    if (key.size == 16) return {load8(bytes), load8(bytes + 8)};
    if (key.size > 8) return {load8(bytes), load8(bytes + key.size - 8) >> (8 * (16 - key.size))};
    if (key.size == 8) return {load8(bytes), 0};
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < key.size; ++i) word |= static_cast<std::uint64_t>(bytes[i]) << (8 * i);
    return {word, 0};
}

inline std::uint64_t hash_of(KeyBytes key, std::uint64_t seed) noexcept {
    return XXH3_64bits_withSeed(key.data, key.size, seed);
}

}  // namespace keystile::engine
