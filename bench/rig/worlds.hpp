// The stores that the cases of this program share, each made when it is first asked for, each engine with one
// of its own.
#pragma once

#include <tuple>

#include "rig/contest.hpp"
#include "rig/place.hpp"
#include "rig/work.hpp"

namespace keystile::bench {

class World {
public:
    World(const std::string& name, std::uint32_t keys)
        : keys_(keys),
          places_(Place<KeystileEngine>(name, keys, kValueBytes), Place<Mutex>(name, keys, kValueBytes),
                  Place<Seqlock>(name, keys, kValueBytes), Place<MutexInPlace>(name, keys, kValueBytes),
                  Place<SeqlockInPlace>(name, keys, kValueBytes)) {}
    // For the calling process, the rank-th that uses the store.
    template <class Engine>
    std::shared_ptr<Engine> engine(unsigned rank = 0) const {
        return std::get<Place<Engine>>(places_).engine(rank);
    }
    std::uint32_t keys() const noexcept { return keys_; }

private:
    std::uint32_t keys_;
    std::tuple<Place<KeystileEngine>, Place<Mutex>, Place<Seqlock>, Place<MutexInPlace>,
               Place<SeqlockInPlace>>
        places_;
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

// Commits of one key by its ks_key.
inline Contestant commit_by_handle(const std::string& name, const std::shared_ptr<KeystileEngine>& engine,
                                   std::uint64_t index) {
    const KeyName key_bytes = key_name(index);
    ks_key key{};
    ks_receipt receipt{};
    need(ks_resolve(engine->session(), {&key_bytes, sizeof key_bytes}, &key) == KS_OK, "ks_resolve");
    ks_get_k(engine->session(), key, nullptr, 0, nullptr, &receipt.stamp);
    return contestant_of(name, kHotOps, false, [engine, key, receipt]() mutable {
        char value[kValueBytes] = {};
        for (std::int64_t i = 0; i < kHotOps; ++i) {
            const ks_bytes bytes{value, sizeof value};
            const ks_status s = ks_commit_k(engine->session(), key, receipt.stamp, bytes, nullptr, &receipt);
            if (s != KS_OK) [[unlikely]]
                need(false, ks_status_name(s));
        }
    });
}

Contestant cas_hot();
Contestant cas_uniform();
Contestant cas_budget(std::int64_t ops, std::int64_t each);  // an operation: so many of the hot ones

struct NamedDistribution {
    const char* name;
    Distribution distribution;
};
inline constexpr NamedDistribution kDistributions[] = {
    {"hot", Distribution::kHot}, {"zipf100k", Distribution::kZipf}, {"uniform100k", Distribution::kUniform}};

}  // namespace keystile::bench
