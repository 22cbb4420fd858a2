// The claim record: who owns a slot at which odd epoch, until when. 16 bytes in the slot, changed by one CAS.
//
//   lo: session index 16 | session generation 24 | epoch, low 24      hi: epoch, high 15 | reclaimed 1 |
//   deadline 48
//
// C1  Owner and epoch change in one CAS and the record's epoch only grows: each odd epoch has exactly one
//     owner.
// C2  Read the word first, then the record; the record counts only against that word's epoch.
// C3  A bid (record at e+1 while the word is at e) comes before the word's step to e+1: an odd word always
//     has a name.
// C4  `reclaimed` is set before the word's epoch moves on: a marked record cannot be renewed.
// In the segment: never renumber.
#pragma once

#include "slots/word.hpp"

namespace keystile::engine {

inline constexpr std::uint32_t kDetached =
    0xFFFF;  // session index: owned by whoever knows the generation (a nonce)
inline constexpr std::uint64_t kDeadlineMax = (1ull << 48) - 1;

struct ClaimRecord {
    std::uint32_t session = 0;
    std::uint32_t generation = 0;  // of the session; a detached claim's nonce
    std::uint64_t epoch = 0;       // the odd epoch it owns, or bids for; 0 = never claimed
    bool is_reclaimed = false;
    std::uint64_t deadline_us = 0;  // CLOCK_BOOTTIME; 0 = until the owner dies
    bool is_detached() const noexcept { return session == kDetached; }
};

constexpr Word128 pack(ClaimRecord c) noexcept {
    return {c.session | (static_cast<std::uint64_t>(c.generation & 0xFFFFFFu) << 16) | (c.epoch << 40),
            (c.epoch >> 24) | (static_cast<std::uint64_t>(c.is_reclaimed) << 15) | (c.deadline_us << 16)};
}
constexpr ClaimRecord unpack_claim(Word128 w) noexcept {
    return {static_cast<std::uint32_t>(w.lo & 0xFFFFu), static_cast<std::uint32_t>(w.lo >> 16) & 0xFFFFFFu,
            (w.lo >> 40) | ((w.hi & 0x7FFFu) << 24), ((w.hi >> 15) & 1u) != 0, w.hi >> 16};
}

// How to settle an INTENT word (a multi-key commit is deciding): the caller's, for this layer knows only the word.
// kOk: look at the word again. kCorrupt.
struct Settle {
    const Segment* segment;
    Status (*settle)(const Segment& segment, shm::Slot& slot, SlotWord word);
    Status operator()(shm::Slot& slot, SlotWord word) const noexcept { return settle(*segment, slot, word); }
};

// One step each; kBusy: something moved, look again from the start. `word` and `seen` (the record) are what
// was read, in that order.

// The word is even: become the next owner, or help who bid before us. kOk: ours; *now_out is the word
// as it was when it became so, or soon after, at our epoch.
Status claim_step(shm::Slot& slot, SlotWord word, ClaimRecord wanted, const Settle& settle,
                  SlotWord* now_out) noexcept;

// The word is odd and the record matches it: end that ownership. kOk: the epoch has moved on (by us or
// another).
Status reclaim_step(shm::Slot& slot, Word128 seen, const Settle& settle) noexcept;

// The claim at this odd epoch ends with a CAS of the word alone. kOk, or kFenced: it was over already.
Status release_epoch(shm::Slot& slot, std::uint64_t epoch, const Settle& settle, SlotWord* word_out) noexcept;

// A new deadline for exactly this unmarked record. kOk, kBusy.
Status renew_step(shm::Slot& slot, Word128 seen, std::uint64_t deadline_us) noexcept;

}  // namespace keystile::engine
