#include "operations/draft.hpp"

#include "operations/author.hpp"

namespace keystile::engine {

namespace {

bool is_writing(const MultiKey& key) noexcept {
    return key.step == MultiStep::kPut || (key.step == MultiStep::kDelete && !key.judged.is_void);
}

}  // namespace

Status Draft::write() noexcept {
    const std::uint64_t bytes = descriptor_bytes(count_) + signature_bytes(*session_.store);
    for (std::size_t i = 0; i < count_; ++i) keys_[i]->fresh = 0;
    grant_ = allocate_descriptor(lane_, bytes);
    if (grant_.status == Status::kFull) grant_ = allocate_scarce(bytes, lane_.note(Holding::kDescriptor));
    if (grant_.status != Status::kOk) return grant_.status;
    descriptor_ = lane_.segment().at<shm::Descriptor>(grant_.ref, bytes);
    if (descriptor_ == nullptr) return Status::kCorrupt;
    poke(descriptor_->head.version, Position{0});
    poke(descriptor_->head.content, pack(BlockContent{static_cast<std::uint32_t>(count_ * sizeof(shm::Entry)),
                                                      lane_.id().index, BlockKind::kDescriptor, 0}));
    for (std::size_t i = 0; i < count_; ++i) poke(descriptor_->entry[i].fresh, Ref{0});
    sign_operation(*session_.store, descriptor_->signature, &descriptor_->entry[count_]);
    // order[draft.mark]: release. Partner: reap_descriptor's acquire: from now on the entries are this life's
    //   (D3). A crash before: the reaper frees the block alone.
    descriptor_->mark.store(id_of(grant_.ctl), memory_order_release);
    for (std::size_t i = 0; i < count_; ++i) {
        if (const Status s = write_entry(descriptor_->entry[i], *keys_[i]); s != Status::kOk) return s;
    }
    return Status::kOk;
}

BlockGrant Draft::allocate_scarce(std::uint64_t bytes, shm::Atomic32& note) noexcept {
    is_scarce_ = true;
    return allocate_larger(lane_, bytes, note);
}

// With its block, if it writes one.
Status Draft::write_entry(shm::Entry& entry, MultiKey& key) noexcept {
    const Judged& judged = key.judged;
    poke(entry.expected[0], judged.word.raw().lo);
    poke(entry.expected[1], judged.word.raw().hi);
    poke(entry.old_ctl, judged.old_ctl);
    poke(entry.slot, lane_.segment().ref_of(key.slot));
    poke(entry.is_released, key.is_releasing ? 1u : 0u);
    if (!is_writing(key)) return Status::kOk;
    const bool is_delete = key.step == MultiStep::kDelete;
    const std::size_t size = is_delete ? 0 : key.size;
    BlockGrant fresh = allocate(lane_, sizeof(shm::Block) + size, entry.fresh);
    if (fresh.status == Status::kFull) fresh = allocate_scarce(sizeof(shm::Block) + size, entry.fresh);
    if (fresh.status != Status::kOk) {
        poke(entry.fresh, Ref{0});  // the last one that was tried is not ours
        return fresh.status;
    }
    key.fresh = fresh.ref;
    key.fresh_ctl = with_tag(fresh.ctl, Tag::kPublished);
    poke(entry.fresh_ctl, key.fresh_ctl);
    shm::Block* block = fill_value(lane_, fresh.ref, *key.slot, judged.word.version() + 1, key.data, size,
                                   kOfOperation | (is_delete ? kTombstone : 0));
    if (block == nullptr) return Status::kCorrupt;
    engine::publish(block->head, fresh.ctl);
    return Status::kOk;
}

Status Draft::publish(Position reserved, Position* position_out) noexcept {
    return publish_operation(session_, grant_, reserved, position_out);
}

void Draft::drop() noexcept {
    if (descriptor_ == nullptr) return;
    for (std::size_t i = 0; i < count_; ++i) {
        const MultiKey& key = *keys_[i];
        if (key.fresh != 0) free_exact(lane_, key.fresh, key.fresh_ctl);
    }
    free_exact(lane_, grant_.ref, peek(descriptor_->head.ctl));  // HELD, or published once in vain
}

Status Draft::run(Position p) noexcept {
    if (!run_alone(p)) return run_operation(session_, p);
    Segment& segment = lane_.segment();
    if (ring_head(segment) + 1 == p && !is_awaiting_disk(segment, p)) recycle(p);
    recycle_behind(segment, lane_);
    return Status::kOk;
}

// True: committed and finalised. False: somebody is in the way, or has been here.
bool Draft::run_alone(Position p) noexcept {
    const Segment& segment = lane_.segment();
    for (std::size_t i = 0; i < count_; ++i) {
        if (!install_intent(segment, p, *keys_[i]->slot, keys_[i]->judged.word)) return false;
    }
    if (!mark_committed(segment, p, RingCell(lap_of(segment, p), CellState::kReady, grant_.ref)))
        return false;
    for (std::size_t i = 0; i < count_; ++i) {
        const MultiKey& key = *keys_[i];
        const SlotWord expected = key.judged.word;
        finalise_word(*key.slot, intent_word(p, expected),
                      committed_word(segment, p, expected, key.fresh, key.is_releasing));
    }
    return true;
}

// Committed and finalised, and at the head of the ring: as anybody would, but that the descriptor is kept.
void Draft::recycle(Position p) noexcept {
    Segment& segment = lane_.segment();
    for (std::size_t i = 0; i < count_; ++i) {
        const MultiKey& key = *keys_[i];
        const OperationEntry entry{.expected = key.judged.word.raw(),
                                   .old_ctl = key.judged.old_ctl,
                                   .fresh_ctl = key.fresh_ctl,
                                   .fresh = key.fresh};
        free_left(segment, &lane_, entry, CellState::kCommitted);
    }
    const std::uint64_t ctl = with_tag(grant_.ctl, Tag::kPublished);
    if (!is_scarce_ && descriptor_bytes(count_) <= kSpareDescriptorMax) {
        keep_or_free(lane_, lane_.spare_descriptor, grant_.ref, ctl);
    } else {
        free_descriptor(segment, &lane_, grant_.ref, ctl);
    }
    advance(segment, p, RingCell(lap_of(segment, p), CellState::kCommitted, grant_.ref));
}

}  // namespace keystile::engine
