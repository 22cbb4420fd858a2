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
    void (*judge)(World&);    // may be NULL
    bool is_durable = false;  // versions are positions: every commit goes through the ring
};

constexpr Scenario durable(Scenario scenario) {
    scenario.is_durable = true;
    return scenario;
}

constexpr Scenario two(std::string_view name, std::string_view about, void (*prepare)(World&),
                       Machine::Body first, Machine::Body second, void (*judge)(World&) = nullptr) {
    return {name, about, 2, prepare, {first, second}, judge};
}

constexpr Scenario three(std::string_view name, std::string_view about, void (*prepare)(World&),
                         Machine::Body first, Machine::Body second, Machine::Body third) {
    return {name, about, 3, prepare, {first, second, third}, nullptr};
}

// How many schedules a scenario has: what changes the engine's accesses changes these.
struct Pin {
    std::string_view scenario;
    std::uint64_t without_crash, with_one_crash;
    int preemptions = 2;  // the bound of these counts
};

std::span<const Scenario> scenarios();
const Scenario* find_scenario(std::string_view name);
// NULL: too large to be exhausted.
const Pin* find_pin(std::string_view scenario);

}  // namespace keystile::explore
