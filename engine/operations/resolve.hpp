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

// ---- The steps of an operation of several keys, whoever takes them -----------------------------------------

// False: the word is not `expected` any more.
inline bool install_intent(const Segment& segment, Position p, shm::Slot& slot, SlotWord expected) noexcept {
    ensure(segment, expected);
    KEYSTILE_CRASH_POINT("operations.decide.before_install");
    // order[operations.install]: full (locked). Partner: load_word of everybody. From exactly the word that was
    //   judged, which returns only if the operation aborts, or writes nothing here (then: R6). A crash before or after
    //   it: anybody goes on from the cell.
    return cas_word(slot, expected, intent_word(p, expected));
}

// Every entry has its INTENT. False: somebody else has decided.
inline bool mark_committed(const Segment& segment, Position p, RingCell ready) noexcept {
    KEYSTILE_CRASH_POINT("operations.decide.before_mark");
    // order[operations.decide]: full (locked), M1. Partner: load_cell of everybody who meets an INTENT. A crash before:
    //   anybody marks it; after: it is committed, though every word still says INTENT.
    const bool is_ours = cas_cell(segment, p, ready, ready.with(CellState::kCommitted));
    KEYSTILE_CRASH_POINT("operations.decide.after_mark");
    return is_ours;
}

// Of a decided operation. Nothing to do if somebody else did it.
inline void finalise_word(shm::Slot& slot, SlotWord intent, SlotWord final) noexcept {
    KEYSTILE_CRASH_POINT("operations.finalise.before_cas");
    // order[operations.finalise]: full (locked). release: the new block, which its author published before the
    //   cell; pairs with the readers' load_word. A crash before or after it: the next one who finalises.
    if (cas_word(slot, intent, final)) wake(slot);
}

// ---- Operations as a whole -------------------------------------------------------------------------------

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
// What an entry leaves behind: committed, the block it replaced; aborted, the one it made.
inline void free_left(Segment& segment, Lane* lane, const OperationEntry& entry, CellState decided) noexcept {
    if (entry.fresh == 0) return;
    KEYSTILE_CRASH_POINT("operations.recycle.before_free");
    if (decided == CellState::kAborted) {
        free_whole(segment, lane, entry.fresh, entry.fresh_ctl);
    } else if (entry.old_ctl != 0) {
        const Ref old = SlotWord(entry.expected).ref();
        const auto* head = segment.at<shm::BlockHead>(old);
        const bool is_exact =
            head == nullptr || KEYSTILE_GUARD("recycle.exact_id");  // off: by an id read late (E3)
        free_whole(segment, lane, old, is_exact ? entry.old_ctl : peek(head->ctl));
    }
}
inline void free_descriptor(Segment& segment, Lane* lane, Ref ref, std::uint64_t ctl) noexcept {
    KEYSTILE_CRASH_POINT("operations.recycle.before_descriptor");
    free_whole(segment, lane, ref, ctl);
}

// Recycle the position behind the head, if anybody may: an operation that is decided, and, if is_forced, also one
// that is not yet, or a cell that its author has not filled. False: nothing to do, or not by us. `lane`: remembers
// what it frees.
bool recycle_next(Segment& segment, Lane* lane, bool is_forced) noexcept;
// Everything up to this position, by force.
void recycle_up_to(Segment& segment, Position last) noexcept;

}  // namespace keystile::engine
