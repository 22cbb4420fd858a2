// Two processes at the same time on the same store, pinned to cores 0 and 1; by key, key 16 bytes, value 64.
//
// Workloads (counter ns = time of one operation of the two together; a commit is done when it was won):
//   OP/hot/key/2p           both on one key, each commit from the version that its process saw last
//   OP/zipf100k/key/2p      the same on 100,000 keys, some frequent
//   OP/uniform100k/key/2p   100,000 keys; commits: each process has its own half, so the two never meet
// OP: commit, get. Counters: x_NAME: how many times that reference's time, measured in turns with it; share:
// of the slower process in what was done (0.5 = fair); conflicts: of 100 attempts. An attempt that was
// neither won nor a conflict, or a win that does not show in the versions, fails the case.
#include <numeric>

#include "rig/crew.hpp"
#include "rig/worlds.hpp"

namespace keystile::bench {
namespace {

using Works = std::vector<std::unique_ptr<Work>>;

const World& world_of(Distribution distribution) {
    return distribution == Distribution::kHot ? hot_world() : mixed_world();
}

template <class Engine>
std::unique_ptr<Work> half_work(std::shared_ptr<Engine> engine, Op op, std::uint32_t rank) {
    SeenBook book(versions_now(*engine, kManyKeys, kValueBytes));
    return work_of(engine, LapOrder<kManyKeys / 2>(2, rank), std::move(book), op, kValueBytes);
}

template <class... Engine>
Works works_of(Distribution distribution, Op op, unsigned rank) {
    const World& world = world_of(distribution);
    Works works;
    const auto add = [&](auto engine) {
        works.push_back(distribution == Distribution::kUniform
                            ? half_work(engine, op, rank)
                            : drawn_work(engine, distribution, op, world.keys(), kValueBytes, rank));
    };
    (add(world.template engine<Engine>(rank)), ...);
    return works;
}

Works works_of(Distribution distribution, Op op, unsigned rank) {
    if (op == Op::kGet) return works_of<KeystileEngine, Mutex, Seqlock>(distribution, op, rank);
    return works_of<KeystileEngine, Mutex, Seqlock, MutexInPlace, SeqlockInPlace>(distribution, op, rank);
}

constexpr const char* kNames[] = {KeystileEngine::kName, Mutex::kName, Seqlock::kName, MutexInPlace::kName,
                                  SeqlockInPlace::kName};

std::uint64_t sum_of_versions(Distribution distribution) {
    auto engine = world_of(distribution).engine<KeystileEngine>();
    const auto versions = versions_now(*engine, world_of(distribution).keys(), kValueBytes);
    return std::accumulate(versions.begin(), versions.end(), std::uint64_t{0});
}

void run_case(benchmark::State& state, Distribution distribution, Op op) {
    cpu_set_t cores_before;
    ::sched_getaffinity(0, sizeof cores_before, &cores_before);
    const std::uint64_t versions_before = sum_of_versions(distribution);
    // The forked one is never the one that is measured: it only works beside us.
    Crew crew(1, 1, [&](unsigned) { return works_of(distribution, op, 1); });
    pin_to_core(0);
    const Works works = works_of(distribution, op, 0);

    const std::uint64_t ops = distribution == Distribution::kHot ? kHotOps : kDrawn;
    std::vector<double> shares;  // of this process, in Keystile's turns
    std::vector<Contestant> contestants;
    for (std::size_t i = 0; i < works.size(); ++i) {
        Work& work = *works[i];
        const auto start = [&crew, &work, i, ops] {
            crew.command(i);
            work.run(ops / 4);
        };
        const auto run = [&crew, &work, &shares, i, ops] {
            const std::uint64_t before = crew.tally(0, i).done;
            work.run(ops);
            const std::uint64_t others = crew.tally(0, i).done - before;
            if (i == 0) shares.push_back(static_cast<double>(ops) / static_cast<double>(ops + others));
            return ops + others;
        };
        contestants.push_back({kNames[i], static_cast<std::int64_t>(ops), start, run,
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
    if (op == Op::kCommit) {
        const Tally own = works[0]->tally();
        state.counters["conflicts"] =
            100.0 * static_cast<double>(own.conflicts) / static_cast<double>(own.attempts);
        // Every win raised one version by one, whoever won it.
        const std::uint64_t raised = sum_of_versions(distribution) - versions_before;
        if (raised != own.wins + crew.tally(0, 0).wins)
            state.SkipWithError("the versions do not add up to the wins");
    }
    ::sched_setaffinity(0, sizeof cores_before, &cores_before);
}

[[maybe_unused]] const bool is_added = [] {
    for (const auto& [name, distribution] : kDistributions) {
        for (const Op op : {Op::kCommit, Op::kGet}) {
            const std::string full = std::string(op == Op::kCommit ? "commit/" : "get/") + name + "/key/2p";
            benchmark::RegisterBenchmark(full.c_str(),
                                         [=](benchmark::State& state) { run_case(state, distribution, op); });
        }
    }
    return true;
}();

}  // namespace
}  // namespace keystile::bench
