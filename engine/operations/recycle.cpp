#include "operations/resolve.hpp"

namespace keystile::engine {

namespace {

// The author asks his session when the cell has gone on (R7). From exactly "pending at p": another owner of the record
// has another position.
void tell_author(const Segment& segment, std::uint32_t session, Position p, CellState state) noexcept {
    if (session >= segment.session_count()) return;
    std::uint64_t pending = outcome_word(p, CellState::kReady);
    // order[ring.outcome]: release. Partner: the author's load, after he found the cell moved on. A crash before it:
    //   the cell still stands, and the next recycler does it.
    segment.session(session)->lane.outcome.compare_exchange_strong(
        pending, outcome_word(p, state), memory_order_release, memory_order_relaxed);
}

// Free what the operation leaves behind: the blocks it replaced, or, aborted, the ones it made; then the descriptor.
void free_remains(Segment& segment, Lane* lane, const OperationView& operation, RingCell cell) noexcept {
    for (std::size_t i = 0; i < operation.count(); ++i) {
        OperationEntry entry;
        if (!operation.read(i, &entry)) return;
        free_left(segment, lane, entry, cell.state());
    }
    if (operation.is_single()) return;  // its block is the key's value now, or freed above
    free_descriptor(segment, lane, cell.operation(), operation.ctl());
}

void recycle_decided(Segment& segment, Lane* lane, Position p, RingCell cell) noexcept {
    OperationView operation;
    if (operation.open(segment, p, cell)) {
        const bool is_ours =
            lane != nullptr && operation.author() == lane->id().index;  // then the author knows
        if (!is_ours && KEYSTILE_GUARD("recycle.outcome_first"))
            tell_author(segment, operation.author(), p, cell.state());
        KEYSTILE_CRASH_POINT("operations.recycle.after_outcome");
        if (!KEYSTILE_GUARD("recycle.finalise_first") || finalise(segment, p, cell))
            free_remains(segment, lane, operation, cell);
    } else {
        finish_free(segment, cell.operation());
    }
    advance(segment, p, cell);
}

}  // namespace

bool recycle_next(Segment& segment, Lane* lane, bool is_forced) noexcept {
    const Position p = ring_head(segment) + 1;
    if (p > ring_tail(segment)) return false;
    const RingCell cell = load_cell(segment, p);
    if (cell.lap() > lap_of(segment, p)) {
        advance(segment, p, cell);
        return true;
    }
    if (cell.lap() < lap_of(segment, p)) return false;  // the head we read is an old one
    switch (cell.state()) {
        case CellState::kFree:
            if (is_forced) skip(segment, p, cell);
            return is_forced;
        case CellState::kReady:
            if (is_forced) decide(segment, p);
            return is_forced && load_cell(segment, p) != cell;
        case CellState::kSkipped:
            if (is_awaiting_disk(segment, p)) return false;
            advance(segment, p, cell);
            return true;
        default:
            if (is_awaiting_disk(segment, p)) return false;
            recycle_decided(segment, lane, p, cell);
            return true;
    }
}

void recycle_up_to(Segment& segment, Position last) noexcept {
    // Lock-free: each turn takes the position at the head a step further. The count is against a damaged ring.
    for (std::uint64_t turns = 4 * segment.ring_cells(); turns != 0 && ring_head(segment) < last; --turns) {
        if (!recycle_next(segment, nullptr, true)) return;
    }
}

}  // namespace keystile::engine
