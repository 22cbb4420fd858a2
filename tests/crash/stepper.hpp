// Single-stepping a process through one call, and killing it between two instructions.
//
// The call's path is recorded once by ptrace, instruction by instruction. To kill a later child after N
// instructions it runs at full speed to a breakpoint at an instruction before N that the path passes only
// once, and is stepped from there.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace keystile::testing {

// In the traced child: `act` between begin and end marks; everything before them runs at full speed.
class Traced {
public:
    // Forks. The child runs prepare(), the begin mark, act(), the end mark, and ends.
    Traced(const std::function<void()>& prepare, const std::function<void()>& act);
    Traced(const Traced&) = delete;
    Traced& operator=(const Traced&) = delete;
    ~Traced();  // kills it

    bool is_at_begin() const noexcept { return is_stopped_; }
    std::uint64_t instruction() const;   // address of the next one
    bool step();                         // false: the call is over (or the process)
    bool run_to(std::uint64_t address);  // true: it stands there; false: the call ended before
    void kill();

private:
    bool await_trap();
    pid_t pid_ = -1;
    bool is_stopped_ = false;
};

struct Path {
    std::vector<std::uint64_t> address;  // [n]: of the instruction that comes after n
    std::vector<bool> is_effect;         // [n]: the n-th stored to the segment, was locked, or a system call
};

// has_changed: has the segment changed since it was last asked?
Path record_path(Traced& child, const std::function<bool()>& has_changed);

// Kill a fresh child after n instructions. False: it did not come by there (its path differed), and was
// killed at its end.
bool kill_after(Traced& child, const Path& path, std::size_t n);

}  // namespace keystile::testing
