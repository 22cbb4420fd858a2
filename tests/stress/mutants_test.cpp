// Does the stress notice a broken guard? Each of these switches one check of the engine off and must turn a
// round red.
//
// Only guards that random schedules always miss within a few rounds are here: a test that overlooks a bug one
// time in a hundred is worse than none. The others have a directed schedule in tests/crash/guard_test.cpp, as
// have these: claim.mark (noticed within a minute or so) and claim.mark_stops_renewal (a renewal between two
// neighbouring instructions), claim.ticket (needs a thief).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "stress/dice.hpp"
#include "stress/rounds.hpp"

namespace keystile::testing {

namespace {

constexpr int kRoundsMax = 12;

class StressMutant : public ::testing::TestWithParam<const char*> {};

TEST_P(StressMutant, IsNoticed) {
#if defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a tenth of the calls in the same time: too few to notice for sure";
#endif
    const std::uint64_t seed =
        number_from_env("KEYSTILE_STRESS_SEED", static_cast<std::uint64_t>(::time(nullptr)));
    std::printf("KEYSTILE_STRESS_SEED=%llu\n", static_cast<unsigned long long>(seed));
    Dice dice(seed);
    for (int round = 1; round <= kRoundsMax; ++round) {
        RoundPlan plan;
        plan.seed = dice.next();
        plan.duration_ns = 1'000'000'000;
        plan.guard_off = GetParam();
        const RoundResult result = run_processes(plan);
        if (result.problems.empty()) continue;
        std::printf("round %d: %zu problems, the first: %s\n", round, result.problems.size(),
                    result.problems.front().c_str());
        return;
    }
    FAIL() << GetParam() << " is off and nobody noticed";
}

constexpr const char* kGuards[] = {
    "claim.record_grows",    "commit.epoch",     "commit.old_id",
    "commit.publish_first",  "read.revalidate",  "reaper.death_proven",
    "reaper.line_reachable", "reaper.reachable", "reaper.session",
};

INSTANTIATE_TEST_SUITE_P(Guards, StressMutant, ::testing::ValuesIn(kGuards), [](const auto& guard) {
    std::string name = guard.param;
    std::replace(name.begin(), name.end(), '.', '_');
    return name;
});

}  // namespace

}  // namespace keystile::testing
