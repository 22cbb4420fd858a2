#include "swarm/saboteur.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace keystile::cli::swarm {
namespace {

// Not at the very start, when no worker has anything, and not so late that nothing is left to redo.
constexpr double kEarliest = 0.05;
constexpr double kLatest = 0.85;
constexpr uint64_t kTakingNsMax = 50'000'000;  // an idle worker looks for chunks again within 20 ms

}  // namespace

Saboteur::Saboteur(const Options& options, uint32_t chunks, Crew& crew, Scoreboard& board,
                   const Lookout& lookout)
    : crew_(crew),
      board_(board),
      lookout_(lookout),
      chunks_(chunks),
      is_unguarded_(options.is_unguarded),
      random_(options.seed),
      stops_(plan(options.stops)),
      kills_(plan(options.kills)),
      victims_(crew.size()) {}

std::vector<Saboteur::Deed> Saboteur::plan(uint32_t count) {
    std::vector<Deed> deeds(count);
    for (Deed& deed : deeds) {
        const double share = static_cast<double>(random_() >> 11) * 0x1p-53;  // 53 bits: uniform in [0, 1)
        deed.due_at = kEarliest + share * (kLatest - kEarliest);
        deed.order.resize(crew_.size());
        std::iota(deed.order.begin(), deed.order.end(), 0u);
        for (size_t left = deed.order.size(); left > 1; --left) {
            std::swap(deed.order[left - 1], deed.order[random_() % left]);
        }
    }
    std::sort(deeds.begin(), deeds.end(), [](const Deed& a, const Deed& b) { return a.due_at > b.due_at; });
    return deeds;
}

void Saboteur::step(double share_done, bool is_idle) {
    for (uint32_t number = 0; number < crew_.size(); ++number) {
        look_after(number);
    }
    const bool can_hand_out = is_idle && board_.open_chunks() < chunks_;
    if (!stops_.empty() && share_done >= stops_.back().due_at && try_stop(stops_.back(), can_hand_out)) {
        stops_.pop_back();
    }
    if (!kills_.empty() && share_done >= kills_.back().due_at && try_kill(kills_.back())) {
        kills_.pop_back();
    }
}

void Saboteur::look_after(uint32_t number) {
    const Victim& victim = victims_[number];
    if (crew_.condition(number) != Condition::frozen || !lookout_.is_over(victim.hold)) {
        return;
    }
    crew_.wake(number);
    const uint64_t frozen_ms = (monotonic_ns() - victim.frozen_at_ns) / 1'000'000;
    events_.push_back(
        fmt::format("worker {} was stopped in chunk {} and woken after {} ms: another had taken it over",
                    number, victim.hold.chunk, frozen_ms));
}

// Stops all for a moment, looks who holds what, and lets go all but the victim. If nobody has anything to do, a
// chunk that was kept back is handed out in between, when only those run who may become the victim.
bool Saboteur::try_stop(const Deed& deed, bool is_idle) {
    std::vector<uint32_t> eligible;
    std::vector<uint32_t> stopped;
    for (const uint32_t number : deed.order) {
        if (crew_.condition(number) == Condition::running) {
            (victims_[number].was_stopped ? stopped : eligible).push_back(number);
        }
    }
    if (eligible.empty() || eligible.size() + stopped.size() < 2) {
        return false;
    }
    stopped = crew_.freeze(stopped);
    if (is_idle) {
        hand_out_one();
    }
    eligible = crew_.freeze(eligible);
    stopped.insert(stopped.end(), eligible.begin(), eligible.end());
    const std::optional<uint32_t> victim = choose_victim(eligible);
    for (const uint32_t number : stopped) {
        if (number != victim) {
            crew_.wake(number);
        }
    }
    return victim.has_value();
}

void Saboteur::hand_out_one() {
    const uint32_t chunk = board_.open_chunks();
    board_.open_up_to(chunk + 1);
    const uint64_t begin_ns = monotonic_ns();
    while (lookout_.is_untouched(chunk) && monotonic_ns() - begin_ns < kTakingNsMax) {
    }
}

// The first of them who holds a chunk. All are stopped.
std::optional<uint32_t> Saboteur::choose_victim(const std::vector<uint32_t>& eligible) {
    const std::vector<Hold> holds = lookout_.holds();
    for (const uint32_t number : eligible) {
        const auto hold =
            std::find_if(holds.begin(), holds.end(), [&](const Hold& h) { return h.worker == number; });
        if (hold != holds.end()) {
            victims_[number] = {.was_stopped = true,
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
