// The seam to the file system: what is asked, what fails, what is left of it.
//
// Property: at every call of a store's life, and whatever of the calls before is on disk, a scan shows a prefix of the
// history that holds all that was acknowledged, and never calls it damaged.
#include <algorithm>
#include <cerrno>

#include "disk/journal_support.hpp"
#include "support/power_loss.hpp"

namespace keystile::testing {

namespace {

using namespace engine;

std::vector<std::size_t> pieces;

TEST(Disk, WritesAndReadsInAsManyCallsAsItTakes) {
    const Folder folder;
    pieces.clear();
    checked::on_disk = [](DiskStep& step) {
        if (step.call != DiskCall::kWrite && step.call != DiskCall::kRead) return 0;
        step.bytes = std::min<std::size_t>(step.bytes, 3);
        pieces.push_back(step.bytes);
        return 0;
    };
    DiskFile file;
    ASSERT_EQ(disk_create(folder.of("f"), 0600, &file), Status::kOk);
    EXPECT_EQ(disk_write(file, 2, "12345678", 8), Status::kOk);
    EXPECT_EQ(pieces, (std::vector<std::size_t>{3, 3, 2}));
    char bytes[16] = {};
    std::size_t count = 0;
    EXPECT_EQ(disk_read(file, 2, bytes, sizeof bytes, &count), Status::kOk);
    checked::on_disk = nullptr;
    EXPECT_EQ(count, 8u);
    EXPECT_STREQ(bytes, "12345678");
}

TEST(Disk, TellsWhatTheSystemSaid) {
    const Folder folder;
    DiskFile file;
    ASSERT_EQ(disk_create(folder.of("f"), 0600, &file), Status::kOk);
    static int error;
    checked::on_disk = [](DiskStep&) { return error; };
    const struct {
        int error;
        Status status;
    } cases[] = {{ENOSPC, Status::kFull},
                 {EDQUOT, Status::kFull},
                 {EIO, Status::kSystem},
                 {EACCES, Status::kPermission}};
    for (const auto& c : cases) {
        error = c.error;
        EXPECT_EQ(disk_write(file, 0, "x", 1), c.status);
        EXPECT_EQ(fault_errno, c.error);
        EXPECT_EQ(disk_sync_data(file), c.status);
        EXPECT_EQ(disk_sync_folder(folder.path()), c.status);
        EXPECT_EQ(disk_rename(folder.of("f"), folder.of("g")), c.status);
    }
    checked::on_disk = nullptr;
    EXPECT_EQ(folder.names(), std::vector<std::string>{"f"});
    EXPECT_TRUE(read_all(folder.of("f")).empty());
}

TEST(Disk, MakesAFileOnceAndOpensOnlyFiles) {
    const Folder folder;
    DiskFile file;
    ASSERT_EQ(disk_create(folder.of("f"), 0600, &file), Status::kOk);
    EXPECT_EQ(disk_create(folder.of("f"), 0600, &file), Status::kExists);
    EXPECT_EQ(disk_open(folder.path(), Access::kReadWrite, &file), Status::kNotAStore);
    EXPECT_EQ(disk_open(folder.of("g"), Access::kReadOnly, &file), Status::kNoStore);
}

// ---- A store's life, step by step

struct Life {
    explicit Life(const std::string& path) : folder(path) {}

    // Everything this layer does, once or more. What is not kOk ends it.
    Status run() {
        TestHistory history(folder);
        const auto add = [&](int count) {
            Status s = Status::kOk;
            for (int i = 0; s == Status::kOk && i < count; ++i) {
                written.push_back(history.at().position);
                s = history.add_small(1);
            }
            return s;
        };
        const auto add_and_sync = [&](int count) {
            Status s = add(count);
            if (s == Status::kOk) s = history.sync();
            if (s == Status::kOk) acknowledged = history.at();
            return s;
        };
        Status s = history.opened();
        if (s == Status::kOk) s = history.next_file();
        if (s == Status::kOk) s = add_and_sync(3);
        if (s == Status::kOk) s = history.mark();
        if (s == Status::kOk) s = history.checkpoint(acknowledged, {});
        for (int round = 0; s == Status::kOk && round < 3; ++round) {
            if (s == Status::kOk) s = add_and_sync(2);
            if (s == Status::kOk) s = history.next_file();
            const JournalPoint start = history.at();
            if (s == Status::kOk) s = add_and_sync(20);
            if (s == Status::kOk) s = history.mark();
            if (s == Status::kOk) s = add(30);  // nobody was told
            if (s == Status::kOk) s = round == 1 ? history.recover() : history.sync();
            if (s == Status::kOk) acknowledged = history.at();
            if (s == Status::kOk)
                s = history.checkpoint(start, {{"key", std::string(3000, 'v'), start.position - 1, 0, 0}});
            // Two in a row: then nothing else has seen to their names when the old ones go.
            if (s == Status::kOk) s = history.checkpoint(history.at(), {});
            if (s == Status::kOk) s = remove_superseded(history.directory());
        }
        return s;
    }

    // Empty, or what is wrong with what a scan of `path` shows.
    std::string judge(const std::string& path) const {
        Seen seen;
        Directory directory;
        const Status opened = Directory::open(path, {.must_exist = true, .is_read_only = true}, &directory);
        if (opened == Status::kNoStore) return acknowledged.position == 0 ? "" : "the lock is gone";
        seen.status = scan_history(directory, ScanScope::kReplay, seen, &seen.end);
        if (seen.status == Status::kNoStore) return acknowledged.position == 0 ? "" : "the journal is gone";
        if (seen.status != Status::kOk)
            return "status " + std::to_string(static_cast<int>(seen.status)) + ", " + seen.end.damage.path +
                   ": " + (seen.end.damage.is_none() ? "" : seen.end.damage.damage.what);
        if (seen.end.end.position < acknowledged.position) return "what was acknowledged is gone";
        auto next = std::find_if(written.begin(), written.end(),
                                 [&](Position p) { return p >= seen.end.checkpoint; });
        for (const TestRecord& record : seen.records) {
            if (next == written.end() || record.position != *next++) return "a record is missing";
            if (!(record == small_record(record.position))) return "a record is another";
        }
        return next == written.end() || *next >= acknowledged.position ? ""
                                                                       : "an acknowledged record is missing";
    }

    std::string folder;
    JournalPoint acknowledged;
    std::vector<Position> written;
};

int count_steps() {
    const Folder folder;
    PowerLoss power(folder.path());
    int steps = 0;
    power.before_step = [&](const DiskStep&) { return ++steps, 0; };
    EXPECT_EQ(Life(folder.path()).run(), Status::kOk);
    return steps;
}

TEST(LifeOfADirectory, SurvivesAKillAndALossOfPowerAtEveryStep) {
    const std::uint64_t seed = number_from_env("KEYSTILE_SEED", 20260101);
    const std::uint64_t losses = number_from_env("KEYSTILE_LOSSES", 12);
    std::printf("KEYSTILE_SEED=%llu KEYSTILE_LOSSES=%llu\n", static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(losses));
    const Folder folder, after;
    Life life(folder.path());
    PowerLoss power(folder.path());
    int steps = 0;
    std::string wrong;
    power.before_step = [&](const DiskStep& step) {
        ++steps;
        if (wrong.empty()) wrong = life.judge(folder.path());  // killed here
        for (std::uint64_t i = 0; i < losses && wrong.empty(); ++i) {
            Dice dice(seed + static_cast<std::uint64_t>(steps) * 1000 + i);
            power.rebuild(after.path(), dice);
            wrong = life.judge(after.path());
            if (!wrong.empty()) wrong += " (loss " + std::to_string(i) + ")";
        }
        if (!wrong.empty()) wrong += " before step " + std::to_string(steps) + ", " + step.path;
        return wrong.empty() ? 0 : ECANCELED;
    };
    const Status status = life.run();
    EXPECT_EQ(wrong, "");
    EXPECT_EQ(status, Status::kOk);
    EXPECT_GT(steps, 100);
}

// Every call once told no: the caller is told, and what was acknowledged before is there.
TEST(LifeOfADirectory, SurvivesAFaultOfEveryStep) {
    const int steps = count_steps();
    for (const int error : {EIO, ENOSPC}) {
        for (int failing = 1; failing <= steps; ++failing) {
            const Folder folder;
            Life life(folder.path());
            Status status;
            std::string what;
            {
                PowerLoss power(folder.path());
                int step_count = 0;
                power.before_step = [&](const DiskStep& step) {
                    if (++step_count != failing) return 0;
                    what = std::to_string(static_cast<int>(step.call)) + " " + step.path;
                    // A hidden file that cannot be removed stays: nobody needs to know.
                    if (step.call == DiskCall::kUnlink && step.path[folder.path().size() + 1] == '.')
                        what.clear();
                    return error;
                };
                status = life.run();
            }
            const Status told = error == EIO ? Status::kSystem : Status::kFull;
            EXPECT_EQ(status, what.empty() ? Status::kOk : told) << failing << ": " << what;
            EXPECT_EQ(life.judge(folder.path()), "") << failing << ": " << what;
        }
    }
}

// The kernel could not write, said so to one process, and has forgotten it: what it holds in memory is not on disk.
TEST(LifeOfADirectory, RecoversWhatAFailedSyncLeftInMemory) {
    for (const bool has_known_part : {false, true}) {
        const Folder folder, after;
        Life life(folder.path());
        PowerLoss power(folder.path());
        TestHistory history(folder.path());
        ASSERT_EQ(history.next_file(), Status::kOk);
        const auto add = [&] {
            life.written.push_back(history.at().position);
            return history.add_small(1);
        };
        for (int i = 0; i < 20; ++i) ASSERT_EQ(add(), Status::kOk);
        ASSERT_EQ(history.sync(), Status::kOk);
        ASSERT_EQ(has_known_part ? history.mark() : Status::kOk, Status::kOk);
        for (int i = 0; i < 20; ++i) ASSERT_EQ(add(), Status::kOk);
        power.before_step = [](const DiskStep& step) { return step.call == DiskCall::kSyncData ? EIO : 0; };
        ASSERT_EQ(history.sync(), Status::kSystem);
        power.before_step = nullptr;
        ASSERT_EQ(history.recover(), Status::kOk);
        life.acknowledged = history.at();
        for (std::uint64_t seed = 0; seed < 100; ++seed) {
            Dice dice(seed);
            power.rebuild(after.path(), dice);
            ASSERT_EQ(life.judge(after.path()), "") << seed;
        }
    }
}

}  // namespace

}  // namespace keystile::testing
