// All engines of a run, by turns, worked by several processes at the same time.
#pragma once

#include "harness/options.hpp"

namespace keystile::bench {

struct Result {
    std::string engine;
    double per_second = 0;  // operations of all processes; a commit is done when it was won
    double p50_ns = 0, p99_ns = 0,
           p999_ns = 0;        // of one operation, its lost attempts and the clock's ~10 ns included
    double slowest_share = 0;  // of the process that did least; fair = 1 / processes
    Tally total;
    std::string fault;  // empty: wins + conflicts = attempts, and the versions show each win
};

std::vector<Result> run_race(const Options& options);

}  // namespace keystile::bench
