// Committing one key of a durable store, through the ring: the new value's block is itself the operation.
//
//   look (as a commit of many) -> block: allocate, fill, with the expected word -> reserve -> publish -> decide -> told
//
// Linearization point: the install of the word, by whoever does it. Deaths: rows S1-S4 of docs/RECOVERY.md.
#include "operations/author.hpp"
#include "operations/multi.hpp"

namespace keystile::engine {

namespace {

// The block, complete but for what its position will say. kFull, kExhausted, kCorrupt.
BlockGrant write_single(Session& session, shm::Slot& slot, const CommitRequest& request,
                        const Judged& judged) noexcept {
    Lane& lane = session.lane;
    const std::uint64_t bytes =
        sizeof(shm::Block) + round_up(request.size, 8) + signature_bytes(*session.store);
    BlockGrant grant = allocate_value(lane, bytes);
    if (grant.status == Status::kFull) grant = allocate_larger_value(lane, bytes, judged.word.version() == 0);
    if (grant.status != Status::kOk) return grant;
    const std::uint32_t flags =
        kIsOperation | (request.is_delete ? kTombstone : 0) | (request.is_releasing ? kIsReleasing : 0);
    shm::Block* block = fill_value(lane, grant.ref, slot, 0, request.data, request.size, flags);
    if (block == nullptr) return {0, Status::kCorrupt, 0};
    poke(block->expected[0], judged.word.raw().lo);
    poke(block->expected[1], judged.word.raw().hi);
    poke(block->old_ctl, judged.old_ctl);
    sign_operation(*session.store, block->signature,
                   reinterpret_cast<std::byte*>(block->payload) + round_up(request.size, 8));
    return grant;
}

}  // namespace

Status commit_on_ring(Session& session, shm::Slot& slot, const CommitRequest& request,
                      Receipt* receipt_out) noexcept {
    Lane& lane = session.lane;
    MultiKey key;
    key.slot = &slot;
    key.seen = request.seen;
    key.grant = request.grant;
    for (;;) {  // lock-free: another turn only if the word moved after it was judged
        const Position reserved = reserve_early(lane.segment());
        Status s = look(session, key);
        if (s == Status::kOk && request.is_delete && key.judged.is_void) s = Status::kNotFound;
        receipt_out->now = key.receipt.now;
        if (s == Status::kHeld) receipt_out->owner = key.receipt.owner;
        if (s != Status::kOk) {
            count_answer(lane, s);
            return s;
        }
        const BlockGrant written = write_single(session, slot, request, key.judged);
        if (written.status != Status::kOk) return written.status;
        Position p = 0;
        s = publish_operation(session, written, reserved, &p);
        if (s != Status::kOk) {
            free_exact(lane, written.ref, peek(lane.segment().at_checked<shm::BlockHead>(written.ref)->ctl));
            return s;
        }
        s = run_operation(session, p);
        if (s == Status::kBusy) {
            lane.count(shm::kRetries);
            ask_for_room(slot);
            continue;
        }
        if (s != Status::kOk) return s;
        receipt_out->now = SlotWord(p, key.judged.word.epoch() + (request.is_releasing ? 1 : 0), written.ref);
        lane.count(shm::kCommits);
        lane.count(shm::kBytes, request.size);
        return Status::kOk;
    }
}

}  // namespace keystile::engine
