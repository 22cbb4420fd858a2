#include "swarm/saboteur.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace keystile::cli::swarm {
namespace {

constexpr uint32_t kMargin = 32;              // chunks beyond a deed: some ms of work for a few workers
constexpr uint64_t kLookNs = 200'000;         // between two looks whether the chunk was taken
constexpr uint64_t kLookNsMax = 100'000'000;  // an idle worker looks for chunks every 20 ms

}  // namespace

Saboteur::Saboteur(Plan plan, const Options& options, uint32_t chunks, Crew& crew, Scoreboard& board,
                   const Lookout& lookout)
    : crew_(crew),
      board_(board),
      lookout_(lookout),
      chunks_(chunks),
      is_unguarded_(options.is_unguarded),
      plan_(std::move(plan)),
      victims_(crew.size()) {}

void Saboteur::step(bool is_idle) {
    for (uint32_t number = 0; number < crew_.size(); ++number) {
        look_after(number);
    }
    if (is_due(plan_.stops, is_idle) && try_stop(plan_.stops.back(), is_idle)) {
        plan_.stops.pop_back();
    }
    if (is_due(plan_.kills, is_idle) && try_kill(plan_.kills.back())) {
        plan_.kills.pop_back();
    }
    if (plan_.crash_at && is_due(*plan_.crash_at, is_idle)) {
        crash();
    }
    board_.open_up_to(std::max(board_.open_chunks(), gate()));
}

void Saboteur::look_after(uint32_t number) {
    Victim& victim = victims_[number];
    if (crew_.condition(number) != Condition::frozen || !lookout_.is_over(victim.hold)) {
        return;
    }
    const bool is_void = lookout_.is_finished(victim.hold);
    crew_.wake(number);
    if (is_void) {
        victim.was_stopped = false;
        plan_.stops.push_back(victim.deed);
        return;
    }
    const uint64_t frozen_ms = (monotonic_ns() - victim.frozen_at_ns) / 1'000'000;
    events_.push_back(
        fmt::format("worker {} was stopped in chunk {} and woken after {} ms: another had taken it over",
                    number, victim.hold.chunk, frozen_ms));
}

bool Saboteur::is_due(uint32_t due_at, bool is_idle) const {
    return board_.open_chunks() != 0 && (is_idle || board_.chunks_done() >= due_at);
}

// How many chunks to hand out for now. The last ones wait for the deeds that come late: a stop needs one to be met
// at, and nobody can be killed who has gone home.
uint32_t Saboteur::gate() const {
    const uint32_t no_deed = chunks_;
    const uint32_t next_stop = plan_.stops.empty() ? no_deed : plan_.stops.back().due_at;
    const uint32_t next_kill = plan_.kills.empty() ? no_deed : plan_.kills.back().due_at;
    const uint32_t crash = plan_.crash_at.value_or(no_deed);
    const uint32_t margin = std::max(kMargin, 2 * crew_.size());
    // A stop under way may prove void, and be made again.
    const uint32_t stops_to_come = stops_left() + crew_.count(Condition::frozen);
    const uint32_t kept_back = stops_to_come + (plan_.kills.empty() && !plan_.crash_at ? 0 : 1);
    return std::min(std::min({next_stop, next_kill, crash}) + margin, chunks_ - kept_back);
}

// Stops all for a moment, looks who holds what, and lets go all but the victim.
bool Saboteur::try_stop(const Deed& deed, bool is_idle) {
    std::vector<uint32_t> candidates;
    std::vector<uint32_t> others;
    for (const uint32_t number : deed.order) {
        if (crew_.condition(number) == Condition::running) {
            (victims_[number].was_stopped ? others : candidates).push_back(number);
        }
    }
    const bool is_hopeless = is_idle && board_.open_chunks() == chunks_;
    if (candidates.empty() || candidates.size() + others.size() < 2 || is_hopeless) {
        return false;
    }
    others = crew_.freeze(others);
    if (is_idle) {
        hand_out_one();
    }
    candidates = crew_.freeze(candidates);
    const std::optional<uint32_t> victim = choose_victim(candidates, deed);
    board_.go_slow(board_.is_slow() && !victim);
    for (const std::vector<uint32_t>& frozen : {others, candidates}) {
        for (const uint32_t number : frozen) {
            if (number != victim) {
                crew_.wake(number);
            }
        }
    }
    return victim.has_value();
}

void Saboteur::hand_out_one() {
    board_.go_slow(true);
    const uint32_t chunk = board_.open_chunks();
    board_.open_up_to(chunk + 1);
    for (uint64_t waited_ns = 0; lookout_.is_untouched(chunk) && waited_ns < kLookNsMax;
         waited_ns += kLookNs) {
        nap(kLookNs);
    }
}

// The first of them who holds a chunk.
std::optional<uint32_t> Saboteur::choose_victim(const std::vector<uint32_t>& frozen, const Deed& deed) {
    const std::vector<Hold> holds = lookout_.holds();
    for (const uint32_t number : frozen) {
        const auto hold =
            std::find_if(holds.begin(), holds.end(), [&](const Hold& h) { return h.worker == number; });
        if (hold != holds.end()) {
            victims_[number] = {.was_stopped = true,
                                .deed = deed,
                                .hold = *hold,
                                .frozen_at_ns = monotonic_ns(),
                                .fenced_before = board_.workers()[number].fenced.get()};
            return number;
        }
    }
    return std::nullopt;
}

bool Saboteur::try_kill(const Deed& deed) {
    for (const uint32_t number : deed.order) {
        if (can_kill(number) && crew_.kill(number)) {
            events_.push_back(fmt::format("worker {} was killed", number));
            return true;
        }
    }
    return false;
}

void Saboteur::crash() {
    crew_.kill_all();
    plan_.crash_at.reset();
    events_.push_back(fmt::format(
        "all {} workers were killed at once, each with the thread that brings commits to the disk",
        crew_.size()));
}

bool Saboteur::was_told_fenced(uint32_t number) const {
    return board_.workers()[number].fenced.get() > victims_[number].fenced_before;
}

// Spares who was woken and not yet told, and leaves enough workers for the stops to come.
bool Saboteur::can_kill(uint32_t number) const {
    const bool is_untold = victims_[number].was_stopped && !is_unguarded_ && !was_told_fenced(number);
    if (crew_.condition(number) != Condition::running || is_untold) {
        return false;
    }
    uint32_t stoppable = 0;
    for (uint32_t other = 0; other < crew_.size(); ++other) {
        const bool is_running = crew_.condition(other) == Condition::running;
        stoppable += is_running && other != number && !victims_[other].was_stopped ? 1u : 0u;
    }
    const uint32_t running_after = crew_.count(Condition::running) - 1;
    const uint32_t alive_after = running_after + crew_.count(Condition::frozen);
    return stoppable >= stops_left() && running_after >= 1 && alive_after >= (stops_left() != 0 ? 2u : 1u);
}

}  // namespace keystile::cli::swarm
