// Committing one key: the direct path of a volatile store. (A durable one goes another: operations/single.cpp.)
//
//   judge the word -> remember the old block's id -> look at the word again -> new block: allocate, fill,
//   publish -> session line -> CAS of the slot word -> keep or free the old block by that id -> wake
//
// Linearization point: the CAS. ExactlyOneWinner and NoLostUpdate: it expects exactly the word that was
// judged, and no value of the word returns (W3). NoStaleApply: epoch and version are in that same word.
// Lock-free: a lost CAS means that somebody's commit, claim or release won. Deaths: rows D1-D6 of
// docs/RECOVERY.md.
//
// The path is inline, in one piece with the C call that takes it: 20 ns leave no room for passing structs
// through memory.
#pragma once

#include "operations/claims.hpp"

namespace keystile::engine {

struct CommitRequest {
    Stamp seen;
    const void* data = nullptr;
    std::size_t size = 0;
    bool is_delete = false;
    bool is_releasing = false;  // with a grant: the epoch moves in the same step
    const Grant* grant = nullptr;
};

// What a commit that was refused adds to its session's counters.
void count_answer(Lane& lane, Status status) noexcept;

// The way out of everything that is not a win: gives the block back, counts, tells the word.
[[gnu::cold]] Status refuse(Session& session, Status status, SlotWord word, BlockGrant fresh,
                            Receipt* receipt_out) noexcept;

// The word is not simply what the caller saw, or he has a grant: the whole precedence. kOk: go on. kBusy:
// look again.
[[gnu::noinline]] Status judge(Session& session, shm::Slot& slot, SlotWord word, Stamp seen,
                               const Grant* grant, Receipt* receipt_out) noexcept;

// CLEAN, at exactly this version and this even epoch, and not the last version: compared packed, without
// unpacking.
inline bool is_as_seen(SlotWord word, Stamp seen, std::uint64_t token_base) noexcept {
    const std::uint64_t epoch = seen.epoch - token_base;
    const Word128 want = SlotWord(seen.version, epoch, 0).raw();
    return ((word.raw().hi ^ want.hi) | ((word.raw().lo ^ want.lo) >> 32)) == 0 && !is_claimed(epoch) &&
           epoch <= kEpochMax && seen.version < kVersionMax;
}

// In a durable store: through the ring. The same answers.
[[gnu::cold]] Status commit_on_ring(Session& session, shm::Slot& slot, const CommitRequest& request,
                                    Receipt* receipt_out) noexcept;

// Write a value, to be installed at `version`, into a block that is HELD by us. nullptr: crooked.
[[gnu::always_inline]] inline shm::Block* fill_value(Lane& lane, Ref ref, const shm::Slot& slot,
                                                     std::uint64_t version, const void* data,
                                                     std::size_t size, std::uint32_t flags) noexcept {
    const Segment& segment = lane.segment();
    auto* block = segment.at<shm::Block>(ref, sizeof(shm::Block) + round_up(size, 8));
    if (block == nullptr) [[unlikely]]
        return nullptr;
    poke(block->head.version, version);
    poke(block->head.content,
         pack(BlockContent{static_cast<std::uint32_t>(size), lane.id().index, BlockKind::kValue, flags}));
    poke(block->head.place, static_cast<std::uint64_t>(segment.ref_of(&slot)));
    copy_in(block->payload, data, size);
    return block;
}

// The block that carries the value, published and not reachable yet.
[[gnu::always_inline]] inline BlockGrant make_block(Lane& lane, shm::Slot& slot,
                                                    const CommitRequest& request) noexcept {
    BlockGrant grant = allocate_value(lane, sizeof(shm::Block) + request.size);
    if (grant.status == Status::kFull) [[unlikely]]
        grant = allocate_larger_value(lane, sizeof(shm::Block) + request.size, request.seen.version == 0);
    if (grant.status != Status::kOk) [[unlikely]]
        return grant;
    auto* block = fill_value(lane, grant.ref, slot, request.seen.version + 1, request.data, request.size,
                             request.is_delete ? kTombstone : 0);
    if (block == nullptr) [[unlikely]]
        return {0, Status::kCorrupt, 0};
    KEYSTILE_CRASH_POINT("operations.commit.before_publish");
    if (KEYSTILE_GUARD("commit.publish_first")) publish(block->head, grant.ctl);
    return grant;
}

// Tell the reaper which block this commit is about to replace, old_ctl last: until then the line holds an id
// whose life is over (a won commit freed or kept that block, a lost one cleared the line), and such a line
// hits nothing.
inline void arm_line(shm::Lane& line, Ref slot, Ref old_ref, std::uint64_t old_ctl) noexcept {
    // With the guard off: a new id beside the slot of the commit before (E5).
    if (!KEYSTILE_GUARD("commit.line_order")) {
        poke(line.old_ref, old_ref);
        poke(line.old_ctl, old_ctl);
        KEYSTILE_CRASH_POINT("operations.commit.inside_line");
    }
    poke(line.slot, slot);
    poke(line.old_ref, old_ref);
    KEYSTILE_CRASH_POINT("operations.commit.before_line");
    // order[commit.line]: release. After slot and old_ref; partner: the reaper, which reads old_ctl first,
    //   with acquire. A crash before: the line is of a life that is over. After: it is true, and counts once
    //   the word has left old_ref.
    line.old_ctl.store(old_ctl, memory_order_release);
}

// kOk, kConflict, kFenced, kHeld; kNotFound (delete of nothing); kGrant, kFull, kExhausted, kCorrupt,
// kDestroyed.
[[gnu::always_inline]] inline Status commit(Session& session, shm::Slot& slot, const CommitRequest& request,
                                            Receipt* receipt_out) noexcept {
    Lane& lane = session.lane;
    const Segment& segment = lane.segment();
    if (session.store->is_destroyed()) [[unlikely]]
        return Status::kDestroyed;
    if (request.grant != nullptr) [[unlikely]] {
        if (const Status s = check_ticket(session, *request.grant, receipt_out); s != Status::kOk) return s;
    }
    if (segment.is_durable()) [[unlikely]]
        return commit_on_ring(session, slot, request, receipt_out);
    BlockGrant fresh;
    for (;;) {  // lock-free: another turn only if the word moved
        const SlotWord word = load_word(slot);
        const bool is_plain =
            request.grant == nullptr && is_as_seen(word, request.seen, session.store->token_base);
        if (!is_plain) [[unlikely]] {
            const Status judged = judge(session, slot, word, request.seen, request.grant, receipt_out);
            if (judged == Status::kBusy) continue;
            if (judged != Status::kOk) return refuse(session, judged, word, fresh, receipt_out);
        }

        std::uint64_t old_ctl = 0;
        if (word.version() != 0) [[likely]] {
            const auto* old = segment.at<shm::BlockHead>(word.ref());
            if (old == nullptr) [[unlikely]]
                return refuse(session, Status::kCorrupt, word, fresh, receipt_out);
            KEYSTILE_CRASH_POINT("operations.commit.before_old_id");
            // order[commit.old_id]: acquire. Partner: arena.publish. The id is this block's only if the word
            //   still names it: hence the second look at the word (E4). A crash here leaves nothing.
            old_ctl = old->ctl.load(memory_order_acquire);
            const bool is_void =
                request.is_delete && (unpack_content(peek(old->content)).flags & kTombstone) != 0;
            KEYSTILE_CRASH_POINT("operations.commit.after_old_id");
            if (KEYSTILE_GUARD("commit.old_id") && load_word(slot) != word) [[unlikely]]
                continue;
            if (tag_of(old_ctl) != Tag::kPublished) [[unlikely]] {
                return refuse(session, Status::kCorrupt, word, fresh, receipt_out);
            }
            if (is_void) [[unlikely]]
                return refuse(session, Status::kNotFound, word, fresh, receipt_out);
        } else if (request.is_delete) {
            return refuse(session, Status::kNotFound, word, fresh, receipt_out);
        }

        if (fresh.ref == 0) [[likely]] {
            fresh = make_block(lane, slot, request);
            if (fresh.status != Status::kOk) [[unlikely]]
                return refuse(session, fresh.status, word, {}, receipt_out);
        }
        arm_line(lane.shared(), segment.ref_of(&slot), word.ref(), old_ctl);
        SlotWord next = committed(word, fresh.ref);
        if (request.is_releasing) [[unlikely]]
            next = next_epoch(next);
        KEYSTILE_CRASH_POINT("operations.commit.before_cas");
        // order[commit.cas]: full (locked). release: the block and its PUBLISHED ctl are seen by whoever sees
        //   the word; pairs with the readers' load_word. A crash before: the old value stands, the block is
        //   reaped. After: the new value stands, the line tells the reaper to free the old block.
        if (cas_word(slot, word, next)) [[likely]] {
            KEYSTILE_CRASH_POINT("operations.commit.after_cas");
            if (!KEYSTILE_GUARD("commit.publish_first"))
                publish(*segment.at_checked<shm::BlockHead>(fresh.ref), fresh.ctl);
            if (old_ctl != 0 &&
                !KEYSTILE_GUARD("commit.early_id"))  // off: the id is read when it is needed (E3)
                old_ctl = peek(segment.at_checked<shm::BlockHead>(word.ref())->ctl);
            if (old_ctl != 0) [[likely]]
                keep_or_free(lane, lane.spare, word.ref(), old_ctl);
            KEYSTILE_CRASH_POINT("operations.commit.before_wake");
            wake(slot);
            receipt_out->now = next;
            lane.count(shm::kCommits);
            lane.count(shm::kBytes, request.size);
            return Status::kOk;
        }
        poke(lane.shared().old_ctl,
             0u);  // before anything else becomes of this session: the line is not true
        lane.count(shm::kRetries);
        ask_for_room(slot);
    }
}

}  // namespace keystile::engine
