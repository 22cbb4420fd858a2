// Records histories: processes that get, commit and take snapshots of few keys of one store, while they are killed,
// stopped and continued at random. Each round has a store of its own and is judged for itself (judge/).
//
// keystile_recorder [--rounds N] [--calls N] [--seed N] [--off GUARD] [--output FILE]
// Output: JSON lines; a line with "round" opens a round, each other one is a call (judge/history.go says what is in
// it). The seed sets what is called and what is done to the processes; how they interleave differs from run to run.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "history/worker.hpp"
#include "platform/platform.hpp"
#include "support/test_store.hpp"

namespace keystile::history {

namespace {

using testing::Dice;

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kPatienceNs = 10 * kSecond;  // a round takes a fraction of a second: else one hangs

// A process under our hands.
struct Child {
    pid_t pid = 0;
    bool is_stopped = false;
    bool is_killed = false;  // by us, and may be seen to be stopped for a moment yet
    std::uint32_t worker = 0;
};

// Of a worker: it lived, and its session, at the one instant for sure, and was dead at the other. 0: not known.
struct Life {
    std::uint64_t alive_ns = 0, dead_ns = 0;
};

class Round {
public:
    explicit Round(const Plan& plan)
        : plan_(plan), dice_(plan.seed), table_(make_table(plan.processes + 1, capacity(plan))) {}
    Round(const Round&) = delete;
    Round& operator=(const Round&) = delete;
    ~Round() { drop_table(table_); }

    void run() {
        ks_store* store = nullptr;
        if (open_store(store_.url(), 0, "recorder", &store) != KS_OK) std::abort();
        ks_close(store);
        begin_ns_ = now_ns();
        table_->calls_left.store(plan_.calls);
        children_.resize(static_cast<std::size_t>(plan_.processes));
        for (std::size_t i = 0; i < children_.size(); ++i) start(i);
        while (table_->ready.load() < children_.size() && is_in_time()) wait_a_moment();
        table_->is_on.store(1);
        while (is_any_left()) {
            disturb();
            if (!is_in_time()) give_up();
        }
        const std::uint32_t number = next_worker();
        apart("who looks at all keys at the end", [&](std::FILE* problems) {
            Worker quiet(*table_, plan_.processes, number, plan_, 0, store_.url());
            if (quiet.is_open()) quiet.look_at_all();
            if (!quiet.is_open()) std::fputs("the store cannot be opened any more\n", problems);
        });
        apart("who checks the store", [&](std::FILE* problems) { check_store(problems); });
    }

    // A call that does not come back is a finding, and its round the last one: each more would take as long.
    bool has_hung() const { return has_hung_; }

    void write(std::FILE* file, int number) const {
        std::fprintf(
            file, "{\"round\":%d,\"seed\":%llu,\"processes\":%d,\"keys\":%d,\"kills\":%d,\"stops\":%d,",
            number, static_cast<unsigned long long>(plan_.seed), plan_.processes, plan_.keys, kills_, stops_);
        std::fputs("\"problems\":[", file);
        for (const std::string& problem : problems_) {
            std::string text;
            for (const char c : problem) text += c == '"' || c == '\\' || c == '\n' ? ' ' : c;
            std::fprintf(file, "%s\"%s\"", &problem == &problems_.front() ? "" : ",", text.c_str());
        }
        std::fputs("]}\n", file);
        write_lives(file);
        write_calls(file, *table_);
    }

private:
    static std::uint32_t capacity(const Plan& plan) {
        return static_cast<std::uint32_t>(plan.calls) * 4 + 100;  // a write may look at three keys before
    }

    bool is_in_time() const { return now_ns() < begin_ns_ + kPatienceNs; }

    void start(std::size_t index) {
        const std::uint64_t seed = dice_.next();
        const std::uint32_t number = next_worker();
        table_->logs[index].is_leaving.store(0);
        const pid_t parent = ::getpid();
        std::fflush(nullptr);
        const pid_t pid = ::fork();
        if (pid < 0) std::abort();
        if (pid == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::getppid() != parent) ::_exit(98);
            ::_exit(live(static_cast<int>(index), number, seed));
        }
        children_[index] = {pid, false, false, number};
    }

    std::uint32_t next_worker() {
        lives_.push_back({});
        return static_cast<std::uint32_t>(lives_.size());  // from 1
    }
    Life& life_of(const Child& child) { return lives_[child.worker - 1]; }

    // What a child does.
    int live(int index, std::uint32_t number, std::uint64_t seed) {
        Worker worker(*table_, index, number, plan_, seed, store_.url());
        if (!worker.is_open()) return 97;
        table_->ready.fetch_add(1);
        while (table_->is_on.load() == 0) ::sched_yield();
        checked::guard_off = plan_.guard_off;
        make_points_rough(plan_, seed + 1);
        worker.run();
        checked::on_point = nullptr;
        return 0;
    }

    // Do something in a process of its own that may damage or hang itself; what it writes are problems, a line each.
    template <class Do>
    void apart(const char* who, Do&& act) {
        int ends[2];
        if (::pipe(ends) != 0) std::abort();
        std::fflush(nullptr);
        const pid_t pid = ::fork();
        if (pid < 0) std::abort();
        if (pid == 0) {
            std::FILE* const problems = ::fdopen(ends[1], "w");
            act(problems);
            std::fflush(problems);
            ::_exit(0);
        }
        ::close(ends[1]);
        begin_ns_ = now_ns();
        int status = 0;
        while (::waitpid(pid, &status, WNOHANG) != pid) {
            wait_a_moment();
            if (is_in_time()) continue;
            hangs(who);
            ::kill(pid, SIGKILL);
            begin_ns_ = now_ns();
        }
        if (status != 0 && !has_hung_) {
            problems_.push_back(std::string(who) + " ended with wait status " + std::to_string(status));
        }
        std::FILE* const problems = ::fdopen(ends[0], "r");
        char line[512];
        while (std::fgets(line, sizeof line, problems) != nullptr) problems_.emplace_back(line);
        std::fclose(problems);
    }

    void hangs(const char* who) {
        problems_.push_back(std::string(who) + " hangs");
        has_hung_ = true;
    }

    // Nobody is attached: no damage, nothing lost. (What waits in the ring to be recycled is in flight.)
    void check_store(std::FILE* problems) {
        ks_store* store = nullptr;
        if (open_store(store_.url(), KS_OPEN_MUST_EXIST, "recorder", &store) != KS_OK) return;
        ks_check_report report{};
        report.struct_size = sizeof report;
        const auto tell = [](void* user, const char* text) {
            std::fprintf(static_cast<std::FILE*>(user), "at the end: %s\n", text);
        };
        if (ks_reap(store, nullptr) != KS_OK) std::fputs("at the end: reaping fails\n", problems);
        (void)ks_check(store, tell, problems, &report);
        if (report.blocks_unreaped != 0) std::fputs("at the end: blocks of the dead are left\n", problems);
        ks_close(store);
    }

    void note_changes() {
        for (Child& child : children_) {
            int status = 0;
            while (child.pid != 0 && ::waitpid(child.pid, &status, WNOHANG | WUNTRACED) == child.pid) {
                if (WIFSTOPPED(status)) {
                    child.is_stopped = true;
                    ++stops_;
                    continue;
                }
                life_of(child).dead_ns = now_ns();
                child = {};
                if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
                    ++kills_;
                } else if (status != 0) {
                    problems_.push_back("a process ended with wait status " + std::to_string(status));
                }
            }
        }
    }

    // Until a child changes, or a random moment later.
    void wait_a_moment() {
        sigset_t children;
        sigemptyset(&children);
        sigaddset(&children, SIGCHLD);
        const timespec moment{0, static_cast<long>(dice_.between(20'000, 600'000))};
        ::sigtimedwait(&children, nullptr, &moment);
    }

    void disturb() {
        wait_a_moment();
        note_changes();
        const bool is_over = table_->calls_left.load() <= 0;
        for (std::size_t i = 0; i < children_.size(); ++i) {
            Child& child = children_[i];
            if (child.pid == 0) {
                if (!is_over) start(i);
            } else if (child.is_stopped && (is_over || dice_.one_in(4))) {
                if (!child.is_killed && table_->logs[i].is_leaving.load() == 0)
                    life_of(child).alive_ns = now_ns();  // only we could have killed it, or let it run
                child.is_killed = dice_.one_in(4) || child.is_killed;
                ::kill(child.pid, child.is_killed ? SIGKILL : SIGCONT);
                child.is_stopped = false;
            }
        }
        Child& victim = children_[dice_.roll(children_.size())];
        if (victim.pid == 0 || victim.is_stopped) return;
        const std::uint64_t roll = dice_.roll(40);
        if (roll < 2) {
            victim.is_killed = true;
            ::kill(victim.pid, SIGKILL);
        }
        if (roll >= 2 && roll < 6) ::kill(victim.pid, SIGSTOP);
    }

    bool is_any_left() const {
        for (const Child& child : children_) {
            if (child.pid != 0) return true;
        }
        return table_->calls_left.load() > 0;
    }

    void give_up() {
        hangs("a process");
        table_->calls_left.store(0);
        for (const Child& child : children_) {
            if (child.pid != 0) ::kill(child.pid, SIGKILL);
        }
        begin_ns_ = now_ns();
    }

    void write_lives(std::FILE* file) const {
        const std::uint64_t first = first_ns(*table_);
        const auto since = [first](std::uint64_t at_ns) {
            return static_cast<unsigned long long>(at_ns > first ? at_ns - first : 0);
        };
        for (std::size_t i = 0; i < lives_.size(); ++i) {
            std::fprintf(file, "{\"op\":\"life\",\"worker\":%zu", i + 1);
            if (lives_[i].alive_ns != 0) std::fprintf(file, ",\"alive\":%llu", since(lives_[i].alive_ns));
            if (lives_[i].dead_ns != 0) std::fprintf(file, ",\"dead\":%llu", since(lives_[i].dead_ns));
            std::fputs("}\n", file);
        }
    }

    const Plan plan_;
    Dice dice_;
    testing::TestStore store_;
    Table* table_;
    std::vector<Child> children_;
    std::vector<Life> lives_;  // by worker
    std::vector<std::string> problems_;
    bool has_hung_ = false;
    int kills_ = 0, stops_ = 0;
    std::uint64_t begin_ns_ = 0;
};

Plan plan_of(std::uint64_t seed, const char* guard_off) {
    Dice dice(seed ^ 0x706C616E);
    const auto between = [&dice](std::uint64_t least, std::uint64_t most) {
        return static_cast<int>(dice.between(least, most));
    };
    Plan plan;
    plan.seed = seed;
    plan.processes = between(3, 6);
    plan.keys = between(3, kKeysMax);
    plan.calls = between(250, 400);
    plan.multis = between(2, 9);
    plan.blind = between(3, 10);
    plan.stale = between(3, 12);
    plan.deletes = between(4, 20);
    plan.claims = dice.one_in(4) ? 0 : between(1, 5);
    plan.use_in = between(1, 10);
    plan.yield_in = between(2, 40);
    plan.stop_in = between(500, 5000);
    plan.kill_in = between(500, 5000);
    plan.guard_off = guard_off;
    return plan;
}

struct Options {
    int rounds = 20;
    int calls = 0;  // of a round; 0: as its seed says
    std::uint64_t seed = 0;
    const char* guard_off = nullptr;
    const char* output = nullptr;
};

bool parse(int argc, char** argv, Options* options) {
    options->seed = static_cast<std::uint64_t>(::time(nullptr));
    for (int i = 1; i + 1 < argc; i += 2) {
        const char* const value = argv[i + 1];
        if (std::strcmp(argv[i], "--rounds") == 0) {
            options->rounds = std::atoi(value);
        } else if (std::strcmp(argv[i], "--calls") == 0) {
            options->calls = std::atoi(value);
        } else if (std::strcmp(argv[i], "--seed") == 0) {
            options->seed = std::strtoull(value, nullptr, 0);
        } else if (std::strcmp(argv[i], "--off") == 0) {
            options->guard_off = value;
        } else if (std::strcmp(argv[i], "--output") == 0) {
            options->output = value;
        } else {
            return false;
        }
    }
    return argc % 2 == 1;
}

int record(const Options& options) {
    std::FILE* const file = options.output != nullptr ? std::fopen(options.output, "w") : stdout;
    if (file == nullptr) {
        std::perror(options.output);
        return 1;
    }
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &children, nullptr);  // sigtimedwait fetches it
    Dice dice(options.seed);
    for (int i = 1; i <= options.rounds; ++i) {
        Plan plan = plan_of(dice.next() >> 12, options.guard_off);
        if (options.calls != 0) plan.calls = options.calls;
        Round round(plan);
        round.run();
        round.write(file, i);
        if (round.has_hung()) break;
    }
    return std::fclose(file) == 0 ? 0 : 1;
}

}  // namespace

}  // namespace keystile::history

int main(int argc, char** argv) {
    keystile::history::Options options;
    if (!keystile::history::parse(argc, argv, &options)) {
        std::fputs("usage: keystile_recorder [--rounds N] [--seed N] [--off GUARD] [--output FILE]\n",
                   stderr);
        return 2;
    }
    return keystile::history::record(options);
}
