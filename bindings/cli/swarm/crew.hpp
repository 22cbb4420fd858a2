// The worker processes: forked, started together, frozen, woken, killed, and collected. Whatever happens to
// the supervisor, none is left behind: this object's end kills them, and the kernel does if the supervisor
// itself is killed.
//
// fork without exec: made before this process has a store open or a second thread; each child opens the store
// itself.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace keystile::cli::swarm {

enum class Condition { running, frozen, killed, finished, failed };

class Crew {
public:
    // work(number) is each child's main; its answer is the exit status. Children wait for go().
    Crew(uint32_t count, const std::function<int(uint32_t)>& work);
    ~Crew();
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;

    void go();
    void collect();  // looks who has ended

    // SIGSTOP to all of them at once, then waits until it took effect. Answers who is frozen: the others had ended.
    std::vector<uint32_t> freeze(const std::vector<uint32_t>& numbers);
    void wake(uint32_t number);  // SIGCONT
    bool kill(uint32_t number);  // SIGKILL, and waits for the death; false: it had ended already
    void kill_all();             // SIGKILL to all of them at once, then waits for the deaths

    uint32_t size() const { return static_cast<uint32_t>(members_.size()); }
    Condition condition(uint32_t number) const { return members_[number].condition; }
    uint32_t number_of(pid_t pid) const;  // size() if it is not one of ours
    uint32_t count(Condition condition) const;
    bool is_over() const { return count(Condition::running) + count(Condition::frozen) == 0; }

private:
    struct Member {
        pid_t pid = 0;
        Condition condition = Condition::running;
    };

    void note_end(Member& member, int status);

    std::vector<Member> members_;
    int start_pipe_[2] = {-1, -1};  // nothing is ever written: its end of file is the start
};

}  // namespace keystile::cli::swarm
