// The operations of the crash matrix. Each says what the victim does, what comes before, and which point
// makes it happen.
#include <csignal>

#include "abi/abi.hpp"
#include "crash/world.hpp"

namespace keystile::testing {

namespace {

constexpr std::string_view kCas = "operations.commit.after_cas";
constexpr std::string_view kLongKey = "a key of more than sixteen bytes";
constexpr std::uint64_t kMillisecond = 1'000'000;

const std::string mebibyte(1u << 20, 'm');
const std::string other_class(300, 'o');

// ---- What victims do ------------------------------------------------------------------------------------

ks_status commit_small(Actor& a) {
    return a.commit(a.world.key(), a.seen, "victim");
}
ks_status commit_other_class(Actor& a) {
    return a.commit(a.world.key(), a.seen, other_class);
}
ks_status commit_mebibyte(Actor& a) {
    return a.commit(a.world.key(), a.seen, mebibyte);
}
ks_status erase(Actor& a) {
    return a.erase(a.world.key(), a.seen);
}
ks_status claim(Actor& a) {
    return a.claim(a.world.key());
}
ks_status commit_granted(Actor& a) {
    return a.commit_granted(a.world.key(), "victim", false);
}
ks_status commit_and_release(Actor& a) {
    return a.commit_granted(a.world.key(), "victim", true);
}
ks_status renew(Actor& a) {
    return ks_renew(a.session, &a.grant, 3'600'000 * kMillisecond, nullptr);
}
ks_status release(Actor& a) {
    return ks_release(a.session, &a.grant, nullptr);
}
// The epoch that the key's word has now.
std::uint64_t epoch_of(Actor& a) {
    ks_stamp now{};
    (void)ks_watch(a.session, bytes(a.world.key()), ks_stamp{UINT64_MAX, 0}, 0, &now);
    return now.epoch;
}
ks_status reclaim_dead(Actor& a) {
    return ks_reclaim(a.session, bytes(a.world.key()), epoch_of(a), 0, nullptr);
}
ks_status reclaim_live(Actor& a) {
    return ks_reclaim(a.session, bytes(a.world.key()), epoch_of(a), KS_RECLAIM_LIVE, nullptr);
}
ks_status watch(Actor& a) {
    return ks_watch(a.session, bytes(a.world.key()), a.seen, 20 * kMillisecond, nullptr);
}
ks_status claim_and_wait(Actor& a) {
    ks_claim_options options{};
    options.struct_size = sizeof options;
    options.wait_ns = KS_FOREVER;
    return ks_claim(a.session, bytes(a.world.key()), &options, &a.grant, nullptr);
}
ks_status resolve(Actor& a) {
    ks_key key;
    return ks_resolve(a.session, bytes(a.world.key()), &key);
}
ks_status open_session(Actor& a) {
    ks_session* session = nullptr;
    return ks_session_open(a.store, &session);
}
ks_status close_session(Actor& a) {
    ks_session_close(a.session);
    return KS_OK;
}
ks_status close_store(Actor& a) {
    ks_close(a.store);
    a.store = nullptr;
    return KS_OK;
}
ks_status open_store(Actor& a) {
    return open_small(a.world.store.url(), KS_OPEN_MUST_EXIST, &a.store);
}
ks_status reap(Actor& a) {
    return ks_reap(a.store, nullptr);
}
ks_status read_all(Actor& a) {
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
ks_status commit_both(Actor& a, std::string_view key, bool is_delete, bool is_release) {
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
ks_status commit_two(Actor& a) {
    return commit_both(a, a.world.key(), false, false);
}
ks_status delete_and_put(Actor& a) {
    return commit_both(a, a.world.key(), true, false);
}
ks_status release_and_put(Actor& a) {
    return commit_both(a, a.world.key(), false, true);
}
ks_status commit_big_two(Actor& a) {  // one of the blocks is a run of chunks, the descriptor too
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
void resolve_many(Actor& a) {
    ks_key key;
    for (int i = 0; i < 700; ++i) (void)ks_resolve(a.session, bytes("none-" + std::to_string(i)), &key);
}
// The same of two keys that are neither the cell's nor its twin: what a corpse was about.
ks_status commit_two_others(Actor& a) {
    ks_multi* multi = nullptr;
    ks_status s = ks_multi_begin(a.session, &multi);
    for (const char* key : {"other", "third"})
        if (s == KS_OK) s = ks_multi_put(multi, bytes(key), bytes("corpse"), nullptr);
    if (s == KS_OK) s = ks_multi_commit(multi);
    ks_multi_end(multi);
    return s;
}
ks_status snapshot(Actor& a) {
    ks_snapshot* cut = nullptr;
    const ks_status s = ks_snapshot_prefix(a.session, {nullptr, 0}, &cut);
    ks_snapshot_close(cut);
    return s;
}

// ---- What comes before ----------------------------------------------------------------------------------

void take_claim(Actor& a) {
    (void)a.claim(a.world.key());
}
void commit_twice(Actor& a) {  // then the session has a spare block
    for (int i = 0; i < 2; ++i) (void)a.commit(a.world.key(), a.stamp_of(a.world.key()), "prepared");
}
void put_mebibyte(Actor& a) {
    (void)a.put(a.world.key(), mebibyte);
}
void fill_first_chunks(Actor& a) {  // each class opens a chunk: until there is none left
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
void open_other_sessions(Actor& a) {  // of the 64 records, this process has one and the victim one
    for (int i = 0; i < 62; ++i) (void)open_session(a);
}
void open_other_participants(Actor& a) {
    for (int i = 0; i < 63; ++i) {
        ks_store* store = nullptr;
        if (open_small(a.world.store.url(), 0, &store) == KS_OK) a.world.extra_stores.push_back(store);
    }
}
void dead_owner(Actor& a) {
    a.world.corpse(claim, "");
}
void dead_bidder(Actor& a) {
    a.world.corpse(claim, "slots.claim.after_bid");
}
void dead_reclaimer(Actor& a) {  // of the live claim that the victim took before
    a.world.corpse(reclaim_live, "slots.reclaim.after_mark");
}
void expired_lease(Actor& a) {
    (void)a.claim(a.world.key(), kMillisecond);
    std::uint64_t left_ns = 1;
    const auto on_entry = [](void* user, const ks_entry* entry) {
        if (entry->is_claimed != 0) *static_cast<std::uint64_t*>(user) = entry->owner.lease_left_ns;
        return 0;
    };
    while (left_ns != 0) (void)ks_list(a.session, bytes(a.world.key()), 0, on_entry, &left_ns);
}
void stopped_waiter(Actor& a) {  // its bit is set, so whoever changes the key has to wake
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
void commit_between(Actor& a) {
    (void)a.commit(a.world.key(), a.stamp_of(a.world.key()), "between");
}
void resolve_between(Actor& a) {
    (void)resolve(a);
}
void release_between(Actor& a) {
    (void)release(a);
}

// ---- What the reaper finds ------------------------------------------------------------------------------

ks_status insert_long(Actor& a) {
    return a.put("corpse: a key of more than 16 bytes", "v");
}
ks_status insert_colliding(Actor& a) {
    return a.put(a.world.colliding, "v");
}
ks_status overwrite_other(Actor& a) {
    return a.put("other", "corpse");
}
ks_status overwrite_other_big(Actor& a) {
    return a.put("other", mebibyte);
}
void overwrite_other_thrice(Actor& a) {
    for (int i = 0; i < 3; ++i) (void)overwrite_other(a);
}
// Each: the remains that one death leaves.
template <ks_status (*act)(Actor&), const char* point, int occurrence = 1, void (*prepare)(Actor&) = nullptr>
void corpse(Actor& a) {
    a.world.corpse(act, point, occurrence, prepare);
}
constexpr char kAfterCas[] = "operations.commit.after_cas", kBeforeCas[] = "operations.commit.before_cas";
constexpr char kBeforePublish[] = "operations.commit.before_publish", kBeforeTake[] = "arena.run.before_take";
constexpr char kBeforeCtl[] = "arena.run.before_ctl", kBeforeGiveBack[] = "arena.run.before_give_back";
constexpr char kBeforeInsert[] = "slots.insert.before_cas", kBeforePlaced[] = "slots.insert.before_placed";
constexpr char kBeforeSplit[] = "slots.split.before_cas", kBeforeKeep[] = "arena.keep.before_cas";

void put_other_big(Actor& a) {
    (void)overwrite_other_big(a);
}
// Two that die in the same moment: the second one's opening the store cannot reap the first.
void two_dead(Actor& a) {
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

bool is_committed(Actor& a, ks_stamp before) {
    return a.stamp_of(a.world.key()).version == before.version + 1;
}
bool is_claimed_now(Actor& a, ks_stamp) {
    return (epoch_of(a) & 1u) != 0;
}
bool is_free_now(Actor& a, ks_stamp) {
    return (epoch_of(a) & 1u) == 0;
}

using Operations = std::vector<Operation>;

// Made by the commit's CAS, and by nothing else.
Operation commit_like(Operation op, ks_status if_not_done = KS_CONFLICT) {
    op.done_at = kCas;
    op.is_done = is_committed;
    op.commits = 1;
    op.if_not_done = op.if_not_done_either = if_not_done;
    return op;
}

void add_commits(Operations* all) {
    const Operation commits[] = {
        {.name = "FirstCommit",
         .act = commit_small,
         .prepare = [](Actor& a) { (void)resolve(a); },
         .key = "new"},
        {.name = "Overwrite", .act = commit_small},
        {.name = "OverwriteWithSpareBlock", .act = commit_small, .prepare = commit_twice},
        {.name = "OverwriteWithOtherSize", .act = commit_other_class, .prepare = commit_twice},
        {.name = "CommitMebibyte", .act = commit_mebibyte},
        {.name = "OverwriteMebibyte", .act = commit_mebibyte, .before = put_mebibyte},
        {.name = "OverwriteMebibyteWithSmall", .act = commit_small, .before = put_mebibyte},
        {.name = "CommitThatGrowsTheArena", .act = commit_other_class, .before = fill_first_chunks},
        {.name = "Insert", .act = commit_small, .key = "new"},
        {.name = "InsertLongKey", .act = commit_small, .key = kLongKey},
        {.name = "InsertThatSplitsTwice", .act = commit_small, .key = "colliding"},
        {.name = "InsertThatLosesTheRace",
         .act = commit_small,
         .pause_at = "slots.insert.before_cas",
         .while_paused = resolve_between,
         .key = "new"},
        {.name = "InsertOfLongKeyThatLosesTheRace",
         .act = commit_small,
         .pause_at = "slots.insert.before_cas",
         .while_paused = resolve_between,
         .key = kLongKey},
        {.name = "SplitThatLosesTheRace",
         .act = commit_small,
         .pause_at = "slots.split.before_cas",
         .while_paused = resolve_between,
         .key = "colliding"},
        {.name = "Delete", .act = erase},
        {.name = "CommitThatWakes", .act = commit_small, .before = stopped_waiter},
    };
    for (const Operation& op : commits) all->push_back(commit_like(op));
    all->push_back(commit_like(
        {.name = "CommitUnderGrant", .act = commit_granted, .prepare = take_claim, .holds_key = true},
        KS_OK));
    all->push_back(commit_like(
        {.name = "CommitAndRelease", .act = commit_and_release, .prepare = take_claim, .holds_key = true},
        KS_OK));
    // Refused: the word moved while the new block was made.
    for (const bool is_big : {false, true}) {
        all->push_back({.name = is_big ? "RefusedMebibyte" : "RefusedCommit",
                        .act = is_big ? commit_mebibyte : commit_small,
                        .pause_at = kBeforeCas,
                        .while_paused = commit_between,
                        .if_not_done = KS_CONFLICT,
                        .if_not_done_either = KS_CONFLICT});
    }
    // The key was owned since it was read: the claim is reclaimed on the way, the commit refused.
    all->push_back({.name = "CommitThatReclaims",
                    .act = commit_small,
                    .before = dead_owner,
                    .is_done = is_free_now,
                    .if_not_done = KS_CONFLICT,
                    .if_not_done_either = KS_FENCED});
}

constexpr char kAllocated[] = "arena.allocate.after_cas",
               kBeforeArenaPublish[] = "arena.publish.before_store";
constexpr std::string_view kMarked = "operations.decide.after_mark";
constexpr std::string_view kInRing = "operations.multi.after_publish";
constexpr char kMultiBeforePublish[] = "operations.multi.before_publish",
               kMultiAfterPublish[] = "operations.multi.after_publish";
constexpr char kBeforeInstall[] = "operations.decide.before_install",
               kBeforeMark[] = "operations.decide.before_mark";
constexpr char kAfterMark[] = "operations.decide.after_mark",
               kBeforeFinalise[] = "operations.finalise.before_cas";
constexpr char kBeforeFree[] = "operations.recycle.before_free",
               kBeforeDescriptor[] = "operations.recycle.before_descriptor";
constexpr char kAfterReserve[] = "ring.reserve.after_add", kBeforeHead[] = "ring.advance.before_head";

bool is_released_now(Actor& a, ks_stamp before) {
    return is_free_now(a, before) && a.stamp_of("twin").version == 1;
}
// A corpse whose place in the ring nobody fills, and so many operations behind it that it is in the way.
void hole_in_the_ring(Actor& a) {
    a.world.corpse(commit_two_others, kAfterReserve);
    for (int i = 0; i < 64; ++i) (void)commit_two_others(a);
}
void undecided_in_the_ring(Actor& a) {
    a.world.corpse(commit_two_others, kMultiAfterPublish);
    for (int i = 0; i < 64; ++i) (void)a.put("mine", "x"), (void)snapshot(a);
    ks_multi* multi = nullptr;
    (void)ks_multi_begin(a.session, &multi);
    for (int i = 0; i < 64; ++i) {
        ks_multi_reset(multi);
        (void)ks_multi_put(multi, bytes("fourth"), bytes("x"), nullptr);
        (void)ks_multi_commit(multi);
    }
    ks_multi_end(multi);
}

// Done by the mark of its cell, by anybody from its publication on.
Operation multi_like(Operation op) {
    op.done_at = kMarked;
    op.maybe_at = kInRing;
    if (op.is_done == nullptr) op.is_done = is_committed;
    op.if_not_done = KS_OK;
    op.if_not_done_either = KS_CONFLICT;
    return op;
}

void add_multis(Operations* all) {
    all->push_back(multi_like({.name = "CommitTwo", .act = commit_two, .commits = 1}));
    all->push_back(multi_like({.name = "CommitTwoOfThemNew", .act = commit_two, .key = "new", .commits = 1}));
    all->push_back(multi_like({.name = "DeleteAndPut", .act = delete_and_put, .commits = 1}));
    all->push_back(
        multi_like({.name = "CommitMany", .act = commit_big_two, .prepare = resolve_many, .commits = 1}));
    all->push_back(multi_like({.name = "ReleaseAndPut",
                               .act = release_and_put,
                               .prepare = take_claim,
                               .is_done = is_released_now,
                               .holds_key = true}));
    all->push_back(multi_like(
        {.name = "CommitTwoThatWakes", .act = commit_two, .before = stopped_waiter, .commits = 1}));
    all->push_back(multi_like(
        {.name = "CommitTwoPastAHole", .act = commit_two, .meanwhile = hole_in_the_ring, .commits = 1}));
    all->push_back(multi_like({.name = "CommitTwoPastAnUndecided",
                               .act = commit_two,
                               .meanwhile = undecided_in_the_ring,
                               .commits = 1}));
    all->push_back({.name = "RefusedTwo",
                    .act = commit_two,
                    .pause_at = kMultiBeforePublish,
                    .while_paused = commit_between,
                    .if_not_done = KS_CONFLICT,
                    .if_not_done_either = KS_CONFLICT});
    // On a key whose word says INTENT of the dead: helped to its end first.
    const std::pair<const char*, ks_status (*)(Actor&)> helping[] = {{"CommitThatHelps", overwrite_other},
                                                                     {"TwoThatHelp", commit_two_others}};
    for (const auto& [name, act] : helping) {
        all->push_back({.name = name,
                        .act = act,
                        .meanwhile = corpse<commit_two_others, kBeforeMark>,
                        .if_not_done = KS_OK,
                        .if_not_done_either = KS_CONFLICT});
    }
    all->push_back({.name = "CommitThatUndoes",
                    .act = overwrite_other,
                    .meanwhile = corpse<commit_two_others, kAfterMark>,
                    .if_not_done = KS_OK,
                    .if_not_done_either = KS_CONFLICT});
    all->push_back({.name = "Snapshot", .act = snapshot});
}

void add_claims(Operations* all) {
    const Operation claims[] = {
        {.name = "Claim", .act = claim},
        {.name = "ClaimAfterDeadBidder", .act = claim, .before = dead_bidder},
        {.name = "ClaimOfTheDead", .act = claim, .before = dead_owner},
        {.name = "ClaimOfExpiredLease", .act = claim, .before = expired_lease},
        {.name = "ClaimThatWaits",
         .act = claim_and_wait,
         .before = take_claim,
         .pause_at = "operations.watch.before_sleep",
         .while_paused = release_between},
        {.name = "ClaimThatWakes",
         .act = claim,
         .before = stopped_waiter,
         .done_at = "slots.wake.before_wake",
         .is_done = is_claimed_now},
        {.name = "ClaimOfNewKey", .act = claim, .key = "new"},
        {.name = "Renew", .act = renew, .prepare = take_claim},
        {.name = "RenewOfMarkedClaim",
         .act = renew,
         .prepare = take_claim,
         .meanwhile = dead_reclaimer,
         .if_not_done = KS_FENCED,
         .if_not_done_either = KS_FENCED},
        {.name = "Release", .act = release, .prepare = take_claim, .is_done = is_free_now},
        {.name = "ReleaseThatWakes",
         .act = release,
         .prepare = take_claim,
         .meanwhile = stopped_waiter,
         .done_at = "slots.wake.before_wake",
         .is_done = is_free_now},
        {.name = "ReclaimOfTheDead", .act = reclaim_dead, .before = dead_owner, .is_done = is_free_now},
        {.name = "ReclaimOfTheLiving", .act = reclaim_live, .before = take_claim, .is_done = is_free_now},
        {.name = "Watch", .act = watch},
    };
    for (Operation op : claims) {
        op.holds_key = true;
        all->push_back(op);
    }
}

void add_stores(Operations* all) {
    all->push_back({.name = "Read", .act = read_all});
    all->push_back({.name = "OpenStore", .act = open_store, .is_attached = false});
    all->push_back({.name = "OpenThatGrowsTheTable",
                    .act = open_store,
                    .before = open_other_participants,
                    .is_attached = false});
    all->push_back({.name = "OpenThatReaps",
                    .act = open_store,
                    .before = corpse<overwrite_other, kAfterCas>,
                    .is_attached = false});
    all->push_back({.name = "OpenSession", .act = open_session});
    all->push_back(
        {.name = "OpenSessionThatGrowsTheTable", .act = open_session, .before = open_other_sessions});
    all->push_back({.name = "CloseSession", .act = close_session, .prepare = commit_twice});
    all->push_back({.name = "CloseStore", .act = close_store, .prepare = commit_twice});
}

void add_reaping(Operations* all) {
    const std::pair<const char*, void (*)(Actor&)> remains[] = {
        {"ReapReplacedBlock", corpse<overwrite_other, kAfterCas>},
        {"ReapKeptBlock", corpse<overwrite_other, kBeforeKeep>},
        {"ReapHeldBlock", corpse<overwrite_other, kBeforePublish>},
        {"ReapPublishedBlock", corpse<overwrite_other, kBeforeCas>},
        {"ReapSpareBlock", corpse<overwrite_other, kBeforePublish, 1, overwrite_other_thrice>},
        {"ReapHalfARun", corpse<overwrite_other_big, kBeforeTake, 7>},
        {"ReapHeldRun", corpse<overwrite_other_big, kBeforeCtl>},
        {"ReapPublishedRun", corpse<overwrite_other_big, kBeforeCas>},
        {"ReapReplacedRun", corpse<overwrite_other, kAfterCas, 1, put_other_big>},
        {"ReapHalfFreedRun", corpse<overwrite_other, kBeforeGiveBack, 1, put_other_big>},
        {"ReapHeldSlot", corpse<insert_colliding, kBeforeInsert>},
        {"ReapReachableSlot", corpse<insert_colliding, kBeforePlaced>},
        {"ReapHeldSlotAndKey", corpse<insert_long, kBeforeInsert>},
        {"ReapReachableSlotAndKey", corpse<insert_long, kBeforePlaced>},
        {"ReapLostNode", corpse<insert_colliding, kBeforeSplit>},
        {"ReapReachableNode", corpse<insert_colliding, kBeforeInsert, 2>},
        {"ReapTwo", two_dead},
        {"ReapDraftWithoutEntries", corpse<commit_two_others, kAllocated>},
        {"ReapDraftWithABlock", corpse<commit_two_others, kBeforeArenaPublish>},
        {"ReapDraft", corpse<commit_two_others, kMultiBeforePublish>},
        {"ReapUndecided", corpse<commit_two_others, kMultiAfterPublish>},
        {"ReapHalfInstalled", corpse<commit_two_others, kBeforeInstall, 2>},
        {"ReapInstalled", corpse<commit_two_others, kBeforeMark>},
        {"ReapCommitted", corpse<commit_two_others, kAfterMark>},
        {"ReapHalfFinalised", corpse<commit_two_others, kBeforeFinalise, 2>},
        {"ReapHalfRecycled", corpse<commit_two_others, kBeforeFree, 2>},
        {"ReapNearlyRecycled", corpse<commit_two_others, kBeforeDescriptor>},
        {"ReapBeforeTheHead", corpse<commit_two_others, kBeforeHead>},
    };
    for (const auto& [name, meanwhile] : remains)
        all->push_back({.name = name, .act = reap, .meanwhile = meanwhile});
}

}  // namespace

const std::vector<Operation>& operations() {
    static const std::vector<Operation> all = [] {
        Operations made;
        add_commits(&made);
        add_multis(&made);
        add_claims(&made);
        add_stores(&made);
        add_reaping(&made);
        return made;
    }();
    return all;
}

const Operation& operation(std::string_view name) {
    for (const Operation& op : operations()) {
        if (op.name == name) return op;
    }
    std::abort();
}

}  // namespace keystile::testing
