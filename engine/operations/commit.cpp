#include "operations/commit.hpp"

namespace keystile::engine {

// Precedence with a grant: epoch moved, not the owner's ticket, version moved.
Status judge_granted(shm::Slot& slot, SlotWord word, const Grant& grant, std::uint64_t version) noexcept {
    if (word.epoch() != grant.epoch && KEYSTILE_GUARD("commit.epoch")) return Status::kFenced;
    if (word.epoch() == grant.epoch) {
        if (const Status s = check_record(slot, grant); s != Status::kOk) return s;
    }
    return word.version() != version ? Status::kConflict : Status::kOk;
}

Status refuse(Session& session, Status status, SlotWord word, BlockGrant fresh,
              Receipt* receipt_out) noexcept {
    if (fresh.ref != 0) free_exact(session.lane, fresh.ref, with_tag(fresh.ctl, Tag::kPublished));
    receipt_out->now = word;
    if (status == Status::kConflict) session.lane.count(shm::kConflicts);
    if (status == Status::kFenced) session.lane.count(shm::kFencings);
    if (status == Status::kHeld) session.lane.count(shm::kHelds);
    return status;
}

}  // namespace keystile::engine
