// Memory shared by the supervisor and its workers: what each worker counted, and how many chunks are handed
// out.
//
// Made by the supervisor before it forks (an anonymous shared mapping), so a killed worker's numbers stay
// readable. A WorkerScore has one writer, its worker; a ChunkReceipt the worker that finished the chunk, and in the
// end whoever sees that all are on disk. All atomics are statistics or advice to the workers, so relaxed is enough: a
// worker that sees an old number of chunks takes the next one a moment later. What the dead wrote is read after their
// end was awaited.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>

#include "swarm/latency_histogram.hpp"

namespace keystile::cli::swarm {

class Counter {
public:
    uint64_t get() const noexcept { return count_.load(std::memory_order_relaxed); }
    void add(uint64_t more = 1) noexcept { set(get() + more); }
    void set(uint64_t count) noexcept { count_.store(count, std::memory_order_relaxed); }

private:
    std::atomic<uint64_t> count_{0};
};

struct alignas(128) WorkerScore {  // two cache lines: workers do not slow each other down by counting
    Counter commits;               // answered KS_OK
    Counter conflicts;             // answered KS_CONFLICT
    Counter retries;               // values, or whole chunks, read and computed again, whatever the reason
    Counter held;                  // claims and commits answered KS_HELD
    Counter fenced;                // commits and releases under a claim answered KS_FENCED: it was taken away
    Counter
        zombie_writes;  // commits under a claim that was known to be lost, and were taken all the same: a bug
    Counter already_in;        // words whose value had the chunk already: work that somebody else had done
    Counter chunks;            // finished
    LatencyHistogram latency;  // of every call of ks_commit and ks_multi_commit
    std::array<char, 256> fault{};  // why the worker gave up, written before it exits
};

// What is known of a chunk of a durable store.
struct ChunkReceipt {
    Counter lsn;           // of the commit that finished it; 0: nobody has, or nobody lived to say so
    Counter acknowledged;  // 1: it is known to be on disk
};

class Scoreboard {
public:
    Scoreboard(uint32_t workers, size_t chunks);
    ~Scoreboard();
    Scoreboard(const Scoreboard&) = delete;
    Scoreboard& operator=(const Scoreboard&) = delete;

    std::span<WorkerScore> workers() const { return workers_; }
    std::span<ChunkReceipt> receipts() const { return receipts_; }
    uint64_t chunks_done() const;

    // All workers are dead, and so many chunks are done.
    void restart(uint64_t chunks_done);

    // Advice to the workers. Chunks from open_chunks() on are not handed out yet; slow motion is a nap after
    // each word.
    uint32_t open_chunks() const { return control_->open_chunks.load(std::memory_order_relaxed); }
    void open_up_to(uint32_t count) { control_->open_chunks.store(count, std::memory_order_relaxed); }
    bool is_slow() const { return control_->is_slow.load(std::memory_order_relaxed); }
    void go_slow(bool is_slow) { control_->is_slow.store(is_slow, std::memory_order_relaxed); }

private:
    struct Control {
        std::atomic<uint32_t> open_chunks{0};
        std::atomic<bool> is_slow{false};
    };

    void* memory_ = nullptr;
    size_t bytes_ = 0;
    Control* control_ = nullptr;
    std::span<WorkerScore> workers_;
    std::span<ChunkReceipt> receipts_;
    uint64_t done_before_ = 0;  // the restart
};

}  // namespace keystile::cli::swarm
