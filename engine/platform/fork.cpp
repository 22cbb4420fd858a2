#include "platform/fork.hpp"

#include <pthread.h>
#include <unistd.h>

#include <mutex>
#include <vector>

namespace keystile::engine {

std::uint32_t fork_generation = 0;

namespace {

// A process-private lock around a process-private list; taken at open, close and fork only, never by an
// operation.
std::mutex list_lock;  // tidy-allow(mutex): process-private, at open, close and fork only
std::vector<int>& list() {
    // Never destroyed: what runs at exit, and threads that go on meanwhile, may still open and close stores.
    static std::vector<int>& fds = *new std::vector<int>;
    return fds;
}

void before_fork() {
    list_lock.lock();
}
void after_fork_in_parent() {
    list_lock.unlock();
}
void after_fork_in_child() {
    ++fork_generation;
    for (const int fd : list()) ::close(fd);
    list().clear();
    list_lock.unlock();
}

}  // namespace

void close_on_fork(int fd) noexcept {
    static const int is_installed = ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    (void)is_installed;
    const std::lock_guard guard(list_lock);
    list().push_back(fd);
}

void forget_on_fork(int fd) noexcept {
    const std::lock_guard guard(list_lock);
    std::erase(list(), fd);
}

}  // namespace keystile::engine
