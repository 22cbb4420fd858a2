#include "explore/scenario.hpp"

#include "explore/actor.hpp"

namespace keystile::explore {

using namespace keystile::engine;

namespace {

// Each process has committed before: it keeps a spare block, and its line is of a life that is over.
void warm(World& world) {
    for (int i = 0; i < kProcessesMax; ++i) {
        if (world.store(i).segment.file().is_open()) Actor(i).update(kOther, 'w');
    }
}

template <char letter>
void update_main(int process) {
    Actor(process).update(kMain, letter);
}

constexpr Scenario kScenarios[] = {
    {"commit_commit", "two read, append, commit; who loses does it again", 2, warm,
     {update_main<'p'>, update_main<'q'>}, nullptr, 0, 0},
};

}  // namespace

std::span<const Scenario> scenarios() {
    return kScenarios;
}

const Scenario* find_scenario(std::string_view name) {
    for (const Scenario& scenario : scenarios()) {
        if (scenario.name == name) return &scenario;
    }
    return nullptr;
}

}  // namespace keystile::explore
