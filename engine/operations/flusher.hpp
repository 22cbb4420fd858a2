// The thread of a process that keeps the flush interval of a durable store, for itself and for all others.
//
// While nothing is committed it sleeps; the first commit after that wakes it. A process without one relies on those of
// others, on whoever waits for durability, and on whoever finds the ring half full.
#pragma once

#include <memory>
#include <thread>

#include "operations/flush.hpp"

namespace keystile::engine {

class Flusher {
public:
    // False: no thread could be made.
    bool start(Store& store, std::uint64_t interval_ns);
    // Flushes a last time, so that what this process committed does not wait for others.
    void stop() noexcept;
    // In a forked child: the thread is the parent's, and its id may be that of a thread of ours by now.
    void abandon() noexcept { std::construct_at(&thread_); }
    ~Flusher() { stop(); }

    // After a relaxed commit at p. One load, mostly.
    void notice_commit(Store& store, Position p) noexcept {
        // order[flusher.notice]: relaxed. After the commit's locked steps; partner: flusher.idle.
        if (is_idle_.load(memory_order_relaxed) != 0) [[unlikely]]
            wake_up();
        if (p % kLookEvery == 0) [[unlikely]]
            look_at_ring(store, p);
    }

private:
    static constexpr Position kLookEvery = 256;

    // Half full: who waits for a full ring waits for the disk.
    void look_at_ring(Store& store, Position p) noexcept;
    void run() noexcept;
    void wake_up() noexcept;

    Store* store_ = nullptr;
    std::uint64_t interval_ns_ = 0;
    shm::Atomic32 is_idle_{0};
    shm::Atomic32 bell_{0};  // futex
    shm::Atomic32 is_stopping_{0};
    std::thread thread_;
};

}  // namespace keystile::engine
