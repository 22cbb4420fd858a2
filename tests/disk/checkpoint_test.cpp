// A checkpoint is whole or it is none; the mark survives a torn write; old files go when nobody needs them.
#include <algorithm>

#include "disk/journal_support.hpp"
#include "support/power_loss.hpp"

namespace keystile::testing {

namespace {

using namespace engine;

const std::vector<TestEntry> kEntries = {{"a", "value", 3, 4, 0},
                                         {"gone", "", 5, 6, kEntryDeleted},
                                         {std::string(1024, 'k'), std::string(5000, 'v'), 9, 0, 0},
                                         {"empty", "", 1, 0, 0}};

struct Checkpointed : Folder {
    Checkpointed() : history(path()) {
        EXPECT_EQ(history.next_file(), Status::kOk);
        EXPECT_EQ(history.add_small(10), Status::kOk);
    }
    // What a reader finds; entries and how it ends.
    std::vector<TestEntry> read(Position start, Status* status_out, CheckpointReader& reader) {
        std::vector<TestEntry> entries;
        *status_out = reader.open(history.directory(), start);
        if (*status_out == Status::kOk) *status_out = reader.check();
        if (*status_out != Status::kOk) return entries;
        EntryView entry;
        while (reader.next(&entry) == Finding::kOne)
            entries.push_back({{reinterpret_cast<const char*>(entry.key), entry.head.key_size},
                               {reinterpret_cast<const char*>(entry.value), entry.head.value_size},
                               entry.head.version,
                               entry.head.epoch,
                               entry.head.flags});
        return entries;
    }
    TestHistory history;
};

TEST(Checkpoint, ComesBackAsItWas) {
    Checkpointed t;
    ASSERT_EQ(t.history.checkpoint({7, 1, 4096}, kEntries), Status::kOk);
    EXPECT_EQ(t.names(), (std::vector<std::string>{"checkpoint-00000000000007", "journal-000001", "lock"}));
    Status status;
    CheckpointReader reader;
    EXPECT_TRUE(t.read(7, &status, reader) == kEntries);
    EXPECT_EQ(status, Status::kOk);
    EXPECT_EQ(reader.head().store_id, TestHistory::kStore);
    EXPECT_EQ(reader.head().start, (JournalPoint{7, 1, 4096}));
    EXPECT_EQ(reader.head().limit, TestHistory::kLimit);
    EXPECT_EQ(reader.durable(), t.history.at());
}

TEST(Checkpoint, OfNoKeysAndOfMoreThanABufferComesBackAsItWas) {
    Checkpointed t;
    Status status;
    ASSERT_EQ(t.history.checkpoint({1, 1, 4096}, {}), Status::kOk);
    CheckpointReader empty;
    EXPECT_TRUE(t.read(1, &status, empty).empty());
    EXPECT_EQ(status, Status::kOk);

    std::vector<TestEntry> many;
    for (std::size_t i = 0; i < 500; ++i)
        many.push_back({"key " + std::to_string(i), std::string(i * 37, 'x'), i + 1, i, 0});
    many.push_back({"largest", std::string(kValueBytesMax, 'L'), 8, 8, 0});
    ASSERT_EQ(t.history.checkpoint({2, 1, 4096}, many), Status::kOk);
    CheckpointReader reader;
    EXPECT_TRUE(t.read(2, &status, reader) == many);
    EXPECT_EQ(status, Status::kOk);
}

TEST(Checkpoint, ThatIsNotFinishedIsNotThere) {
    Checkpointed t;
    {
        CheckpointWriter writer;
        ASSERT_EQ(writer.begin(t.history.directory(), {1, 1, {5, 1, 4096}, 9, 0}), Status::kOk);
        ASSERT_EQ(writer.entry({1, 0, 1, 0, 0}, "k"), Status::kOk);
        EXPECT_EQ(t.names().size(), 3u);
    }
    EXPECT_EQ(t.names(), (std::vector<std::string>{"journal-000001", "lock"}));
}

TEST(Checkpoint, WithAValueOfAnotherLengthIsRefused) {
    Checkpointed t;
    CheckpointWriter writer;
    ASSERT_EQ(writer.begin(t.history.directory(), {1, 1, {5, 1, 4096}, 9, 0}), Status::kOk);
    ASSERT_EQ(writer.entry({1, 16, 1, 0, 0}, "k"), Status::kOk);
    ASSERT_EQ(writer.out().put("12345678", 8), Status::kOk);
    EXPECT_EQ(writer.finish({6, 1, 4096}), Status::kCorrupt);
}

TEST(Checkpoint, IsNotReplacedByOneOfTheSamePosition) {
    Checkpointed t;
    ASSERT_EQ(t.history.checkpoint({7, 1, 4096}, kEntries), Status::kOk);
    ASSERT_EQ(t.history.checkpoint({7, 1, 4096}, {}), Status::kExists);
    Status status;
    CheckpointReader reader;
    EXPECT_TRUE(t.read(7, &status, reader) == kEntries);
}

TEST(DamagedCheckpoint, WithAnyBitFlippedIsNone) {
    Checkpointed t;
    ASSERT_EQ(t.history.checkpoint({7, 1, 4096}, {kEntries[0], kEntries[1]}), Status::kOk);
    const std::string path = t.of(checkpoint_name(7));
    const std::string good = read_all(path);
    Status status;
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
        std::string wrong = good;
        wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ (1 << bit % 8));
        write_all(path, wrong);
        CheckpointReader reader;
        t.read(7, &status, reader);
        ASSERT_EQ(status, bit / 8 == 6 ? Status::kLayout : Status::kJournalCorrupt) << bit;
        ASSERT_TRUE(status == Status::kLayout || reader.damage().what != nullptr) << bit;
    }
}

TEST(DamagedCheckpoint, CutOffAnywhereOrGoneOnIsNone) {
    Checkpointed t;
    ASSERT_EQ(t.history.checkpoint({7, 1, 4096}, {kEntries[0], kEntries[1]}), Status::kOk);
    const std::string path = t.of(checkpoint_name(7));
    const std::string good = read_all(path);
    Status status;
    for (std::size_t length = 0; length < good.size(); ++length) {
        write_all(path, good.substr(0, length));
        CheckpointReader reader;
        t.read(7, &status, reader);
        ASSERT_EQ(status, Status::kJournalCorrupt) << length;
    }
    write_all(path, good + std::string(8, '\0'));
    CheckpointReader longer;
    t.read(7, &status, longer);
    EXPECT_EQ(status, Status::kJournalCorrupt);
}

// An entry left out or doubled has good checksums all the same: the end counts.
TEST(DamagedCheckpoint, WithoutOneOfItsEntriesIsNone) {
    Checkpointed t;
    ASSERT_EQ(t.history.checkpoint({7, 1, 4096}, {kEntries[0], kEntries[1], kEntries[3]}), Status::kOk);
    const std::string path = t.of(checkpoint_name(7));
    const std::string good = read_all(path);
    const std::size_t first = entry_bytes(1, 5) + 8;
    Status status;
    for (const std::string& wrong :
         {good.substr(0, 72) + good.substr(72 + first), good.substr(0, 72 + first) + good.substr(72)}) {
        write_all(path, wrong);
        CheckpointReader reader;
        t.read(7, &status, reader);
        EXPECT_EQ(status, Status::kJournalCorrupt);
        EXPECT_STREQ(reader.damage().what, "its end counts other entries");
    }
}

TEST(DamagedCheckpoint, WithAnEntryThatWasNeverWrittenIsNone) {
    Checkpointed t;
    ASSERT_EQ(t.history.checkpoint({7, 1, 4096}, {{"k", "v", 0, 0, 0}}), Status::kOk);
    Status status;
    CheckpointReader reader;
    t.read(7, &status, reader);
    EXPECT_EQ(status, Status::kJournalCorrupt);
    EXPECT_STREQ(reader.damage().what, "an entry was never written");
}

// ---- The mark

TEST(Mark, IsTheLastOneWritten) {
    const Folder folder;
    TestHistory history(folder.path());
    Mark mark;
    EXPECT_EQ(read_mark(history.directory(), &mark), Status::kNotFound);
    for (Position p = 1; p < 10; ++p) {
        ASSERT_EQ(write_mark(history.directory(), {5, 6, 0, {p, 7, 4096 + 8 * p}}), Status::kOk);
        ASSERT_EQ(read_mark(history.directory(), &mark), Status::kOk);
        EXPECT_EQ(mark.durable, (JournalPoint{p, 7, 4096 + 8 * p}));
        EXPECT_EQ(mark.sequence, p);
        EXPECT_EQ(mark.store_id, 5u);
        EXPECT_EQ(mark.incarnation, 6u);
    }
    const std::string last = read_all(folder.of("mark"));
    for (const Position old : {4u, 9u}) {  // they say no more
        ASSERT_EQ(write_mark(history.directory(), {5, 6, 0, {old, 7, 4096}}), Status::kOk);
        EXPECT_EQ(read_all(folder.of("mark")), last);
    }
    EXPECT_EQ(folder.names(), (std::vector<std::string>{"lock", "mark"}));
}

TEST(Mark, IsOnDiskWhenItIsWritten) {
    const Folder folder, after;
    PowerLoss power(folder.path());
    TestHistory history(folder.path());
    ASSERT_EQ(history.directory().sync(), Status::kOk);
    for (Position p = 1; p < 4; ++p) {
        ASSERT_EQ(write_mark(history.directory(), {5, 6, 0, {p, 7, 4096}}), Status::kOk);
        for (std::uint64_t seed = 0; seed < 20; ++seed) {
            Dice dice(seed);
            power.rebuild(after.path(), dice);
            Directory directory;
            ASSERT_EQ(Directory::open(after.path(), {.must_exist = true}, &directory), Status::kOk);
            Mark mark;
            ASSERT_EQ(read_mark(directory, &mark), Status::kOk);
            ASSERT_EQ(mark.durable.position, p);
        }
    }
}

TEST(Mark, WithAnyBitFlippedIsTheOneBefore) {
    const Folder folder;
    TestHistory history(folder.path());
    for (Position p = 1; p < 4; ++p)
        ASSERT_EQ(write_mark(history.directory(), {5, 6, 0, {p, 7, 4096}}), Status::kOk);
    const std::string good = read_all(folder.of("mark"));
    Mark mark;
    for (std::size_t bit = 0; bit < 64 * 8; ++bit) {
        for (const std::size_t place : {0u, 512u}) {
            std::string wrong = good;
            wrong[place + bit / 8] = static_cast<char>(wrong[place + bit / 8] ^ (1 << bit % 8));
            write_all(folder.of("mark"), wrong);
            ASSERT_EQ(read_mark(history.directory(), &mark), Status::kOk);
            ASSERT_EQ(mark.durable.position, place == 0 ? 3u : 2u) << bit;  // 2 lies in the first place
        }
    }
    // The next one goes over the bad one.
    ASSERT_EQ(write_mark(history.directory(), {5, 6, 0, {9, 7, 4096}}), Status::kOk);
    ASSERT_EQ(read_mark(history.directory(), &mark), Status::kOk);
    EXPECT_EQ(mark.durable.position, 9u);
    const std::string both = std::string(1024, 'x');
    write_all(folder.of("mark"), both);
    EXPECT_EQ(read_mark(history.directory(), &mark), Status::kNotFound);
}

// ---- What nobody needs any more

TEST(Superseded, FilesAreRemovedWhenTwoCheckpointsReplaceThem) {
    const Folder folder;
    TestHistory history(folder.path());
    JournalPoint starts[4];
    for (JournalPoint& start : starts) {
        ASSERT_EQ(history.next_file(), Status::kOk);
        start = history.at();
        ASSERT_EQ(history.add_small(3), Status::kOk);
    }
    ASSERT_EQ(history.checkpoint(starts[0], {}), Status::kOk);
    ASSERT_EQ(remove_superseded(history.directory()), Status::kOk);
    EXPECT_EQ(folder.names().size(), 6u);  // four, the lock, the checkpoint
    ASSERT_EQ(history.checkpoint(starts[1], {}), Status::kOk);
    ASSERT_EQ(history.checkpoint(starts[3], {}), Status::kOk);
    for (const char* name :
         {".journal-000001.0123456789abcdef", ".journal-000004.0123456789abcdef",
          ".journal-000005.0123456789abcdef", ".checkpoint-00000000000001.0123456789abcdef",
          ".checkpoint-0000000000000a.0123456789abcdef", "notes"}) {
        write_all(folder.of(name), "");
    }
    ASSERT_EQ(remove_superseded(history.directory()), Status::kOk);
    EXPECT_EQ(folder.names(),
              (std::vector<std::string>{
                  ".checkpoint-0000000000000a.0123456789abcdef", ".journal-000005.0123456789abcdef",
                  checkpoint_name(starts[1].position), checkpoint_name(starts[3].position), "journal-000002",
                  "journal-000003", "journal-000004", "lock", "notes"}));
    EXPECT_EQ(scan(folder.path()).status, Status::kOk);
}

TEST(Superseded, FilesStayWhileACheckpointAboveThemIsDamaged) {
    const Folder folder;
    TestHistory history(folder.path());
    JournalPoint starts[3];
    for (JournalPoint& start : starts) {
        ASSERT_EQ(history.next_file(), Status::kOk);
        start = history.at();
        ASSERT_EQ(history.add_small(3), Status::kOk);
        ASSERT_EQ(history.checkpoint(start, {}), Status::kOk);
    }
    write_all(folder.of(checkpoint_name(starts[1].position)), "damaged");
    ASSERT_EQ(remove_superseded(history.directory()), Status::kOk);
    EXPECT_EQ(folder.names().size(), 7u);
}

TEST(Superseded, CheckpointThatIsStillBeingWrittenIsToldSo) {
    Checkpointed t;
    CheckpointWriter writer;
    ASSERT_EQ(writer.begin(t.history.directory(), {1, 1, {2, 1, 4096}, 99, 0}), Status::kOk);
    ASSERT_EQ(t.history.checkpoint({4, 1, 4096}, {}), Status::kOk);
    ASSERT_EQ(t.history.checkpoint({5, 1, 4096}, {}), Status::kOk);
    ASSERT_EQ(remove_superseded(t.history.directory()), Status::kOk);
    EXPECT_EQ(writer.finish({6, 1, 4096}), Status::kExists);
}

// A checkpoint that got its name after the folder's sync may lose it with the power, and what it replaces with it.
TEST(Superseded, IsJudgedByNamesThatAreOnDisk) {
    Checkpointed t;
    ASSERT_EQ(t.history.checkpoint({4, 1, 4096}, {}), Status::kOk);
    static std::vector<DiskCall> calls;
    calls.clear();
    checked::on_disk = [](DiskStep& step) {
        if (step.call == DiskCall::kList || step.call == DiskCall::kSyncFolder) calls.push_back(step.call);
        return 0;
    };
    EXPECT_EQ(remove_superseded(t.history.directory()), Status::kOk);
    checked::on_disk = nullptr;
    EXPECT_EQ(calls, (std::vector<DiskCall>{DiskCall::kList, DiskCall::kSyncFolder}));
}

// A loss of power keeps any of the removals since the folder's last sync: of two, the second alone would be a gap.
TEST(Superseded, EachJournalFileIsGoneForGoodBeforeTheNextGoes) {
    const Folder folder;
    TestHistory history(folder.path());
    for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(history.next_file(), Status::kOk);
        ASSERT_EQ(history.add_small(1), Status::kOk);
    }
    const JournalPoint start = history.at();
    ASSERT_EQ(history.checkpoint(start, {}), Status::kOk);
    ASSERT_EQ(history.add_small(1), Status::kOk);
    ASSERT_EQ(history.checkpoint(history.at(), {}), Status::kOk);
    static std::vector<std::string> calls;
    calls.clear();
    checked::on_disk = [](DiskStep& step) {
        const std::string path = step.path;
        if (step.call == DiskCall::kUnlink) calls.push_back(path.substr(path.rfind('/') + 1));
        if (step.call == DiskCall::kSyncFolder) calls.push_back("sync");
        return 0;
    };
    EXPECT_EQ(remove_superseded(history.directory()), Status::kOk);
    checked::on_disk = nullptr;
    EXPECT_EQ(calls, (std::vector<std::string>{"sync", "journal-000001", "sync", "journal-000002", "sync"}));
}

}  // namespace

}  // namespace keystile::testing
