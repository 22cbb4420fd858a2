#include "arena/blocks.hpp"

#include "arena/runs.hpp"

namespace keystile::engine {

namespace {

constexpr int kSweepLooks = 64;  // table entries looked at for one old chunk: four lines of the table

void point_at(const Segment& segment, SizeClass size_class, std::uint64_t chunk, Cursor* cursor) noexcept {
    cursor->next = segment.chunk_ref(chunk);
    cursor->left = static_cast<std::uint32_t>(kChunkBytes / bytes_of(size_class));
}

// The next chunk of this class behind the last one swept, among the next `looks` table entries.
bool sweep_on(const Segment& segment, SizeClass size_class, std::uint64_t looks, Cursor* cursor) noexcept {
    const std::uint64_t count = segment.chunk_count();
    for (std::uint64_t i = 0; i < looks && i < count; ++i) {
        cursor->swept_chunk = (cursor->swept_chunk + 1) % count;
        if (peek(segment.chunk(cursor->swept_chunk)->use) != fixed_use(size_class + 1)) continue;
        point_at(segment, size_class, cursor->swept_chunk, cursor);
        return true;
    }
    return false;
}

bool take_from_cursor(Lane& lane, SizeClass size_class, Holding kind, BlockGrant* grant_out) noexcept {
    Cursor& cursor = lane.cursors[size_class];
    const auto units = static_cast<Ref>(bytes_of(size_class) / kRefUnit);
    while (cursor.left != 0) {
        const Ref ref = cursor.next;
        cursor.next += units;
        --cursor.left;
        if (try_block(lane, ref, kind, grant_out)) return true;
    }
    return false;
}

}  // namespace

BlockGrant allocate_slow(Lane& lane, std::uint64_t bytes, Holding kind) noexcept {
    if (bytes > kClassBytesMax) return allocate_run(lane, bytes, kind);
    const SizeClass size_class = class_of(bytes);
    Segment& segment = lane.segment();
    Cursor& cursor = lane.cursors[size_class];
    BlockGrant grant;
    for (;;) {  // ends: each turn opens a chunk, or finds that there is none left
        if (take_from_cursor(lane, size_class, kind, &grant)) return grant;
        // An old chunk and a new one take turns: what others freed is found again at the price of one extra
        // look for each new block, and a growing store does not read all of itself again and again.
        cursor.was_virgin = !cursor.was_virgin;
        if (!cursor.was_virgin && sweep_on(segment, size_class, kSweepLooks, &cursor)) continue;
        std::uint64_t index = 0;
        const Status opened = open_chunk(segment, fixed_use(size_class + 1), &index);
        if (opened == Status::kOk) {
            point_at(segment, size_class, index, &cursor);
            continue;
        }
        // Full: one whole sweep, each chunk of the class once, then the truth.
        const std::uint64_t count = segment.chunk_count();
        for (std::uint64_t chunk = 0; chunk < count; ++chunk) {
            if (peek(segment.chunk(chunk)->use) != fixed_use(size_class + 1)) continue;
            point_at(segment, size_class, chunk, &cursor);
            if (take_from_cursor(lane, size_class, kind, &grant)) return grant;
        }
        return {0, opened, 0};
    }
}

BlockGrant allocate_larger(Lane& lane, std::uint64_t bytes, Holding kind) noexcept {
    if (bytes > kClassBytesMax) return {0, Status::kFull, 0};  // runs are made to measure: there was none
    for (SizeClass size_class = class_of(bytes) + 1; size_class < kClasses; ++size_class) {
        const BlockGrant grant = allocate(lane, bytes_of(size_class), kind);
        if (grant.status != Status::kFull) return grant;
    }
    return allocate_run(lane, kClassBytesMax + 1, kind);
}

Status open_chunk(Segment& segment, std::uint64_t use, std::uint64_t* index_out) noexcept {
    auto& hint = segment.header().next_chunk.value;
    const std::uint64_t hinted = peek(hint);
    std::uint64_t index = hinted <= segment.chunk_count() ? hinted : 0;
    for (;;) {  // ends at chunk_count, which only grows up to the segment's end
        if (index >= segment.chunk_count()) {
            if (const Status s = segment.grow_arena(index + 1); s != Status::kOk) return s;
            continue;
        }
        std::uint64_t virgin = 0;
        // order[arena.open_chunk]: relaxed. A chunk's bytes are zero, which is a valid state of any use (L2):
        //   nothing is published. Partner: peek()s of the table. A crash after it leaves a chunk of free
        //   blocks, found by sweeping.
        if (segment.chunk(index)->use.compare_exchange_strong(virgin, use, memory_order_relaxed,
                                                              memory_order_relaxed)) {
            poke(hint, index + 1);
            *index_out = index;
            return Status::kOk;
        }
        ++index;
    }
}

}  // namespace keystile::engine
