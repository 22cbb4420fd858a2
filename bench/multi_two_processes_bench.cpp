// Commits of several keys beside another process, pinned to cores 0 and 1; by key, key 16 bytes.
//
// Workloads:
//   multi2/hot/2p            both commit the same two keys, value 32 bytes, each from the version that it saw last
//                            (ns = one commit of the two together)
//   multi2/hot/stopped       the same, but the other was stopped by SIGSTOP, wherever that hit it, and stays so during
//                            the turn (ns = one commit of ours)
//   commit/hot/handle/ring   one key by its ks_key, value 64 bytes, while the other commits two other keys of the store
// Counters: x_NAME: how many times that reference's time, measured in turns with it: mutex, mutex_in_place: a pair of
// them (rig/bundles.hpp); alone: no other process at work; idle_ring: in a store whose ring nobody has ever used, the
// other as busy as before. inside: of 100 stops, those that found a key in the hands of the stopped one. mutex_stalled:
// of 100 stops, those that found a mutex held by the stopped one, for as long as it stays so: there no commit is
// possible.
#include <random>

#include "rig/bundles.hpp"
#include "rig/duel.hpp"
#include "rig/worlds.hpp"

namespace keystile::bench {
namespace {

using Pair = BundleEngine<2>;
using Mutexes2 = MutexPair<Write::kFresh>;
using Mutexes2InPlace = MutexPair<Write::kInPlace>;

template <class Engine>
std::unique_ptr<Work> pair_work(std::shared_ptr<Engine> engine, std::size_t value_bytes = kBundleValueBytes) {
    return drawn_work(engine, Distribution::kHot, Op::kCommit, 1, value_bytes, 0);
}

void run_pairs(benchmark::State& state) {
    static const Place<Pair> ours("pair", 2, kBundleValueBytes);
    static const Place<Mutexes2> mutexes("pair", 2, kBundleValueBytes);
    static const Place<Mutexes2InPlace> mutexes_in_place("pair", 2, kBundleValueBytes);
    const auto works = [&](unsigned rank) {
        Works list;
        list.push_back(pair_work(ours.engine(rank)));
        list.push_back(pair_work(mutexes.engine(rank)));
        list.push_back(pair_work(mutexes_in_place.engine(rank)));
        return list;
    };
    const auto version = [&] { return versions_now(*ours.engine(0), 1, kBundleValueBytes)[0]; };
    run_duel(state, {{Pair::kName, Mutexes2::kName, Mutexes2InPlace::kName}, works, kHotOps / 8, version});
}

// What a stop leaves behind is looked at from outside.
void run_stopped(benchmark::State& state) {
    const Filled filled("stopped", 2, kBundleValueBytes);
    const Filled filled_mutexes("stopped-mutex", 2, kBundleValueBytes);
    const Pair::Ground ground(filled);
    const Mutexes2::Ground mutexes(filled_mutexes);
    const GuardedStore view(filled);
    constexpr std::uint64_t kOurs = 0, kMutexes = 1;
    Crew crew(1, 1, [&](unsigned) {
        Works list;
        list.push_back(pair_work(std::make_shared<Pair>(ground, 1)));
        list.push_back(pair_work(std::make_shared<Mutexes2>(mutexes, 1)));
        return list;
    });
    const OnCoreZero pinned;
    const auto work = pair_work(std::make_shared<Pair>(ground, 0));
    Mutexes2 probe(mutexes, 0);

    std::mt19937 random(1);
    const auto stop_within = [&](std::uint64_t what) {
        crew.command(what);
        for (auto pauses = random() % 1'000; pauses != 0; --pauses) engine::pause();
        crew.stop(0);
    };
    std::uint64_t stops = 0, inside = 0, stalled = 0;
    const auto start = [&] {
        stop_within(kMutexes);
        stalled += probe.would_wait(0) ? 1 : 0;
        crew.resume(0);
        stop_within(kOurs);
        const bool is_inside =
            engine::load_word(view.find(0)).is_intent() || engine::load_word(view.find(1)).is_intent();
        inside += is_inside ? 1 : 0;
        ++stops;
    };
    constexpr std::int64_t kOps = 1'024;
    const auto run = [&] {
        work->run(kOps);
        return std::uint64_t{kOps};
    };
    const auto stop = [&] {
        crew.resume(0);
        crew.command(kIdle);
    };
    run_contest(state, {{"stopped", kOps, start, run, stop, Clock::kWall},
                        {"alone", kOps, [] {}, run, [] {}, Clock::kWall}});
    state.counters["inside"] = 100.0 * static_cast<double>(inside) / static_cast<double>(stops);
    state.counters["mutex_stalled"] = 100.0 * static_cast<double>(stalled) / static_cast<double>(stops);
}

void run_beside_ring(benchmark::State& state) {
    constexpr std::uint32_t kKeys = 1'024, kMine = kKeys / 2;
    static const Place<KeystileEngine> idle("idle-ring", kKeys, kValueBytes);
    static const Place<KeystileEngine> used("used-ring", kKeys, kValueBytes);
    Crew crew(1, 1, [&](unsigned) {
        Works list;
        list.push_back(pair_work(std::make_shared<Pair>(used.ground(), 1), kValueBytes));
        return list;
    });
    const OnCoreZero pinned;
    crew.command(0);
    Contestant subject = commit_by_handle("used_ring", used.engine(0), kMine);
    Contestant reference = commit_by_handle("idle_ring", idle.engine(0), kMine);
    run_contest(state, {subject, reference});
    crew.command(kIdle);
    if (crew.tally(0, 0).wins == 0) state.SkipWithError("the ring was not in use");
}

[[maybe_unused]] const bool is_added = [] {
    benchmark::RegisterBenchmark("multi2/hot/2p", run_pairs);
    benchmark::RegisterBenchmark("multi2/hot/stopped", run_stopped);
    benchmark::RegisterBenchmark("commit/hot/handle/ring", run_beside_ring);
    return true;
}();

}  // namespace
}  // namespace keystile::bench
