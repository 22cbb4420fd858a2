#include "ring/cells.hpp"

namespace keystile::engine {

namespace {

// An author is between his position and his cell for some ten instructions.
#if defined(KEYSTILE_EXPLORED)
constexpr int kPatiencePauses = 1;  // there each look is a point of decision, and time stands still
#else
constexpr int kPatiencePauses = 64;
#endif

void move_head(const Segment& segment, Position p) noexcept {
    std::uint64_t expected = p - 1;
    // order[ring.head]: release. Partner: ring_head() of whoever recycles next, who looks at the cell itself: the
    //   number is a hint that never runs ahead. A crash before it: the next recycler moves it.
    segment.header().ring_head.value.compare_exchange_strong(expected, p, memory_order_release,
                                                             memory_order_relaxed);
}

}  // namespace

void advance(const Segment& segment, Position p, RingCell seen) noexcept {
    if (is_in_lap(segment, p, seen)) {
        KEYSTILE_CRASH_POINT("ring.advance.before_cell");
        // order: full (locked), ring.cas_cell. A crash after it: the cell is FREE for the next lap, the head behind.
        cas_cell(segment, p, seen, RingCell(seen.lap() + 1, CellState::kFree, 0));
        KEYSTILE_CRASH_POINT("ring.advance.before_head");
    }
    move_head(segment, p);
}

void skip(const Segment& segment, Position p, RingCell seen) noexcept {
    for (int i = 0; i < kPatiencePauses; ++i) {
        if (load_cell(segment, p) != seen) return;
        pause();
    }
    KEYSTILE_CRASH_POINT("ring.skip.before_cas");
    cas_cell(segment, p, seen, seen.with(CellState::kSkipped));
}

}  // namespace keystile::engine
