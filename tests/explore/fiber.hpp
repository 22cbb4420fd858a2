// A stack of its own that can be left and entered again: one simulated process.
//
// Switching is ten instructions: swapcontext() makes a system call each time, which would be most of an
// execution. A fiber that is not entered again is simply forgotten; what ran in it must own nothing.
#pragma once

#include <cstddef>
#include <memory>

namespace keystile::explore {

class Fiber {
public:
    static constexpr std::size_t kStackBytes = 128 * 1024;
    using Entry = void (*)(void* argument);

    Fiber() : stack_(new std::byte[kStackBytes]) {}

    // From the beginning, at the next enter().
    void start(Entry entry, void* argument) noexcept;
    // Until it calls leave(). `entry` must not return: its last act is leave().
    void enter() noexcept;
    // Called inside the fiber: back to who entered it.
    void leave() noexcept;

private:
    std::unique_ptr<std::byte[]> stack_;
    void* fiber_at_ = nullptr;  // stack pointers of whichever side is not running
    void* caller_at_ = nullptr;
};

}  // namespace keystile::explore
