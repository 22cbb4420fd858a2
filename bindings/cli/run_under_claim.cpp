#include "run_under_claim.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "text.hpp"

namespace keystile::cli {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

// What this process waits for, blocked before the command starts so that none is missed.
sigset_t awaited_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGCHLD, SIGALRM, SIGINT, SIGTERM, SIGHUP, SIGQUIT}) sigaddset(&set, number);
    return set;
}

// SIGALRM every `period`, on the clock that leases use: after a suspend it comes at once.
class Alarm {
public:
    Alarm() { timer_create(CLOCK_BOOTTIME, nullptr, &timer_); }
    ~Alarm() { timer_delete(timer_); }
    Alarm(const Alarm&) = delete;
    Alarm& operator=(const Alarm&) = delete;
    void every(uint64_t period_ns) {
        const timespec period{static_cast<time_t>(period_ns / kSecond),
                              static_cast<long>(period_ns % kSecond)};
        const itimerspec both{period, period};
        timer_settime(timer_, 0, &both, nullptr);
    }

private:
    timer_t timer_{};
};

// The terminal, if this process may lend it: standard input and output of the foreground job, so no pager behind
// us. Whoever else has it, a shell that sent us to the background for one, keeps it.
class Terminal {
public:
    Terminal()
        : is_ours_(isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0 && is_foreground(getpgrp())) {
        if (is_ours_) std::signal(SIGTTOU, SIG_IGN);  // taking it back comes from the background
    }
    bool is_ours() const { return is_ours_; }
    void lend(pid_t group) const { pass(getpgrp(), group); }
    void take_back(pid_t group) const { pass(group, getpgrp()); }
    void take_back_from_the_dead() const {
        if (is_ours_) tcsetpgrp(STDIN_FILENO, getpgrp());
    }

private:
    static bool is_foreground(pid_t group) { return tcgetpgrp(STDIN_FILENO) == group; }
    void pass(pid_t from, pid_t to) const {
        if (is_ours_ && is_foreground(from)) tcsetpgrp(STDIN_FILENO, to);
    }
    bool is_ours_;
};

// The process id, or minus the errno.
pid_t spawn(const std::vector<std::string>& cmd, Environment& environment, const sigset_t& mask,
            const Terminal& terminal) {
    sigset_t defaults = awaited_signals();
    sigaddset(&defaults, SIGTTOU);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &mask);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (terminal.is_ours()) posix_spawn_file_actions_addtcsetpgrp_np(&actions, STDIN_FILENO);

    std::vector<std::string> words = cmd;
    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_t pid = 0;
    const int error = posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), environment.get());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error == 0 ? pid : -error;
}

// The command's end, if it has come. Stopped by the terminal: stop with it, and go on with it.
bool has_ended(pid_t pid, const Terminal& terminal, int& wait_status) {
    while (waitpid(pid, &wait_status, WNOHANG | WUNTRACED) == pid) {
        if (!WIFSTOPPED(wait_status)) return true;
        if (!terminal.is_ours()) continue;
        terminal.take_back(pid);
        raise(SIGSTOP);
        terminal.lend(pid);
        kill(-pid, SIGCONT);
    }
    return false;
}

}  // namespace

RunEnd run_under_claim(ks_session* session, const ks_grant& grant, uint64_t lease_ns, uint64_t grace_ns,
                       const std::vector<std::string>& cmd, Environment& environment) {
    const sigset_t awaited = awaited_signals();
    sigset_t before;
    sigprocmask(SIG_BLOCK, &awaited, &before);
    Terminal terminal;
    Alarm alarm;
    alarm.every(std::max<uint64_t>(lease_ns / 3, 1'000'000));
    RunEnd end;

    const pid_t pid = spawn(cmd, environment, before, terminal);
    if (pid < 0) {
        terminal.take_back_from_the_dead();  // it was lent before the command could not be executed
        fmt::print(stderr, "keystile: {}: {}\n", escaped(cmd.front()), strerror(-pid));
        end.wait_status = W_EXITCODE(pid == -ENOENT ? 127 : 126, 0);
    }
    while (pid > 0 && !has_ended(pid, terminal, end.wait_status)) {
        siginfo_t what{};
        if (sigwaitinfo(&awaited, &what) < 0 || what.si_signo == SIGCHLD) continue;
        if (what.si_signo != SIGALRM) {
            kill(-pid, what.si_signo);
        } else if (end.lost == KS_OK) {
            end.lost = ks_renew(session, &grant, lease_ns, &end.receipt);
            if (end.lost == KS_OK) continue;
            end.was_stopped = true;
            fmt::print(stderr, "keystile: the claim is lost, stopping {}\n", escaped(cmd.front()));
            kill(-pid, SIGTERM);
            kill(-pid, SIGCONT);
            alarm.every(std::max<uint64_t>(grace_ns, 1));
        } else {
            kill(-pid, SIGKILL);
        }
    }
    if (end.was_stopped) kill(-pid, SIGKILL);  // whoever of its group outlived it
    if (pid > 0) terminal.take_back(pid);
    if (end.lost == KS_OK) end.lost = ks_release(session, &grant, &end.receipt);
    return end;
}

}  // namespace keystile::cli
