// What comes after the death of everybody: their memory goes as well, the store is made again from its files, and what
// is in it is held against what the dead had been told.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "swarm/scoreboard.hpp"
#include "swarm/store.hpp"

namespace keystile::cli::swarm {

struct Crash {
    uint64_t finished = 0;                   // chunks that were done, as far as anybody lived to say so
    uint64_t acknowledged = 0;               // of these, known as on disk
    uint64_t recovered = 0;                  // chunks that are done in what the files gave
    uint64_t again = 0;                      // the other ones of `finished`
    uint64_t journals = 0, checkpoints = 0;  // files that it was made from
    uint64_t recovery_ns = 0;

    std::vector<std::string> complaints;
};

// Nobody has the store open; its segment lies in `memory`. Notes on the board what there is, so that a new crew can go
// on. Throws Failure.
Crash recover(const std::string& url, MemoryFolder& memory, Scoreboard& board);

}  // namespace keystile::cli::swarm
