// One run of the swarm: store, workers, stops and kills, or a crash and what comes after it, audit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "swarm/audit.hpp"
#include "swarm/crash.hpp"
#include "swarm/swarm_options.hpp"
#include "swarm/text.hpp"

namespace keystile::cli::swarm {

struct Outcome {
    Audit audit;
    uint64_t chunks = 0;
    uint64_t commits = 0, conflicts = 0, retries = 0, held = 0, fenced = 0, already_in = 0;
    uint32_t stopped = 0, killed = 0;
    std::optional<Crash> crash;
    uint64_t on_disk = 0;                          // chunks known to be, of a durable store
    uint64_t p50_ns = 0, p99_ns = 0, p999_ns = 0;  // of one call of ks_multi_commit or ks_commit
    uint64_t elapsed_ns = 0;                       // from the start of the workers to the end of the last
    std::vector<std::string> events;               // the stops and kills, a sentence each
    std::vector<std::string> complaints;           // what must not be, a sentence each
};

// Throws Failure. Whatever happens, no worker and no temporary store is left.
Outcome run(const Options& options, const Text& text);

}  // namespace keystile::cli::swarm
