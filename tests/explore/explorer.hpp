// Walks the schedules of a scenario: all of them within the bounds, or a random sample.
#pragma once

#include <cstdio>
#include <optional>

#include "explore/scenario.hpp"

namespace keystile::explore {

struct Plan {
    Limits limits;
    std::uint64_t schedules_max = UINT64_MAX;  // then it is not exhausted
    std::uint64_t random = 0;                  // that many random schedules instead of all
    std::uint64_t seed = 1;
};

struct Failure {
    std::string what;
    Schedule schedule;
};

struct Finding {
    std::uint64_t schedules = 0;      // of the last pass: the one that knew all contended places
    std::uint64_t schedules_all = 0;  // of all passes
    std::uint64_t whole = 0;          // the others ended where one before had come
    std::uint64_t crashed = 0;
    std::uint64_t steps_max = 0;
    int passes = 1;
    bool is_exhausted = false;
    double seconds = 0;
    std::optional<Failure> failure;
};

Finding explore(const Scenario& scenario, const Plan& plan);

// All schedules with all pruning of machine.hpp, and all with less: both must end in the same ways.
struct Comparison {
    std::uint64_t schedules_pruned = 0, schedules = 0;
    std::uint64_t ends_pruned = 0, ends = 0;
    std::uint64_t ends_missed = 0;  // by the pruned ones
    bool is_sharing_known = true;   // the unpruned ones learned of no other place
};
Comparison compare(const Scenario& scenario, const Limits& limits, Pruning other);

// What the schedules within the bounds show: of those that show the same one, as a line of JSON. How many there are.
std::uint64_t write_traces(const Scenario& scenario, const Plan& plan, std::FILE* file);

// One schedule again, told access by access.
std::string replay(const Scenario& scenario, const Schedule& schedule, std::FILE* trace);

}  // namespace keystile::explore
