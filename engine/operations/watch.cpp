#include "operations/watch.hpp"

#include <algorithm>

namespace keystile::engine {

namespace {

constexpr int kSpinLooks = 64;  // between two looks at the clock

// A read-only mapping cannot set the bit: it looks again at this pace.
constexpr std::uint64_t kPollNs = 1'000'000;

void sleep_until_changed(const Store& store, shm::Slot& slot, SlotWord seen,
                         std::uint64_t timeout_ns) noexcept {
    const std::uint64_t sleep_ns = std::min(timeout_ns, kSleepNsMax);
    if (store.segment.is_read_only()) {
        return futex_wait(slot.turn, peek(slot.turn), std::min(sleep_ns, kPollNs));
    }
    // order[watch.bit]: acq_rel (locked). Comes before the second look at the word; partner: slots.wake.look.
    //   A waiter killed after it leaves the bit: one needless wake.
    const std::uint32_t turn = slot.turn.fetch_or(kHasWaiter, memory_order_acq_rel) | kHasWaiter;
    KEYSTILE_CRASH_POINT("operations.watch.before_sleep");
    if (load_word(slot) != seen) return;
    futex_wait(slot.turn, turn, sleep_ns);
}

// Wait while `is_same` of the word; false when the time is over. max_sleeps: give the caller a look after so
// many.
template <class IsSame>
bool wait_while(const Store& store, shm::Slot& slot, std::uint64_t timeout_ns, int sleeps_max,
                IsSame is_same) noexcept {
    const Deadline deadline(timeout_ns);
    const Deadline spin(std::min(timeout_ns, kSpinNs));
    for (;;) {
        for (int i = 0; i < kSpinLooks; ++i) {
            if (!is_same(load_word(slot))) return true;
            pause();
        }
        if (spin.left_ns() == 0) break;
    }
    while (sleeps_max-- != 0) {  // bounded by the deadline, or by the caller's number
        const SlotWord seen = load_word(slot);
        if (!is_same(seen) || store.is_destroyed()) return true;  // the caller looks which of them
        const std::uint64_t left_ns = deadline.left_ns();
        if (left_ns == 0) return false;
        sleep_until_changed(store, slot, seen, left_ns);
    }
    return false;
}

}  // namespace

Status watch(const Store& store, shm::Slot& slot, Stamp seen, std::uint64_t timeout_ns,
             Stamp* now_out) noexcept {
    if (store.is_destroyed()) return Status::kDestroyed;
    bool is_intent = false;
    const auto is_same = [&](SlotWord w) {
        is_intent = w.is_intent();
        const bool is_untouched = w.version() == 0 && w.epoch() == 0;
        *now_out = is_untouched ? Stamp{} : Stamp{w.version(), store.token_of(w.epoch())};
        return !is_intent && now_out->version == seen.version && now_out->epoch == seen.epoch;
    };
    const bool is_changed = wait_while(store, slot, timeout_ns, -1, is_same);
    if (is_intent) return Status::kCorrupt;
    if (store.is_destroyed()) return Status::kDestroyed;
    return is_changed ? Status::kOk : Status::kTimeout;
}

Status wait_for_slot(const Store& store, KeyBytes key, std::uint64_t timeout_ns,
                     shm::Slot** slot_out) noexcept {
    const std::uint64_t hash = hash_of(key, store.hash_seed);
    const Deadline deadline(timeout_ns);
    shm::Atomic32 nobody{0};  // what wakes us: nothing but the time
    for (;;) {                // bounded by the deadline the caller gave
        if (store.is_destroyed()) return Status::kDestroyed;
        if (const Status s = find_slot(store.segment, key, hash, slot_out); s != Status::kNotFound) return s;
        const std::uint64_t left_ns = deadline.left_ns();
        if (left_ns == 0) return Status::kTimeout;
        futex_wait(nobody, 0, std::min(left_ns, kPollNs));
    }
}

void wait_for_epoch(const Store& store, shm::Slot& slot, std::uint64_t token,
                    std::uint64_t timeout_ns) noexcept {
    wait_while(store, slot, timeout_ns, 1, [&](SlotWord w) { return store.token_of(w.epoch()) == token; });
}

}  // namespace keystile::engine
