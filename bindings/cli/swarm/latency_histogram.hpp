// A histogram of durations with a fixed size and an error of at most 1/32: log-linear buckets. Below 64 ns
// each ns has its bucket; above, each doubling has 32 equal ones. It lies in memory shared by processes: a
// killed writer's numbers stay, and at most the duration it was just adding is missing.
//
// One writer, any number of readers. All atomics are statistics: a stale view only shows an older moment.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace keystile::cli::swarm {

class LatencyHistogram {
public:
    void record(uint64_t ns) noexcept { add(index_of(ns), 1); }

    void merge(const LatencyHistogram& other) noexcept {
        for (size_t index = 0; index < kBuckets; ++index) {
            add(index, other.at(index));
        }
    }

    uint64_t count() const noexcept {
        uint64_t sum = 0;
        for (size_t index = 0; index < kBuckets; ++index) {
            sum += at(index);
        }
        return sum;
    }

    // The duration that a share `quantile` (0..1) of all did not exceed, rounded up to its bucket's end. 0 if
    // empty.
    uint64_t quantile_ns(double quantile) const noexcept {
        const auto rank = static_cast<uint64_t>(std::ceil(quantile * static_cast<double>(count())));
        uint64_t seen = 0;
        for (size_t index = 0; index < kBuckets; ++index) {
            seen += at(index);
            if (seen != 0 && seen >= rank) {
                return largest_in(index);
            }
        }
        return 0;
    }

    // Arithmetic, public for its test.
    static constexpr size_t kSteps = 32;      // per doubling: the error is at most 1/32
    static constexpr size_t kExponents = 34;  // up to 2^40 ns, 18 minutes; longer counts as that
    static constexpr size_t kBuckets = 2 * kSteps + kExponents * kSteps;

    static constexpr size_t index_of(uint64_t ns) noexcept {
        if (ns < 2 * kSteps) {
            return static_cast<size_t>(ns);
        }
        const auto shift = static_cast<unsigned>(std::bit_width(ns) - std::bit_width(kSteps));
        const size_t index = shift * kSteps + static_cast<size_t>(ns >> shift);
        return index < kBuckets ? index : kBuckets - 1;
    }

    static constexpr uint64_t largest_in(size_t index) noexcept {
        if (index < 2 * kSteps) {
            return index;
        }
        const size_t shift = index / kSteps - 1;
        return ((uint64_t{index % kSteps} + kSteps + 1) << shift) - 1;
    }

private:
    uint64_t at(size_t index) const noexcept { return buckets_[index].load(std::memory_order_relaxed); }

    // One writer: a plain load and store, no locked instruction.
    void add(size_t index, uint64_t count) noexcept {
        buckets_[index].store(at(index) + count, std::memory_order_relaxed);
    }

    std::array<std::atomic<uint64_t>, kBuckets> buckets_{};
};

}  // namespace keystile::cli::swarm
