// What the victims of the crash matrix do, what comes before, and how the effect shows.
#pragma once

#include <csignal>

#include "abi/abi.hpp"
#include "crash/world.hpp"

namespace keystile::testing {

inline constexpr std::string_view kCas = "operations.commit.after_cas";
inline constexpr std::string_view kLongKey = "a key of more than sixteen bytes";
inline constexpr std::uint64_t kMillisecond = 1'000'000;

inline const std::string mebibyte(1u << 20, 'm');
inline const std::string other_class(300, 'o');

// ---- What victims do ------------------------------------------------------------------------------------

inline ks_status commit_small(Actor& a) {
    return a.commit(a.world.key(), a.seen, "victim");
}
inline ks_status commit_other_class(Actor& a) {
    return a.commit(a.world.key(), a.seen, other_class);
}
inline ks_status commit_mebibyte(Actor& a) {
    return a.commit(a.world.key(), a.seen, mebibyte);
}
inline ks_status erase(Actor& a) {
    return a.erase(a.world.key(), a.seen);
}
inline ks_status claim(Actor& a) {
    return a.claim(a.world.key());
}
inline ks_status commit_granted(Actor& a) {
    return a.commit_granted(a.world.key(), "victim", false);
}
inline ks_status commit_and_release(Actor& a) {
    return a.commit_granted(a.world.key(), "victim", true);
}
inline ks_status renew(Actor& a) {
    return ks_renew(a.session, &a.grant, 3'600'000 * kMillisecond, nullptr);
}
inline ks_status release(Actor& a) {
    return ks_release(a.session, &a.grant, nullptr);
}
// The epoch that the key's word has now.
inline std::uint64_t epoch_of(Actor& a) {
    ks_stamp now{};
    (void)ks_watch(a.session, bytes(a.world.key()), ks_stamp{UINT64_MAX, 0}, 0, &now);
    return now.epoch;
}
inline ks_status reclaim_dead(Actor& a) {
    return ks_reclaim(a.session, bytes(a.world.key()), epoch_of(a), 0, nullptr);
}
inline ks_status reclaim_live(Actor& a) {
    return ks_reclaim(a.session, bytes(a.world.key()), epoch_of(a), KS_RECLAIM_LIVE, nullptr);
}
inline ks_status watch(Actor& a) {
    return ks_watch(a.session, bytes(a.world.key()), a.seen, 20 * kMillisecond, nullptr);
}
inline ks_status claim_and_wait(Actor& a) {
    ks_claim_options options{};
    options.struct_size = sizeof options;
    options.wait_ns = KS_FOREVER;
    return ks_claim(a.session, bytes(a.world.key()), &options, &a.grant, nullptr);
}
inline ks_status resolve(Actor& a) {
    ks_key key;
    return ks_resolve(a.session, bytes(a.world.key()), &key);
}
inline ks_status open_session(Actor& a) {
    ks_session* session = nullptr;
    return ks_session_open(a.store, &session);
}
inline ks_status close_session(Actor& a) {
    ks_session_close(a.session);
    return KS_OK;
}
inline ks_status close_store(Actor& a) {
    ks_close(a.store);
    a.store = nullptr;
    return KS_OK;
}
inline ks_status open_store(Actor& a) {
    return open_small(a.world.store.url(), KS_OPEN_MUST_EXIST, &a.store);
}
inline ks_status reap(Actor& a) {
    return ks_reap(a.store, nullptr);
}
inline ks_status read_all(Actor& a) {
    const auto on_entry = [](void*, const ks_entry*) { return 0; };
    char buffer[64];
    ks_get_item item{};
    item.key = bytes("k");
    ks_status s = ks_get(a.session, bytes("k"), buffer, sizeof buffer, nullptr, nullptr);
    if (s == KS_OK) s = ks_get_many(a.session, &item, 1);
    if (s == KS_OK) s = ks_list(a.session, {nullptr, 0}, KS_LIST_ALL, on_entry, nullptr);
    return s == KS_OK ? ks_check(a.store, nullptr, nullptr, nullptr) : s;
}

// Several keys: the cell's and its twin, from what was seen.
inline ks_status commit_both(Actor& a, std::string_view key, bool is_delete, bool is_release) {
    ks_multi* multi = nullptr;
    ks_status s = ks_multi_begin(a.session, &multi);
    if (s == KS_OK && !is_release) s = ks_multi_expect(multi, bytes(key), a.seen);
    if (s == KS_OK && is_delete) s = ks_multi_delete(multi, bytes(key), nullptr);
    if (s == KS_OK && is_release) s = ks_multi_release(multi, bytes(key), &a.grant);
    if (s == KS_OK && !is_delete && !is_release)
        s = ks_multi_put(multi, bytes(key), bytes("victim"), nullptr);
    if (s == KS_OK) s = ks_multi_put(multi, bytes("twin"), bytes("victim"), nullptr);
    if (s == KS_OK) s = ks_multi_commit(multi);
    ks_multi_end(multi);
    if (s == KS_OK && key == a.world.key() && !is_release) ++a.world.shared.commits;
    return s;
}
inline ks_status commit_two(Actor& a) {
    return commit_both(a, a.world.key(), false, false);
}
inline ks_status delete_and_put(Actor& a) {
    return commit_both(a, a.world.key(), true, false);
}
inline ks_status release_and_put(Actor& a) {
    return commit_both(a, a.world.key(), false, true);
}
inline ks_status commit_big_two(Actor& a) {  // one of the blocks is a run of chunks, the descriptor too
    ks_multi* multi = nullptr;
    ks_status s = ks_multi_begin(a.session, &multi);
    for (int i = 0; s == KS_OK && i < 700; ++i)
        s = ks_multi_expect(multi, bytes("none-" + std::to_string(i)), ks_stamp{});
    if (s == KS_OK) s = ks_multi_expect(multi, bytes(a.world.key()), a.seen);
    if (s == KS_OK) s = ks_multi_put(multi, bytes(a.world.key()), bytes(mebibyte), nullptr);
    if (s == KS_OK) s = ks_multi_put(multi, bytes("twin"), bytes("victim"), nullptr);
    if (s == KS_OK) s = ks_multi_commit(multi);
    ks_multi_end(multi);
    if (s == KS_OK) ++a.world.shared.commits;
    return s;
}
inline void resolve_many(Actor& a) {
    ks_key key;
    for (int i = 0; i < 700; ++i) (void)ks_resolve(a.session, bytes("none-" + std::to_string(i)), &key);
}
// The same of two keys that are neither the cell's nor its twin: what a corpse was about.
inline ks_status commit_two_others(Actor& a) {
    ks_multi* multi = nullptr;
    ks_status s = ks_multi_begin(a.session, &multi);
    for (const char* key : {"other", "third"})
        if (s == KS_OK) s = ks_multi_put(multi, bytes(key), bytes("corpse"), nullptr);
    if (s == KS_OK) s = ks_multi_commit(multi);
    ks_multi_end(multi);
    return s;
}
inline ks_status snapshot(Actor& a) {
    ks_snapshot* cut = nullptr;
    const ks_status s = ks_snapshot_prefix(a.session, {nullptr, 0}, &cut);
    ks_snapshot_close(cut);
    return s;
}

// ---- What comes before ----------------------------------------------------------------------------------

inline void take_claim(Actor& a) {
    (void)a.claim(a.world.key());
}
inline void commit_twice(Actor& a) {  // then the session has a spare block
    for (int i = 0; i < 2; ++i) (void)a.commit(a.world.key(), a.stamp_of(a.world.key()), "prepared");
}
inline void put_mebibyte(Actor& a) {
    (void)a.put(a.world.key(), mebibyte);
}
inline void fill_first_chunks(Actor& a) {  // each class opens a chunk: until there is none left
    const engine::Segment& segment = a.store->store->segment;
    const auto has_virgin = [&] {
        for (std::uint64_t i = 0; i < segment.chunk_count(); ++i) {
            if (engine::peek(segment.chunk(i)->use) == 0) return true;
        }
        return false;
    };
    for (std::size_t size = 500; has_virgin(); size *= 2)
        (void)a.put("fill-" + std::to_string(size), std::string(size, 'f'));
}
inline void open_other_sessions(Actor& a) {  // of the 64 records, this process has one and the victim one
    for (int i = 0; i < 62; ++i) (void)open_session(a);
}
inline void open_other_participants(Actor& a) {
    for (int i = 0; i < 63; ++i) {
        ks_store* store = nullptr;
        if (open_small(a.world.store.url(), 0, &store) == KS_OK) a.world.extra_stores.push_back(store);
    }
}
inline void dead_owner(Actor& a) {
    a.world.corpse(claim, "");
}
inline void dead_bidder(Actor& a) {
    a.world.corpse(claim, "slots.claim.after_bid");
}
inline void dead_reclaimer(Actor& a) {  // of the live claim that the victim took before
    a.world.corpse(reclaim_live, "slots.reclaim.after_mark");
}
inline void expired_lease(Actor& a) {
    (void)a.claim(a.world.key(), kMillisecond);
    std::uint64_t left_ns = 1;
    const auto on_entry = [](void* user, const ks_entry* entry) {
        if (entry->is_claimed != 0) *static_cast<std::uint64_t*>(user) = entry->owner.lease_left_ns;
        return 0;
    };
    while (left_ns != 0) (void)ks_list(a.session, bytes(a.world.key()), 0, on_entry, &left_ns);
}
inline void stopped_waiter(Actor& a) {  // its bit is set, so whoever changes the key has to wake
    World& world = a.world;
    auto waiter = std::make_unique<Child>([&world](const Child::Line&) {
        Attached other(world.store.url());
        ks_stamp seen{};
        (void)ks_get(other.session, bytes(world.key()), nullptr, 0, nullptr, &seen);
        arm({{"operations.watch.before_sleep", 1, SIGSTOP}});
        return ks_watch(other.session, bytes(world.key()), seen, KS_FOREVER, nullptr) == KS_OK ? 0 : 1;
    });
    if (!waiter->await_stop()) world.note("the waiter did not come to its sleep");
    world.helpers.push_back(std::move(waiter));
}
inline void commit_between(Actor& a) {
    (void)a.commit(a.world.key(), a.stamp_of(a.world.key()), "between");
}
inline void resolve_between(Actor& a) {
    (void)resolve(a);
}
inline void release_between(Actor& a) {
    (void)release(a);
}

// ---- What the reaper finds ------------------------------------------------------------------------------

inline ks_status insert_long(Actor& a) {
    return a.put("corpse: a key of more than 16 bytes", "v");
}
inline ks_status insert_colliding(Actor& a) {
    return a.put(a.world.colliding, "v");
}
inline ks_status overwrite_other(Actor& a) {
    return a.put("other", "corpse");
}
inline ks_status overwrite_other_big(Actor& a) {
    return a.put("other", mebibyte);
}
inline void overwrite_other_thrice(Actor& a) {
    for (int i = 0; i < 3; ++i) (void)overwrite_other(a);
}
// Each: the remains that one death leaves.
template <ks_status (*act)(Actor&), const char* point, int occurrence = 1, void (*prepare)(Actor&) = nullptr>
inline void corpse(Actor& a) {
    a.world.corpse(act, point, occurrence, prepare);
}
inline constexpr char kAfterCas[] = "operations.commit.after_cas",
                      kBeforeCas[] = "operations.commit.before_cas";
inline constexpr char kBeforePublish[] = "operations.commit.before_publish",
                      kBeforeTake[] = "arena.run.before_take";
inline constexpr char kBeforeCtl[] = "arena.run.before_ctl", kBeforeGiveBack[] = "arena.run.before_give_back";
inline constexpr char kBeforeInsert[] = "slots.insert.before_cas",
                      kBeforePlaced[] = "slots.insert.before_placed";
inline constexpr char kBeforeSplit[] = "slots.split.before_cas", kBeforeKeep[] = "arena.keep.before_cas";

inline void put_other_big(Actor& a) {
    (void)overwrite_other_big(a);
}
// Two that die in the same moment: the second one's opening the store cannot reap the first.
inline void two_dead(Actor& a) {
    World& world = a.world;
    const auto stopped = [&](ks_status (*act)(Actor&), const char* point) {
        auto child = std::make_unique<Child>([&world, act, point](const Child::Line&) {
            const Attached other(world.store.url());
            Actor actor{world, other.store, other.session};
            arm({{point, 1, SIGSTOP}});
            return static_cast<int>(act(actor));
        });
        if (!child->await_stop()) world.note("a process did not come to its place of death");
        return child;
    };
    const auto first = stopped(overwrite_other, kAfterCas);
    const auto second = stopped(insert_long, kBeforeInsert);
    first->kill();
    second->kill();
}

// ---- How the effect shows -------------------------------------------------------------------------------

inline bool is_committed(Actor& a, ks_stamp before) {
    const std::uint64_t now = a.stamp_of(a.world.key()).version;
    return a.world.op.is_durable ? now > before.version : now == before.version + 1;
}
inline bool is_claimed_now(Actor& a, ks_stamp) {
    return (epoch_of(a) & 1u) != 0;
}
inline bool is_free_now(Actor& a, ks_stamp) {
    return (epoch_of(a) & 1u) == 0;
}

}  // namespace keystile::testing
