// Blocks: allocate, publish, free. No free list, no cache in shared memory: the ctl word of each block is the
// whole truth.
//
// B1  allocate: record the ref where a reaper of this session finds it (`note`: a holding of the session, or an
//     entry of a descriptor that a holding names), then CAS ctl FREE(x) -> HELD(fresh id). Then fence,
//     then fill.
// B2  publish: plain store HELD(id) -> PUBLISHED(id), before the CAS that makes the block reachable.
// B3  free: CAS from exactly the ctl that was read while the block was known to be reachable -> FREE(same
//     id).
// Who may call: the thread in the session. A death inside: rows A1-A4 of docs/RECOVERY.md.
#pragma once

#include "arena/lane.hpp"

namespace keystile::engine {

enum class BlockKind : std::uint8_t { kNone = 0, kValue = 1, kKey = 2, kNode = 3, kDescriptor = 4 };

inline constexpr std::uint32_t kTombstone = 1;  // BlockContent::flags: the key has no value at this version

// BlockHead::content as a value.
struct BlockContent {
    std::uint32_t size = 0;  // of the payload
    std::uint32_t session = 0;
    BlockKind kind = BlockKind::kNone;
    std::uint32_t flags = 0;
};
constexpr std::uint64_t pack(BlockContent c) noexcept {
    return c.size | (static_cast<std::uint64_t>(c.session & 0xFFFFu) << 32) |
           (static_cast<std::uint64_t>(c.kind) << 48) | (static_cast<std::uint64_t>(c.flags & 0xFFu) << 56);
}
constexpr BlockContent unpack_content(std::uint64_t word) noexcept {
    return {static_cast<std::uint32_t>(word), static_cast<std::uint32_t>(word >> 32) & 0xFFFFu,
            static_cast<BlockKind>((word >> 48) & 0xFFu), static_cast<std::uint32_t>(word >> 56)};
}

struct BlockGrant {  // two registers
    Ref ref = 0;
    Status status = Status::kOk;  // kFull, kExhausted, kCorrupt: and then no block
    std::uint64_t ctl = 0;        // HELD(id)
};

// One attempt at one block that looked free. True: the grant is ours, or its status says kExhausted.
inline bool try_block(Lane& lane, Ref ref, shm::Atomic32& note, BlockGrant* grant_out) noexcept {
    auto* head = lane.segment().at<shm::BlockHead>(ref);
    if (head == nullptr) return false;
    std::uint64_t ctl = peek(head->ctl);
    if (tag_of(ctl) != Tag::kFree) return false;
    const OwnerId id = lane.next_id();
    if (id == 0) {
        grant_out->status = Status::kExhausted;
        return true;
    }
    poke(note, ref);
    KEYSTILE_CRASH_POINT("arena.allocate.before_cas");
    // order[arena.allocate]: acq_rel. acquire: the previous owner is done with the block; pairs with
    //   free_exact. release: the session's sequence and holding, written above, are seen by a reaper that
    //   sees HELD(id). relaxed would let a reaper miss a held block. A crash before: the block is free;
    //   after: HELD(id) and recorded in `holding`.
    if (!head->ctl.compare_exchange_strong(ctl, owned(Tag::kHeld, id), memory_order_acq_rel,
                                           memory_order_relaxed)) {
        return false;
    }
    // order[arena.fill]: release fence. Partner: the reader's acquire fence before its second ld16 of the
    //   slot word: a reader that copied any of the bytes we are about to write also sees that the block left
    //   its slot (Boehm 2012).
    boost::atomic_thread_fence(memory_order_release);
    KEYSTILE_CRASH_POINT("arena.allocate.after_cas");
    *grant_out = {ref, Status::kOk, owned(Tag::kHeld, id)};
    return true;
}

// No hint was good: sweep, open a chunk, grow.
BlockGrant allocate_slow(Lane& lane, std::uint64_t bytes, shm::Atomic32& note) noexcept;

// A block of at least `bytes` (header included). kFull after one whole sweep and a failed extension;
// kExhausted.
inline BlockGrant allocate(Lane& lane, std::uint64_t bytes, shm::Atomic32& note) noexcept {
    if (bytes <= kClassBytesMax) [[likely]] {
        Hints& hints = lane.hints[class_of(bytes)];
        BlockGrant grant;
        while (const Ref hint = hints.pop()) {
            if (try_block(lane, hint, note, &grant)) return grant;
        }
    }
    return allocate_slow(lane, bytes, note);
}

inline void publish(shm::BlockHead& head, std::uint64_t held_ctl) noexcept {
    KEYSTILE_CRASH_POINT("arena.publish.before_store");
    // order[arena.publish]: release. Publishes header and payload to whoever frees or reads the block by this
    //   ctl. Partner: the committer's load of the ctl of the block it replaces (operations/commit). The CAS
    //   of the slot word that follows is the stronger publication for readers. A crash before: HELD, after:
    //   PUBLISHED and unreachable; both are reaped.
    head.ctl.store(with_tag(held_ctl, Tag::kPublished), memory_order_release);
}

// When no block of the size is left: a free one of any larger size. kFull, kExhausted.
[[gnu::cold]] BlockGrant allocate_larger(Lane& lane, std::uint64_t bytes, shm::Atomic32& note) noexcept;

// The class of the blocks in the chunk of a ref, by the chunk table; kClasses if the chunk is for something
// else.
inline SizeClass class_at(const Segment& segment, Ref ref) noexcept {
    const std::uint64_t use = peek(segment.chunk(segment.chunk_of(ref))->use);
    const std::uint64_t what = id_of(use);
    return tag_of(use) == Tag::kFixed && what - 1 < kClasses ? static_cast<SizeClass>(what - 1) : kClasses;
}

// Give back the chunks of a large block that was just freed (runs.hpp).
void release_run(Segment& segment, Ref first, OwnerId id) noexcept;

// A large block that was freed, perhaps by one who died before its chunks went back: they are still its by id, and by
// that id nobody owns them any more. Anybody, at any time; nothing to do for other blocks.
inline void finish_free(Segment& segment, Ref ref) noexcept {
    const auto* head = segment.at<shm::BlockHead>(ref);
    if (head == nullptr || class_at(segment, ref) != kClasses) return;
    const std::uint64_t ctl = peek(head->ctl);
    if (tag_of(ctl) == Tag::kFree && id_of(ctl) != 0) release_run(segment, ref, id_of(ctl));
}

// Whoever knows exactly `ctl` gives the block back. False: somebody else did. `lane`, if any, remembers it as
// a hint.
inline bool free_exact(Segment& segment, Lane* lane, Ref ref, std::uint64_t ctl) noexcept {
    auto* head = segment.at<shm::BlockHead>(ref);
    if (head == nullptr || tag_of(ctl) == Tag::kFree) return false;
    std::uint64_t expected = ctl;
    KEYSTILE_CRASH_POINT("arena.free.before_cas");
    // order[arena.free]: acq_rel. release: our last reads of the block come before its next owner's writes;
    //   pairs with arena.allocate. acquire: symmetrical for a loser. The expected value carries an id that is
    //   never given out again, so only this life of the block can be ended. A crash before: the session line
    //   (or holding) tells the reaper to do it.
    if (!head->ctl.compare_exchange_strong(expected, with_tag(ctl, Tag::kFree), memory_order_acq_rel,
                                           memory_order_relaxed)) {
        return false;
    }
    const SizeClass size_class = class_at(segment, ref);
    if (size_class == kClasses) [[unlikely]] {
        release_run(segment, ref, id_of(ctl));
    } else if (lane != nullptr) {
        lane->hints[size_class].push(ref);
    }
    return true;
}
inline bool free_exact(Lane& lane, Ref ref, std::uint64_t ctl) noexcept {
    return free_exact(lane.segment(), &lane, ref, ctl);
}

// Find a virgin chunk and make it `use` for good. kFull.
Status open_chunk(Segment& segment, std::uint64_t use, std::uint64_t* index_out) noexcept;

}  // namespace keystile::engine
