#include "arena/runs.hpp"

#include <algorithm>

namespace keystile::engine {

namespace {

void give_back(Segment& segment, std::uint64_t chunk, OwnerId id) noexcept {
    std::uint64_t expected = owned(Tag::kHeld, id);
    // order[arena.run.give_back]: acq_rel. Pairs with arena.run.take: our reads of the chunk come before its
    //   next owner's writes. From exactly this id. A crash before it: R3.
    segment.chunk(chunk)->use.compare_exchange_strong(expected, owned(Tag::kFree, id), memory_order_acq_rel,
                                                      memory_order_relaxed);
}

// Virgin, or of a run that is over; a chunk with a class (Tag::kFixed) never is.
bool is_takeable(std::uint64_t use) noexcept {
    return tag_of(use) == Tag::kFree;
}

bool take(Segment& segment, std::uint64_t chunk, RunPlace place, OwnerId id) noexcept {
    std::uint64_t use = peek(segment.chunk(chunk)->use);
    if (!is_takeable(use)) return false;
    KEYSTILE_CRASH_POINT("arena.run.before_take");
    // order[arena.run.take]: acq_rel. acquire pairs with arena.run.give_back; release shows `holding` and
    //   `sequence` to a reaper. A crash after it: the chunk is HELD by a dead session's id, its block never
    //   alive: release_run.
    if (!segment.chunk(chunk)->use.compare_exchange_strong(use, owned(Tag::kHeld, id), memory_order_acq_rel,
                                                           memory_order_relaxed)) {
        return false;
    }
    poke(segment.chunk(chunk)->run, pack(place));
    return true;
}

// Take [first, first + chunks): from the front; on a failure give back from the end.
bool take_all(Segment& segment, std::uint64_t first, std::uint32_t chunks, OwnerId id) noexcept {
    for (std::uint32_t i = 0; i < chunks; ++i) {
        if (take(segment, first + i, {chunks, i}, id)) continue;
        while (i-- > 0) give_back(segment, first + i, id);
        return false;
    }
    return true;
}

// The first stretch of takeable chunks at or behind `from`; count if there is none.
std::uint64_t find_stretch(const Segment& segment, std::uint64_t from, std::uint64_t count,
                           std::uint32_t chunks) noexcept {
    std::uint64_t length = 0;
    for (std::uint64_t i = from; i < count; ++i) {
        length = is_takeable(peek(segment.chunk(i)->use)) ? length + 1 : 0;
        if (length == chunks) return i + 1 - chunks;
    }
    return count;
}

}  // namespace

BlockGrant allocate_run(Lane& lane, std::uint64_t bytes, shm::Atomic32& note) noexcept {
    Segment& segment = lane.segment();
    const auto chunks = static_cast<std::uint32_t>((bytes + kChunkBytes - 1) / kChunkBytes);
    for (std::uint64_t from = 0;
         ;) {  // ends: `from` moves on over a table that only grows up to the segment's end
        const std::uint64_t count = segment.chunk_count();
        const std::uint64_t first = find_stretch(segment, from, count, chunks);
        if (first == count) {
            // Room for a whole stretch behind the end: what is free just before it is found by the next look.
            if (const Status s = segment.grow_arena(count + chunks); s != Status::kOk) return {0, s, 0};
            from = count > chunks ? count - chunks : 0;
            continue;
        }
        from = first + 1;
        const OwnerId id = lane.next_id();
        if (id == 0) return {0, Status::kExhausted, 0};
        const Ref ref = segment.chunk_ref(first);
        poke(note, ref);
        if (!take_all(segment, first, chunks, id)) continue;
        auto* head = segment.at<shm::BlockHead>(ref, bytes);
        if (head == nullptr) return {0, Status::kCorrupt, 0};
        KEYSTILE_CRASH_POINT("arena.run.before_ctl");
        // order[arena.run.ctl]: release. All chunks are ours, so nobody else writes this word; partner: the
        //   reaper's look at it. A crash before it: chunks HELD(id) without a block of that id: release_run.
        head->ctl.store(owned(Tag::kHeld, id), memory_order_release);
        boost::atomic_thread_fence(
            memory_order_release);  // order[arena.run.fill]: as arena.fill, partner the reader's fence
        return {ref, Status::kOk, owned(Tag::kHeld, id)};
    }
}

void release_run(Segment& segment, Ref first, OwnerId id) noexcept {
    const std::uint64_t index = segment.chunk_of(first);
    const std::uint64_t count = segment.chunk_count();
    if (index >= count) return;
    // Taken in order, and the first's place is written before the second is taken: so either it is true, or
    // only the first was taken. A wrong number does no harm, each step names the id.
    const std::uint64_t told = unpack_run(peek(segment.chunk(index)->run)).chunks;
    const std::uint64_t chunks = std::clamp<std::uint64_t>(told, 1, count - index);
    KEYSTILE_CRASH_POINT("arena.run.before_give_back");
    for (std::uint64_t i = chunks; i-- > 0;) give_back(segment, index + i, id);
}

}  // namespace keystile::engine
