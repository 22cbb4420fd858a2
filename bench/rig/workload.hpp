// What the benchmarks ask for, in which order. Shared by the Google Benchmark cases and the harness.
//
//   hot          one key
//   zipf100k     100,000 keys, key of rank r with probability ~ 1 / r^0.99, ranks scattered over the keys
//   uniform100k  100,000 keys, each once per lap
//
// Every order takes `moved`, a number computed from what the last operation returned. It is always 0, but the
// processor cannot know that: the next key's address depends on the last result, so that cache misses do not
// overlap.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace keystile::bench {

inline constexpr std::uint32_t kManyKeys = 100'000;
inline constexpr std::size_t kValueBytes = 64;
inline constexpr double kZipfExponent = 0.99;

// 16 bytes, made by arithmetic: a table of keys would cost a cache miss of its own.
struct KeyName {
    std::uint64_t number, tail;
};
inline KeyName key_name(std::uint64_t index) noexcept {
    return {(index + 1) * 0x9E3779B97F4A7C15u, 0x59454B2D48434E45u ^ index};
}

inline constexpr std::size_t kValueBytesMin = 16;

// A value begins with its key's index, twice: the reader's next step depends on it. Written as one 16-byte
// store, because the engines copy 16 bytes at a time, and a load that spans two younger stores stalls (some
// 10 ns, on everybody's account).
inline void write_index(void* value, std::uint64_t index) noexcept {
    using Vector __attribute__((vector_size(16))) = std::uint64_t;
    const Vector twice = {index, index};
    std::memcpy(value, &twice, sizeof twice);
}
inline std::uint64_t index_in(const void* value) noexcept {
    std::uint64_t index;
    std::memcpy(&index, value, sizeof index);
    return index;
}

class HotOrder {
public:
    static constexpr std::uint32_t kKeys = 1;
    std::uint32_t next(std::uint64_t moved) noexcept { return static_cast<std::uint32_t>(moved); }
};

// A linear congruential sequence of full period (Knuth: multiplier - 1 a multiple of 20, increment prime to
// 10), so a lap visits each key once and all keys have the same version after it.
template <std::uint32_t kCount>
class LapOrder {
public:
    static_assert(kCount == 100'000 || kCount == 50'000);
    static constexpr std::uint32_t kKeys = kCount;
    explicit LapOrder(std::uint32_t stride = 1, std::uint32_t offset = 0) noexcept
        : stride_(stride), offset_(offset) {}
    std::uint32_t next(std::uint64_t moved) noexcept {
        at_ = (at_ * kMultiplier + kIncrement + moved) % kCount;
        return static_cast<std::uint32_t>(at_) * stride_ + offset_;
    }

private:
    static constexpr std::uint64_t kMultiplier = 45'821, kIncrement = 12'347;
    std::uint64_t at_ = 0;
    std::uint32_t stride_, offset_;
};

// A drawn sequence, repeated: drawing inside the loop would cost more than the operation.
class DrawnOrder {
public:
    explicit DrawnOrder(std::vector<std::uint32_t> drawn) : drawn_(std::move(drawn)) {}
    std::uint32_t next(std::uint64_t moved) noexcept {
        at_ = at_ + 1 == drawn_.size() ? 0 : at_ + 1;
        return drawn_[at_] + static_cast<std::uint32_t>(moved);
    }

private:
    std::vector<std::uint32_t> drawn_;
    std::size_t at_ = 0;
};

inline constexpr std::size_t kDrawn = 1u << 16;

inline DrawnOrder zipf_order(std::uint32_t keys, std::uint32_t seed) {
    std::vector<double> weights(keys);
    for (std::uint32_t rank = 0; rank < keys; ++rank) weights[rank] = std::pow(rank + 1, -kZipfExponent);
    std::discrete_distribution<std::uint32_t> rank_of(weights.begin(), weights.end());
    std::mt19937 random(seed);
    std::vector<std::uint32_t> drawn(kDrawn);
    for (auto& index : drawn) index = static_cast<std::uint32_t>(rank_of(random) * 40'503ull % keys);
    return DrawnOrder(std::move(drawn));
}

inline DrawnOrder uniform_order(std::uint32_t keys, std::uint32_t stride, std::uint32_t offset) {
    std::uniform_int_distribution<std::uint32_t> number_of(0, keys - 1);
    std::mt19937 random(offset + 1);
    std::vector<std::uint32_t> drawn(kDrawn * 16);  // longer: a short lap would not visit most keys
    for (auto& index : drawn) index = number_of(random) * stride + offset;
    return DrawnOrder(std::move(drawn));
}

}  // namespace keystile::bench
