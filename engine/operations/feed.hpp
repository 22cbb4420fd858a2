// The feed of a durable store: every commit that wrote, once, in the order of positions, out of the journal's files.
//
// N1  Nothing is shown that is not on disk (durable_end.hpp, E1), so nothing that was shown is taken back; but by a
//     repair, which says so.
// N2  What is shown of a file lies before an end that does not move back: where the next file's head says that this one
//     ends, or, while there is none, the durable end in it. What lies behind that is none of the history, whatever its
//     positions.
// N3  Before that end everything must be sound and its positions must go up; else it is damage, told with file and
//     offset. A file that is gone was replaced by a checkpoint: kLagged.
// Threads: one at a time. A death leaves nothing; a feed changes no byte of the store.
#pragma once

#include "operations/durable_end.hpp"

namespace keystile::engine {

inline constexpr Position kFromOldest = 0, kFromNow = UINT64_MAX;

struct FeedEntry {
    std::string_view key, value;
    std::uint64_t version_before = 0;  // 0: none
    std::uint64_t epoch = 0;           // after the commit, with the incarnation
    bool is_deleted = false;
};

struct FeedCommit {
    FeedCommit() = default;
    FeedCommit(const FeedCommit&) = delete;  // the entries look into `bytes`
    FeedCommit& operator=(const FeedCommit&) = delete;

    Position position = 0;  // and the version of each key
    std::uint64_t wall_ns = 0;
    char label[kLabelBytes] = {};
    std::vector<FeedEntry> entries;
    std::string bytes;
};

class Feed {
public:
    Feed() noexcept = default;
    Feed(const Feed&) = delete;  // the window looks at the file
    Feed& operator=(const Feed&) = delete;

    // From the first commit at or after `from`; kFromOldest; kFromNow: from behind what is on disk (kBusy while nothing
    // is known of that). kLagged: oldest() tells; kNoStore; as next().
    Status open(const std::string& path, Position from);
    // kTimeout · kLagged: what was still to be read is gone, oldest() tells · kDestroyed · kJournalCorrupt: damage()
    // tells · kLayout · kBusy, kCorrupt, kNotAStore, and the system's faults. None loses the place.
    Status next(std::uint64_t timeout_ns, FeedCommit* commit_out);

    Position oldest() const noexcept { return oldest_; }
    const FileDamage& damage() const noexcept { return damage_; }

private:
    Status find_first_file(Position from);
    Status skip_to_end();
    Status open_file(std::uint32_t file, JournalFile* journal_out);
    Status enter(JournalFile journal);
    Status look();
    Status look_at_next(bool* is_there_out);
    Status look_at_end(bool* is_known_out);
    Status read_one(FeedCommit* commit_out, bool* is_found_out);
    Status copy_record(RecordReader& reader, FeedCommit* commit_out) const;
    Status gone();
    Status damaged(Damage damage);
    std::uint32_t file() const noexcept { return journal_.head().file; }
    // False: the file that is open was removed.
    bool is_named() const noexcept { return is_at_path(journal_.file().file(), journal_.file().path()); }

    Directory directory_;
    DurableEnd durable_end_;
    JournalFile journal_, next_;
    bool has_next_ = false;
    FileWindow window_;
    std::uint64_t at_ = 0;         // the next record's offset
    std::uint64_t bound_ = 0;      // N2
    bool is_end_unknown_ = false;  // by the last look, and so is what the bound will be
    Position from_ = 0, last_ = 0, oldest_ = 0;
    FileDamage damage_;
};

}  // namespace keystile::engine
