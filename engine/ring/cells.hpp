// The ring: one cell an operation, its place and identity a position that is never given out twice.
//
//   lo: lap 61 | state 3      hi: operation's ref 32
//
// P1  Positions 1, 2, 3 ...; of P the cell is (P - 1) mod N, the lap (P - 1) div N.
// P2  FREE -> READY -> COMMITTED | ABORTED -> FREE of the next lap, or FREE -> SKIPPED -> FREE of the next lap. So
//     each (lap, state) of a cell comes once, and a CAS from a cell once read can hit only what was read.
// P3  READY names an operation (ring/operation.hpp) that stays as it is until the cell has moved on (R3, R4 of
//     docs/RING.md).
// In the segment: never renumber.
#pragma once

#include "arena/arena.hpp"

namespace keystile::engine {

using Position = std::uint64_t;
inline constexpr Position kPositionMax = (1ull << 56) - 1;  // fits the version field of an INTENT word

enum class CellState : std::uint64_t { kFree = 0, kSkipped = 1, kReady = 2, kCommitted = 3, kAborted = 4 };

class RingCell {
public:
    constexpr RingCell() noexcept = default;
    constexpr explicit RingCell(Word128 raw) noexcept : raw_(raw) {}
    constexpr RingCell(std::uint64_t lap, CellState state, Ref operation) noexcept
        : raw_{(lap << 3) | static_cast<std::uint64_t>(state), operation} {}

    constexpr Word128 raw() const noexcept { return raw_; }
    constexpr std::uint64_t lap() const noexcept { return raw_.lo >> 3; }
    constexpr CellState state() const noexcept { return static_cast<CellState>(raw_.lo & 7u); }
    constexpr Ref operation() const noexcept { return static_cast<Ref>(raw_.hi); }
    constexpr RingCell with(CellState state) const noexcept { return {lap(), state, operation()}; }
    friend constexpr bool operator==(RingCell, RingCell) = default;

private:
    Word128 raw_;
};

inline std::uint64_t lap_of(const Segment& segment, Position p) noexcept {
    return (p - 1) / segment.ring_cells();
}
inline Word128* cell_at(const Segment& segment, Position p) noexcept {
    return segment.ring_cell((p - 1) & (segment.ring_cells() - 1));
}
inline RingCell load_cell(const Segment& segment, Position p) noexcept {
    return RingCell(ld16(cell_at(segment, p)));
}
inline bool cas_cell(const Segment& segment, Position p, RingCell expected, RingCell desired) noexcept {
    // order[ring.cas_cell]: full (locked). Partner: every load_cell; what it publishes is said at each call.
    return cas16(cell_at(segment, p), expected.raw(), desired.raw());
}

// Is the operation at p still there (in p's own lap), and in which of the three states?
inline bool is_in_lap(const Segment& segment, Position p, RingCell cell) noexcept {
    return cell.lap() == lap_of(segment, p);
}
inline bool is_ready(const Segment& segment, Position p, RingCell cell) noexcept {
    return is_in_lap(segment, p, cell) && cell.state() == CellState::kReady;
}
inline bool is_decided(const Segment& segment, Position p, RingCell cell) noexcept {
    return is_in_lap(segment, p, cell) &&
           (cell.state() == CellState::kCommitted || cell.state() == CellState::kAborted);
}

// A position nobody had and nobody will have; 0: they are used up. A crash after it: a cell that stays FREE until
// the recycler skips it.
inline Position reserve_position(const Segment& segment) noexcept {
    KEYSTILE_CRASH_POINT("ring.reserve.before_add");
    // order[ring.reserve]: acq_rel. Only uniqueness is asked, and that it comes after every look at the words (R1):
    //   a locked instruction, nothing moves over it on x86. Partner: the other authors' fetch_add.
    const Position p = segment.header().ring_tail.value.fetch_add(1, memory_order_acq_rel) + 1;
    KEYSTILE_CRASH_POINT("ring.reserve.after_add");
    return p <= kPositionMax ? p : 0;
}
inline Position ring_tail(const Segment& segment) noexcept {
    return peek(segment.header().ring_tail.value);
}
inline Position ring_head(const Segment& segment) noexcept {
    return peek(segment.header().ring_head.value);
}
// The cell of p is FREE again, for the next lap; then the head may pass it. By anybody who saw it decided or skipped,
// and everything behind it done.
void advance(const Segment& segment, Position p, RingCell seen) noexcept;
// A cell at the head that its author does not fill: after brief patience it is skipped, and he takes another.
void skip(const Segment& segment, Position p, RingCell seen) noexcept;

// Session record: what became of its operation, kept beyond the life of the cell (R7).
constexpr std::uint64_t outcome_word(Position p, CellState state) noexcept {
    return (p << 3) | static_cast<std::uint64_t>(state);
}

}  // namespace keystile::engine
