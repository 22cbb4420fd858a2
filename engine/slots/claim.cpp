#include "slots/claim.hpp"

namespace keystile::engine {

namespace {

// Move the word's epoch from `epoch` to epoch + 1, whatever its version does. kOk: the word has left `epoch`;
// *word_out is what it became or was found at. *is_ours_out: by this call.
Status step_epoch(shm::Slot& slot, std::uint64_t epoch, const Settle& settle, SlotWord* word_out,
                  bool* is_ours_out) noexcept {
    *is_ours_out = false;
    for (;;) {  // lock-free: another turn only if a commit moved the version, or an operation was settled
        const SlotWord word = load_word(slot);
        *word_out = word;
        if (word.is_intent()) {
            if (const Status s = settle(slot, word); s != Status::kOk) return s;
            continue;
        }
        if (word.epoch() != epoch) return Status::kOk;
        const SlotWord next = next_epoch(word);
        // order[claim.step_epoch]: full (locked). release: the bid, or the mark, is seen by whoever sees the
        //   new epoch; pairs with every ld16 of the word that is followed by one of the record. A crash
        //   before: the bid or mark stands, anyone goes on from it; after: done.
        if (!cas_word(slot, word, next)) continue;
        *word_out = next;
        *is_ours_out = true;
        return Status::kOk;
    }
}

}  // namespace

Status claim_step(shm::Slot& slot, SlotWord word, ClaimRecord wanted, const Settle& settle,
                  SlotWord* now_out) noexcept {
    const std::uint64_t even = word.epoch();
    KEYSTILE_CRASH_POINT("slots.claim.before_record");
    const Word128 seen = ld16(&slot.claim);
    const ClaimRecord record = unpack_claim(seen);
    bool is_ours = false;
    if (record.epoch > even + 1 && KEYSTILE_GUARD("claim.record_grows")) {
        return load_word(slot) == word ? Status::kCorrupt
                                       : Status::kBusy;  // our word is old, or the record cannot be
    }
    if (record.epoch == even + 1) {
        KEYSTILE_CRASH_POINT("slots.claim.before_help");
        const Status s = step_epoch(slot, even, settle, now_out,
                                    &is_ours);  // somebody bid, and may be dead: help, then look again
        return s == Status::kOk ? Status::kBusy : s;
    }
    wanted.epoch = even + 1;
    KEYSTILE_CRASH_POINT("slots.claim.before_bid");
    // order[claim.bid]: full (locked). Owner and epoch in one step (C1). Partner: C2's reading order. The
    //   expected value never returns, its epoch only grows. A crash before: nothing; after: a bid, which the
    //   next claimer helps and then reclaims.
    if (!cas16(&slot.claim, seen, pack(wanted))) return Status::kBusy;
    KEYSTILE_CRASH_POINT("slots.claim.after_bid");
    if (const Status s = step_epoch(slot, even, settle, now_out, &is_ours); s != Status::kOk) return s;
    // At e+1, by us or a helper: ours. Beyond: it was ours and is lost already.
    return now_out->epoch() == even + 1 ? Status::kOk : Status::kBusy;
}

Status reclaim_step(shm::Slot& slot, Word128 seen, const Settle& settle) noexcept {
    const ClaimRecord record = unpack_claim(seen);
    if (!record.is_reclaimed && KEYSTILE_GUARD("claim.mark")) {
        ClaimRecord marked = record;
        marked.is_reclaimed = true;
        KEYSTILE_CRASH_POINT("slots.reclaim.before_mark");
        // order[claim.mark]: full (locked). Partner: claim.renew. Ends renewal (C4): the deadline that was
        //   judged is the one that is marked. A crash after it: anyone goes on from the mark.
        if (!cas16(&slot.claim, seen, pack(marked))) return Status::kBusy;
    }
    KEYSTILE_CRASH_POINT("slots.reclaim.after_mark");
    SlotWord now;
    bool is_ours = false;
    return step_epoch(slot, record.epoch, settle, &now, &is_ours);
}

Status release_epoch(shm::Slot& slot, std::uint64_t epoch, const Settle& settle,
                     SlotWord* word_out) noexcept {
    KEYSTILE_CRASH_POINT("slots.release.before_cas");
    bool is_ours = false;
    const Status s = step_epoch(slot, epoch, settle, word_out, &is_ours);
    if (s != Status::kOk) return s;
    return is_ours ? Status::kOk : Status::kFenced;
}

Status renew_step(shm::Slot& slot, Word128 seen, std::uint64_t deadline_us) noexcept {
    ClaimRecord record = unpack_claim(seen);
    record.deadline_us = deadline_us;
    KEYSTILE_CRASH_POINT("slots.renew.before_cas");
    // order[claim.renew]: full (locked). Partner: claim.mark. From exactly the unmarked record that was read.
    //   A crash: old or new deadline.
    return cas16(&slot.claim, seen, pack(record)) ? Status::kOk : Status::kBusy;
}

}  // namespace keystile::engine
