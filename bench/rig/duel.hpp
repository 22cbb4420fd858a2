// Two processes at the same time on the same store, pinned to cores 0 and 1: us, who are measured, and one that was
// forked and works beside us.
//
// Counters beyond the contest's: share: of the slower process in what was done (0.5 = fair); conflicts: of 100
// attempts. An attempt that was neither won nor a conflict, or a win that does not show in the versions, fails the
// case.
#pragma once

#include "rig/contest.hpp"
#include "rig/crew.hpp"

namespace keystile::bench {

using Works = std::vector<std::unique_ptr<Work>>;

// While it lives, we are on core 0.
class OnCoreZero {
public:
    OnCoreZero() {
        ::sched_getaffinity(0, sizeof cores_before_, &cores_before_);
        pin_to_core(0);
    }
    ~OnCoreZero() { ::sched_setaffinity(0, sizeof cores_before_, &cores_before_); }
    OnCoreZero(const OnCoreZero&) = delete;
    OnCoreZero& operator=(const OnCoreZero&) = delete;

private:
    cpu_set_t cores_before_{};
};

struct Duel {
    std::vector<const char*> names;             // of the works; the first is Keystile's
    std::function<Works(unsigned rank)> works;  // made by each process for itself
    std::uint64_t ops;                          // of ours in a turn
    std::function<std::uint64_t()> versions =
        nullptr;  // the sum that grows by one with each of Keystile's wins
};

inline void run_duel(benchmark::State& state, const Duel& duel) {
    const std::uint64_t versions_before = duel.versions ? duel.versions() : 0;
    // The forked one is never the one that is measured.
    Crew crew(1, 1, [&](unsigned) { return duel.works(1); });
    const OnCoreZero pinned;
    const Works works = duel.works(0);

    std::vector<double> shares;  // of this process, in Keystile's turns
    std::vector<Contestant> contestants;
    for (std::size_t i = 0; i < works.size(); ++i) {
        Work& work = *works[i];
        const auto start = [&crew, &work, i, ops = duel.ops] {
            crew.command(i);
            work.run(ops / 4);
        };
        const auto run = [&crew, &work, &shares, i, ops = duel.ops] {
            const std::uint64_t before = crew.tally(0, i).done;
            work.run(ops);
            const std::uint64_t others = crew.tally(0, i).done - before;
            if (i == 0) shares.push_back(static_cast<double>(ops) / static_cast<double>(ops + others));
            return ops + others;
        };
        contestants.push_back({duel.names[i], static_cast<std::int64_t>(duel.ops), start, run,
                               [&crew] { crew.command(kIdle); }, Clock::kWall});
    }
    run_contest(state, contestants);

    const double share = median(shares);
    state.counters["share"] = std::min(share, 1 - share);
    crew.command(kIdle);
    for (std::size_t i = 0; i < works.size(); ++i) {
        for (const Tally& t : {works[i]->tally(), crew.tally(0, i)}) {
            if (t.wins + t.conflicts != t.attempts) state.SkipWithError("wins + conflicts != attempts");
        }
    }
    if (duel.versions) {
        const Tally own = works[0]->tally();
        state.counters["conflicts"] =
            100.0 * static_cast<double>(own.conflicts) / static_cast<double>(own.attempts);
        // Every win raised one version by one, whoever won it.
        if (duel.versions() - versions_before != own.wins + crew.tally(0, 0).wins)
            state.SkipWithError("the versions do not add up to the wins");
    }
}

}  // namespace keystile::bench
