// What verify tells of each damage: file, offset, and what it costs.
#include <algorithm>
#include <filesystem>

#include "disk/journal_support.hpp"

namespace keystile::testing {

namespace {

using namespace engine;

// Two files, a checkpoint between them, and two commits behind the mark.
struct WrittenHistory : Folder {
    WrittenHistory() : history(path()) {
        EXPECT_EQ(history.next_file(), Status::kOk);
        EXPECT_EQ(history.add_small(3), Status::kOk);
        EXPECT_EQ(history.next_file(), Status::kOk);
        start = history.at();
        EXPECT_EQ(history.add_small(1), Status::kOk);
        EXPECT_EQ(history.checkpoint(start, {{"key 1", "value 1", 1, 0, 0}, {"key 2", "", 2, 0, 1}}),
                  Status::kOk);
        EXPECT_EQ(history.add_small(2), Status::kOk);
        EXPECT_EQ(history.mark(), Status::kOk);
        known = history.at();
        EXPECT_EQ(history.add_small(2), Status::kOk);
    }
    std::string journal(std::uint32_t file) const { return of(journal_name(file)); }
    Verification verify() const {
        Verification found;
        Directory directory;
        EXPECT_EQ(Directory::open(path(), {.must_exist = true, .is_read_only = true}, &directory),
                  Status::kOk);
        EXPECT_EQ(verify_history(directory, &found), Status::kOk);
        return found;
    }
    TestHistory history;
    JournalPoint start, known;
};

void change(const std::string& path, std::uint64_t offset, int bit) {
    std::string bytes = read_all(path);
    bytes.at(offset) = static_cast<char>(bytes.at(offset) ^ (1 << bit));
    write_all(path, bytes);
}

TEST(Verify, OfASoundStoreCountsEverythingAndChangesNothing) {
    const WrittenHistory t;
    const auto names = t.names();
    const Verification found = t.verify();
    EXPECT_TRUE(found.is_sound());
    EXPECT_TRUE(found.problems.empty());
    EXPECT_EQ(found.journals, 2u);
    EXPECT_EQ(found.records, 8u);
    EXPECT_EQ(found.entries, 8u);
    EXPECT_EQ(found.checkpoints, 1u);
    EXPECT_EQ(found.checkpoint_entries, 2u);
    EXPECT_EQ(found.recovery_status, Status::kOk);
    EXPECT_EQ(found.recovery.end, t.history.at());
    EXPECT_EQ(t.names(), names);
}

TEST(Verify, OfNothingIsNoStore) {
    const Folder folder;
    TestHistory history(folder.path());
    Verification found;
    EXPECT_EQ(verify_history(history.directory(), &found), Status::kNoStore);
}

// Each bit of a head, one bit of every other byte that means something: told with file and offset, and with what it
// costs, which is what recovery says.
TEST(Verify, TellsEveryFlippedBit) {
    const WrittenHistory t;
    struct Part {
        std::string path;
        std::uint64_t head, end;
    };
    const std::string checkpoint = t.of(checkpoint_name(t.start.position));
    const Part parts[] = {{t.journal(1), sizeof(disk::JournalHead), t.known.offset},
                          {t.journal(2), sizeof(disk::JournalHead), t.history.at().offset},
                          {checkpoint, sizeof(disk::CheckpointHead), read_all(checkpoint).size()},
                          {t.of("mark"), sizeof(disk::Mark), 0}};
    for (const Part& part : parts) {
        const std::string sound = read_all(part.path);
        const std::uint64_t bytes = std::min<std::uint64_t>(part.end, sound.size());
        const bool is_mark = part.end == 0;
        const std::uint64_t mark_at = is_mark && sound.size() > kMarkPlaceBytes ? kMarkPlaceBytes : 0;
        for (std::uint64_t i = 0; i < (is_mark ? sizeof(disk::Mark) : bytes); ++i) {
            const std::uint64_t at = i + mark_at;
            if (!is_mark && part.path != checkpoint && at >= part.head && at < kJournalHeadBytes) continue;
            for (int bit = 0; bit < (i < part.head ? 8 : 1); ++bit) {
                change(part.path, at, bit);
                Verification found;
                Directory directory;
                ASSERT_EQ(Directory::open(t.path(), {.must_exist = true, .is_read_only = true}, &directory),
                          Status::kOk);
                const Status s = verify_history(directory, &found);
                const std::string where = part.path + " " + std::to_string(at) + " " + std::to_string(bit);
                if (s == Status::kLayout) {  // the magic's version
                    EXPECT_EQ(at, 6u) << where;
                    write_all(part.path, sound);
                    continue;
                }
                ASSERT_EQ(s, Status::kOk) << where;
                ASSERT_FALSE(found.problems.empty()) << where;
                const Problem& first = found.problems.front();
                EXPECT_EQ(first.path, part.path) << where;
                EXPECT_LE(first.damage.offset, at) << where;
                const bool is_tail = part.path == t.journal(2) && at >= t.known.offset;
                const bool is_loss = part.path == t.journal(2) && !is_tail;
                EXPECT_EQ(first.cost, is_tail ? Cost::kTail : is_loss ? Cost::kLoss : Cost::kSpare) << where;
                EXPECT_EQ(found.is_sound(), is_tail) << where;
                EXPECT_EQ(found.recovery_status, is_loss ? Status::kJournalCorrupt : Status::kOk) << where;
                write_all(part.path, sound);
            }
        }
    }
    EXPECT_TRUE(t.verify().problems.empty());
}

TEST(Verify, TellsEveryTruncation) {
    const WrittenHistory t;
    const std::string checkpoint = t.of(checkpoint_name(t.start.position));
    for (const std::string& path : {t.journal(1), t.journal(2), checkpoint}) {
        const std::string sound = read_all(path);
        const std::uint64_t end = path == t.journal(2) ? t.history.at().offset : t.known.offset;
        for (std::uint64_t bytes = 0; bytes < std::min<std::uint64_t>(end, sound.size()); ++bytes) {
            if (path != checkpoint && bytes >= sizeof(disk::JournalHead) && bytes < kJournalHeadBytes)
                continue;
            write_all(path, sound.substr(0, bytes));
            const Verification found = t.verify();
            const bool is_clean_cut = path == t.journal(2) && bytes >= t.known.offset;
            EXPECT_EQ(found.is_sound(), is_clean_cut) << path << " " << bytes;
            if (!is_clean_cut) {
                EXPECT_EQ(found.problems.front().path, path) << bytes;
            }
            EXPECT_LT(found.recovery.end.offset, t.history.at().offset + 1);
        }
        write_all(path, sound);
    }
}

TEST(Verify, TellsMissingAndDuplicatedFiles) {
    for (const bool is_missing : {true, false}) {
        for (const std::uint32_t file : {1u, 2u}) {
            const WrittenHistory t;
            if (is_missing) {
                std::filesystem::remove(t.journal(file));
            } else {
                std::filesystem::copy_file(t.journal(file), t.journal(3));
            }
            const Verification found = t.verify();
            // The first file is below the checkpoint; without it nothing is wrong.
            EXPECT_EQ(found.is_sound(), is_missing && file == 1) << is_missing << file;
            if (found.is_sound()) continue;
            EXPECT_EQ(found.recovery_status, Status::kJournalCorrupt);
            EXPECT_EQ(found.problems.front().path, t.journal(is_missing ? 2 : 3));
            EXPECT_EQ(found.problems.front().cost, Cost::kLoss);
        }
    }
}

// Behind damage, what is sound is found again: a second damage of the same file is told too.
TEST(Verify, GoesOnBehindDamage) {
    const WrittenHistory t;
    change(t.journal(1), kJournalHeadBytes + 40, 0);
    const Verification found = t.verify();
    ASSERT_EQ(found.problems.size(), 1u);
    EXPECT_EQ(found.problems[0].damage.offset, kJournalHeadBytes);
    EXPECT_EQ(found.records, 7u);
}

}  // namespace

}  // namespace keystile::testing
