// keystile_harness: several processes on one store, against a robust mutex and a seqlock, by turns in one run.
//
// Prints throughput, latency percentiles over all processes, fairness, conflicts; checks that wins + conflicts =
// attempts and that the versions show each win. Exit status 1 if not.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>

#include "harness/race.hpp"

namespace keystile::bench {
namespace {

double conflicts_in_100(const Result& r) {
    return r.total.attempts == 0
               ? 0
               : 100.0 * static_cast<double>(r.total.conflicts) / static_cast<double>(r.total.attempts);
}

void print_table(const std::vector<Result>& results) {
    std::printf("%-17s %8s %8s %9s %9s %9s %9s %10s\n", "engine", "M ops/s", "vs", "p50 ns", "p99 ns",
                "p99.9 ns", "slowest", "conflicts");
    for (const Result& r : results) {
        std::printf("%-17s %8.2f %7.2fx %9.0f %9.0f %9.0f %8.1f%% %9.1f%%%s%s\n", r.engine.c_str(),
                    r.per_second / 1e6, results[0].per_second / r.per_second, r.p50_ns, r.p99_ns, r.p999_ns,
                    100 * r.slowest_share, conflicts_in_100(r),
                    r.fault.empty() ? "" : "  WRONG: ", r.fault.c_str());
    }
    std::printf(
        "vs: how many times its throughput %s has. slowest: share of the slowest process in what was done.\n",
        results[0].engine.c_str());
}

void print_json(const Options& options, const std::vector<Result>& results) {
    std::printf("{\"processes\": %u, \"keys\": %u, \"value_bytes\": %zu, \"seconds\": %g, \"engines\": [",
                options.processes, options.keys, options.value_bytes, options.seconds);
    const char* separator = "";
    for (const Result& r : results) {
        std::printf(
            "%s\n {\"engine\": \"%s\", \"per_second\": %.0f, \"p50_ns\": %.0f, \"p99_ns\": %.0f, "
            "\"p999_ns\": %.0f, "
            "\"slowest_share\": %.4f, \"wins\": %llu, \"conflicts\": %llu, \"attempts\": %llu, \"is_right\": "
            "%s}",
            separator, r.engine.c_str(), r.per_second, r.p50_ns, r.p99_ns, r.p999_ns, r.slowest_share,
            static_cast<unsigned long long>(r.total.wins), static_cast<unsigned long long>(r.total.conflicts),
            static_cast<unsigned long long>(r.total.attempts), r.fault.empty() ? "true" : "false");
        separator = ",";
    }
    std::printf("\n]}\n");
}

int run(int argc, char** argv) {
    Options options;
    CLI::App app("Several processes on one store, beside a robust mutex and a seqlock over the same index.");
    const std::map<std::string, Distribution> distributions{
        {"hot", Distribution::kHot}, {"zipf", Distribution::kZipf}, {"uniform", Distribution::kUniform}};
    const std::map<std::string, Op> ops{{"commit", Op::kCommit}, {"get", Op::kGet}, {"mix", Op::kMix}};
    app.add_option("--processes", options.processes, "pinned to cores 0, 1, …")
        ->check(CLI::Range(1u, kSpares))
        ->capture_default_str();
    app.add_option("--distribution", options.distribution,
                   "hot: one key; zipf: exponent 0.99; uniform: each its own keys")
        ->transform(CLI::CheckedTransformer(distributions, CLI::ignore_case));
    app.add_option("--op", options.op, "mix: three gets, then a commit")
        ->transform(CLI::CheckedTransformer(ops, CLI::ignore_case));
    app.add_option("--keys", options.keys)->check(CLI::Range(1u, 10'000'000u))->capture_default_str();
    app.add_option("--value-bytes", options.value_bytes)
        ->check(CLI::Range(kValueBytesMin, std::size_t{1} << 20))
        ->capture_default_str();
    app.add_option("--engine", options.engines, "one or more")
        ->delimiter(',')
        ->check(CLI::IsMember({"keystile", "mutex", "seqlock", "mutex_in_place", "seqlock_in_place"}))
        ->capture_default_str();
    app.add_option("--seconds", options.seconds, "of each engine, in turns")
        ->check(CLI::Range(0.01, 3600.0))
        ->capture_default_str();
    app.add_flag("--json", options.is_json, "instead of a table");
    CLI11_PARSE(app, argc, argv);
    if (options.distribution == Distribution::kHot) options.keys = 1;
    if (options.distribution == Distribution::kUniform && options.keys < options.processes)
        options.keys = options.processes;

    const auto results = run_race(options);
    options.is_json ? print_json(options, results) : print_table(results);
    for (const Result& result : results) {
        if (!result.fault.empty()) return 1;
    }
    return 0;
}

}  // namespace
}  // namespace keystile::bench

int main(int argc, char** argv) {
    return keystile::bench::run(argc, argv);
}
