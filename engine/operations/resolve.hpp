// Bringing operations to their end: by their author, or by anybody who meets them. docs/RING.md.
//
// M1  READY -> COMMITTED is the linearization point; before it every entry's word said INTENT of this operation, and
//     nothing but a decision takes an INTENT away. (AllOrNothing, Serializable)
// M2  An INTENT word is moved on only by what its operation decided, or, if that is over, put back bit for bit (R6).
//     A single key's operation (durable store) needs no INTENT: its install is that point, and marks what it replaces
//     first (R2).
// M3  Entries are taken in ascending order of their slots (R9), so whoever helps whoever waits comes to an end.
// Lock-free: each turn decides an operation or sees that another did. Nobody asks who is alive.
#pragma once

#include "operations/store.hpp"

namespace keystile::engine {

// The word that a slot has after the operation at p, committed: `fresh` 0 if that writes no value.
inline SlotWord committed_word(const Segment& segment, Position p, SlotWord expected, Ref fresh,
                               bool is_released) noexcept {
    if (fresh != 0)
        expected = SlotWord(version_after(segment, p, expected.version()), expected.epoch(), fresh);
    return is_released ? next_epoch(expected) : expected;
}
inline SlotWord final_word(const Segment& segment, Position p, const OperationEntry& entry,
                           CellState decided) noexcept {
    const SlotWord expected(entry.expected);
    if (decided != CellState::kCommitted) return expected;
    return committed_word(segment, p, expected, entry.fresh, entry.is_released);
}
constexpr SlotWord intent_word(Position p, SlotWord expected) noexcept {
    // As the expected word, but the version is the position, and the bit behind the epoch says so.
    return SlotWord(Word128{expected.raw().lo | (1ull << 32), (p << 8) | (expected.raw().hi & 0xFFu)});
}

// Before a word is overwritten: whoever installed it is marked (R2), or he could be told ABORTED, for the word that he
// looks for is gone. Only where a version is a position (E1).
void mark_installer(const Segment& segment, SlotWord word) noexcept;
inline void ensure(const Segment& segment, SlotWord word) noexcept {
    if (segment.is_durable() || !KEYSTILE_GUARD("ring.ensure_durable_only")) mark_installer(segment, word);
}

// Decide the operation at p: install its intents, and mark it; what stands in its way is decided first. Returns with
// the cell decided, or moved on.
void decide(const Segment& segment, Position p) noexcept;

// Give every word of the decided operation at p its final value, and wake who sleeps there. False: it is over, its
// descriptor gone, and then somebody has done so.
bool finalise(const Segment& segment, Position p, RingCell decided) noexcept;

// The INTENT `word`, just read from the slot: decide its operation if need be, and move the word on. kOk: look at the
// word again. kCorrupt.
Status settle(const Segment& segment, shm::Slot& slot, SlotWord word) noexcept;
inline Settle settle_in(const Segment& segment) noexcept {
    return {&segment, settle};
}
Status settle_until_clean(const Segment& segment, shm::Slot& slot, SlotWord* word_out) noexcept;
// A CLEAN word of the slot. kOk, kCorrupt.
inline Status load_settled(const Segment& segment, shm::Slot& slot, SlotWord* word_out) noexcept {
    *word_out = load_word(slot);
    return word_out->is_intent() ? settle_until_clean(segment, slot, word_out) : Status::kOk;
}

// For readers, who help nobody: the CLEAN word that the INTENT `word` stands for at this moment. What it names may be
// copied, and counts if the slot's word is still `word` afterwards. kOk; kBusy: the word has moved; kCorrupt.
Status see_through(const Segment& segment, const shm::Slot& slot, SlotWord word,
                   SlotWord* clean_out) noexcept;

// By its exact ctl (R8), and to the end, should another recycler have died inside it.
inline void free_whole(Segment& segment, Lane* lane, Ref ref, std::uint64_t ctl) noexcept {
    if (!free_exact(segment, lane, ref, ctl)) finish_free(segment, ref);
}
// The block that a committed operation replaced.
inline void free_replaced(Segment& segment, Lane* lane, Ref old, std::uint64_t old_ctl) noexcept {
    const auto* head = segment.at<shm::BlockHead>(old);
    const bool is_exact =
        head == nullptr || KEYSTILE_GUARD("recycle.exact_id");  // off: by an id read late (E3)
    free_whole(segment, lane, old, is_exact ? old_ctl : peek(head->ctl));
}

// Recycle the position behind the head, if anybody may: an operation that is decided, and, if is_forced, also one
// that is not yet, or a cell that its author has not filled. False: nothing to do, or not by us. `lane`: remembers
// what it frees.
bool recycle_next(Segment& segment, Lane* lane, bool is_forced) noexcept;
// Everything up to this position, by force.
void recycle_up_to(Segment& segment, Position last) noexcept;

}  // namespace keystile::engine
