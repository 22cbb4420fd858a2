// The spare: a block that goes straight from "replaced" to "mine" in one CAS instead of two (free, then
// allocate).
//
// B4  keep: record the ref in the holding that the new value does not use, then CAS ctl PUBLISHED(old id) ->
//     HELD(fresh id). From exactly the old id, as any free. A death before: the session line names the block.
//     After: the holding does.
// B5  A session's descriptor likewise, once its operation is over; the holding names it all the while.
// A spare is given back when the session closes, a value when the next commits keep needing another size, a descriptor
// when the next operation needs a larger one, or the session finds the store full.
#pragma once

#include <algorithm>

#include "arena/blocks.hpp"

namespace keystile::engine {

inline constexpr std::uint32_t kSpareMissesMax = 8;

// A larger one is not worth keeping: room for an operation of 84 keys.
inline constexpr std::uint64_t kSpareDescriptorMax = 4096;

// False: there was none.
inline bool drop_spare(Lane& lane, Spare& spare) noexcept {
    if (spare.ref == 0) return false;
    free_exact(lane, spare.ref, spare.ctl);
    spare.ref = 0;
    return true;
}
inline void drop_spares(Lane& lane) noexcept {
    drop_spare(lane, lane.spare);
    drop_spare(lane, lane.spare_descriptor);
}

[[gnu::always_inline]] inline BlockGrant take_spare(Lane& lane) noexcept {
    Spare& spare = lane.spare;
    const BlockGrant grant{spare.ref, Status::kOk, spare.ctl};
    spare.ref = 0;
    spare.holding = other_value(spare.holding);  // what this commit replaces is recorded in the other one
    return grant;
}

// In a durable store a block also says who wrote it.
inline std::uint64_t tombstone_bytes_max(const Segment& segment) noexcept {
    return sizeof(shm::Block) + (segment.is_durable() ? kLabelBytes : 0);
}

// When all blocks of the size are in use: the spare if it is large enough, else the spare descriptor or a free block of
// any larger size. So a full store can be emptied (a tombstone is a small value), and what was emptied serves smaller
// values. A key's first value (`is_first`) replaces no block, so it must leave one for a delete: the spare, or a free
// one that new keys do not need for the index.
[[gnu::cold, gnu::noinline]] inline BlockGrant allocate_larger_value(Lane& lane, std::uint64_t bytes,
                                                                     bool is_first) noexcept {
    const Spare& spare = lane.spare;
    const bool is_spare_enough = spare.ref != 0 && bytes <= bytes_of(spare.size_class);
    const bool is_worth_another_look = drop_spare(lane, lane.spare_descriptor);
    shm::Atomic32& note = lane.note(other_value(spare.holding));
    BlockGrant grant = is_spare_enough ? take_spare(lane) : BlockGrant{0, Status::kFull, 0};
    if (grant.status == Status::kFull && is_worth_another_look) grant = allocate(lane, bytes, note);
    if (grant.status == Status::kFull) grant = allocate_larger(lane, bytes, note);
    if (grant.status != Status::kOk || !is_first || spare.ref != 0) return grant;
    const std::uint64_t tombstone = tombstone_bytes_max(lane.segment());
    BlockGrant left = allocate(lane, tombstone, lane.note(spare.holding));
    if (left.status == Status::kFull)
        left = allocate_larger(lane, std::max(tombstone, sizeof(shm::Node)), lane.note(spare.holding));
    if (left.status == Status::kOk) {
        free_exact(lane, left.ref, left.ctl);
        return grant;
    }
    free_exact(lane, grant.ref, grant.ctl);
    return {0, left.status, 0};
}

// A value block: the spare if it fits, else a fresh one.
[[gnu::always_inline]] inline BlockGrant allocate_value(Lane& lane, std::uint64_t bytes) noexcept {
    Spare& spare = lane.spare;
    if (spare.ref != 0 && bytes <= kClassBytesMax && spare.size_class == class_of(bytes)) [[likely]] {
        return take_spare(lane);
    }
    if (spare.ref != 0 && ++spare.misses >= kSpareMissesMax) drop_spare(lane, spare);
    return allocate(lane, bytes, lane.note(other_value(spare.holding)));
}

// A descriptor: the spare if it is large enough, else a fresh one. There is one holding for the two, so not both.
inline BlockGrant allocate_descriptor(Lane& lane, std::uint64_t bytes) noexcept {
    Spare& spare = lane.spare_descriptor;
    if (spare.ref != 0 && bytes <= bytes_of(spare.size_class)) {
        const BlockGrant grant{spare.ref, Status::kOk, spare.ctl};
        spare.ref = 0;
        return grant;
    }
    drop_spare(lane, spare);
    return allocate(lane, bytes, lane.note(spare.holding));
}

// A block that was PUBLISHED(`ctl`) while something led to it, and that nothing needs any more: keep it as `spare`, or
// free it.
[[gnu::always_inline]] inline void keep_or_free(Lane& lane, Spare& spare, Ref ref,
                                                std::uint64_t ctl) noexcept {
    const SizeClass size_class = class_at(lane.segment(), ref);
    const OwnerId id = spare.ref == 0 && size_class != kClasses ? lane.next_id() : 0;
    if (id == 0) [[unlikely]] {
        if (!free_exact(lane, ref, ctl)) finish_free(lane.segment(), ref);
        return;
    }
    auto* head = lane.segment().at_checked<shm::BlockHead>(ref);  // the caller read its ctl
    lane.hold(spare.holding, ref);
    std::uint64_t expected = ctl;
    KEYSTILE_CRASH_POINT("arena.keep.before_cas");
    // order[arena.keep]: acq_rel. Pairs with arena.free and the reader. As arena.free and arena.allocate in
    //   one: release, our last reads of the block come before what we write into it next, and the holding is
    //   seen by a reaper that sees HELD(id); acquire, for a loser. Exactly the old id: only this life of the
    //   block can be ended, and only by one.
    if (!head->ctl.compare_exchange_strong(expected, owned(Tag::kHeld, id), memory_order_acq_rel,
                                           memory_order_relaxed)) {
        return;  // somebody else freed it: the reaper, which took us for dead, or another recycler
    }
    // order[arena.keep.fill]: release fence, as arena.fill; partner: the reader's acquire fence.
    boost::atomic_thread_fence(memory_order_release);
    spare.ref = ref;
    spare.ctl = owned(Tag::kHeld, id);
    spare.size_class = size_class;
    spare.misses = 0;
}

}  // namespace keystile::engine
