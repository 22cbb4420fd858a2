// Where the store's history stands on disk: two points in the header of a durable store. docs/JOURNAL.md.
//
//   hi: position 56 | file, high 8          lo: file, low 16 | offset 48
//
// H1  cursor: the next position to be written, and where. Only the file's number goes up for ever; the position goes
//     back when a file is given up. So no value returns.
// H2  durable: everything below its position is on disk. Its file is the one that flushing goes on in: a number above
//     the cursor's means that the cursor is to move there, and until then its offset is the end of the file before,
//     with the lowest bit set. Position and file only grow.
// H3  A position is recycled only below durable: the ring holds whatever is not on disk.
#pragma once

#include "ring/cells.hpp"

namespace keystile::engine {

inline constexpr std::uint32_t kJournalFileMax = (1u << 24) - 1;
// Of durable's offset: its file is not made yet, and the offset is the end of the file before.
inline constexpr std::uint64_t kPendingBit = 1;

struct JournalPoint {
    Position position = 0;  // 0: there is no journal
    std::uint32_t file = 0;
    std::uint64_t offset = 0;
    friend constexpr bool operator==(JournalPoint, JournalPoint) = default;
};
constexpr Word128 pack(JournalPoint p) noexcept {
    return {(static_cast<std::uint64_t>(p.file & 0xFFFFu) << 48) | (p.offset & ((1ull << 48) - 1)),
            (p.position << 8) | (p.file >> 16)};
}
constexpr JournalPoint unpack_point(Word128 w) noexcept {
    return {w.hi >> 8, static_cast<std::uint32_t>(((w.hi & 0xFFu) << 16) | (w.lo >> 48)),
            w.lo & ((1ull << 48) - 1)};
}
static_assert(unpack_point(pack(JournalPoint{kPositionMax, kJournalFileMax, 1ull << 47})) ==
              JournalPoint{kPositionMax, kJournalFileMax, 1ull << 47});

inline JournalPoint load_cursor(const Segment& segment) noexcept {
    return unpack_point(ld16(&segment.header().cursor));
}
inline JournalPoint load_durable(const Segment& segment) noexcept {
    return unpack_point(ld16(&segment.header().durable));
}
inline bool has_journal(const Segment& segment) noexcept {
    return segment.is_durable() && load_durable(segment).position != 0;
}

// Not yet: it is not on disk (H3).
inline bool is_awaiting_disk(const Segment& segment, Position p) noexcept {
    if (!segment.is_durable()) return false;
    const Position durable = load_durable(segment).position;
    return durable != 0 && p >= durable;
}

}  // namespace keystile::engine
