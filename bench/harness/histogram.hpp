// Latencies in buckets that grow with them: 32 per doubling, so a percentile is right to 3 %. Lies in shared memory,
// one writer each.
#pragma once

#include <bit>
#include <cstdint>

namespace keystile::bench {

class Histogram {
public:
    void add(std::uint64_t ticks) noexcept { ++counts_[bucket_of(ticks)]; }
    void merge(const Histogram& other) noexcept {
        for (int i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
    }
    std::uint64_t count() const noexcept {
        std::uint64_t sum = 0;
        for (const std::uint64_t n : counts_) sum += n;
        return sum;
    }
    // The upper end of the bucket that the part falls into: 0.5 = the median.
    std::uint64_t percentile(double part) const noexcept {
        const auto wanted = static_cast<std::uint64_t>(part * static_cast<double>(count()));
        std::uint64_t sum = 0;
        for (int i = 0; i < kBuckets; ++i) {
            sum += counts_[i];
            if (sum > wanted) return end_of(i);
        }
        return end_of(kBuckets - 1);
    }

private:
    static constexpr int kBits = 5, kParts = 1 << kBits, kBuckets = (64 - kBits + 1) * kParts;
    static int bucket_of(std::uint64_t value) noexcept {
        if (value < kParts) return static_cast<int>(value);
        const int shift = static_cast<int>(std::bit_width(value)) - 1 - kBits;
        return (shift + 1) * kParts + static_cast<int>((value >> shift) & (kParts - 1));
    }
    static std::uint64_t end_of(int bucket) noexcept {
        if (bucket < kParts) return static_cast<std::uint64_t>(bucket);
        const int shift = bucket / kParts - 1;
        return ((static_cast<std::uint64_t>(kParts + bucket % kParts) + 1) << shift) - 1;
    }
    std::uint64_t counts_[kBuckets];
};

}  // namespace keystile::bench
