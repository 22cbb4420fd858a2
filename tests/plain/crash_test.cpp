// A process dies or stops at each step between the decision and the disk (RECOVERY.md, rows P1-P9).
//
// Property: what was committed is on disk after the next open, read or write, whole and in the store's order; what
// was not is nowhere; nothing is taken for a foreign edit.
#include <sys/stat.h>

#include <csignal>
#include <functional>

#include "plain/plain_support.hpp"
#include "support/child.hpp"
#include "support/points.hpp"

namespace keystile::testing {
namespace {

using ::testing::IsEmpty;

// Forget the memory of a store that nobody has open: what a reboot does.
void lose_memory(const Folder& folder) {
    struct stat info;
    ASSERT_EQ(::stat(folder.at(".keystile").c_str(), &info), 0);
    char name[64];
    std::snprintf(name, sizeof name, "/dev/shm/keystile.file-%llx-%llx",
                  static_cast<unsigned long long>(info.st_dev), static_cast<unsigned long long>(info.st_ino));
    ASSERT_TRUE(std::filesystem::remove(name)) << name;
}

ks_files_change change(const char* path, std::string_view data, ks_stamp seen, std::uint32_t flags = 0) {
    ks_files_change change{};
    change.path = path;
    change.data = bytes_in(data);
    change.seen = seen;
    change.flags = flags;
    return change;
}

// What a victim does to "f" (and "g", "h"), all of which have "one"; and what "f" then has.
struct Act {
    const char* name;
    ks_status (*act)(const Files& files);
    const char* result;
    friend void PrintTo(const Act& act, std::ostream* out) { *out << act.name; }
};

const Act kActs[] = {
    {"Write", [](const Files& files) { return files.put("f", "two"); }, "two"},
    {"Remove", [](const Files& files) { return files.remove("f"); }, "(none)"},
    {"Publish",
     [](const Files& files) {
         ks_files_change changes[] = {change("f", "two", files.stamp("f")),
                                      change("g", "two", files.stamp("g")),
                                      change("h", "", files.stamp("h"), KS_FILES_REMOVE)};
         return ks_files_publish(files.get(), changes, 3, nullptr);
     },
     "two"},
    {"Rename",
     [](const Files& files) {
         return ks_files_rename(files.get(), "g", files.stamp("g"), nullptr, "f", files.stamp("f"), nullptr,
                                nullptr);
     },
     "one"},
    {"Adopt", [](const Files& files) { return files.adopt("k"); }, "one"},
    {"Gate",
     [](const Files& files) {
         ks_files_change changes[] = {change("f", "", files.stamp("f"))};
         return ks_files_gate(files.get(), changes, 1, [](void*) { return 0; }, nullptr, nullptr);
     },
     "one"},
};

class FilesKilledAtEachStep : public ::testing::TestWithParam<Act> {
protected:
    static void prepare(const Folder& folder) {
        const Files files(folder);
        for (const char* name : {"f", "g", "h"}) ASSERT_EQ(files.put(name, "one"), KS_OK);
        folder.poke("k", "unknown");
    }
    // The points of the act, in their order, as often as they are passed.
    static std::vector<std::string> points_of(const Act& act) {
        const Folder folder;
        prepare(folder);
        forget_record();
        EXPECT_EQ(run_in_child([&] {
                      const Files files(folder);
                      record();
                      return act.act(files);
                  }),
                  0);
        std::vector<std::string> points;
        for (std::string& point : recorded()) {
            const bool is_look = point == "files.settle.after_look";  // nothing is decided there
            if (point.starts_with("files.") && !is_look) points.push_back(std::move(point));
        }
        return points;
    }
    static int kill_at(const Folder& folder, const Act& act, const std::string& point, int occurrence) {
        return run_in_child([&] {
            const Files files(folder);
            arm({{point, occurrence, SIGKILL}});
            return act.act(files);
        });
    }
    static void expect_whole(const Folder& folder, const Act& act, const Files& files) {
        for (const std::string& line : files.status(KS_FILES_ALL)) {
            EXPECT_TRUE(line.ends_with(":clean") || line.ends_with(":deleted") || line == "k:untracked")
                << line;
        }
        EXPECT_EQ(folder.peek("f"), act.result);
        for (const char* name : {"f", "g", "h", "k"}) {
            const Got got = files.read(name);
            EXPECT_TRUE(got.status == KS_OK || got.status == KS_NOT_FOUND) << name << " " << got.status;
            EXPECT_EQ(got.status == KS_OK ? got.data : "(none)", folder.peek(name)) << name;
        }
        // Of a dead owner's claim the first one who writes is told KS_FENCED: it was claimed since it was read.
        while (files.put("f", "three") == KS_FENCED) {
        }
        EXPECT_EQ(folder.peek("f"), "three");
        const Files opened(folder);
        EXPECT_THAT(folder.tickets(), IsEmpty());
    }
};

TEST_P(FilesKilledAtEachStep, TheNextOpenFinishesIt) {
    std::map<std::string, int> passed;
    for (const std::string& point : points_of(GetParam())) {
        for (const bool is_rebooted : {false, true}) {
            SCOPED_TRACE(point + " " + std::to_string(passed[point] + 1) + (is_rebooted ? " rebooted" : ""));
            const Folder folder;
            prepare(folder);
            ASSERT_EQ(kill_at(folder, GetParam(), point, passed[point] + 1), 128 + SIGKILL);
            if (is_rebooted) lose_memory(folder);
            const Files files(folder);
            if (!is_rebooted || point != "files.adopt.after_commit") {
                EXPECT_EQ(folder.peek("f"), GetParam().result);  // before anybody reads
            }
            expect_whole(folder, GetParam(), files);
        }
        ++passed[point];
    }
}

TEST_P(FilesKilledAtEachStep, WhoReadsNextFinishesIt) {
    std::map<std::string, int> passed;
    for (const std::string& point : points_of(GetParam())) {
        SCOPED_TRACE(point + " " + std::to_string(++passed[point]));
        const Folder folder;
        prepare(folder);
        const Files files(folder);
        ASSERT_EQ(kill_at(folder, GetParam(), point, passed[point]), 128 + SIGKILL);
        for (const char* name : {"f", "g", "h", "k"}) (void)files.read(name);
        expect_whole(folder, GetParam(), files);
    }
}

// A stopped process goes on when all is over: it must not undo what came after it.
TEST_P(FilesKilledAtEachStep, WhoStoppedThereComesTooLate) {
    std::map<std::string, int> passed;
    for (const std::string& point : points_of(GetParam())) {
        SCOPED_TRACE(point + " " + std::to_string(++passed[point]));
        if (point == "files.gate.after_effect") continue;  // holds the claim: nobody can do anything
        for (const std::string content : {"three", "one"}) {
            const Folder folder;
            prepare(folder);
            const Files files(folder);
            Child victim([&](const Child::Line&) {
                const Files own(folder);
                arm({{point, passed[point], SIGSTOP}});
                (void)GetParam().act(own);
                return 0;
            });
            ASSERT_TRUE(victim.await_stop());
            for (const char* name : {"f", "g", "h", "k"}) ASSERT_EQ(files.put(name, content), KS_OK) << name;
            victim.resume();
            ASSERT_EQ(victim.await_end(), 0);
            for (const char* name : {"f", "g", "h", "k"}) {
                EXPECT_EQ(folder.peek(name), content) << name;
                EXPECT_EQ(files.read(name).status, KS_OK) << name;
                EXPECT_EQ(files.read(name).data, content) << name;
            }
            EXPECT_THAT(folder.tickets(), IsEmpty());
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Acts, FilesKilledAtEachStep, ::testing::ValuesIn(kActs),
                         [](const auto& act) { return act.param.name; });

TEST(FilesCrash, EveryPointIsPassed) {
    std::set<std::string> passed;
    const Folder folder;
    forget_record();
    ASSERT_EQ(run_in_child([&] {
                  const Files files(folder);
                  for (const char* name : {"f", "g", "h"}) (void)files.put(name, "one");
                  record();
                  for (const Act& act : kActs) {
                      folder.poke("k", act.name);
                      (void)act.act(files);
                      for (const char* name : {"f", "g", "h"}) (void)files.put(name, "one");
                  }
                  std::filesystem::remove(folder.at("f"));  // another program
                  (void)files.read("f");
                  return 0;
              }),
              0);
    for (std::string& point : recorded()) passed.insert(std::move(point));
    for (const std::string& point : points_of_engine()) {
        if (!point.starts_with("files.")) continue;
        EXPECT_TRUE(passed.contains(point)) << point;
    }
}

// ---- Stale finishers, and the guards against them ---------------------------------------------------------------

// What a victim does: `act`, stopped at each of `points` (and killed at `dies_at`).
int stop_in(const Files& own, ks_status (*act)(const Files&), std::initializer_list<const char*> points,
            const char* dies_at = "") {
    std::vector<Step> steps;
    for (const char* point : points) steps.push_back({point, 1, SIGSTOP});
    if (*dies_at != '\0') steps.push_back({dies_at, 1, SIGKILL});
    arm(steps);
    (void)act(own);
    return 0;
}
int stop_in(const Folder& folder, ks_status (*act)(const Files&), std::initializer_list<const char*> points,
            const char* dies_at = "") {
    return stop_in(Files(folder), act, points, dies_at);
}

// A victim that stops at `point` in `act`; then ours; then it goes on (or is killed at `dies_at` when it does).
// What is on disk in the end; "(foreign)": it was taken for an edit.
std::string race(ks_status (*act)(const Files&), const char* point, const char* ours,
                 const char* dies_at = "") {
    const Folder folder;
    const Files files(folder);
    (void)files.put("f", "one");
    Child victim([&](const Child::Line&) { return stop_in(folder, act, {point}, dies_at); });
    EXPECT_TRUE(victim.await_stop());
    EXPECT_EQ(files.put("f", ours), KS_OK) << ks_last_error();
    victim.resume();
    (void)victim.await_end();
    const Got got = files.read("f");
    return got.status == KS_FOREIGN_EDIT ? "(foreign)" : got.status == KS_OK ? folder.peek("f") : "(none)";
}

ks_status write_two(const Files& files) {
    return files.put("f", "two");
}
ks_status remove_it(const Files& files) {
    return files.remove("f");
}

bool retire_holds() {
    return race(write_two, "files.land.before_rename", "three") == "three";
}
// The disk looks as it did before: only the version tells.
bool recheck_holds() {
    return race(write_two, "files.land.before_ticket", "one") == "one";
}
// Nobody has looked since.
bool taken_holds() {
    const Folder folder;
    const Files files(folder);
    (void)files.put("f", "one");
    Child late([&](const Child::Line&) { return stop_in(folder, remove_it, {"files.land.before_take"}); });
    EXPECT_TRUE(late.await_stop());
    EXPECT_EQ(files.put("f", "one"), KS_OK);
    late.resume();
    EXPECT_EQ(late.await_end(), 0);
    return folder.peek("f") == "one";
}

// "f" as it is read; "(foreign)": told as an edit.
std::string told(const Files& files) {
    const Got got = files.read("f");
    return got.status == KS_OK ? got.data : got.status == KS_FOREIGN_EDIT ? "(foreign)" : "(none)";
}

// Two finishers of one deletion are late. The first has taken a newer version's file and died; the second finds nothing
// there, as its deletion wants it.
bool conclude_holds() {
    const Folder folder;
    const Files files(folder);
    (void)files.put("f", "one");
    Child second([&](const Child::Line& line) {
        const Files own(folder);
        line.ready();
        line.await();
        arm({{"files.land.before_mark", 1, SIGSTOP}});
        (void)own.read("f");
        return 0;
    });
    EXPECT_TRUE(second.await_ready());
    Child first([&](const Child::Line&) {
        return stop_in(folder, remove_it, {"files.land.before_take"}, "files.land.after_take");
    });
    EXPECT_TRUE(first.await_stop());
    second.go();
    EXPECT_TRUE(second.await_stop());
    EXPECT_EQ(files.put("f", "one"), KS_OK);
    first.resume();
    EXPECT_EQ(first.await_end(), 128 + SIGKILL);
    second.resume();
    EXPECT_EQ(second.await_end(), 0);
    return told(files) == "one";
}

// A late deletion has taken a file of ours, another deletion finds that nothing is there: what was taken stays away.
bool judge_by_now_holds() {
    const Folder folder;
    const Files files(folder);
    (void)files.put("f", "one");
    Child next([&](const Child::Line& line) {
        const Files own(folder);
        line.ready();
        line.await();
        return stop_in(own, remove_it, {"files.write.after_commit", "files.land.before_clear"});
    });
    EXPECT_TRUE(next.await_ready());
    Child late([&](const Child::Line&) {
        return stop_in(folder, remove_it, {"files.land.before_take", "files.land.after_take"});
    });
    EXPECT_TRUE(late.await_stop());
    EXPECT_EQ(files.put("f", "two"), KS_OK);
    next.go();
    EXPECT_TRUE(next.await_stop());  // the deletion of "two" is committed
    late.resume();
    EXPECT_TRUE(late.await_stop());  // has taken "two"
    next.resume();
    EXPECT_TRUE(next.await_stop());  // finds nothing there
    late.resume();
    EXPECT_EQ(late.await_end(), 0);
    next.resume();
    EXPECT_EQ(next.await_end(), 0);
    return told(files) == "(none)" && folder.tickets().empty();
}

// A late deletion lands again what it took, and meanwhile the next version is committed, by one who had seen the file.
bool taken_again_holds() {
    const Folder folder;
    const Files files(folder);
    (void)files.put("f", "one");
    Child next([&](const Child::Line& line) {
        const Files own(folder);
        line.ready();
        line.await();
        const ks_stamp seen = own.stamp("f");
        arm({{"files.settle.after_look", 1, SIGSTOP}, {"files.write.after_commit", 1, SIGSTOP}});
        (void)own.write("f", "three", seen);
        return 0;
    });
    EXPECT_TRUE(next.await_ready());
    Child late([&](const Child::Line&) {
        return stop_in(folder, remove_it, {"files.land.before_take", "files.land.before_ticket"});
    });
    EXPECT_TRUE(late.await_stop());
    EXPECT_EQ(files.put("f", "two"), KS_OK);
    next.go();
    EXPECT_TRUE(next.await_stop());  // has seen "two"
    late.resume();
    EXPECT_TRUE(late.await_stop());  // has taken "two", and is about to land it again
    next.resume();
    EXPECT_TRUE(next.await_stop());  // "three" is committed
    late.resume();
    EXPECT_EQ(late.await_end(), 0);
    next.resume();
    EXPECT_EQ(next.await_end(), 0);
    return told(files) == "three";
}

// A file is missed each time when a late deletion has just taken it, and is there again, without a ticket, each time
// when tickets are listed; and in the end the next deletion has landed.
bool missing_still_holds() {
    const Folder folder;
    const Files files(folder);
    (void)files.put("f", "one");
    const auto waiting = [&](std::vector<Step> steps, int (*told)(const Got&)) {
        return std::make_unique<Child>([&folder, steps, told](const Child::Line& line) {
            const Files own(folder);
            line.ready();
            line.await();
            arm(steps);
            return told(own.read("f"));
        });
    };
    const Step take{"files.land.before_take", 1, SIGSTOP}, taken{"files.land.after_take", 1, SIGSTOP};
    const Step list{"files.missing.before_list", 1, SIGSTOP}, look{"files.missing.before_look", 1, SIGSTOP};
    const auto reader = waiting({{"files.settle.after_look", 1, SIGSTOP}, look, list, look, list, look},
                                [](const Got& got) { return got.status == KS_NOT_FOUND ? 0 : 1; });
    std::unique_ptr<Child> late[3];
    for (int i = 1; i < 3; ++i) late[i] = waiting({take, taken}, [](const Got&) { return 0; });
    for (Child* child : {reader.get(), late[1].get(), late[2].get()}) EXPECT_TRUE(child->await_ready());
    late[0] = std::make_unique<Child>([&](const Child::Line&) {
        return stop_in(folder, remove_it, {"files.land.before_take", "files.land.after_take"});
    });
    EXPECT_TRUE(late[0]->await_stop());
    for (int i = 1; i < 3; ++i) {
        late[i]->go();
        EXPECT_TRUE(late[i]->await_stop());
    }
    EXPECT_EQ(files.put("f", "two"), KS_OK);
    for (int i = 0; i < 3; ++i) {
        late[i]->resume();
        EXPECT_TRUE(late[i]->await_stop());  // has taken "two"
        if (i == 0) reader->go();
        if (i != 0) reader->resume();
        EXPECT_TRUE(reader->await_stop());  // misses it
        late[i]->resume();
        EXPECT_EQ(late[i]->await_end(), 0);  // has landed it again
        reader->resume();
        EXPECT_TRUE(reader->await_stop());  // finds no ticket
    }
    EXPECT_EQ(files.remove("f"), KS_OK);
    reader->resume();
    return reader->await_end() == 0;
}

struct FilesGuard {
    const char* name;
    bool (*scenario)();
};
constexpr FilesGuard kGuards[] = {{"files.retire", retire_holds},
                                  {"files.recheck", recheck_holds},
                                  {"files.taken", taken_holds},
                                  {"files.conclude", conclude_holds},
                                  {"files.judge_by_now", judge_by_now_holds},
                                  {"files.taken_again", taken_again_holds},
                                  {"files.missing_still", missing_still_holds}};

TEST(FilesGuards, HoldAndAreNeeded) {
    for (const FilesGuard& guard : kGuards) {
        EXPECT_TRUE(guard.scenario()) << guard.name;
        switch_off(guard.name);
        EXPECT_FALSE(guard.scenario()) << "without " << guard.name;
        switch_off("");
    }
}

TEST(FilesGuards, EachOneHasAScenario) {
    for (const std::string& guard : guards_of_engine()) {
        if (!guard.starts_with("files.")) continue;
        EXPECT_TRUE(std::any_of(std::begin(kGuards), std::end(kGuards), [&](auto& g) {
            return g.name == guard;
        })) << guard;
    }
}

// The mark is read before the disk (F3): a version that lands in between is no edit.
TEST(FilesCrash, ALookThatIsOvertakenSeesNoEdit) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("f", "one"), KS_OK);
    // Opens before the write begins: an opening would finish it.
    Child reader([&](const Child::Line& line) {
        const Files own(folder);
        line.ready();
        line.await();
        arm({{"files.settle.after_look", 1, SIGSTOP}});
        return own.read("f").data == "two" ? 0 : 1;
    });
    ASSERT_TRUE(reader.await_ready());
    Child writer([&](const Child::Line&) {
        const Files own(folder);
        arm({{"files.write.after_commit", 1, SIGSTOP}});
        return own.put("f", "two") == KS_OK ? 0 : 1;
    });
    ASSERT_TRUE(writer.await_stop());
    reader.go();
    ASSERT_TRUE(reader.await_stop());
    writer.resume();
    EXPECT_EQ(writer.await_end(), 0);
    reader.resume();
    EXPECT_EQ(reader.await_end(), 0);
}

// It took away the newer version's file and died before it saw that.
TEST(FilesCrash, ALateDeletionThatDiesIsUndone) {
    EXPECT_EQ(race(remove_it, "files.land.before_take", "one", "files.land.after_take"), "one");
    EXPECT_EQ(race(remove_it, "files.land.before_take", "three", "files.land.after_take"), "three");
}

// What it took was another program's, and goes back, also if it dies before it does that itself.
TEST(FilesCrash, AnEditThatALateDeletionTookIsPutBack) {
    for (const char* dies_at : {"", "files.land.after_take"}) {
        const Folder folder;
        const Files files(folder);
        ASSERT_EQ(files.put("f", "one"), KS_OK);
        Child late([&](const Child::Line&) {
            return stop_in(folder, remove_it, {"files.land.before_take"}, dies_at);
        });
        ASSERT_TRUE(late.await_stop());
        ASSERT_EQ(files.put("f", "two"), KS_OK);
        folder.poke("f", "edited");
        late.resume();
        EXPECT_EQ(late.await_end(), *dies_at == '\0' ? 0 : 128 + SIGKILL);
        EXPECT_EQ(files.read("f").status, KS_FOREIGN_EDIT) << dies_at;
        EXPECT_EQ(folder.peek("f"), "edited") << dies_at;
        EXPECT_EQ(files.put("f", "three"), KS_FOREIGN_EDIT);
        EXPECT_EQ(files.adopt("f"), KS_OK);
        EXPECT_EQ(files.put("f", "three"), KS_OK);
        EXPECT_THAT(folder.tickets(), IsEmpty());
    }
}

// What took the file's place may be no file at all.
TEST(FilesCrash, AFolderThatALateDeletionTookIsPutBack) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("f", "one"), KS_OK);
    Child late([&](const Child::Line&) { return stop_in(folder, remove_it, {"files.land.before_take"}); });
    ASSERT_TRUE(late.await_stop());
    std::filesystem::remove(folder.at("f"));
    std::filesystem::create_directory(folder.at("f"));
    folder.poke("f/in", "data");
    late.resume();
    EXPECT_EQ(late.await_end(), 0);
    EXPECT_EQ(folder.peek("f/in"), "data");
    EXPECT_THAT(folder.tickets(), IsEmpty());
    std::filesystem::remove_all(folder.at("f"));
    EXPECT_EQ(files.put("f", "two"), KS_OK) << ks_last_error();
}

// It can't go back where something is, or where there is no folder any more: then it is kept aside.
TEST(FilesCrash, AnEditThatCannotGoBackIsKept) {
    for (const bool is_occupied : {true, false}) {
        const Folder folder;
        const Files files(folder);
        ASSERT_EQ(files.put("d/f", "one"), KS_OK);
        Child late([&](const Child::Line&) {
            return stop_in(folder, [](const Files& own) { return own.remove("d/f"); },
                           {"files.land.before_take", "files.land.after_take"});
        });
        ASSERT_TRUE(late.await_stop());
        folder.poke("d/f", "edited");
        late.resume();
        ASSERT_TRUE(late.await_stop());
        if (is_occupied) {
            folder.poke("d/f", "edited again");
        } else {
            std::filesystem::remove(folder.at("d"));
        }
        late.resume();
        EXPECT_EQ(late.await_end(), 0);
        EXPECT_EQ(folder.peek("d/f"), is_occupied ? "edited again" : "(none)");
        const std::vector<std::string> kept = folder.tickets();
        ASSERT_EQ(kept.size(), 1u);
        EXPECT_TRUE(kept[0].starts_with("lost-")) << kept[0];
        EXPECT_EQ(folder.peek(".keystile/files/" + kept[0]), "edited");
        const Files opened(folder);
        EXPECT_EQ(folder.tickets(), kept);
    }
}

// Where a version cannot be put on disk, who reads it through here has it from the store.
TEST(FilesCrash, WhatCannotLandIsReadFromTheStore) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("f", "one"), KS_OK);
    EXPECT_EQ(run_in_child([&] {
                  const Files own(folder);
                  arm({{"files.write.after_commit", 1, SIGKILL}});
                  return own.put("f", "two") == KS_OK ? 0 : 1;
              }),
              128 + SIGKILL);
    std::filesystem::remove_all(folder.at(".keystile/files"));
    EXPECT_EQ(files.read("f").data, "two");
    EXPECT_EQ(folder.peek("f"), "one");
    EXPECT_THAT(files.status(), ::testing::ElementsAre("f:pending"));
    EXPECT_EQ(files.put("f", "three"), KS_E_SYSTEM);
    const Files again(folder);
    EXPECT_EQ(folder.peek("f"), "two");
}

// Another program's edit between a commit and its landing stays.
TEST(FilesCrash, AnEditBeforeTheLandingIsNotOverwritten) {
    for (const char* point :
         {"files.write.after_commit", "files.land.before_ticket", "files.land.after_ticket"}) {
        const Folder folder;
        const Files files(folder);
        ASSERT_EQ(files.put("f", "one"), KS_OK);
        Child victim([&](const Child::Line&) {
            const Files own(folder);
            arm({{point, 1, SIGSTOP}});
            return own.put("f", "two") == KS_OK ? 0 : 1;
        });
        ASSERT_TRUE(victim.await_stop());
        folder.poke("f", "edited");
        victim.resume();
        EXPECT_EQ(victim.await_end(), 0) << point;
        EXPECT_EQ(folder.peek("f"), "edited") << point;
        EXPECT_EQ(files.read("f").status, KS_FOREIGN_EDIT) << point;
        EXPECT_EQ(files.restore("f"), KS_OK);
        EXPECT_EQ(files.read("f").data, "two");
    }
}

}  // namespace
}  // namespace keystile::testing
