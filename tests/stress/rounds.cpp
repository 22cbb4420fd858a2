#include "stress/rounds.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include "platform/platform.hpp"
#include "stress/worker.hpp"
#include "support/test_store.hpp"

namespace keystile::testing {

namespace {

// A worker that does not come to its end in this time hangs: a round takes two seconds, and the machine may
// be busy.
constexpr std::uint64_t kPatienceNs = 60 * kSecond;
constexpr int kSupervisor = kLogsMax - 1;  // its own log: the last reads

// Everybody has ended: read each key once more, then look whether the store is whole.
void judge_round(History& history, const std::string& url, RoundResult* result) {
    std::vector<std::uint64_t> finals(kKeys, 0);
    ks_store* store = nullptr;
    ks_session* session = nullptr;
    if (open_stress_store(url, KS_OPEN_MUST_EXIST, &store) != KS_OK ||
        ks_session_open(store, &session) != KS_OK) {
        result->problems.push_back(std::string("the store cannot be opened any more: ") + ks_last_error());
    } else {
        for (int key = 0; key < kKeys; ++key) {
            ks_stamp seen{};
            const std::string& name = key_name(key);
            (void)ks_get(session, {name.data(), name.size()}, nullptr, 0, nullptr, &seen);
            finals[static_cast<std::size_t>(key)] = seen.version;
        }
    }
    ks_close(store);
    const auto problems = judge(history.all(), finals);
    result->problems.insert(result->problems.end(), problems.begin(), problems.end());
    const std::string scanned = scan(url);
    if (!scanned.empty()) result->problems.push_back("at the end the store is not whole:\n" + scanned);
    result->events = history.events();
}

class Supervisor {
public:
    Supervisor(const RoundPlan& plan, RoundResult* result)
        : plan_(plan), result_(*result), dice_(plan.seed), history_(kLogsMax, plan.events_each) {}

    void run() {
        ks_store* store = nullptr;
        if (open_stress_store(store_.url(), 0, &store) != KS_OK) std::abort();
        ks_close(store);
        children_.resize(static_cast<std::size_t>(plan_.workers));
        for (std::size_t i = 0; i < children_.size(); ++i) start(i);
        const std::uint64_t end = now_ns() + plan_.duration_ns;
        while (now_ns() < end && is_room_left()) disturb();
        finish();
        judge_round(history_, store_.url(), &result_);
    }

private:
    struct Child {
        pid_t pid = 0;
        bool is_stopped = false;
    };

    bool is_room_left() {
        for (int i = 0; i < plan_.workers; ++i) {
            if (history_.log(i).count.load() + 100 > history_.log(i).capacity) return false;
        }
        return true;
    }

    void start(std::size_t index) {
        const std::uint64_t seed = dice_.next();
        const pid_t parent = ::getpid();
        std::fflush(nullptr);
        const pid_t pid = ::fork();
        if (pid < 0) std::abort();
        if (pid == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::getppid() != parent) ::_exit(98);
            checked::guard_off = plan_.guard_off;
            make_points_rough(seed, true);
            {
                Worker worker(history_, static_cast<int>(index), seed, store_.url(), nullptr);
                worker.run();
            }
            ::_exit(0);
        }
        children_[index] = {pid, false};
    }

    // Something happened to a child: look after it.
    void note_changes() {
        for (std::size_t i = 0; i < children_.size(); ++i) {
            Child& child = children_[i];
            int status = 0;
            while (child.pid != 0 && ::waitpid(child.pid, &status, WNOHANG | WUNTRACED) == child.pid) {
                if (WIFSTOPPED(status)) {
                    child.is_stopped = true;
                    ++result_.stops;
                    continue;
                }
                history_.bury(static_cast<int>(i), now_ns());
                child = {};
                if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
                    ++result_.kills;
                } else if (status != 0) {
                    result_.problems.push_back("a worker ended with wait status " + std::to_string(status));
                }
            }
        }
    }

    // Until a child changes, or a random moment later.
    void wait_a_moment() {
        sigset_t children;
        sigemptyset(&children);
        sigaddset(&children, SIGCHLD);
        const timespec moment{0, static_cast<long>(dice_.between(20'000, 3'000'000))};
        ::sigtimedwait(&children, nullptr, &moment);
    }

    void disturb() {
        wait_a_moment();
        note_changes();
        for (std::size_t i = 0; i < children_.size(); ++i) {
            Child& child = children_[i];
            if (child.pid == 0) {
                if (dice_.one_in(2)) start(i);
            } else if (child.is_stopped && dice_.one_in(6)) {
                ::kill(child.pid, dice_.one_in(4) ? SIGKILL : SIGCONT);
                child.is_stopped = false;
            }
        }
        Child& victim = children_[dice_.roll(children_.size())];
        if (victim.pid == 0) return;
        const std::uint64_t roll = dice_.roll(10);
        if (roll < 2) ::kill(victim.pid, SIGKILL);
        if (roll >= 2 && roll < 5) ::kill(victim.pid, SIGSTOP);
    }

    bool is_any_left() const {
        for (const Child& child : children_) {
            if (child.pid != 0) return true;
        }
        return false;
    }

    // Half of them are killed, the others come to their end by themselves.
    void finish() {
        history_.stop().store(1);
        const std::uint64_t give_up = now_ns() + (plan_.guard_off == nullptr ? kPatienceNs : kSecond);
        for (const Child& child : children_) {
            if (child.pid != 0 && dice_.one_in(2)) ::kill(child.pid, SIGKILL);
        }
        while (is_any_left()) {
            for (const Child& child : children_) {
                if (child.pid != 0) ::kill(child.pid, SIGCONT);
            }
            wait_a_moment();
            note_changes();
            if (now_ns() < give_up) continue;
            result_.problems.push_back("a worker hangs");
            for (const Child& child : children_) {
                if (child.pid != 0) ::kill(child.pid, SIGKILL);
            }
        }
    }

    const RoundPlan& plan_;
    RoundResult& result_;
    Dice dice_;
    TestStore store_;
    History history_;
    std::vector<Child> children_;
};

}  // namespace

RoundResult run_processes(const RoundPlan& plan) {
    sigset_t children, before;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &children, &before);  // sigtimedwait fetches it
    RoundResult result;
    Supervisor(plan, &result).run();
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    return result;
}

RoundResult run_threads(const RoundPlan& plan) {
    RoundResult result;
    const TestStore place;
    History history(kLogsMax, plan.events_each);
    ks_store* store = nullptr;
    if (open_stress_store(place.url(), 0, &store) != KS_OK) std::abort();
    Dice dice(plan.seed);
    checked::guard_off = plan.guard_off;
    make_points_rough(dice.next(), false);  // the hook, before threads start
    std::vector<std::thread> threads;
    for (int i = 0; i < plan.workers; ++i) {
        threads.emplace_back([&history, &place, store, i, seed = dice.next()] {
            make_points_rough(seed, false);
            Worker worker(history, i, seed, place.url(), store);
            worker.run();
        });
    }
    const std::uint64_t end = now_ns() + plan.duration_ns;
    while (now_ns() < end) ::poll(nullptr, 0, 10);
    history.stop().store(1);
    for (std::thread& thread : threads) thread.join();
    checked::guard_off = nullptr;
    ks_close(store);
    judge_round(history, place.url(), &result);
    return result;
}

std::string text_of(const RoundResult& result) {
    std::string text = std::to_string(result.events) + " calls, " + std::to_string(result.kills) +
                       " kills, " + std::to_string(result.stops) + " stops\n";
    for (const std::string& problem : result.problems) text += "  " + problem + "\n";
    return text;
}

}  // namespace keystile::testing
