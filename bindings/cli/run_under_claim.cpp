#include "run_under_claim.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "quantity.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

// What this process waits for, blocked before the command starts so that none is missed.
constexpr int kAwaited[] = {SIGCHLD, SIGALRM, SIGINT, SIGTERM, SIGHUP, SIGQUIT};

sigset_t awaited_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : kAwaited) sigaddset(&set, number);
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
    void take() const {  // whoever has it
        if (is_ours_) tcsetpgrp(STDIN_FILENO, getpgrp());
    }

private:
    static bool is_foreground(pid_t group) { return tcgetpgrp(STDIN_FILENO) == group; }
    void pass(pid_t from, pid_t to) const {
        if (is_ours_ && is_foreground(from)) tcsetpgrp(STDIN_FILENO, to);
    }
    bool is_ours_;
};

// The child's part, up to the command. It dies with its parent, also if that happened before it could ask for it.
[[noreturn]] void become(const std::vector<char*>& argv, char** environment, const sigset_t& mask,
                         const Terminal& terminal, pid_t parent, int error_pipe) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) raise(SIGKILL);
    setpgid(0, 0);
    terminal.take();  // SIGTTOU is ignored still
    for (const int number : kAwaited) std::signal(number, SIG_DFL);
    std::signal(SIGTTOU, SIG_DFL);
    const sigset_t ignored = newly_ignored_signals();
    if (sigismember(&ignored, SIGXFSZ) == 1) std::signal(SIGXFSZ, SIG_DFL);
    sigprocmask(SIG_SETMASK, &mask, nullptr);
    execvpe(argv[0], argv.data(), environment);
    const int error = errno;
    (void)!write(error_pipe, &error, sizeof error);
    _exit(127);
}

// The process id, or minus the errno. fork, not posix_spawn, which has no way to ask for PR_SET_PDEATHSIG.
pid_t spawn(const std::vector<std::string>& cmd, Environment& environment, const sigset_t& mask,
            const Terminal& terminal) {
    std::vector<std::string> words = cmd;
    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);

    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return -errno;
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid == 0) become(argv, environment.get(), mask, terminal, parent, ends[1]);
    int error = pid < 0 ? errno : 0;
    close(ends[1]);
    // Nothing but the end of the pipe: the command has begun.
    const bool has_failed = pid > 0 && read(ends[0], &error, sizeof error) == sizeof error;
    close(ends[0]);
    if (has_failed) waitpid(pid, nullptr, 0);
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
        terminal.take();  // it was lent before the command could not be executed
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
