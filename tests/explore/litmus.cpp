#include "explore/litmus.hpp"

#include <cstdio>
#include <set>
#include <utility>

#include "explore/explorer.hpp"

namespace keystile::explore {

using namespace keystile::engine;

namespace {

using Outcome = std::pair<std::uint64_t, std::uint64_t>;
std::set<Outcome> outcomes;

// Places of the segment that nothing depends on: statistics of the observer's session.
shm::Atomic64& statistic(int process, std::size_t index) {
    const std::uint32_t observer = world().session(World::kObserver).lane.id().index;
    return world().store(process).segment.session(observer)->at_open.value[index];
}
shm::Atomic64& x(int process) {
    return statistic(process, 0);
}
shm::Atomic64& y(int process) {
    return statistic(process, 1);
}
shm::Atomic64& z(int process) {
    return statistic(process, 2);
}
void set(shm::Atomic64& place) {
    poke(place, std::uint64_t{1});
}
void see(std::size_t note, const shm::Atomic64& place) {
    world().notes[note] = peek(place);
}
void lock(shm::Atomic64& place) {
    place.fetch_add(1, memory_order_acq_rel);
}

void keep_outcome(World& world) {
    outcomes.insert({world.notes[0], world.notes[1]});
}

void x_then_y(int p) {
    set(x(p));
    see(0, y(p));
}
void y_then_x(int p) {
    set(y(p));
    see(1, x(p));
}
void x_lock_y(int p) {
    set(x(p));
    lock(z(p));
    see(0, y(p));
}
void y_lock_x(int p) {
    set(y(p));
    lock(z(p));
    see(1, x(p));
}
void send(int p) {
    set(x(p));
    set(y(p));
}
void receive(int p) {
    see(0, y(p));
    see(1, x(p));
}
void see_y_set_x(int p) {
    see(0, y(p));
    set(x(p));
}
void see_x_set_y(int p) {
    see(1, x(p));
    set(y(p));
}
void set_and_see(int p) {
    set(x(p));
    see(0, x(p));
}
void see_only(int p) {
    see(1, x(p));
}

constexpr Scenario litmus(std::string_view name, std::string_view about, Machine::Body first,
                          Machine::Body second) {
    return two(name, about, nullptr, first, second, keep_outcome);
}

bool has_exactly(const Scenario& scenario, const std::set<Outcome>& allowed) {
    outcomes.clear();
    Plan plan;
    plan.limits.crashes = 0;
    const Finding finding = explore(scenario, plan);
    const bool is_same = outcomes == allowed && !finding.failure;
    std::printf("litmus %-8s %-40s %3lu schedules %s:", std::string(scenario.name).c_str(),
                std::string(scenario.about).c_str(), finding.schedules, is_same ? "as x86" : "NOT AS X86");
    for (const auto& [r0, r1] : outcomes) std::printf(" %lu%lu", r0, r1);
    std::printf("\n");
    return is_same;
}

}  // namespace

bool run_litmus_tests() {
    const Outcome none{0, 0}, right{0, 1}, left{1, 0}, both{1, 1};
    bool is_good =
        has_exactly(litmus("SB", "x=1; r0=y || y=1; r1=x", x_then_y, y_then_x), {none, right, left, both});
    is_good = has_exactly(litmus("SB+lock", "x=1; lock; r0=y || y=1; lock; r1=x", x_lock_y, y_lock_x),
                          {right, left, both}) &&
              is_good;
    is_good =
        has_exactly(litmus("MP", "x=1; y=1 || r0=y; r1=x", send, receive), {none, right, both}) && is_good;
    is_good =
        has_exactly(litmus("LB", "r0=y; x=1 || r1=x; y=1", see_y_set_x, see_x_set_y), {none, right, left}) &&
        is_good;
    return has_exactly(litmus("forward", "x=1; r0=x || r1=x", set_and_see, see_only), {left, both}) &&
           is_good;
}

}  // namespace keystile::explore
