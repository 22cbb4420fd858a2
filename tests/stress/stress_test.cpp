// Many writers on few keys, killed, stopped and continued at random; all that they did is written down and
// judged (judge.cpp).
//
// KEYSTILE_STRESS_SECONDS: how long each of the two runs (10). KEYSTILE_STRESS_SEED: another schedule.
// Random: a failing seed is more likely than another to fail again, not certain to.
#include <gtest/gtest.h>

#include <cstdio>
#include <ctime>

#include "stress/dice.hpp"
#include "stress/history.hpp"
#include "stress/rounds.hpp"

namespace keystile::testing {

namespace {

std::uint64_t seed_of_run() {
    const std::uint64_t seed =
        number_from_env("KEYSTILE_STRESS_SEED", static_cast<std::uint64_t>(::time(nullptr)));
    std::printf("KEYSTILE_STRESS_SEED=%llu\n", static_cast<unsigned long long>(seed));
    return seed;
}

// Rounds until the time is over; each is a history short enough to be judged.
template <class Run>
void stress(Run run, int workers_min, int workers_max) {
    Dice dice(seed_of_run());
    const std::uint64_t end = now_ns() + number_from_env("KEYSTILE_STRESS_SECONDS", 10) * kSecond;
    RoundResult sum;
    do {
        RoundPlan plan;
        plan.seed = dice.next();
        plan.workers = static_cast<int>(
            dice.between(static_cast<std::uint64_t>(workers_min), static_cast<std::uint64_t>(workers_max)));
        const RoundResult result = run(plan);
        sum.events += result.events;
        sum.kills += result.kills;
        sum.stops += result.stops;
        ASSERT_TRUE(result.problems.empty()) << text_of(result);
    } while (now_ns() < end);
    std::fputs(text_of(sum).c_str(), stdout);
    EXPECT_GT(sum.events, 1000u);
}

TEST(Stress, ProcessesThatDieAtRandomLeaveAHistoryThatHolds) {
    stress(run_processes, 4, 8);
}

TEST(Stress, ThreadsOfOneProcessMakeAHistoryThatHolds) {
    stress(run_threads, 4, 8);
}

}  // namespace

}  // namespace keystile::testing
