#include "operations/author.hpp"

#include "operations/flush.hpp"

namespace keystile::engine {

namespace {

// Finished operations that may wait at the head of the ring for their turn, before those that hold them up are helped.
constexpr std::uint64_t kBacklogMax = 64;
// Positions recycled after one's own: more than one comes in, so the ring drains.
constexpr int kRecyclesMax = 4;
// Turns for a place in the ring. Each makes progress, ours or another's; after so many the ring is damaged. Turns in
// which nothing could be recycled are dearer.
constexpr int kPlaceTurnsMax = 1 << 18;
constexpr int kTurnInVain = 1 << 10;

}  // namespace

void recycle_behind(Segment& segment, Lane& lane) noexcept {
    for (int i = 0; i < kRecyclesMax; ++i) {
        const bool is_long = ring_tail(segment) - ring_head(segment) > kBacklogMax;
        if (!recycle_next(segment, &lane, is_long)) break;
    }
}

Status publish_operation(Session& session, const BlockGrant& written, Position reserved,
                         Position* position_out) noexcept {
    Lane& lane = session.lane;
    Segment& segment = lane.segment();
    auto* head = segment.at<shm::BlockHead>(written.ref);
    if (head == nullptr) return Status::kCorrupt;
    Position p = reserved;
    for (int turns = 0; turns < kPlaceTurnsMax;
         ++turns) {  // another only if the cell was skipped while we were slow
        if (p == 0) p = reserve_position(segment);
        if (p == 0) return Status::kExhausted;
        RingCell cell = load_cell(segment, p);
        // Full: each turn decides or frees something, or brings it to disk.
        for (; cell.lap() < lap_of(segment, p) && turns < kPlaceTurnsMax; ++turns) {
            if (!recycle_next(segment, &lane, true)) {
                turns += kTurnInVain;
                if (const Status s = flush_all(*session.store); s != Status::kOk) return s;
            }
            cell = load_cell(segment, p);
        }
        if (has_journal(segment) && p >= peek(segment.header().position_limit.value)) {
            if (const Status s = flush_all(*session.store); s != Status::kOk) return s;
            p = 0;  // nothing is published beyond the promise
            continue;
        }
        if (cell.lap() == lap_of(segment, p) && cell.state() == CellState::kFree) {
            stamp_operation(segment, written.ref, p);
            publish(*head, written.ctl);
            poke(lane.shared().outcome, outcome_word(p, CellState::kReady));
            KEYSTILE_CRASH_POINT("operations.publish.before_cas");
            // order[ring.publish]: full (locked). release: the operation, its blocks and the outcome's place are
            //   complete for whoever sees READY; pairs with load_cell. A crash before: the draft is reaped; after: the
            //   operation goes on without us.
            if (cas_cell(segment, p, cell, RingCell(cell.lap(), CellState::kReady, written.ref))) {
                KEYSTILE_CRASH_POINT("operations.publish.after_cas");
                *position_out = p;
                return Status::kOk;
            }
        }
        p = 0;
    }
    return Status::kCorrupt;
}

Status run_operation(Session& session, Position p) noexcept {
    Segment& segment = session.store->segment;
    Lane& lane = session.lane;
    decide(segment, p);
    const RingCell cell = load_cell(segment, p);
    CellState state = cell.state();
    if (is_decided(segment, p, cell)) {
        finalise(segment, p, cell);
    } else {
        // order[ring.outcome.load]: acquire. Partner: ring.outcome: stored before the cell moved on (R7).
        const std::uint64_t outcome = lane.shared().outcome.load(memory_order_acquire);
        state = static_cast<CellState>(outcome & 7u);
        const bool is_told = outcome == outcome_word(p, CellState::kCommitted) ||
                             outcome == outcome_word(p, CellState::kAborted);
        if (!is_told) return Status::kCorrupt;
    }
    recycle_behind(segment, lane);
    return state == CellState::kCommitted ? Status::kOk : Status::kBusy;
}

}  // namespace keystile::engine
