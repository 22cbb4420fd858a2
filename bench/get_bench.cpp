// Reading keys through the C interface, one process, value 64 bytes, key 16 bytes.
//
// Workloads (time = one key):
//   get/hot/handle             one key, by its ks_key
//   get/hot/key                one key, by its bytes
//   get/zipf100k/key           100,000 keys, the frequent ones mostly in the caches
//   get/uniform100k/key        100,000 keys, each once per lap; the value read says which key is next
//   get/uniform100k/ahead      the same keys, known in advance: what the processor overlaps by itself
//   get_many/uniform100k       the same keys, 64 a call; the next call's keys depend on the last value
// Counters: x_NAME: how many times that reference's time, measured in turns with it on the same workload;
// x_get: of one get after the other.
#include <array>

#include "rig/worlds.hpp"

namespace keystile::bench {
namespace {

Contestant get_by_handle() {
    auto engine = hot_world().engine<KeystileEngine>();
    const KeyName name = key_name(0);
    ks_key key{};
    need(ks_resolve(engine->session(), {&name, sizeof name}, &key) == KS_OK, "ks_resolve");
    return contestant_of("handle", kHotOps, false, [engine, key] {
        char value[kValueBytes];
        ks_stamp seen;
        size_t size = 0;
        for (std::int64_t i = 0; i < kHotOps; ++i) {
            const ks_status s = ks_get_k(engine->session(), key, value, sizeof value, &size, &seen);
            if (s != KS_OK) [[unlikely]]
                need(false, ks_status_name(s));
        }
    });
}

Contestant get_ahead() {
    auto engine = lap_world().engine<KeystileEngine>();
    auto order = std::make_shared<LapOrder<kManyKeys>>();
    return contestant_of("ahead", kManyKeys, true, [engine, order] {
        char value[kValueBytes];
        for (std::uint32_t i = 0; i < kManyKeys; ++i) engine->get(order->next(0), value, sizeof value);
    });
}

constexpr std::size_t kTogether = 64;
constexpr std::int64_t kManyOps = kManyKeys / kTogether * kTogether;

struct Batch {
    std::array<ks_get_item, kTogether> items{};
    std::array<KeyName, kTogether> names{};
    std::array<char[kValueBytes], kTogether> values{};
    LapOrder<kManyKeys> order;
    std::uint64_t moved = 0;
};

void get_many(ks_session* session, Batch& batch) {
    std::uint32_t index = 0;
    for (std::size_t i = 0; i < kTogether; ++i) {
        index = batch.order.next(i == 0 ? batch.moved : 0);
        batch.names[i] = key_name(index);
        batch.items[i] = {{&batch.names[i], sizeof(KeyName)}, batch.values[i], kValueBytes, 0, {0, 0}, KS_OK};
    }
    const ks_status s = ks_get_many(session, batch.items.data(), kTogether);
    if (s != KS_OK) [[unlikely]]
        need(false, ks_status_name(s));
    for (const ks_get_item& item : batch.items) {
        if (item.status != KS_OK) [[unlikely]]
            need(false, ks_status_name(item.status));
    }
    batch.moved = index_in(batch.values[kTogether - 1]) - index;
}

Contestant get_many_keys() {
    auto engine = lap_world().engine<KeystileEngine>();
    auto batch = std::make_shared<Batch>();
    return contestant_of("many", kManyOps, true, [engine, batch] {
        for (std::size_t i = 0; i < kManyOps; i += kTogether) get_many(engine->session(), *batch);
    });
}

[[maybe_unused]] const bool is_added = [] {
    using List = std::vector<Contestant>;
    add_case("get/hot/handle", []() -> List { return {get_by_handle(), cas_hot()}; });
    for (const auto& [name, distribution] : kDistributions) {
        add_case(std::string("get/") + name + "/key", [=]() -> List {
            List list = all_engines(distribution, Op::kGet);
            if (distribution == Distribution::kHot) list.push_back(cas_hot());
            if (distribution == Distribution::kUniform) list.push_back(cas_uniform());
            return list;
        });
    }
    add_case("get/uniform100k/ahead", []() -> List { return {get_ahead(), cas_uniform()}; });
    add_case("get_many/uniform100k", []() -> List {
        Contestant one_by_one = contestant<KeystileEngine>(Distribution::kUniform, Op::kGet);
        one_by_one.name = "get";
        return {get_many_keys(), one_by_one, get_ahead()};
    });
    return true;
}();

}  // namespace
}  // namespace keystile::bench
