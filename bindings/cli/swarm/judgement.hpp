// Adds up what the workers counted, and says what must not be.
#pragma once

#include "swarm/run.hpp"
#include "swarm/shift.hpp"

namespace keystile::cli::swarm {

struct Evidence {
    const Job& job;
    const Shift& shift;  // the last one
    Audit audit;
    std::optional<Crash> crash;
    std::vector<std::string> events;
    uint64_t elapsed_ns;
};

// Throws Failure if the text was done before all stops and kills had happened: then nothing is proved.
Outcome judge(Evidence evidence);

}  // namespace keystile::cli::swarm
