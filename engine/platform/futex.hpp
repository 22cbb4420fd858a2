// Sleeping until a 32-bit word in shared memory changes. Process-shared futexes; spurious returns are
// allowed.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>

#include "platform/atomic.hpp"

namespace keystile::engine {

// Sleep while *word == seen, at most timeout_ns. A killed sleeper leaves nothing in user memory.
inline void futex_wait(shm::Atomic32& word, std::uint32_t seen, std::uint64_t timeout_ns) noexcept {
    timespec timeout{};
    timeout.tv_sec = static_cast<time_t>(timeout_ns / 1'000'000'000u);
    timeout.tv_nsec = static_cast<long>(timeout_ns % 1'000'000'000u);
    ::syscall(SYS_futex, &word, FUTEX_WAIT, seen, &timeout, nullptr, 0);
}

inline void futex_wake_all(shm::Atomic32& word) noexcept {
    ::syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace keystile::engine
