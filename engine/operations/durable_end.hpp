// How far a durable store's history is on disk, for somebody who has it not open and only reads.
//
// E1  What is said to be on disk is so, and stays the history's whatever comes: a loss of power, a recovery.
//       the segment can be seen        its `durable`, also if nobody is alive who has it open
//       somebody has the store open,   the mark: some time ago it was so far
//       but not where we can see it
//       nobody has it open             what the next recovery will find, after a sync. One exception: what the kernel
//                                      once could not write, and forgot that it could not, is in memory alone, and a
//                                      loss of power before that recovery takes it. Recovery writes it once more
//                                      (secure_end), which somebody who only reads cannot.
//     What an abandoned store was found to hold counts until a file of it is changed, somebody has it open, or `lock`
//     names another segment.
// E2  Nothing of the store is changed: no participant, no lock, no byte.
// Threads: one at a time. A death leaves nothing.
#pragma once

#include "operations/durable_store.hpp"

namespace keystile::engine {

class DurableEnd {
public:
    // *end_out: all records of lower positions are on disk, and in its file they end at its offset, which has the
    // pending bit as `durable` has it (ring/history.hpp, H2). Position 0: nothing is known, look again.
    // kOk also if recovery would refuse what lies behind: then damage() tells what and where. kNoStore: nothing is
    // there any more. kCorrupt, kNotAStore, kLayout: the segment; and the system's faults.
    Status look(const Directory& directory, JournalPoint* end_out);
    const FileDamage& damage() const noexcept { return damage_; }

    // Sleep until another look may say more, or for `timeout_ns`, or for a while.
    void wait(std::uint64_t timeout_ns) const noexcept;

private:
    // When the folder, and the last file in it, were changed.
    struct Changed {
        std::int64_t folder_ns = 0, file_ns = 0;
        friend bool operator==(const Changed&, const Changed&) = default;
    };
    static Changed last_change(const Directory& directory, std::uint32_t file);
    void forget() noexcept;
    Status attach(const Directory& directory, const std::optional<SegmentPlace>& place);
    Status read_segment(JournalPoint* end_out) noexcept;
    Status read_abandoned(const Directory& directory, const std::optional<SegmentPlace>& place,
                          JournalPoint* end_out);

    std::optional<SegmentPlace> place_;  // of what was found last
    std::unique_ptr<Segment> segment_;   // nullptr: it cannot be seen
    std::optional<JournalPoint>
        abandoned_;                     // of place_, while nobody has it open and nothing is changed (E1)
    std::uint32_t abandoned_file_ = 0;  // the last there was
    Changed changed_;
    JournalPoint last_;
    FileDamage damage_;
};

}  // namespace keystile::engine
