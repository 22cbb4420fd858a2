// A round of stress: a fresh store, workers, disturbance, and the judgement of what they did.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace keystile::testing {

struct RoundPlan {
    std::uint64_t seed = 1;
    int workers = 6;
    std::uint64_t duration_ns = 1'500'000'000;
    std::uint64_t events_each = 120'000;
    const char* guard_off = nullptr;  // a mutant of the engine
};

struct RoundResult {
    std::vector<std::string> problems;
    std::uint64_t events = 0, kills = 0, stops = 0;
};

// Processes; killed, stopped, continued and born again all the time.
RoundResult run_processes(const RoundPlan& plan);
// Threads of this process, one store, a session each.
RoundResult run_threads(const RoundPlan& plan);

std::string text_of(const RoundResult& result);

}  // namespace keystile::testing
