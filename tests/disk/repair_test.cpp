// Whatever is damaged, after a repair the store opens, with a prefix of its commits, and nothing is issued twice.
#include <algorithm>
#include <filesystem>

#include "disk/journal_support.hpp"
#include "disk/opener.hpp"

namespace keystile::testing {

namespace {

using namespace engine;

struct Repaired : Folder {
    Repaired() : history(path()) {
        EXPECT_EQ(history.next_file(), Status::kOk);
        EXPECT_EQ(history.add_small(3), Status::kOk);
        EXPECT_EQ(history.next_file(), Status::kOk);
        EXPECT_EQ(history.add_small(3), Status::kOk);
        EXPECT_EQ(history.mark(), Status::kOk);
    }
    std::string journal(std::uint32_t file) const { return of(journal_name(file)); }
    RepairPlan plan() {
        RepairPlan found;
        EXPECT_EQ(plan_repair(history.directory(), &found), Status::kOk);
        return found;
    }
    TestHistory history;
};

void change(const std::string& path, std::uint64_t offset) {
    std::string bytes = read_all(path);
    bytes.at(offset) = static_cast<char>(bytes.at(offset) ^ 1);
    write_all(path, bytes);
}

// Opens, with exactly the keys of the first `count` commits, above all that was promised.
void expect_prefix(const Repaired& t, std::size_t count, const std::string& where) {
    const Seen seen = scan(t.path());
    ASSERT_EQ(seen.status, Status::kOk) << where;
    EXPECT_TRUE(seen.records.empty()) << where;
    ASSERT_EQ(seen.checkpoint.size(), count) << where;
    for (std::size_t i = 0; i < count; ++i) {
        EXPECT_EQ(seen.checkpoint[i].key, "key " + std::to_string(i + 1)) << where;
        EXPECT_EQ(seen.checkpoint[i].version, i + 1) << where;
    }
    EXPECT_GE(seen.end.limit, TestHistory::kLimit) << where;
    EXPECT_GT(seen.end.incarnation, 1u) << where;
    EXPECT_GT(seen.end.file, 2u) << where;
}

TEST(Repair, OfASoundStoreDoesNothing) {
    Repaired t;
    const auto names = t.names();
    const RepairPlan plan = t.plan();
    EXPECT_FALSE(plan.is_needed);
    EXPECT_EQ(do_repair(t.history.directory(), plan), Status::kOk);
    EXPECT_EQ(t.names(), names);
}

TEST(Repair, SaysWhatGoesAndKeepsTheFilesAside) {
    Repaired t;
    const std::string sound = read_all(t.journal(1));
    const std::uint64_t bytes = (t.history.at().offset - kJournalHeadBytes) / 3;
    change(t.journal(1), kJournalHeadBytes + bytes + 40);
    const std::string damaged = read_all(t.journal(1));
    const auto names = t.names();
    const RepairPlan plan = t.plan();
    EXPECT_EQ(t.names(), names);
    EXPECT_TRUE(plan.is_needed);
    EXPECT_EQ(plan.end.position, 2u);
    EXPECT_EQ(plan.kept_records, 1u);
    EXPECT_EQ(plan.lost_records, 4u);
    EXPECT_EQ(plan.lost_first, 3u);
    EXPECT_EQ(plan.lost_last, 6u);
    EXPECT_EQ(plan.known_position, 7u);
    EXPECT_EQ(plan.unreadable_bytes, bytes);
    EXPECT_EQ(plan.lost_keys.size(), 4u);
    ASSERT_EQ(do_repair(t.history.directory(), plan), Status::kOk);
    expect_prefix(t, 1, "");
    EXPECT_EQ(read_all(t.of(plan.folder + "/" + journal_name(1))), damaged);
    EXPECT_TRUE(std::filesystem::exists(t.of(plan.folder + "/mark")));
    EXPECT_FALSE(std::filesystem::exists(t.journal(1)));
    EXPECT_FALSE(std::filesystem::exists(t.of("mark")));
    Verification verified;
    ASSERT_EQ(verify_history(t.history.directory(), &verified), Status::kOk);
    EXPECT_TRUE(verified.is_sound());
    EXPECT_FALSE(t.plan().is_needed);
    EXPECT_FALSE(t.plan().is_unfinished);
    // The history goes on.
    const Folder segments;
    Opener opener;
    ASSERT_EQ(opener.open(t.path(), segments.path()), Status::kOk);
    ASSERT_EQ(opener.put("key 1", "again"), Status::kOk);
    ASSERT_EQ(opener.flush_all(), Status::kOk);
    opener.leave();
    const Seen seen = scan(t.path());
    ASSERT_EQ(seen.records.size(), 1u);
    EXPECT_GE(seen.records[0].position, plan.next.limit);
    EXPECT_EQ(seen.records[0].entries[0].version, 1u);
    EXPECT_GT(seen.end.incarnation, plan.next.incarnation);
}

// Every byte of heads and records; a prefix is kept, and it is what the scan said.
TEST(Repair, OfEveryDamageOpensWithThePrefix) {
    std::uint64_t ends[2];
    {
        const Repaired t;
        ends[0] = ends[1] = t.history.at().offset;
    }
    for (const std::uint32_t file : {1u, 2u}) {
        for (std::uint64_t at = 0; at < ends[file - 1];
             at = at + 1 == sizeof(disk::JournalHead) ? kJournalHeadBytes : at + 1) {
            for (const bool is_cut_off : {false, true}) {
                Repaired t;
                if (is_cut_off) {
                    write_all(t.journal(file), read_all(t.journal(file)).substr(0, at));
                } else if (at != 6) {  // the magic's version: of another program
                    change(t.journal(file), at);
                }
                const std::string where =
                    std::to_string(file) + " " + std::to_string(at) + (is_cut_off ? " cut" : "");
                const Seen before = scan(t.path());
                const RepairPlan plan = t.plan();
                EXPECT_EQ(plan.is_needed, before.status == Status::kJournalCorrupt) << where;
                EXPECT_EQ(plan.is_needed, is_cut_off || at != 6) << where;
                if (!plan.is_needed) continue;
                EXPECT_EQ(plan.kept_records, before.records.size()) << where;
                ASSERT_EQ(do_repair(t.history.directory(), plan), Status::kOk) << where;
                expect_prefix(t, before.records.size(), where);
            }
        }
    }
}

TEST(Repair, OfMissingAndDuplicatedFiles) {
    for (const int what : {0, 1, 2}) {
        Repaired t;
        if (what < 2) {
            std::filesystem::remove(t.journal(what == 0 ? 1 : 2));
        } else {
            std::filesystem::copy_file(t.journal(1), t.journal(3));
        }
        const RepairPlan plan = t.plan();
        EXPECT_TRUE(plan.is_needed) << what;
        ASSERT_EQ(do_repair(t.history.directory(), plan), Status::kOk) << what;
        expect_prefix(t, what == 0 ? 0 : what == 1 ? 3 : 6, std::to_string(what));
    }
}

// A checkpoint whose entries are of later commits than the last sound record is no moment's state: the older one is.
TEST(Repair, PassesOverACheckpointOfLaterCommits) {
    for (const bool has_older : {true, false}) {
        const Folder folder;
        TestHistory history(folder.path());
        ASSERT_EQ(history.next_file(), Status::kOk);
        ASSERT_EQ(history.add_small(2), Status::kOk);
        if (has_older) {
            ASSERT_EQ(history.checkpoint(history.at(),
                                         {{"key 1", "value 1", 1, 0, 0}, {"key 2", "value 2", 2, 0, 0}}),
                      Status::kOk);
        }
        ASSERT_EQ(history.next_file(), Status::kOk);
        const JournalPoint start = history.at();
        ASSERT_EQ(history.add_small(2), Status::kOk);
        ASSERT_EQ(history.checkpoint({start.position + 1, start.file, start.offset},
                                     {{"key 1", "value 1", 1, 0, 0}, {"key 4", "value 4", 4, 0, 0}}),
                  Status::kOk);
        if (!has_older) std::filesystem::remove(folder.of(journal_name(1)));
        change(folder.of(journal_name(2)), kJournalHeadBytes + 40);
        RepairPlan plan;
        ASSERT_EQ(plan_repair(history.directory(), &plan), Status::kOk);
        EXPECT_TRUE(plan.is_needed);
        EXPECT_EQ(plan.is_mixed, !has_older);
        EXPECT_EQ(plan.keys.contains("key 4"), !has_older);
        EXPECT_EQ(plan.keys.contains("key 2"), has_older);
        EXPECT_EQ(plan.lost_keys.contains("key 4"), true);
        ASSERT_EQ(do_repair(history.directory(), plan), Status::kOk);
        EXPECT_EQ(scan(folder.path()).status, Status::kOk);
        EXPECT_EQ(scan(folder.path()).checkpoint.size(), plan.keys.size());
    }
}

// Killed before every call into the file system, and run again: the same store.
TEST(Repair, KilledAnywhereAndRunAgainComesToTheSame) {
    static int steps, last;
    for (last = 1;; ++last) {
        Repaired t;
        change(t.journal(2), kJournalHeadBytes + 40);
        const RepairPlan first = t.plan();
        steps = 0;
        checked::on_disk = [](DiskStep& step) {
            return step.call != DiskCall::kRead && ++steps >= last ? EIO : 0;
        };
        const Status s = do_repair(t.history.directory(), first);
        checked::on_disk = nullptr;
        const std::string where = std::to_string(last);
        // Refused still, or the repaired one: nothing in between.
        const Seen between = scan(t.path());
        EXPECT_TRUE(between.status == Status::kJournalCorrupt || between.checkpoint.size() == 3) << where;
        const RepairPlan second = t.plan();
        EXPECT_EQ(second.is_needed, between.status == Status::kJournalCorrupt) << where;
        if (second.is_needed) {
            EXPECT_EQ(second.end, first.end) << where;
            EXPECT_EQ(second.lost_records, first.lost_records) << where;
            EXPECT_EQ(second.next.file, first.next.file) << where;
            EXPECT_EQ(second.next.limit, first.next.limit) << where;
            EXPECT_EQ(second.next.incarnation, first.next.incarnation) << where;
        }
        ASSERT_EQ(do_repair(t.history.directory(), second), Status::kOk) << where;
        expect_prefix(t, 3, where);
        EXPECT_FALSE(std::filesystem::exists(t.journal(2))) << where;
        EXPECT_TRUE(std::filesystem::exists(t.of(first.folder + "/" + journal_name(2)))) << where;
        if (s == Status::kOk) break;
    }
    EXPECT_GT(last, 10);
}

// A repair dies when its files have their second names, and somebody puts another file in one's place.
TEST(Repair, KeepsAlsoAFileThatWasBroughtBackSinceOneDied) {
    Repaired t;
    change(t.journal(2), kJournalHeadBytes + 40);
    const std::string first = read_all(t.journal(2));
    for (int times = 0; times < 2; ++times) {
        checked::on_disk = [](DiskStep& step) { return step.call == DiskCall::kCreate ? EIO : 0; };
        EXPECT_NE(do_repair(t.history.directory(), t.plan()), Status::kOk);
        checked::on_disk = nullptr;
    }
    std::filesystem::remove(t.journal(2));
    write_all(t.journal(2), first);
    change(t.journal(2), kJournalHeadBytes + 80);
    const std::string second = read_all(t.journal(2));
    const RepairPlan plan = t.plan();
    ASSERT_EQ(do_repair(t.history.directory(), plan), Status::kOk);
    EXPECT_TRUE(read_all(t.of(plan.folder + "/" + journal_name(2))) == first);
    EXPECT_TRUE(read_all(t.of(plan.folder + "/" + journal_name(2) + ".1")) == second);
    EXPECT_FALSE(std::filesystem::exists(t.of(plan.folder + "/" + journal_name(2) + ".2")));
    EXPECT_FALSE(std::filesystem::exists(t.of(plan.folder + "/" + journal_name(1) + ".1")));
}

}  // namespace

}  // namespace keystile::testing
