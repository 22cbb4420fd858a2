// Real processes, killed and stopped at every step of flushing, of checkpoints and of a recovery: before each call into
// the file system, and at each crash point in between. The others go on meanwhile; then everybody is gone, and what the
// files give back holds all that was acknowledged. (What power takes besides: store_power_test.cpp.)
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>
#include <memory>
#include <string>

#include "disk/journal_support.hpp"
#include "disk/opener.hpp"
#include "support/child.hpp"
#include "support/points.hpp"

namespace keystile::testing {

namespace {

using namespace engine;

constexpr int kStepsMax = 512;
constexpr std::size_t kLarge = 400'000;  // three of them fill the first journal file

// What the victim tells, in memory that survives it.
struct Told {
    std::uint32_t steps;
    char name[kStepsMax][48];
    std::uint32_t committed, acknowledged;  // values of "v"
    std::uint32_t is_failing;               // the disk says no to the next sync of a journal file
};

Told& told() {
    static auto* const memory = static_cast<Told*>(
        ::mmap(nullptr, sizeof(Told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    return *memory;
}

std::uint32_t step_to_end_at = 0;  // 0: none
int signal_at_step = 0;
bool is_counting = false;

void pass(const char* kind, const char* what) {
    if (!is_counting) return;
    const std::uint32_t step = ++told().steps;
    if (step <= kStepsMax) std::snprintf(told().name[step - 1], sizeof told().name[0], "%s %s", kind, what);
    if (step != step_to_end_at) return;
    ::kill(::getpid(), signal_at_step);
    while (signal_at_step == SIGKILL) {
    }
}

int on_disk(DiskStep& step) {
    static constexpr const char* kCalls[] = {"open",      "create", "read",  "write", "sync",
                                             "sync_data", "folder", "mkdir", "link",  "rename",
                                             "unlink",    "list",   "statfs"};
    const char* const name = std::strrchr(step.path, '/');
    if (step.call != DiskCall::kRead && step.call != DiskCall::kFileSystem)
        pass(kCalls[std::min(static_cast<std::size_t>(step.call), std::size(kCalls) - 1)],
             name != nullptr ? name : step.path);
    if (step.call != DiskCall::kSyncData || told().is_failing == 0) return 0;
    told().is_failing = 0;
    return EIO;
}

void on_point(const char* name) {
    const std::string_view point = name;
    for (const char* kind :
         {"operations.flush.", "operations.checkpoint.", "operations.recover.", "segment.create."})
        if (point.starts_with(kind)) return pass("at", name);
}

struct Place {
    Folder folder, segments;
};

class Victim {
public:
    explicit Victim(const Place& place) : place_(place) {}
    bool open() { return opener.open(place_.folder.path(), place_.segments.path()) == Status::kOk; }
    bool put(std::size_t bytes = 0) {
        const std::uint32_t number = told().committed + 1;
        std::string value = std::to_string(number);
        value.resize(std::max(value.size(), bytes), ' ');
        told().committed = number;  // it may have happened from here on
        return opener.put("v", value) == Status::kOk;
    }
    // Of what was committed before.
    bool acknowledge(Status s) {
        const bool is_done = s == Status::kOk;
        if (is_done) told().acknowledged = told().committed;
        return is_done;
    }
    bool flush() { return acknowledge(opener.flush_all()); }
    Opener opener;

private:
    const Place& place_;
};

struct Act {
    const char* name;
    bool (*prepare)(Victim&);
    bool (*act)(Victim&);  // each of its steps is a cell
    bool is_recovery = false;
};

void PrintTo(const Act& act, std::ostream* out) {
    *out << act.name;
}

bool open_only(Victim& v) {
    return v.open();
}

const Act kActs[] = {
    {"Flush", open_only, [](Victim& v) { return v.put() && v.put() && v.flush(); }},
    {"Write", open_only,
     [](Victim& v) { return v.put() && v.opener.write_all() == Status::kOk && v.put() && v.flush(); }},
    {"WaitDurable", open_only,
     [](Victim& v) {
         return v.put() && v.acknowledge(wait_durable(v.opener.store, v.opener.end() - 1, UINT64_MAX));
     }},
    {"NextFile", [](Victim& v) { return v.open() && v.put(kLarge) && v.put(kLarge); },
     [](Victim& v) { return v.put(kLarge) && v.flush() && v.put() && v.flush(); }},
    {"FailedSync", open_only,
     [](Victim& v) {
         told().is_failing = 1;
         const bool is_told = v.put() && !v.flush();
         // If others were faster there was nothing to sync.
         return (is_told || told().is_failing == 1) && v.put() && (v.flush() || v.flush());
     }},
    // The second one lets a journal file go.
    {"Checkpoint",
     [](Victim& v) {
         if (!v.open()) return false;
         for (int i = 0; i < 4; ++i)
             if (!v.put(kLarge)) return false;
         return v.flush() && v.put() && v.acknowledge(make_checkpoint(v.opener.store)) && v.put();
     },
     [](Victim& v) {
         return v.acknowledge(make_checkpoint(v.opener.store)) && v.put() &&
                v.acknowledge(make_checkpoint(v.opener.store));
     }},
    {"Recovery", [](Victim&) { return true; }, [](Victim& v) { return v.open() && v.put() && v.flush(); },
     true},
};

// ---- One cell -----------------------------------------------------------------------------------------------------

// The victim; at its step `n` it gets the signal. 0: at none.
int play(const Place& place, const Act& act, const Child::Line& line, std::uint32_t n, int signal) {
    checked::on_disk = on_disk;
    checked::on_point = on_point;
    step_to_end_at = n;
    signal_at_step = signal;
    {
        Victim victim(place);
        if (!act.prepare(victim)) return 2;
        line.ready();
        line.await();
        is_counting = true;
        if (!act.act(victim)) return 3;
        is_counting = false;
    }
    return 0;
}

// The segment is gone, as after a reboot.
void forget_segments(const Place& place) {
    for (const std::string& name : place.segments.names()) std::filesystem::remove(place.segments.of(name));
}

std::string value_of(Opener& opener, const std::string& key) {
    std::string value(kLarge, '\0');
    const KeyBytes bytes{reinterpret_cast<const std::byte*>(key.data()), key.size()};
    shm::Slot* slot = nullptr;
    if (find_slot(opener.store.segment, bytes, hash_of(bytes, opener.store.hash_seed), &slot) != Status::kOk)
        return "";
    const ReadResult read =
        read_slow(opener.store.segment, *slot, reinterpret_cast<std::byte*>(value.data()), value.size());
    if (read.status != Status::kOk) return "";
    value.resize(read.size);
    return value;
}

#define DEMAND(condition)                                                                      \
    do {                                                                                       \
        if (!(condition)) return "not so, line " + std::to_string(__LINE__) + ": " #condition; \
    } while (false)

// Somebody else, who commits, flushes and makes a checkpoint, whatever the victim left.
std::string work(Opener& other, std::uint32_t* commits) {
    for (int i = 0; i < 2; ++i) {
        DEMAND(other.put("s", std::to_string(*commits + 1)) == Status::kOk);
        ++*commits;
        DEMAND(other.flush_all() == Status::kOk);
        DEMAND(other.durable().position >= other.end());
    }
    DEMAND(make_checkpoint(other.store) == Status::kOk);
    DEMAND(value_of(other, "s") == std::to_string(*commits));
    return {};
}

// Everybody is gone, and then the memory: what do the files say?
std::string judge(const Place& place, std::uint32_t commits, std::uint64_t incarnation) {
    {
        Directory directory;
        DEMAND(Directory::open(place.folder.path(), {.must_exist = true, .is_read_only = true}, &directory) ==
               Status::kOk);
        Verification verification;
        DEMAND(verify_history(directory, &verification) == Status::kOk);
        DEMAND(verification.is_sound());
    }
    forget_segments(place);
    Opener next;
    DEMAND(next.open(place.folder.path(), place.segments.path()) == Status::kOk);
    DEMAND(next.store.segment.header().incarnation > incarnation);
    const std::string found = value_of(next, "v");
    const std::uint32_t number = found.empty() ? 0 : static_cast<std::uint32_t>(std::stoul(found));
    DEMAND(number >= told().acknowledged);
    DEMAND(number <= told().committed);
    DEMAND(value_of(next, "s") == (commits == 0 ? "" : std::to_string(commits)));
    std::uint32_t more = commits;
    return work(next, &more);
}

// A store that somebody used and left; its memory is gone too if it is to be recovered.
std::string set_up(const Place& place, const Act& act, std::unique_ptr<Opener>& opener,
                   std::uint32_t* commits) {
    opener = std::make_unique<Opener>();
    Opener& other = *opener;
    DEMAND(other.open(place.folder.path(), place.segments.path()) == Status::kOk);
    if (const std::string wrong = work(other, commits); !wrong.empty()) return wrong;
    if (!act.is_recovery) return {};
    DEMAND(other.put("s", "not on disk") == Status::kOk && other.write_all() == Status::kOk);
    *commits += 1;
    DEMAND(other.put("s", std::to_string(*commits)) == Status::kOk && other.flush_all() == Status::kOk);
    opener = std::make_unique<Opener>();  // the old one's lock goes with it
    forget_segments(place);
    return {};
}

std::string cell(const Act& act, std::uint32_t n, int signal) {
    const Place place;
    std::unique_ptr<Opener> other;
    std::uint32_t commits = 0;
    std::memset(&told(), 0, sizeof told());
    if (const std::string wrong = set_up(place, act, other, &commits); !wrong.empty())
        return "before: " + wrong;
    const std::uint64_t incarnation = act.is_recovery ? 1 : other->store.segment.header().incarnation;
    Child victim([&](const Child::Line& line) { return play(place, act, line, n, signal); });
    if (!victim.await_ready()) return "the victim ended early: " + std::to_string(victim.await_end());
    victim.go();
    if (n == 0 || signal == SIGKILL) {
        const int end = victim.await_end();
        if (end != (n == 0 ? 0 : 128 + SIGKILL)) return "the victim ended with " + std::to_string(end);
    } else if (!victim.await_stop()) {
        return "the victim did not stop";
    }
    if (act.is_recovery) DEMAND(other->open(place.folder.path(), place.segments.path()) == Status::kOk);
    if (const std::string wrong = work(*other, &commits); !wrong.empty()) return wrong;
    if (n != 0 && signal == SIGSTOP) {
        victim.resume();
        if (const int end = victim.await_end(); end != 0)
            return "gone on, the victim ended with " + std::to_string(end);
        if (const std::string wrong = work(*other, &commits); !wrong.empty())
            return "after it went on: " + wrong;
    }
    other.reset();
    return judge(place, commits, incarnation);
}

class DurableDeath : public ::testing::TestWithParam<Act> {
protected:
    void at_each_step(int signal) {
        const Act& act = GetParam();
        ASSERT_EQ(cell(act, 0, 0), "");
        const std::uint32_t steps = told().steps;
        ASSERT_GT(steps, 2u);
        ASSERT_LE(steps, static_cast<std::uint32_t>(kStepsMax));
        for (std::uint32_t n = 1; n <= steps; ++n) {
            const std::string wrong = cell(act, n, signal);
            EXPECT_EQ(wrong, "") << act.name << ", step " << n << " of " << steps << ": "
                                 << told().name[n - 1];
        }
        std::printf("%s: %u steps\n", act.name, steps);
    }
};

TEST_P(DurableDeath, KilledAtEachStep) {
    at_each_step(SIGKILL);
}

TEST_P(DurableDeath, StoppedAtEachStep) {
    if (GetParam().is_recovery)
        GTEST_SKIP() << "who recovers holds the directory: others are told that it is busy";
    at_each_step(SIGSTOP);
}

INSTANTIATE_TEST_SUITE_P(Acts, DurableDeath, ::testing::ValuesIn(kActs),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace

}  // namespace keystile::testing
