#include "operations/commit.hpp"

namespace keystile::engine {

namespace {

// A commit without a grant. kOk: the word is as the caller saw it. kBusy: look again.
Status judge_optimistic(Session& session, shm::Slot& slot, SlotWord word, const CommitRequest& request,
                        Receipt* receipt_out) noexcept {
    if (word.version() != request.seen.version) return Status::kConflict;
    if (is_claimed(word.epoch())) [[unlikely]] return meet_claim(session, slot, word, &receipt_out->owner);
    const bool is_never_written = word.version() == 0 && request.seen.epoch == 0;
    if (!is_never_written && session.store->token_of(word.epoch()) != request.seen.epoch &&
        KEYSTILE_GUARD("commit.epoch")) [[unlikely]] {
        return Status::kFenced;
    }
    return Status::kOk;
}

Status judge_granted(shm::Slot& slot, SlotWord word, const CommitRequest& request) noexcept {
    if (word.epoch() != request.grant->epoch && KEYSTILE_GUARD("commit.epoch")) return Status::kFenced;
    if (word.epoch() == request.grant->epoch) {
        if (const Status s = check_record(slot, *request.grant); s != Status::kOk) return s;
    }
    return word.version() != request.seen.version ? Status::kConflict : Status::kOk;
}

void count_refusal(Session& session, Status status) noexcept {
    if (status == Status::kConflict) session.lane.count(shm::kConflicts);
    if (status == Status::kFenced) session.lane.count(shm::kFencings);
    if (status == Status::kHeld) session.lane.count(shm::kHelds);
}

// The block that carries the value, published and not reachable yet.
Status make_block(Session& session, shm::Slot& slot, const CommitRequest& request, BlockGrant* grant_out) noexcept {
    Lane& lane = session.lane;
    const std::uint64_t bytes = sizeof(shm::Block) + request.size;
    const Status s = allocate_value(lane, bytes, grant_out);
    if (s != Status::kOk) [[unlikely]] return s;
    auto* block = lane.segment().at<shm::Block>(grant_out->ref, sizeof(shm::Block) + round_up(request.size, 8));
    if (block == nullptr) [[unlikely]] return Status::kCorrupt;
    const std::uint32_t flags = request.is_delete ? kTombstone : 0;
    poke(block->head.version, request.seen.version + 1);
    poke(block->head.content,
         pack(BlockContent{static_cast<std::uint32_t>(request.size), lane.id().index, BlockKind::kValue, flags}));
    poke(block->head.place, static_cast<std::uint64_t>(lane.segment().ref_of(&slot)));
    copy_in(block->payload, request.data, request.size);
    KEYSTILE_CRASH_POINT("operations.commit.before_publish");
    if (KEYSTILE_GUARD("commit.publish_first")) publish(block->head, grant_out->ctl);
    return Status::kOk;
}

// Tell the reaper which block this commit is about to replace. Three ordered stores: a half-written line is never valid.
void arm_line(shm::Lane& line, Ref slot, Ref old_ref, std::uint64_t old_ctl) noexcept {
    if (KEYSTILE_GUARD("commit.line_order")) poke(line.old_ctl, 0u);
    // order[commit.line]: release, release, release: each store after the one before it. Partner: the reaper, which reads the
    //   line of a dead session only, old_ctl first. A crash in between: the line is not valid.
    line.slot.store(slot, memory_order_release);
    KEYSTILE_CRASH_POINT("operations.commit.inside_line");
    line.old_ref.store(old_ref, memory_order_release);
    line.old_ctl.store(old_ctl, memory_order_release);
}

// After the epoch check and the commit: everything that is not the winner's path.
Status refuse(Session& session, Status status, SlotWord word, BlockGrant fresh, Receipt* receipt_out) noexcept {
    if (fresh.ref != 0) free_exact(session.lane, fresh.ref, with_tag(fresh.ctl, Tag::kPublished));
    receipt_out->now = word;
    count_refusal(session, status);
    return status;
}

}  // namespace

Status commit(Session& session, shm::Slot& slot, const CommitRequest& request, Receipt* receipt_out) noexcept {
    Lane& lane = session.lane;
    Segment& segment = lane.segment();
    if (session.store->is_destroyed()) [[unlikely]] return Status::kDestroyed;
    if (request.grant != nullptr) {
        if (const Status s = check_ticket(session, *request.grant); s != Status::kOk) return s;
    }
    BlockGrant fresh;
    for (;;) {  // lock-free: another turn only if the word moved
        const SlotWord word = load_word(slot);
        if (word.is_intent()) [[unlikely]] return refuse(session, Status::kCorrupt, word, fresh, receipt_out);
        const Status judged = request.grant != nullptr ? judge_granted(slot, word, request)
                                                       : judge_optimistic(session, slot, word, request, receipt_out);
        if (judged == Status::kBusy) continue;
        if (judged != Status::kOk) return refuse(session, judged, word, fresh, receipt_out);
        if (word.version() == kVersionMax || word.epoch() == kEpochMax) [[unlikely]] {
            return refuse(session, Status::kExhausted, word, fresh, receipt_out);
        }

        std::uint64_t old_ctl = 0;
        if (word.version() != 0) {
            const auto* old = segment.at<shm::BlockHead>(word.ref());
            if (old == nullptr) [[unlikely]] return refuse(session, Status::kCorrupt, word, fresh, receipt_out);
            // order[commit.old_id]: acquire. Partner: arena.publish. The id is this block's only if the word still names it:
            //   hence the second ld16 (E4). A crash here leaves nothing.
            old_ctl = old->ctl.load(memory_order_acquire);
            const bool is_tombstone = (unpack_content(peek(old->content)).flags & kTombstone) != 0;
            KEYSTILE_CRASH_POINT("operations.commit.after_old_id");
            if (KEYSTILE_GUARD("commit.old_id") && load_word(slot) != word) [[unlikely]] continue;
            if (tag_of(old_ctl) != Tag::kPublished) [[unlikely]] {
                return refuse(session, Status::kCorrupt, word, fresh, receipt_out);
            }
            if (request.is_delete && is_tombstone) return refuse(session, Status::kNotFound, word, fresh, receipt_out);
        } else if (request.is_delete) {
            return refuse(session, Status::kNotFound, word, fresh, receipt_out);
        }

        if (fresh.ref == 0) {
            const Status made = make_block(session, slot, request, &fresh);
            if (made != Status::kOk) [[unlikely]] return refuse(session, made, word, {}, receipt_out);
        }
        arm_line(lane.shared(), segment.ref_of(&slot), word.ref(), old_ctl);
        const SlotWord next = committed(word, fresh.ref, request.is_releasing);
        KEYSTILE_CRASH_POINT("operations.commit.before_cas");
        // order[commit.cas]: full (locked). release: the block and its PUBLISHED ctl are seen by whoever sees the word; pairs
        //   with the readers' ld16. A crash before: the old value stands, the block is reaped. After: the new value stands,
        //   the line tells the reaper to free the old block.
        if (cas_word(slot, word, next)) [[likely]] {
            KEYSTILE_CRASH_POINT("operations.commit.after_cas");
            if (!KEYSTILE_GUARD("commit.publish_first")) publish(segment.at<shm::BlockHead>(fresh.ref)[0], fresh.ctl);
            if (old_ctl != 0) keep_or_free(lane, word.ref(), old_ctl);
            KEYSTILE_CRASH_POINT("operations.commit.before_wake");
            wake(slot);
            receipt_out->now = next;
            lane.count(shm::kCommits);
            lane.count(shm::kBytes, request.size);
            return Status::kOk;
        }
        poke(lane.shared().old_ctl, 0u);  // before anything else becomes of this session: the line is not true
        lane.count(shm::kRetries);
    }
}

}  // namespace keystile::engine
