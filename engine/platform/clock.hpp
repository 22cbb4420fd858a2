// Two clocks: one that leases are written in, one that waits are measured with.
#pragma once

#include <cstdint>
#include <ctime>

#if defined(KEYSTILE_EXPLORED)
#include "platform/explored.hpp"
#endif

namespace keystile::engine {

// Microseconds since boot, suspended time included: the same for every process of the host, so a deadline
// written by one is read by another. 48 bits last nine years of uptime.
inline std::uint64_t boottime_us() noexcept {
#if defined(KEYSTILE_EXPLORED)
    return explored::boottime_us();
#else
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000u +
           static_cast<std::uint64_t>(now.tv_nsec) / 1'000u;
#endif
}

inline std::uint64_t monotonic_ns() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

// Nanoseconds since 1970, a few milliseconds coarse: for people, written into each commit of a durable store.
inline std::uint64_t wall_ns() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

// A point in time after which a wait gives up; UINT64_MAX as a timeout means never.
class Deadline {
public:
    explicit Deadline(std::uint64_t timeout_ns) noexcept {
        if (timeout_ns == UINT64_MAX) return;
        const std::uint64_t now_ns = monotonic_ns();
        at_ns_ = timeout_ns < UINT64_MAX - now_ns ? now_ns + timeout_ns : UINT64_MAX;
    }
    std::uint64_t left_ns() const noexcept {
        if (at_ns_ == UINT64_MAX) return UINT64_MAX;
        const std::uint64_t now_ns = monotonic_ns();
        return now_ns < at_ns_ ? at_ns_ - now_ns : 0;
    }

private:
    std::uint64_t at_ns_ = UINT64_MAX;
};

}  // namespace keystile::engine
