#include "support/child.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>

namespace keystile::testing {

namespace {

// One byte each way; a closed pipe reads as false.
bool read_byte(int fd) {
    char byte = 0;
    ssize_t got = -1;
    do {
        got = ::read(fd, &byte, 1);
    } while (got < 0 && errno == EINTR);
    return got == 1;
}

void write_byte(int fd) {
    const char byte = '!';
    if (::write(fd, &byte, 1) != 1) std::perror("pipe to a child");
}

#if defined(__SANITIZE_ADDRESS__)
// This sanitizer forks with the locks of its allocator as they are: one that another thread has at this moment (it
// starts, say) is taken in the child for ever. Who sleeps has none. With bounds: some tests' threads never sleep.
void await_sleep_of_other_threads() {
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        const pid_t thread = std::stoi(task.path().filename());
        for (int tries = 0; thread != ::gettid() && tries < 200 && !is_asleep_in_futex(thread); ++tries) {
        }
    }
}
#else
void await_sleep_of_other_threads() {}
#endif

}  // namespace

void Child::Line::ready() const {
    write_byte(out_);
}
void Child::Line::await() const {
    if (!read_byte(in_)) ::_exit(99);
}

Child::Child(const std::function<int(const Line&)>& run) {
    int down[2], up[2];
    if (::pipe2(down, O_CLOEXEC) != 0 || ::pipe2(up, O_CLOEXEC) != 0) std::abort();
    std::fflush(nullptr);
    const pid_t parent = ::getpid();
    await_sleep_of_other_threads();
    pid_ = ::fork();
    if (pid_ < 0) std::abort();
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(98);
        ::alarm(kWatchdogSeconds);
        ::close(down[1]);
        ::close(up[0]);
        int result = 97;
        try {
            result = run(Line(down[0], up[1]));
        } catch (const std::exception& problem) {
            std::fprintf(stderr, "child: %s\n", problem.what());
        }
        std::fflush(nullptr);
        ::_exit(result);
    }
    ::close(down[0]);
    ::close(up[1]);
    in_ = up[0];
    out_ = down[1];
}

Child::~Child() {
    if (ended_ < 0) kill();
    ::close(in_);
    ::close(out_);
}

bool Child::await_ready() {
    return read_byte(in_);
}
void Child::go() {
    write_byte(out_);
}

void Child::note(int status) noexcept {
    ended_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int Child::await_end() {
    while (ended_ < 0) {
        int status = 0;
        if (::waitpid(pid_, &status, 0) == pid_) {
            note(status);
        } else if (errno != EINTR) {
            std::abort();
        }
    }
    return ended_;
}

bool Child::await_stop() {
    while (ended_ < 0) {
        int status = 0;
        if (::waitpid(pid_, &status, WUNTRACED) != pid_) {
            if (errno != EINTR) std::abort();
            continue;
        }
        if (WIFSTOPPED(status)) return true;
        note(status);
    }
    return false;
}

void Child::resume() {
    ::kill(pid_, SIGCONT);
}

int Child::kill() {
    if (ended_ < 0) ::kill(pid_, SIGKILL);
    return await_end();
}

int run_in_child(const std::function<int()>& run) {
    Child child([&](const Child::Line&) { return run(); });
    return child.await_end();
}

bool is_asleep_in_futex(pid_t pid) {
    ::sched_yield();
    long number = -1;
    std::ifstream("/proc/" + std::to_string(pid) + "/syscall") >> number;
    return number == SYS_futex;
}

}  // namespace keystile::testing
