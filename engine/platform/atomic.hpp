// Atomics of 8 bytes and less, as they may lie in memory shared by processes.
//
// Boost's ipc_atomic promises what std::atomic does not: that it works between processes and through
// different mappings of one page. The 16-byte word has its own file, dwcas.hpp.
#pragma once

#include <boost/atomic/fences.hpp>
#include <boost/atomic/ipc_atomic.hpp>
#include <boost/atomic/ipc_atomic_ref.hpp>
#include <cstdint>

#if defined(KEYSTILE_EXPLORED)
#include "platform/explored.hpp"
#endif

namespace keystile::engine {

using boost::memory_order_acq_rel;
using boost::memory_order_acquire;
using boost::memory_order_relaxed;
using boost::memory_order_release;

namespace shm {
#if defined(KEYSTILE_EXPLORED)
using Atomic64 = explored::Atomic<std::uint64_t>;
using Atomic32 = explored::Atomic<std::uint32_t>;
#else
using Atomic64 = boost::ipc_atomic<std::uint64_t>;
using Atomic32 = boost::ipc_atomic<std::uint32_t>;
#endif
static_assert(Atomic64::is_always_lock_free && sizeof(Atomic64) == 8);
static_assert(Atomic32::is_always_lock_free && sizeof(Atomic32) == 4);
}  // namespace shm

// Loads that a peer may race with and whose value is only a statistic or a hint.
template <class Atomic>
inline auto peek(const Atomic& atomic) noexcept {
    // order[peek]: relaxed. statistic or hint by contract: every stale value is harmless, and a crash changes
    //   nothing.
    return atomic.load(memory_order_relaxed);
}

// Store into a location that only this thread writes at this time; becomes visible by a later release.
template <class Atomic, class Value>
inline void poke(Atomic& atomic, Value value) noexcept {
    // order[poke]: relaxed. Partner: the release or locked CAS that publishes the object, named at its call
    //   site. A crash before that leaves bytes that nobody looks at.
    atomic.store(value, memory_order_relaxed);
}

// A counter with one writer: a load and a store, no locked instruction.
inline void count(shm::Atomic64& counter, std::uint64_t more = 1) noexcept {
    // order[count]: relaxed. statistic with one writer; a reader may miss the newest.
    counter.store(counter.load(memory_order_relaxed) + more, memory_order_relaxed);
}

inline void pause() noexcept {
    __builtin_ia32_pause();
}

}  // namespace keystile::engine
