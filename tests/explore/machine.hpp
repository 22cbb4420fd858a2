// Simulated processes on simulated x86 processors: who goes on at each access, what has left whose store
// buffer, who is dead.
//
// M1  Between two points of decision one process runs alone. So when its stores drain in between does not
//     matter: that is decided where it is left, where it dies, and where another process looks at a place that
//     it still has a store for.
// M2  A process is left before a load of a contended place or a locked instruction on one. Leaving it before a
//     plain store is the same as leaving it after, with that store pending.
// M3  A process dies before a locked instruction, or at its end, with any number of its pending stores visible.
//     A death elsewhere leaves one of the same memories: loads leave no trace, stores only by draining.
// M4  A process is deterministic and learns of the others only what memory and the machine tell it: so where it stands
//     is what it was told so far. Between two points of decision it is told something. Hence memory, what each living
//     process was told and how many of its stores wait, and what those that are over left behind, are the whole state:
//     what can follow depends on nothing else but the bounds, and whoever comes to it again need not go on.
// The hooks of platform/explored.hpp land here; outside of run() they access memory at once.
#pragma once

#include <array>
#include <functional>

#include "explore/fiber.hpp"
#include "explore/schedule.hpp"
#include "explore/sharing.hpp"
#include "explore/states.hpp"
#include "explore/store_buffer.hpp"

namespace keystile::explore {

inline constexpr int kProcessesMax = 4;

// Which ways are left out because they lead to where others lead; each with those before it.
enum class Pruning { kNone, kPlaces /* M2, M3 */, kStates /* M4 */ };

struct Limits {
    int preemptions = 2;  // processes left that could go on, and stores seen late
    int crashes = 1;
    std::uint32_t steps = 20'000;        // of one process: more is no progress
    Pruning pruning = Pruning::kStates;  // kNone: every access is a point and every store matters
};

// Is told what others could see of an execution, as it happens.
class Witness {
public:
    Witness() = default;
    Witness(const Witness&) = delete;
    Witness& operator=(const Witness&) = delete;
    virtual ~Witness() = default;
    // By a store or a locked instruction of this process, at this place in memory.
    virtual void changed(int process, std::size_t offset) = 0;
    virtual void died(int process) = 0;
};

class Machine {
public:
    // What a simulated process does. It must own nothing: a crash forgets it.
    using Body = void (*)(int process);
    // One line for each access, for people who read a replay.
    using Trace = std::function<void(const std::string& line)>;
    // What lies at an offset, in words.
    using Name = std::function<std::string(std::size_t offset)>;

    Machine(Memory& memory, Sharing& sharing, int processes);
    ~Machine();
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    // What a process leaves behind in private when it is over, as a number.
    using Remains = std::function<std::uint64_t(int process)>;
    // From now on an execution ends where it meets a state that was met before. NULL: none does.
    void remember(States* states, Remains remains) {
        states_ = states;
        remains_ = std::move(remains);
    }

    // Which process a participant record stands for; others never die.
    void bind(std::uint32_t participant, int process) { process_of_.at(participant) = process; }
    void trace(Trace trace, Name name) {
        trace_ = std::move(trace);
        name_ = std::move(name);
    }

    // NULL: nobody is told.
    void attend(Witness* witness);

    // One execution, then every store is drained. `chooser` is asked wherever there is more than one way;
    // without one, `script` is followed.
    void run(const Limits& limits, Chooser* chooser, const Schedule& script, const Body* bodies);

    bool is_dead(int process) const noexcept { return processes_[static_cast<std::size_t>(process)].is_dead; }
    bool is_stuck() const noexcept { return is_stuck_; }
    // The last run met a state from which everything was walked before, or will be.
    bool is_known() const noexcept { return is_known_; }
    bool has_crashed() const noexcept { return crashes_left_ != limits_.crashes; }
    // What was chosen in the last run.
    const Schedule& schedule() const noexcept { return taken_; }
    std::uint32_t steps() const noexcept { return step_; }
    std::uint64_t now_us = 1'000'000'000;  // the simulated clock; stands still

    // The hooks.
    void load(std::size_t offset, void* to, std::size_t bytes) noexcept;
    void store(std::size_t offset, const void* from, std::size_t bytes) noexcept;
    // Before a locked instruction: the point of decision, then the drain.
    void lock(std::size_t offset, std::size_t bytes) noexcept;
    void find(std::size_t offset, void* to, std::size_t bytes) noexcept;
    void write(std::size_t offset, const void* from, std::size_t bytes) noexcept;
    bool is_alive(std::uint32_t participant) noexcept;
    Memory& memory() noexcept { return memory_; }
    void tell(const char* what, std::size_t offset, std::uint64_t value) {
        if (trace_ && current_ >= 0) write_line(what, offset, value);
    }

private:
    static constexpr std::uint64_t kToldNothing = 0xD1B54A32D192ED03u;
    struct Process {
        Fiber fiber;
        StoreBuffer stores;
        Body body = nullptr;
        int number = 0;
        bool is_over = false;  // ended or dead
        bool is_dead = false;
        std::uint32_t steps = 0;
        std::uint64_t told =
            kToldNothing;  // all that it was told so far, as a number; over: what it left behind
    };
    static constexpr std::size_t kWaysMax = 512;

    static void enter_body(void* process);
    Process& current() noexcept { return processes_[static_cast<std::size_t>(current_)]; }
    bool is_runnable(int process) const noexcept {
        return !processes_[static_cast<std::size_t>(process)].is_over;
    }
    bool has_runnable() const noexcept;

    void note(std::size_t offset, std::size_t bytes, bool is_write) noexcept;
    bool is_contended(std::size_t offset, std::size_t bytes) const noexcept;
    bool is_observed(const StoreBuffer::Store& store) const noexcept;
    void write_line(const char* what, std::size_t offset, std::uint64_t value);
    void learn(const void* from, std::size_t bytes) noexcept;
    std::uint64_t state() const noexcept;
    bool is_met() noexcept;
    void bury(Process& process) noexcept;
    void drain(Process& process, std::size_t stores) noexcept;
    void die() noexcept;
    void count_step() noexcept;
    void point(std::size_t offset, std::size_t bytes, bool is_locked) noexcept;
    Decision decide() noexcept;
    void obey(const Decision& decision) noexcept;
    void end_of_current() noexcept;

    template <class Matters>
    void add_ways(Act act, int to, Matters matters) noexcept;
    void add_switches(int to) noexcept;
    void add_crashes() noexcept;
    void add_late_drains(std::size_t offset, std::size_t bytes) noexcept;
    void add(Act act, int process, std::size_t stores) noexcept;

    Memory& memory_;
    Sharing& sharing_;
    const int count_;
    std::array<Process, kProcessesMax> processes_;
    std::array<int, 64> process_of_;
    Machine* outer_;

    Limits limits_;
    Chooser* chooser_ = nullptr;
    Schedule script_, taken_;
    std::size_t script_at_ = 0;
    std::array<Decision, kWaysMax> ways_;
    std::size_t ways_count_ = 0;

    int current_ = -1;  // -1: nobody, the machine's owner itself accesses memory
    int next_ = 0;
    int writer_ = -1;  // whose access changes memory
    int preemptions_left_ = 0, crashes_left_ = 0;
    bool is_stuck_ = false, is_known_ = false;
    States* states_ = nullptr;
    Remains remains_;
    Witness* witness_ = nullptr;
    std::uint32_t step_ = 0;
    Trace trace_;
    Name name_;
};

// The one that runs now; NULL: memory is accessed at once.
Machine* machine() noexcept;

}  // namespace keystile::explore
