// Feeds of hand-made files: what is shown is what recovery would bring back, and what is not is told as recovery tells
// it.
#include <optional>

#include "disk/journal_support.hpp"
#include "operations/operations.hpp"

namespace keystile::testing {

namespace {

using namespace engine;

struct Shown {
    std::vector<Position> positions;
    Status status = Status::kOk;
    FileDamage damage;
};

Shown show(const std::string& folder, Position from = kFromOldest) {
    Shown shown;
    Feed feed;
    FeedCommit commit;
    shown.status = feed.open(folder, from);
    while (shown.status == Status::kOk) {
        shown.status = feed.next(0, &commit);
        if (shown.status == Status::kOk) shown.positions.push_back(commit.position);
    }
    shown.damage = feed.damage();
    return shown;
}

// Three files, the last with two commits above the mark.
struct Stored : Folder {
    Stored() : history(path()) {
        for (const int commits : {3, 2, 2}) {
            EXPECT_EQ(history.next_file(), Status::kOk);
            EXPECT_EQ(history.add_small(commits), Status::kOk);
            ends.push_back(history.at().offset);
        }
        EXPECT_EQ(history.mark(), Status::kOk);
        known = history.at();
        EXPECT_EQ(history.add_small(2), Status::kOk);
        ends.back() = history.at().offset;
    }
    std::string journal(std::uint32_t file) const { return of(journal_name(file)); }
    TestHistory history;
    JournalPoint known;
    std::vector<std::uint64_t> ends;  // of the records of each file
};

TEST(Feed, OfAbandonedFilesIsWhatRecoveryReads) {
    const Stored t;
    const Shown shown = show(t.path());
    EXPECT_EQ(shown.status, Status::kTimeout);
    EXPECT_EQ(shown.positions, scan(t.path()).positions());
    EXPECT_EQ(shown.positions.size(), 9u);
}

// What is shown when the head of that file is of another version: of the file before it nobody knows the end.
std::vector<Position> before(const std::vector<Position>& all, std::uint32_t file) {
    return {all.begin(), all.begin() + (file == 3 ? 3 : 0)};
}

// One bit of every byte that means something: what recovery reads, and then the same words about the same place.
TEST(Feed, TellsEveryFlippedBit) {
    const Stored t;
    const std::vector<Position> all = scan(t.path()).positions();
    for (std::uint32_t file = 1; file <= 3; ++file) {
        const std::string path = t.journal(file), sound = read_all(path);
        for (std::uint64_t at = 0; at < t.ends[file - 1] + 8; ++at) {
            if (at == sizeof(disk::JournalHead)) at = kJournalHeadBytes;
            std::string bytes = sound;
            bytes[at] = static_cast<char>(bytes[at] ^ (1 << (at % 8)));
            write_all(path, bytes);
            const std::string where = "file " + std::to_string(file) + " at " + std::to_string(at);
            const Seen seen = scan(t.path());
            const Shown shown = show(t.path());
            if (seen.status == Status::kOk) {
                EXPECT_EQ(shown.positions, seen.positions()) << where;
                EXPECT_EQ(shown.status, Status::kTimeout) << where;
            } else {
                EXPECT_EQ(shown.status, seen.status) << where;
                EXPECT_EQ(shown.damage.path, seen.end.damage.path) << where;
                EXPECT_EQ(shown.damage.damage.offset, seen.end.damage.damage.offset) << where;
                EXPECT_STREQ(shown.damage.damage.what, seen.end.damage.damage.what) << where;
                // A head of another version is all that recovery says; the feed shows what is before it.
                const bool is_damage = seen.status == Status::kJournalCorrupt;
                EXPECT_EQ(shown.positions, is_damage ? seen.positions() : before(all, file)) << where;
                if (is_damage) {
                    EXPECT_EQ(show(t.path(), 1).positions, shown.positions) << where;
                }
            }
            if (::testing::Test::HasFailure()) return;
        }
        write_all(path, sound);
    }
}

// A file that was given up has records behind its end, which are in the next one once more.
TEST(Feed, WhatLiesBehindAFilesEndIsNotShown) {
    const Stored t;
    const std::string path = t.journal(1), sound = read_all(path);
    JournalFile first, second;
    Damage damage;
    Directory directory;
    ASSERT_EQ(Directory::open(t.path(), {.must_exist = true, .is_read_only = true}, &directory), Status::kOk);
    ASSERT_EQ(JournalFile::open(directory, 1, Access::kReadOnly, &first, &damage), Status::kOk);
    ASSERT_EQ(JournalFile::open(directory, 2, Access::kReadOnly, &second, &damage), Status::kOk);
    std::string bytes = sound;
    const std::string late = encode(small_record(second.head().start), first.seed());
    bytes.replace(second.head().end_before, late.size(), late);
    write_all(path, bytes);
    const Shown shown = show(t.path());
    EXPECT_EQ(shown.positions, (std::vector<Position>{1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(Feed, AGapInTheFilesIsDamageOrWhatIsOld) {
    const Stored t;
    const std::string second = read_all(t.journal(2));
    ASSERT_EQ(disk_unlink(t.journal(2)), Status::kOk);
    Shown shown = show(t.path());
    EXPECT_EQ(shown.status, Status::kJournalCorrupt);
    EXPECT_EQ(shown.damage.path, t.journal(2));
    ASSERT_EQ(disk_unlink(t.journal(1)), Status::kOk);
    shown = show(t.path(), 1);
    EXPECT_EQ(shown.status, Status::kLagged);
}

// Nobody has the store open, and a checkpoint names a file that is missing: recovery would refuse, so does the feed.
TEST(Feed, AMissingFileThatACheckpointNamesIsDamage) {
    Folder folder;
    TestHistory history(folder.path());
    ASSERT_EQ(history.next_file(), Status::kOk);
    ASSERT_EQ(history.add_small(3), Status::kOk);
    ASSERT_EQ(history.next_file(), Status::kOk);
    ASSERT_EQ(history.sync(), Status::kOk);
    ASSERT_EQ(history.checkpoint(history.at(), {}), Status::kOk);
    const std::string missing = folder.of(journal_name(2));
    ASSERT_EQ(disk_unlink(missing), Status::kOk);
    ASSERT_EQ(scan(folder.path()).status, Status::kJournalCorrupt);
    for (const Position from : {kFromOldest, Position{1}, kFromNow}) {
        const Shown shown = show(folder.path(), from);
        EXPECT_EQ(shown.status, Status::kJournalCorrupt);
        EXPECT_EQ(shown.damage.path, missing);
        EXPECT_STREQ(shown.damage.damage.what, scan(folder.path()).end.damage.damage.what);
    }
}

// While nobody knows what is on disk, nobody knows either what is new.
TEST(Feed, FromNowOnBeginsOnlyWhereTheEndIsKnown) {
    const Stored t;
    ASSERT_EQ(disk_unlink(t.of("mark")), Status::kOk);
    Directory other;
    ASSERT_EQ(Directory::open(t.path(), {.must_exist = true}, &other), Status::kOk);
    ASSERT_EQ(other.try_lock(LockKind::kShared), Status::kOk);
    EXPECT_EQ(show(t.path(), kFromNow).status, Status::kBusy);
    ASSERT_EQ(other.unlock(), Status::kOk);
    const Shown shown = show(t.path(), kFromNow);
    EXPECT_EQ(shown.status, Status::kTimeout);
    EXPECT_EQ(shown.positions, std::vector<Position>{});
}

// Somebody comes between two looks, goes on in the same file or the next one, and is killed: nobody was seen.
TEST(Feed, OfAnAbandonedStoreLooksAgainWhenItsFilesChange) {
    Stored t;
    Feed feed;
    FeedCommit commit;
    ASSERT_EQ(feed.open(t.path(), kFromNow), Status::kOk);
    Position next = t.history.at().position;
    for (int round = 0; round < 6; ++round) {
        ASSERT_EQ(feed.next(50'000'000, &commit), Status::kTimeout);  // what was found is kept by now
        if (round % 3 == 2) {
            ASSERT_EQ(t.history.next_file(), Status::kOk);
        }
        ASSERT_EQ(t.history.add_small(1), Status::kOk);
        ASSERT_EQ(feed.next(0, &commit), Status::kOk) << round;
        EXPECT_EQ(commit.position, next++);
    }
}

// Somebody has the store open where we cannot see its segment: the mark says what is on disk.
TEST(Feed, WhereTheSegmentCannotBeSeenTheMarkCounts) {
    Stored t;
    Directory other;
    ASSERT_EQ(Directory::open(t.path(), {.must_exist = true}, &other), Status::kOk);
    ASSERT_EQ(other.try_lock(LockKind::kShared), Status::kOk);
    Feed feed;
    FeedCommit commit;
    ASSERT_EQ(feed.open(t.path(), kFromOldest), Status::kOk);
    for (int i = 0; i < 7; ++i) ASSERT_EQ(feed.next(0, &commit), Status::kOk);
    EXPECT_EQ(feed.next(0, &commit), Status::kTimeout);
    EXPECT_EQ(commit.position + 1, t.known.position);
    ASSERT_EQ(t.history.mark(), Status::kOk);
    ASSERT_EQ(feed.next(0, &commit), Status::kOk);
    ASSERT_EQ(other.unlock(), Status::kOk);
    EXPECT_EQ(feed.next(0, &commit), Status::kOk);
    EXPECT_EQ(feed.next(0, &commit), Status::kTimeout);
}

}  // namespace

}  // namespace keystile::testing
