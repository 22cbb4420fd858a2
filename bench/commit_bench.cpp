// Committing one key through the C interface, one process, value 64 bytes, key 16 bytes.
//
// Workloads (time = one commit that was won):
//   commit/hot/handle        one key, by its ks_key
//   commit/hot/key           one key, by its bytes: hashed and looked up each time
//   commit/zipf100k/key      100,000 keys, the frequent ones mostly in the caches
//   commit/uniform100k/key   100,000 keys, each once per lap, the next depends on the last result
// Counters: x_NAME: how many times that reference's time, measured in turns with it on the same workload.
#include "rig/worlds.hpp"

namespace keystile::bench {
namespace {

[[maybe_unused]] const bool is_added = [] {
    using List = std::vector<Contestant>;
    add_case("commit/hot/handle", []() -> List {
        return {commit_by_handle("handle", hot_world().engine<KeystileEngine>(), 0), cas_hot()};
    });
    for (const auto& [name, distribution] : kDistributions) {
        add_case(std::string("commit/") + name + "/key", [=]() -> List {
            List list = all_engines(distribution, Op::kCommit);
            if (distribution == Distribution::kHot) list.push_back(cas_hot());
            if (distribution == Distribution::kUniform) list.push_back(cas_uniform());
            return list;
        });
    }
    return true;
}();

}  // namespace
}  // namespace keystile::bench
