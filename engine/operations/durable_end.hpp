// How far a durable store's history is on disk, for somebody who has it not open and only reads.
//
// E1  What is said to be on disk is so, and stays the history's whatever comes: a loss of power, a recovery.
//       the segment can be seen        its `durable`, also if nobody is alive who has it open
//       somebody has the store open,   the mark: some time ago it was so far
//       but not where we can see it
//       nobody has it open             what the next recovery will find; it is synced before it is said. Nobody writes
//                                      to those files any more: recovery begins a new one
// E2  Nothing of the store is changed: no participant, no lock, no byte.
// Threads: one at a time. A death leaves nothing.
#pragma once

#include "operations/durable_store.hpp"

namespace keystile::engine {

class DurableEnd {
public:
    // *end_out: all records of lower positions are on disk, and in its file they end at its offset, which has the
    // pending bit as `durable` has it (ring/history.hpp, H2). Position 0: nothing is known, look again.
    // kOk also if recovery would refuse what lies behind: then damage() tells what and where. kCorrupt: the segment;
    // and the system's faults.
    Status look(const Directory& directory, JournalPoint* end_out);
    const FileDamage& damage() const noexcept { return damage_; }

    // Sleep until another look may say more, or for `timeout_ns`, or for a while.
    void wait(std::uint64_t timeout_ns) const noexcept;

private:
    Status attach(const Directory& directory, const std::optional<SegmentPlace>& place);
    Status read_segment(JournalPoint* end_out) noexcept;
    Status read_abandoned(const Directory& directory, const std::optional<SegmentPlace>& place,
                          JournalPoint* end_out);

    std::optional<SegmentPlace> place_;      // of what was found last
    std::unique_ptr<Segment> segment_;       // nullptr: it cannot be seen
    std::optional<JournalPoint> abandoned_;  // while `lock` names place_ and nobody has the store open
    JournalPoint last_;
    FileDamage damage_;
};

}  // namespace keystile::engine
