#include "swarm/scoreboard.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "swarm/failure.hpp"

namespace keystile::cli::swarm {

Scoreboard::Scoreboard(uint32_t workers, size_t chunks)
    : bytes_(sizeof(WorkerScore) * (size_t{workers} + 1) + sizeof(ChunkReceipt) * chunks) {
    memory_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED) {
        throw Failure(ExitCode::fault,
                      std::string("no memory for the workers' counters: ") + std::strerror(errno));
    }
    auto* first = static_cast<WorkerScore*>(memory_);
    std::uninitialized_value_construct_n(first, workers);
    workers_ = {first, workers};
    control_ = std::construct_at(reinterpret_cast<Control*>(first + workers));
    auto* receipts = reinterpret_cast<ChunkReceipt*>(first + workers + 1);
    std::uninitialized_value_construct_n(receipts, chunks);
    receipts_ = {receipts, chunks};
}

Scoreboard::~Scoreboard() {
    munmap(memory_, bytes_);
}

uint64_t Scoreboard::chunks_done() const {
    uint64_t sum = done_before_;
    for (const WorkerScore& score : workers_) {
        sum += score.chunks.get();
    }
    return sum;
}

void Scoreboard::restart(uint64_t chunks_done) {
    for (WorkerScore& score : workers_) {
        score.chunks.set(0);
    }
    done_before_ = chunks_done;
}

}  // namespace keystile::cli::swarm
