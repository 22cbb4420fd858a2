// Noticing fork: handles opened before it must not be used after it in the child.
#pragma once

#include <cstdint>

namespace keystile::engine {

// Grows by one in each forked child. Plain: it changes only in a child that has one thread yet.
extern std::uint32_t fork_generation;

// File descriptors that carry a liveness lock: closed in a forked child, so that the child does not keep its
// dead parent "alive". Registering installs the fork handler once per process.
void close_on_fork(int fd) noexcept;
void forget_on_fork(int fd) noexcept;

// The same for as long as it lives: it goes before the descriptor is closed.
class CloseOnFork {
public:
    CloseOnFork() noexcept = default;
    CloseOnFork(const CloseOnFork&) = delete;
    CloseOnFork& operator=(const CloseOnFork&) = delete;
    ~CloseOnFork() {
        if (fd_ >= 0) forget_on_fork(fd_);
    }
    void watch(int fd) noexcept {
        close_on_fork(fd);
        fd_ = fd;
    }

private:
    int fd_ = -1;
};

}  // namespace keystile::engine
