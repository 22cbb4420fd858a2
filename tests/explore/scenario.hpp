// A scenario: who does what at the same time, and what must be true afterwards besides what always must be.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "explore/world.hpp"

namespace keystile::explore {

struct Scenario {
    std::string_view name, about;
    int processes;
    void (*prepare)(World&);  // before the executions, by a quiet store
    std::array<Machine::Body, kProcessesMax> bodies;
    void (*judge)(World&);  // may be NULL
    // How many schedules there are at two preemptions, without a crash and with one.
    std::uint64_t schedules, schedules_with_crash;
};

std::span<const Scenario> scenarios();
const Scenario* find_scenario(std::string_view name);

}  // namespace keystile::explore
