// A forked process that a test stops, kills and waits for. No waiting for time: pipes and waitpid only.
//
// The child dies with the test (parent-death signal) and after kWatchdogSeconds of its own (alarm), so that
// a hang is a failure with a name and not a silent timeout.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

namespace keystile::testing {

inline constexpr unsigned kWatchdogSeconds = 60;

class Child {
public:
    // What the child has of the connection.
    class Line {
    public:
        Line(int in, int out) noexcept : in_(in), out_(out) {}
        void ready() const;  // tell the parent
        void await() const;  // wait until the parent tells us

    private:
        int in_, out_;
    };

    // Forks; `run` goes on in the child, its result is the exit status.
    explicit Child(const std::function<int(const Line&)>& run);
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child();  // killed, if it was not waited for

    pid_t pid() const noexcept { return pid_; }
    bool await_ready();  // false: it ended before
    void go();           // let its await() return
    // Exit status, or 128 + the signal that ended it.
    int await_end();
    // True: it stopped. False: it ended instead (await_end() tells how).
    bool await_stop();
    void resume();
    int kill();  // SIGKILL, then await_end()

private:
    void note(int status) noexcept;

    pid_t pid_ = -1;
    int in_ = -1, out_ = -1;  // the parent's ends
    int ended_ = -1;
};

// For a run that is nothing but a number: forks, waits, answers the exit status.
int run_in_child(const std::function<int()>& run);

// Is the process asleep in a futex call? (asks /proc; for tests that must kill a waker whose waiter really
// sleeps)
bool is_asleep_in_futex(pid_t pid);

}  // namespace keystile::testing
