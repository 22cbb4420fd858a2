// The feed of a durable store: every commit once, in the order of their positions, read from the journal's files.
//
// N1  Nothing is shown that is not on disk: of a store in use what lies below its segment's `durable`; of one that
//     nobody has open all that is sound in its files, synced first, which is what the next recovery brings back; of one
//     whose segment cannot be seen from here what the mark and the heads of the files say.
// N2  The bound is taken first, then it is seen whether a next file is there: one that is there says where this one
//     ends, and what lies behind that is none of the history, whatever its positions.
// N3  It changes nothing: no participant, no lock, no byte of the store.
// Threads: one at a time. A death leaves nothing.
#pragma once

#include "operations/durable_store.hpp"

namespace keystile::engine {

struct FeedEntry {
    std::string key, value;
    std::uint64_t epoch = 0;  // after the commit, with the incarnation
    bool is_deleted = false;
};

struct FeedCommit {
    Position position = 0;  // and version of each key
    std::uint64_t wall_ns = 0;
    char label[kLabelBytes] = {};
    std::vector<FeedEntry> entries;
};

class Feed {
public:
    Feed() noexcept = default;
    Feed(const Feed&) = delete;  // the window looks at the file
    Feed& operator=(const Feed&) = delete;

    // From the first commit at or after `from`; 0: from the oldest there is. kLagged: oldest() tells. As scan_history().
    Status open(const std::string& path, Position from);
    // kTimeout; kLagged: files that were still to be read are gone, oldest() tells; kDestroyed; kJournalCorrupt:
    // damage() tells.
    Status next(std::uint64_t timeout_ns, FeedCommit* commit_out);

    Position oldest() const noexcept { return oldest_; }
    const FileDamage& damage() const noexcept { return damage_; }

private:
    struct Bound {
        Position position = 0;  // all below are on disk
        JournalPoint known;     // to where a file must be sound; file 0: nothing is known
        bool is_abandoned = false;
    };
    Status find_first_file(Position from);
    Status enter(std::uint32_t file);
    Status look();
    Status read_bound(Bound* bound_out);
    Status attach(const std::optional<SegmentPlace>& place);
    Status read_one(FeedCommit* commit_out, bool* is_found_out);
    Status copy_record(RecordReader& reader, FeedCommit* commit_out);
    Status lagged();
    Status damaged(Damage damage);

    Directory directory_;
    std::optional<SegmentPlace> place_;  // of segment_
    Segment segment_;
    JournalFile journal_;
    FileWindow window_;
    std::uint64_t at_ = 0;   // the next record's offset
    std::uint64_t end_ = 0;  // of this file; 0: there is no next one
    std::uint64_t sound_to_ = 0;
    Position from_ = 0, bound_ = 0, oldest_ = 0;
    FileDamage damage_;
};

}  // namespace keystile::engine
