// The stores that the cases of this program share, each made when it is first asked for, each engine with one of its own.
#pragma once

#include "rig/contest.hpp"
#include "rig/work.hpp"

namespace keystile::bench {

class World {
public:
    World(const std::string& name, std::uint32_t keys)
        : keys_(keys),
          own_(name + "-keystile", keys, kValueBytes),
          mutex_(name, keys),
          mutex_in_place_(name, keys),
          seqlock_(name, keys),
          seqlock_in_place_(name, keys) {}

    // The engine for the calling process, the rank-th that uses the store. Keystile's is opened in each process anew, the
    // guarded ones live in inherited memory.
    template <class Engine>
    std::shared_ptr<Engine> engine(unsigned rank = 0) const {
        return std::make_shared<Engine>(ground(static_cast<const Engine*>(nullptr)), rank);
    }
    std::uint32_t keys() const noexcept { return keys_; }

private:
    template <class Engine>
    struct Place {
        Place(const std::string& name, std::uint32_t keys)
            : filled(name + "-" + Engine::kName, keys, kValueBytes), ground(filled) {}
        Filled filled;
        typename Engine::Ground ground;
    };
    const Filled& ground(const KeystileEngine*) const noexcept { return own_; }
    const Mutex::Ground& ground(const Mutex*) const noexcept { return mutex_.ground; }
    const MutexInPlace::Ground& ground(const MutexInPlace*) const noexcept { return mutex_in_place_.ground; }
    const Seqlock::Ground& ground(const Seqlock*) const noexcept { return seqlock_.ground; }
    const SeqlockInPlace::Ground& ground(const SeqlockInPlace*) const noexcept {
        return seqlock_in_place_.ground;
    }

    std::uint32_t keys_;
    Filled own_;
    Place<Mutex> mutex_;
    Place<MutexInPlace> mutex_in_place_;
    Place<Seqlock> seqlock_;
    Place<SeqlockInPlace> seqlock_in_place_;
};

inline const World& hot_world() {
    static const World world("hot", 1);
    return world;
}
// In this one all keys have the same version between two turns: only whole laps are done here.
inline const World& lap_world() {
    static const World world("lap", kManyKeys);
    return world;
}
inline const World& mixed_world() {
    static const World world("mixed", kManyKeys);
    return world;
}

inline constexpr std::int64_t kHotOps = 16'384;  // some 0.1 ms: many turns between two interruptions

inline Contestant contestant_of(const std::string& name, std::int64_t ops, bool is_warmed,
                                const std::function<void()>& run) {
    Contestant contestant{name, ops, [] {}, [run, ops] { return run(), static_cast<std::uint64_t>(ops); }};
    if (is_warmed) contestant.start = run;
    return contestant;
}

// One engine alone on a workload, by key.
template <class Engine>
Contestant contestant(Distribution distribution, Op op) {
    std::shared_ptr<Work> work;
    std::int64_t ops = kHotOps;
    if (distribution == Distribution::kUniform) {
        auto engine = lap_world().engine<Engine>();
        using Order = LapOrder<kManyKeys>;
        std::vector<char> value(kValueBytes);
        LapBook<Order> book(engine->get(0, value.data(), kValueBytes));
        work = work_of(engine, Order(), book, op, kValueBytes);
        ops = kManyKeys;
    } else if (distribution == Distribution::kZipf) {
        work = drawn_work(mixed_world().engine<Engine>(), distribution, op, kManyKeys, kValueBytes, 0);
        ops = kDrawn;
    } else {
        work = drawn_work(hot_world().engine<Engine>(), distribution, op, 1, kValueBytes, 0);
    }
    return contestant_of(Engine::kName, ops, distribution != Distribution::kHot,
                         [work, ops] { work->run(static_cast<std::uint64_t>(ops)); });
}

// All engines on a workload; the first is Keystile.
inline std::vector<Contestant> all_engines(Distribution distribution, Op op) {
    std::vector<Contestant> all{contestant<KeystileEngine>(distribution, op),
                                contestant<Mutex>(distribution, op), contestant<Seqlock>(distribution, op)};
    if (op == Op::kCommit) {  // a get does the same in either
        all.push_back(contestant<MutexInPlace>(distribution, op));
        all.push_back(contestant<SeqlockInPlace>(distribution, op));
    }
    return all;
}

Contestant cas_hot();
Contestant cas_uniform();

struct NamedDistribution {
    const char* name;
    Distribution distribution;
};
inline constexpr NamedDistribution kDistributions[] = {
    {"hot", Distribution::kHot}, {"zipf100k", Distribution::kZipf}, {"uniform100k", Distribution::kUniform}};

}  // namespace keystile::bench
