#include "swarm/scoreboard.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "swarm/failure.hpp"

namespace keystile::cli::swarm {

Scoreboard::Scoreboard(uint32_t workers) : bytes_(sizeof(WorkerScore) * (size_t{workers} + 1)) {
    memory_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED) {
        throw Failure(ExitCode::fault,
                      std::string("no memory for the workers' counters: ") + std::strerror(errno));
    }
    auto* first = static_cast<WorkerScore*>(memory_);
    std::uninitialized_value_construct_n(first, workers);
    workers_ = {first, workers};
    control_ = std::construct_at(reinterpret_cast<Control*>(first + workers));
}

Scoreboard::~Scoreboard() {
    munmap(memory_, bytes_);
}

uint64_t Scoreboard::chunks_done() const {
    uint64_t sum = 0;
    for (const WorkerScore& score : workers_) {
        sum += score.chunks.get();
    }
    return sum;
}

}  // namespace keystile::cli::swarm
