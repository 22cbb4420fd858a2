// Waiting for a slot to change.
//
// A waiter sets the bit in `turn`, looks at the word again, then sleeps on `turn`; whoever changed the word
// and sees the bit bumps `turn` and wakes all. The change (a locked CAS) precedes the waker's look at `turn`,
// the setting of the bit (locked) precedes the waiter's second look: one of the two sees the other. No sleep
// lasts longer than kSleepNsMax, so a waker who was killed before his wake costs at most that.
#pragma once

#include "operations/store.hpp"

namespace keystile::engine {

inline constexpr std::uint64_t kSpinNs = 20'000;           // a sleep and wake cost more than this
inline constexpr std::uint64_t kSleepNsMax = 100'000'000;  // then the word is looked at again

// Until the stamp is not `seen` any more. kOk, kTimeout, kCorrupt, kDestroyed (within kSleepNsMax: nobody
// wakes for it).
Status watch(const Store& store, shm::Slot& slot, Stamp seen, std::uint64_t timeout_ns,
             Stamp* now_out) noexcept;

// For a reader, who cannot make a slot: until somebody else has made the key's. kOk: *slot_out. kTimeout, kCorrupt,
// kDestroyed.
Status wait_for_slot(const Store& store, KeyBytes key, std::uint64_t timeout_ns,
                     shm::Slot** slot_out) noexcept;

// Until the epoch is not this token's any more, or the time is over (also after one sleep: the caller looks
// for himself).
void wait_for_epoch(const Store& store, shm::Slot& slot, std::uint64_t token,
                    std::uint64_t timeout_ns) noexcept;

}  // namespace keystile::engine
