// Two processes at the same time on the same store, pinned to cores 0 and 1; by key, key 16 bytes, value 64.
//
// Workloads (counter ns = time of one operation of the two together; a commit is done when it was won):
//   OP/hot/key/2p           both on one key, each commit from the version that its process saw last
//   OP/zipf100k/key/2p      the same on 100,000 keys, some frequent
//   OP/uniform100k/key/2p   100,000 keys; commits: each process has its own half, so the two never meet
// OP: commit, get. Counters: x_NAME: how many times that reference's time, measured in turns with it; share, conflicts:
// rig/duel.hpp.
#include <numeric>

#include "rig/duel.hpp"
#include "rig/worlds.hpp"

namespace keystile::bench {
namespace {

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
    Duel duel{{std::begin(kNames), std::end(kNames)},
              [=](unsigned rank) { return works_of(distribution, op, rank); },
              distribution == Distribution::kHot ? kHotOps : kDrawn};
    if (op == Op::kCommit) duel.versions = [=] { return sum_of_versions(distribution); };
    run_duel(state, duel);
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
