// What a commit of a durable store costs whoever makes it, beside what the machine and other stores need for the same.
// Key 16 bytes, value 64. By the clock on the wall, but for durable/relaxed: nobody waits in it, so it is by the
// processor's, which others on a busy machine do not disturb.
//
//   durable/relaxed      commits of one key, on disk a moment later; this thread on core 0, the flusher on core 1.
//                        cas: a bare `lock cmpxchg16b`. volatile: the same commit in a shm: store.
//                        committer_cpu_ns, flusher_cpu_ns: processor time of both for one commit
//   durable/one          one thread whose commits return when they are on disk. bare: pwrite of as many bytes over
//                        zeros, and fdatasync
//   durable/writers/N    N threads, each committing a key of its own, durably (time = all commits / all time). alone:
//                        one of them, doing as many
// The other stores (peers/, where their libraries are found) compare and set in each commit as we do, and promise the
// same: rig/peer.hpp. Counters: rig/contest.hpp.
#include <chrono>
#include <thread>

#include "rig/contest.hpp"
#include "rig/duel.hpp"
#include "rig/durable.hpp"
#include "rig/peer.hpp"
#include "rig/worlds.hpp"

namespace keystile::bench {
namespace {

// As many as the ring holds: enough for the flusher to come to, and nobody has to wait for room.
constexpr std::int64_t kRelaxedOps = 1 << 16;
constexpr std::int64_t kPeerOps = 256;
constexpr std::int64_t kDurableOps = 32;
constexpr std::uint64_t kBareBytes = 8u << 20;

// Processor time of this thread and of all others of the process, between begin() and end().
struct Processor {
    double own = 0, others = 0;

    void begin() { add(-1); }
    void end() { add(1); }

private:
    void add(double sign) {
        timespec all{};
        ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &all);
        const double mine = seconds_now(Clock::kOwn);
        own += sign * mine;
        others += sign * (static_cast<double>(all.tv_sec) + 1e-9 * static_cast<double>(all.tv_nsec) - mine);
    }
};

// `threads` threads of a peer, each with a key of its own.
class PeerCrew {
public:
    PeerCrew(const PeerKind& kind, Promise promise, std::size_t threads)
        : peer_(kind.open(folder_.path(), promise)) {
        const char value[kValueBytes] = {};
        for (std::size_t i = 0; i < threads; ++i) {
            peer_->create(key_name(i), value, sizeof value);
            seats_.push_back(peer_->seat());
        }
        versions_.resize(threads);
    }
    void commit(std::size_t thread, std::int64_t times) {
        const char value[kValueBytes] = {};
        const KeyName key = key_name(thread);
        std::uint64_t version = versions_[thread];
        for (std::int64_t i = 0; i < times; ++i, ++version)
            need(seats_[thread]->commit(key, version, value, sizeof value), "a peer's compare-and-set");
        versions_[thread] = version;
    }

private:
    Scratch folder_ = Scratch::on_disk();
    std::unique_ptr<Peer> peer_;
    std::vector<std::unique_ptr<Peer::Seat>> seats_;
    std::vector<std::uint64_t> versions_;
};

// All threads begin when all are there, and the turn is over when the last is done.
template <class Commit>
Contestant crew_contestant(const std::string& name, std::size_t threads, std::int64_t each,
                           const Commit& commit) {
    const auto total = static_cast<std::int64_t>(threads) * each;
    return {name,
            total,
            [] {},
            [threads, each, total, commit] {
                std::vector<std::thread> crew;
                for (std::size_t i = 1; i < threads; ++i) crew.emplace_back([&, i] { commit(i, each); });
                commit(0, each);
                for (std::thread& thread : crew) thread.join();
                return static_cast<std::uint64_t>(total);
            },
            [] {},
            Clock::kWall};
}

void add_peers(std::vector<Contestant>& list, Promise promise, std::size_t threads, std::int64_t each,
               Clock clock = Clock::kWall) {
    for (const PeerKind& kind : peer_kinds()) {
        auto crew = std::make_shared<PeerCrew>(kind, promise, threads);
        list.push_back(crew_contestant(
            kind.name, threads, each, [crew](std::size_t i, std::int64_t times) { crew->commit(i, times); }));
        list.back().clock = clock;
    }
}

void run_relaxed(benchmark::State& state) {
    const OnCoreZero pinned;
    const Scratch folder = Scratch::on_disk();
    pin_to_core(1);  // for the flusher, which is made here
    const DurableStore store(folder.path());
    pin_to_core(0);
    Committer committer(store.get(), 0, kValueBytes, KS_COMMIT_RELAXED);
    committer.commit(kRelaxedOps);  // from now on the memory is there
    need(ks_flush(store.get()) == KS_OK, "ks_flush");
    Processor committing, both;
    double commits = 0;
    const auto run = [&] {
        both.begin();
        committing.begin();
        committer.commit(kRelaxedOps);
        committing.end();
        commits += kRelaxedOps;
        return static_cast<std::uint64_t>(kRelaxedOps);
    };
    // The flusher does it all, and each turn begins with nothing to flush.
    const auto stop = [&] {
        while (ks_wait_durable(store.get(), committer.lsn(), 0) == KS_TIMEOUT)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        both.end();
    };
    std::vector<Contestant> list{{"relaxed", kRelaxedOps, [] {}, run, stop},
                                 cas_hot(),
                                 commit_by_handle("volatile", hot_world().engine<KeystileEngine>(), 0)};
    add_peers(list, Promise::kLater, 1, kPeerOps, Clock::kOwn);
    run_contest(state, list);
    state.counters["committer_cpu_ns"] = committing.own / commits * 1e9;
    state.counters["flusher_cpu_ns"] = both.others / commits * 1e9;
}

void run_one(benchmark::State& state) {
    const Scratch folder = Scratch::on_disk();
    const DurableStore store(folder.path());
    Committer committer(store.get(), 0, kValueBytes, KS_COMMIT_DURABLE);
    committer.commit(1);
    BareFile file(kBareBytes);
    const std::string record(record_bytes_of(kValueBytes), 'r');
    const auto bare = [&](std::size_t, std::int64_t times) {
        for (std::int64_t i = 0; i < times; ++i) {
            file.write(record.data(), record.size());
            file.sync();
        }
    };
    std::vector<Contestant> list{
        crew_contestant("one", 1, kDurableOps,
                        [&](std::size_t, std::int64_t times) { committer.commit(times); }),
        crew_contestant("bare", 1, kDurableOps, bare)};
    add_peers(list, Promise::kNow, 1, kDurableOps);
    run_contest(state, list);
}

void run_writers(benchmark::State& state, std::size_t threads) {
    const Scratch folder = Scratch::on_disk();
    const DurableStore store(folder.path());
    std::vector<std::unique_ptr<Committer>> committers;
    for (std::size_t i = 0; i < threads; ++i) {
        committers.push_back(std::make_unique<Committer>(store.get(), i, kValueBytes, KS_COMMIT_DURABLE));
        committers.back()->commit(1);
    }
    const auto commit = [&](std::size_t i, std::int64_t times) { committers[i]->commit(times); };
    std::vector<Contestant> list{crew_contestant("writers", threads, kDurableOps, commit)};
    if (threads > 1) list.push_back(crew_contestant("alone", 1, kDurableOps, commit));
    add_peers(list, Promise::kNow, threads, kDurableOps);
    run_contest(state, list);
    state.counters["per_second"] = 1e9 / state.counters["ns"];
}

[[maybe_unused]] const bool is_added = [] {
    benchmark::RegisterBenchmark("durable/relaxed", run_relaxed)->UseRealTime();
    benchmark::RegisterBenchmark("durable/one", run_one)->UseRealTime();
    for (const std::size_t threads : {1, 2, 4, 8}) {
        benchmark::RegisterBenchmark(("durable/writers/" + std::to_string(threads)).c_str(),
                                     [threads](benchmark::State& state) { run_writers(state, threads); })
            ->UseRealTime();
    }
    return true;
}();

}  // namespace
}  // namespace keystile::bench
