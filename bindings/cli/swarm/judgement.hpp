// Adds up what the workers counted, and says what must not be.
#pragma once

#include "swarm/crew.hpp"
#include "swarm/run.hpp"
#include "swarm/saboteur.hpp"
#include "swarm/scoreboard.hpp"

namespace keystile::cli::swarm {

struct Evidence {
    const Options& options;
    uint64_t chunks;
    const Scoreboard& board;
    const Crew& crew;
    const Saboteur& saboteur;
    Audit audit;
    uint64_t elapsed_ns;
};

// Throws Failure if the text was done before all stops and kills had happened: then nothing is proved.
Outcome judge(Evidence evidence);

}  // namespace keystile::cli::swarm
