// The operations of the crash matrix. Each says what the victim does, what comes before, and which point
// makes it happen.
#include "crash/acts.hpp"

namespace keystile::testing {

namespace {

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
constexpr std::string_view kInRing = "operations.publish.after_cas";
constexpr char kMultiBeforePublish[] = "operations.publish.before_cas",
               kMultiAfterPublish[] = "operations.publish.after_cas";
constexpr char kBeforeInstall[] = "operations.decide.before_install",
               kBeforeMark[] = "operations.decide.before_mark";
constexpr char kAfterMark[] = "operations.decide.after_mark",
               kBeforeFinalise[] = "operations.finalise.before_cas";
constexpr char kBeforeFree[] = "operations.recycle.before_free";
constexpr char kSingleInstalled[] = "operations.decide.before_single_mark";
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
    all->push_back(multi_like(
        {.name = "CommitTwoOverMebibyte", .act = commit_two, .before = put_mebibyte, .commits = 1}));
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

// A durable store: a single key's commit goes through the ring, its block is the operation.
void add_singles(Operations* all) {
    const Operation singles[] = {
        {.name = "SingleCommit", .act = commit_small},
        {.name = "SingleInsert", .act = commit_small, .key = "new"},
        {.name = "SingleDelete", .act = erase},
        {.name = "SingleMebibyte", .act = commit_mebibyte, .before = put_mebibyte},
        {.name = "SingleUnderGrant", .act = commit_granted, .prepare = take_claim, .holds_key = true},
        {.name = "SingleAndRelease", .act = commit_and_release, .prepare = take_claim, .holds_key = true},
        {.name = "SingleThatWakes", .act = commit_small, .before = stopped_waiter},
        {.name = "SinglePastAHole", .act = commit_small, .meanwhile = hole_in_the_ring},
    };
    for (Operation op : singles) {
        op.done_at = kSingleInstalled;
        op.is_done = is_committed;
        op.if_not_done = KS_OK;
        op.if_not_done_either = KS_CONFLICT;
        if (op.before == stopped_waiter) op.done_at = "slots.wake.before_wake";  // between install and mark
        all->push_back(op);
    }
    all->push_back(multi_like({.name = "DurableTwo", .act = commit_two}));
    all->push_back({.name = "RefusedSingle",
                    .act = commit_small,
                    .pause_at = kMultiBeforePublish,
                    .while_paused = commit_between,
                    .if_not_done = KS_CONFLICT,
                    .if_not_done_either = KS_CONFLICT});
    // What the dead one installed is marked before it is overwritten.
    const std::pair<const char*, ks_status (*)(Actor&)> ensuring[] = {{"SingleThatEnsures", overwrite_other},
                                                                      {"TwoThatEnsure", commit_two_others}};
    for (const auto& [name, act] : ensuring) {
        all->push_back({.name = name,
                        .act = act,
                        .meanwhile = corpse<overwrite_other, kSingleInstalled>,
                        .if_not_done = KS_OK,
                        .if_not_done_either = KS_CONFLICT});
    }
    const std::pair<const char*, void (*)(Actor&)> remains[] = {
        {"ReapSingleHeld", corpse<overwrite_other, kBeforeArenaPublish>},
        {"ReapSingleDraft", corpse<overwrite_other, kMultiBeforePublish>},
        {"ReapSingleUndecided", corpse<overwrite_other, kMultiAfterPublish>},
        {"ReapSingleInstalled", corpse<overwrite_other, kSingleInstalled>},
        {"ReapSingleHalfRecycled", corpse<overwrite_other, kBeforeFree>},
        {"ReapSingleBeforeTheHead", corpse<overwrite_other, kBeforeHead>},
        {"ReapDurableDraft", corpse<commit_two_others, kMultiBeforePublish>},
    };
    for (const auto& [name, meanwhile] : remains)
        all->push_back({.name = name, .act = reap, .meanwhile = meanwhile});
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
        {"ReapNearlyRecycled", corpse<commit_two_others, kBeforeKeep>},
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
        const std::size_t first_durable = made.size();
        add_singles(&made);
        for (std::size_t i = first_durable; i < made.size(); ++i) made[i].is_durable = true;
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
