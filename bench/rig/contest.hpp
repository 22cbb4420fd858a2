// Several contestants measured in turns within one benchmark case, so that what disturbs one disturbs all.
//
// The time that Google Benchmark reports is the first contestant's. Counters: ns = median of its turns;
// x_NAME = median over the turns of (its time) / (NAME's time in the same turn); best_NAME = its fastest turn /
// NAME's fastest turn. On a shared machine a neighbour on the same core slows code that fills the pipeline down by
// twice, and a locked instruction hardly at all: x is what happened, best is what the code needs.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace keystile::bench {

// Of one process alone, the time it ran counts: on a busy machine others take their turns in between. Where
// two work at the same time, the time that passed.
enum class Clock : clockid_t { kOwn = CLOCK_THREAD_CPUTIME_ID, kWall = CLOCK_MONOTONIC };

inline double seconds_now(Clock clock) {
    timespec now{};
    ::clock_gettime(static_cast<clockid_t>(clock), &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

template <class T>
T median(std::vector<T> values) {
    if (values.empty()) return {};
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

struct Contestant {
    std::string name;
    std::int64_t ops;                    // in one turn, by this process
    std::function<void()> start;         // before the clock starts: brings its memory back into the caches
    std::function<std::uint64_t()> run;  // returns how many operations were done, by all processes
    std::function<void()> stop = [] {};
    Clock clock = Clock::kOwn;
    double take_turn() const {  // seconds an operation; between start and stop
        const double began = seconds_now(clock);
        const std::uint64_t done = run();
        return (seconds_now(clock) - began) / static_cast<double>(done);
    }
};

// contestants[0] is the subject of the case: its turns are what the timer runs for.
inline void run_contest(benchmark::State& state, const std::vector<Contestant>& contestants) {
    std::vector<double> times;
    std::vector<std::vector<double>> ratios(contestants.size());
    std::vector<double> fastest(contestants.size(), std::numeric_limits<double>::max());
    while (state.KeepRunningBatch(contestants[0].ops)) {
        state.PauseTiming();
        contestants[0].start();
        state.ResumeTiming();
        times.push_back(contestants[0].take_turn());
        fastest[0] = std::min(fastest[0], times.back());
        state.PauseTiming();
        contestants[0].stop();
        for (std::size_t i = 1; i < contestants.size(); ++i) {
            contestants[i].start();
            const double time = contestants[i].take_turn();
            fastest[i] = std::min(fastest[i], time);
            ratios[i].push_back(times.back() / time);
            contestants[i].stop();
        }
        state.ResumeTiming();
    }
    state.counters["ns"] = median(times) * 1e9;
    for (std::size_t i = 1; i < contestants.size(); ++i) {
        state.counters["x_" + contestants[i].name] = median(ratios[i]);
        state.counters["best_" + contestants[i].name] = fastest[0] / fastest[i];
    }
}

using MakeContestants = std::function<std::vector<Contestant>()>;

inline void add_case(const std::string& name, const MakeContestants& make) {
    benchmark::RegisterBenchmark(name.c_str(),
                                 [make](benchmark::State& state) { run_contest(state, make()); });
}

}  // namespace keystile::bench
