// What the saboteur will do, drawn from the seed before anything runs.
//
// A moment is a number of finished chunks, not a time: the same seed gives the same moments and the same order of
// workers to try on any machine.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "swarm/swarm_options.hpp"

namespace keystile::cli::swarm {

struct Deed {
    uint32_t due_at = 0;          // chunks done
    std::vector<uint32_t> order;  // whom to try first
};

struct Plan {
    std::vector<Deed> stops;  // the next one last
    std::vector<Deed> kills;
    std::optional<uint32_t> crash_at;  // chunks done: then everybody is killed
};

Plan make_plan(const Options& options, uint32_t chunks);

}  // namespace keystile::cli::swarm
