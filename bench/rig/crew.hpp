// Processes that work at the same time, on a word of command from the one that forked them.
//
// A worker looks at the command between short bursts; a command is a number: kIdle, kQuit, or which of its
// works to do.
#pragma once

#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <vector>

#include "rig/work.hpp"

namespace keystile::bench {

inline void pin_to_core(unsigned core) noexcept {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(core % static_cast<unsigned>(::sysconf(_SC_NPROCESSORS_ONLN)), &cores);
    ::sched_setaffinity(0, sizeof cores, &cores);
}

inline constexpr std::uint64_t kIdle = 1000, kQuit = 1001;

class Crew {
public:
    // In each child, after it was pinned: build the works; command w runs works[w].
    using MakeWorks = std::function<std::vector<std::unique_ptr<Work>>(unsigned rank)>;
    // One burst of a work; by default `burst` operations. The harness times each.
    using RunBurst = std::function<void(unsigned rank, std::uint64_t which, Work& work)>;

    Crew(unsigned workers, unsigned first_core, const MakeWorks& make_works,
         const RunBurst& run_burst = run_plainly)
        : desks_(workers), workers_(workers) {
        post_[0].command.store(kIdle, std::memory_order_release);
        for (unsigned i = 0; i < workers; ++i) {
            const pid_t parent = ::getpid();
            const pid_t pid = ::fork();
            need(pid >= 0, "fork");
            if (pid == 0) {
                ::prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (::getppid() != parent) ::_exit(1);
                pin_to_core(first_core + i);
                live(i, make_works, run_burst);
            }
            pids_.push_back(pid);
        }
        command(kIdle);  // answered when the works are built
    }
    ~Crew() {
        post_[0].command.store(kQuit, std::memory_order_release);
        for (const pid_t pid : pids_) ::waitpid(pid, nullptr, 0);
    }
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;

    // All workers do this now: returns when each has begun it (for kIdle: when none does anything).
    void command(std::uint64_t what) noexcept {
        post_[0].command.store(what, std::memory_order_release);
        for (unsigned i = 0; i < workers_; ++i) {
            while (desks_[i].doing.load(std::memory_order_acquire) != what + 1) {
                ::sched_yield();
                need(::waitpid(pids_[i], nullptr, WNOHANG) == 0, "a worker died");
            }
        }
    }
    // Stopped by a signal, at whatever instruction it is, until it is resumed.
    void stop(unsigned worker) noexcept {
        int how = 0;
        need(::kill(pids_[worker], SIGSTOP) == 0, "SIGSTOP");
        need(::waitpid(pids_[worker], &how, WUNTRACED) == pids_[worker] && WIFSTOPPED(how), "a worker died");
    }
    void resume(unsigned worker) noexcept { need(::kill(pids_[worker], SIGCONT) == 0, "SIGCONT"); }
    // What a worker has done so far in one of its works.
    Tally tally(unsigned worker, std::size_t which) const noexcept {
        const Sheet& sheet = desks_[worker].sheets[which];
        return {sheet.done.load(std::memory_order_relaxed), sheet.wins.load(std::memory_order_relaxed),
                sheet.conflicts.load(std::memory_order_relaxed),
                sheet.attempts.load(std::memory_order_relaxed)};
    }
    unsigned workers() const noexcept { return workers_; }

private:
    static constexpr std::uint64_t kBurst = 32;  // operations between two looks at the command
    static constexpr std::size_t kWorksMax = 8;
    struct alignas(64) Sheet {
        std::atomic<std::uint64_t> done, wins, conflicts, attempts;
    };
    struct alignas(128) Post {
        std::atomic<std::uint64_t> command;
    };
    struct alignas(128) Desk {
        std::atomic<std::uint64_t> doing;  // its last command + 1
        Sheet sheets[kWorksMax];
    };

    static void run_plainly(unsigned, std::uint64_t, Work& work) { work.run(kBurst); }

    [[noreturn]] void live(unsigned rank, const MakeWorks& make_works, const RunBurst& run_burst) {
        Desk& desk = desks_[rank];
        {
            const auto works = make_works(rank);
            for (;;) {
                const std::uint64_t what = post_[0].command.load(std::memory_order_acquire);
                if (what == kQuit) break;
                desk.doing.store(what + 1, std::memory_order_release);
                if (what == kIdle) {
                    for (int i = 0; i < 100; ++i) engine::pause();
                    ::sched_yield();  // there may be more of us than cores
                    continue;
                }
                Work& work = *works[what];
                run_burst(rank, what, work);
                publish(desk.sheets[what], work.tally());
            }
        }
        ::_exit(0);  // not exit: what the parent made is the parent's to destroy
    }
    static void publish(Sheet& sheet, const Tally& tally) noexcept {
        sheet.done.store(tally.done, std::memory_order_relaxed);
        sheet.wins.store(tally.wins, std::memory_order_relaxed);
        sheet.conflicts.store(tally.conflicts, std::memory_order_relaxed);
        sheet.attempts.store(tally.attempts, std::memory_order_relaxed);
    }

    Shared<Post> post_{1};
    Shared<Desk> desks_;
    unsigned workers_;
    std::vector<pid_t> pids_;
};

}  // namespace keystile::bench
