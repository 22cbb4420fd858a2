#include "operations/commit.hpp"

#include "operations/resolve.hpp"

namespace keystile::engine {

namespace {

// With a grant: epoch moved, not the owner's ticket, version moved.
Status judge_granted(shm::Slot& slot, SlotWord word, Stamp seen, const Grant& grant) noexcept {
    if (word.epoch() != grant.epoch && KEYSTILE_GUARD("commit.epoch")) return Status::kFenced;
    if (word.epoch() == grant.epoch) {
        if (const Status s = check_record(slot, word, grant); s != Status::kOk) return s;
    }
    return word.version() != seen.version ? Status::kConflict : Status::kOk;
}

// Without: version moved, live claim, epoch moved.
Status judge_optimistic(Session& session, shm::Slot& slot, SlotWord word, Stamp seen,
                        Receipt* receipt_out) noexcept {
    if (word.version() != seen.version) return Status::kConflict;
    if (is_claimed(word.epoch())) return meet_claim(session, slot, word, &receipt_out->owner);
    const bool is_never_written = word.version() == 0 && seen.epoch == 0;
    const bool is_same = is_never_written || session.store->token_of(word.epoch()) == seen.epoch;
    return is_same || !KEYSTILE_GUARD("commit.epoch") ? Status::kOk : Status::kFenced;
}

}  // namespace

Status judge(Session& session, shm::Slot& slot, SlotWord word, Stamp seen, const Grant* grant,
             Receipt* receipt_out) noexcept {
    if (word.is_intent()) {
        const Status settled = settle(session.store->segment, slot, word);
        return settled == Status::kOk ? Status::kBusy : settled;
    }
    const Status judged = grant != nullptr ? judge_granted(slot, word, seen, *grant)
                                           : judge_optimistic(session, slot, word, seen, receipt_out);
    return judged == Status::kOk && word.version() == kVersionMax ? Status::kExhausted : judged;
}

void count_answer(Lane& lane, Status status) noexcept {
    if (status == Status::kConflict) lane.count(shm::kConflicts);
    if (status == Status::kFenced) lane.count(shm::kFencings);
    if (status == Status::kHeld) lane.count(shm::kHelds);
}

Status refuse(Session& session, Status status, SlotWord word, BlockGrant fresh,
              Receipt* receipt_out) noexcept {
    if (fresh.ref != 0) free_exact(session.lane, fresh.ref, with_tag(fresh.ctl, Tag::kPublished));
    receipt_out->now = word;
    count_answer(session.lane, status);
    return status;
}

}  // namespace keystile::engine
