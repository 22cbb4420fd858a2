// Several keys at once through the C interface, one process; by key, key 16 bytes.
//
// Workloads:
//   multi/hot/K      time = one commit of K keys that was won, each compared and overwritten, value 32 bytes
//   multi2/hot       the same for two keys, against locks
//   snapshot8/hot    time = one snapshot of 8 keys, taken, looked at and closed, value 64 bytes
// Counters: x_NAME: how many times that reference's time, measured in turns with it; budget: (2K + 8) * 2 bare
// compare-and-swaps: what the protocol needs, twice; mutex, mutex_in_place: a pair of them (rig/bundles.hpp); get: one
// of the 8 keys.
#include <array>

#include "rig/bundles.hpp"
#include "rig/worlds.hpp"

namespace keystile::bench {
namespace {

template <class Engine>
Contestant commit_bundle(std::uint32_t keys, std::int64_t ops) {
    static const Place<Engine> place("bundle" + std::to_string(keys), keys, kBundleValueBytes);
    std::shared_ptr<Work> work =
        drawn_work(place.engine(0), Distribution::kHot, Op::kCommit, 1, kBundleValueBytes, 0);
    return contestant_of(Engine::kName, ops, false,
                         [work, ops] { work->run(static_cast<std::uint64_t>(ops)); });
}

template <std::size_t kCount>
void add_multi() {
    add_case("multi/hot/" + std::to_string(kCount), []() -> std::vector<Contestant> {
        constexpr std::int64_t kOps = 2'048 / static_cast<std::int64_t>(kCount);
        return {commit_bundle<BundleEngine<kCount>>(kCount, kOps), cas_budget(kOps, (2 * kCount + 8) * 2)};
    });
}

constexpr std::uint32_t kCut = 8;

Contestant snapshot(const Place<KeystileEngine>& place, std::int64_t ops) {
    auto engine = place.engine(0);
    std::array<KeyName, kCut> names;
    for (std::uint32_t i = 0; i < kCut; ++i) names[i] = key_name(i);
    return contestant_of("snapshot", ops, false, [engine, names, ops] {
        std::array<ks_bytes, kCut> keys;
        for (std::uint32_t i = 0; i < kCut; ++i) keys[i] = {&names[i], sizeof names[i]};
        for (std::int64_t i = 0; i < ops; ++i) {
            ks_snapshot* snapshot = nullptr;
            ks_snapshot_entry entry;
            ks_status s = ks_snapshot_keys(engine->session(), keys.data(), kCut, &snapshot);
            for (std::size_t k = 0; k < kCut && s == KS_OK; ++k) {
                s = ks_snapshot_at(snapshot, k, &entry);
                if (s == KS_OK && entry.value.size != kValueBytes) s = entry.status;
            }
            if (s != KS_OK) [[unlikely]]
                need(false, ks_status_name(s));
            ks_snapshot_close(snapshot);
        }
    });
}

[[maybe_unused]] const bool is_added = [] {
    using List = std::vector<Contestant>;
    add_multi<1>();
    add_multi<2>();
    add_multi<4>();
    add_multi<8>();
    add_multi<64>();
    add_case("multi2/hot", []() -> List {
        constexpr std::int64_t kOps = 1'024;
        return {commit_bundle<BundleEngine<2>>(2, kOps), commit_bundle<MutexPair<Write::kFresh>>(2, kOps),
                commit_bundle<MutexPair<Write::kInPlace>>(2, kOps)};
    });
    add_case("snapshot8/hot", []() -> List {
        static const Place<KeystileEngine> place("snapshot8", kCut, kValueBytes);
        constexpr std::int64_t kOps = 512;
        std::shared_ptr<Work> get =
            drawn_work(place.engine(0), Distribution::kHot, Op::kGet, 1, kValueBytes, 0);
        return {snapshot(place, kOps), contestant_of("get", kOps, false, [get] { get->run(kOps); })};
    });
    return true;
}();

}  // namespace
}  // namespace keystile::bench
