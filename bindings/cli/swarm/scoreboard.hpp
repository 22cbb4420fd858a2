// Memory shared by the supervisor and its workers: what each worker counted, and how many chunks are handed
// out.
//
// Made by the supervisor before it forks (an anonymous shared mapping), so a killed worker's numbers stay
// readable. Each WorkerScore has one writer, its worker. All atomics are statistics, but for `open_chunks`;
// that is advice: a worker that sees an old number takes a chunk a moment later.
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
    void add(uint64_t more = 1) noexcept { count_.store(get() + more, std::memory_order_relaxed); }

private:
    std::atomic<uint64_t> count_{0};
};

struct alignas(128) WorkerScore {  // two cache lines: workers do not slow each other down by counting
    Counter commits;               // answered KS_OK
    Counter conflicts;             // answered KS_CONFLICT
    Counter retries;               // values read and computed again, whatever the reason
    Counter held;                  // claims and commits answered KS_HELD
    Counter fenced;  // commits under a claim answered KS_FENCED: the chunk was somebody else's by then
    Counter
        zombie_writes;  // commits under a claim that was known to be lost, and were taken all the same: a bug
    Counter already_in;        // words whose value had the chunk already: work that somebody else had done
    Counter chunks;            // finished
    LatencyHistogram latency;  // of every ks_commit call
    std::array<char, 256> fault{};  // why the worker gave up, written before it exits
};

class Scoreboard {
public:
    explicit Scoreboard(uint32_t workers);
    ~Scoreboard();
    Scoreboard(const Scoreboard&) = delete;
    Scoreboard& operator=(const Scoreboard&) = delete;

    std::span<WorkerScore> workers() const { return workers_; }
    uint64_t chunks_done() const;

    // Chunks from this number on are not handed out yet.
    uint32_t open_chunks() const { return static_cast<uint32_t>(open_chunks_->get()); }
    void open_up_to(uint32_t count) { open_chunks_->add(uint64_t{count} - open_chunks_->get()); }

private:
    void* memory_ = nullptr;
    size_t bytes_ = 0;
    Counter* open_chunks_ = nullptr;
    std::span<WorkerScore> workers_;
};

}  // namespace keystile::cli::swarm
