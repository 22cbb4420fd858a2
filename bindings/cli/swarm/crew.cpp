#include "swarm/crew.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "swarm/failure.hpp"

namespace keystile::cli::swarm {
namespace {

[[noreturn]] void fail(const char* what) {
    throw Failure(ExitCode::fault, std::string(what) + ": " + std::strerror(errno));
}

// waitpid without EINTR. 0 only with WNOHANG.
pid_t wait_for(pid_t pid, int* status, int flags) {
    pid_t answer = -1;
    do {
        answer = waitpid(pid, status, flags);
    } while (answer == -1 && errno == EINTR);
    return answer;
}

void die_with(pid_t supervisor) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != supervisor) {  // it died before the line above
        _exit(1);
    }
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
        std::signal(number, SIG_DFL);
    }
}

}  // namespace

Crew::Crew(uint32_t count, const std::function<int(uint32_t)>& work) : members_(count) {
    if (pipe(start_pipe_) != 0) {
        fail("pipe");
    }
    const pid_t supervisor = getpid();
    for (uint32_t number = 0; number < count; ++number) {
        const pid_t child = fork();
        if (child == -1) {
            const int code = errno;
            members_.resize(number);
            for (const Member& member : members_) {
                ::kill(member.pid, SIGKILL);
                wait_for(member.pid, nullptr, 0);
            }
            errno = code;
            fail("fork");
        }
        if (child == 0) {
            die_with(supervisor);
            close(start_pipe_[1]);
            char nothing = 0;
            while (::read(start_pipe_[0], &nothing, 1) == -1 && errno == EINTR) {
            }
            _exit(work(number));
        }
        members_[number].pid = child;
    }
}

Crew::~Crew() {
    for (uint32_t number = 0; number < size(); ++number) {
        kill(number);
    }
    close(start_pipe_[0]);
    if (start_pipe_[1] != -1) {
        close(start_pipe_[1]);
    }
}

void Crew::go() {
    close(start_pipe_[1]);
    start_pipe_[1] = -1;
}

void Crew::collect() {
    for (Member& member : members_) {
        int status = 0;
        const bool is_alive = member.condition == Condition::running || member.condition == Condition::frozen;
        if (is_alive && wait_for(member.pid, &status, WNOHANG) == member.pid) {
            note_end(member, status);
        }
    }
}

std::vector<uint32_t> Crew::freeze(const std::vector<uint32_t>& numbers) {
    for (const uint32_t number : numbers) {
        ::kill(members_[number].pid, SIGSTOP);  // ours until we wait for it: the pid cannot be anyone else's
    }
    std::vector<uint32_t> frozen;
    for (const uint32_t number : numbers) {
        int status = 0;
        wait_for(members_[number].pid, &status, WUNTRACED);
        if (WIFSTOPPED(status)) {
            members_[number].condition = Condition::frozen;
            frozen.push_back(number);
        } else {
            note_end(members_[number], status);
        }
    }
    return frozen;
}

void Crew::wake(uint32_t number) {
    ::kill(members_[number].pid, SIGCONT);
    members_[number].condition = Condition::running;
}

bool Crew::kill(uint32_t number) {
    Member& member = members_[number];
    if (member.condition != Condition::running && member.condition != Condition::frozen) {
        return false;
    }
    int status = 0;
    ::kill(member.pid, SIGKILL);
    wait_for(member.pid, &status, 0);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        member.condition = Condition::killed;
        return true;
    }
    note_end(member, status);
    return false;
}

uint32_t Crew::count(Condition condition) const {
    uint32_t found = 0;
    for (const Member& member : members_) {
        found += member.condition == condition ? 1u : 0u;
    }
    return found;
}

uint32_t Crew::number_of(pid_t pid) const {
    uint32_t number = 0;
    while (number < size() && members_[number].pid != pid) {
        ++number;
    }
    return number;
}

void Crew::note_end(Member& member, int status) {
    member.condition =
        WIFEXITED(status) && WEXITSTATUS(status) == 0 ? Condition::finished : Condition::failed;
}

}  // namespace keystile::cli::swarm
