#include "explore/bodies_claims.hpp"
#include "explore/bodies_data.hpp"
#include "explore/bodies_multi.hpp"
#include "explore/scenario.hpp"

namespace keystile::explore {

namespace {

// Each process has committed before: it keeps a spare block, and its line is of a life that is over. A session that is
// opened gets process 0's record, should that be dead.
void warm(World& world) {
    const std::uint64_t record = world.session(0).lane.id().index;
    engine::poke(world.store(0).segment.header().next_session.value, record);
    for (int i = 0; i < kProcessesMax; ++i) {
        if (world.store(i).segment.file().is_open()) Actor(i).update(kOther, 'w');
    }
}

// Process 0 holds the main key.
void own(World& world) {
    warm(world);
    Actor(0).claim(kMain, &world.grants[0]);
}

// Process 0 holds it by a lease that is over when the scenario starts.
void own_expired(World& world) {
    warm(world);
    Actor(0).claim(kMain, &world.grants[0], 1'000);
}

constexpr Scenario kScenarios[] = {
    two("commit_commit", "two read, append, commit; who loses does it again", warm, update_main<'p'>,
        update_main<'q'>),
    two("commit_two", "a commit beside two of another process, to the same key and to another", warm,
        update_main<'p'>, update_main_and_other<'q'>),
    two("commit_read", "two reads beside two commits, the second into the block that the first replaced",
        warm, read_main, update_main_twice<'q'>),
    two("insert_insert", "two make the same key", warm, insert<kNew, 'p'>, insert<kNew, 'q'>),
    two("insert_collide", "two make keys that part behind the root of the index", warm, insert<kNew, 'p'>,
        insert<kColliding, 'q'>),
    two("insert_long", "two make the same key, which does not fit into its slot", warm, insert<kLong, 'p'>,
        insert<kLong, 'q'>),
    two("delete_commit", "a delete beside a commit", warm, erase_main, update_main<'q'>),
    two("claim_commit_reclaim", "a claim, and a commit that gives it back, beside a commit without one", warm,
        claim_and_commit, update_main<'q'>),
    two("claim_claim", "a claim beside two claims", warm, claim_twice, claim_main),
    two("commit_reclaim", "an owner commits while its claim is reclaimed", own, commit_as_owner,
        reclaim_and_look, judge_stale_apply),
    two("release_reclaim", "an owner gives back and claims again while its first claim is reclaimed", own,
        release_and_own_again, reclaim_first, judge_lost_claim),
    two("renew_reclaim", "a lease that is over is renewed while another claims", own_expired,
        renew_and_commit, claim_the_expired, judge_renewal),
    two("claim_forger", "an owner commits beside a stranger who knows its ticket", own, commit_as_owner,
        forge),
    two("commit_reap", "a commit; another reaps, opens a session, perhaps in its record, and commits", warm,
        update_main<'p'>, reap_and_update<kMain>),
    two("multi_multi", "two commit the same two keys, given in opposite orders", warm, update_both<'p'>,
        update_both_reversed<'q'>),
    two("multi_direct", "a commit of two keys beside commits of each", warm, update_both<'p'>,
        update_main_and_other<'q'>),
    two("multi_snapshot", "a commit of two keys beside a snapshot of both", warm, update_both<'p'>,
        snapshot<'p', 'q'>),
    two("multi_read", "a commit of two keys beside reads of one", warm, update_both<'p'>, read_main),
    two("multi_claim", "a commit of two keys beside a claim of one", warm, update_both<'m'>,
        claim_and_commit),
    two("multi_reap", "a commit of two keys; another reaps, opens a session, and commits them", warm,
        update_both<'p'>, reap_and_update_both<'q'>),
    two("multi_twice", "a commit of two keys beside two of them", warm, update_both<'p'>,
        update_both_twice<'q'>),
    durable(two("durable_commit_commit", "as commit_commit", warm, update_main<'p'>, update_main<'q'>)),
    durable(two("durable_commit_two", "as commit_two", warm, update_main<'p'>, update_main_and_other<'q'>)),
    durable(two("durable_overwrite", "a put over whatever is there, beside a commit", warm, overwrite_main,
                update_main<'q'>)),
    durable(two("durable_read", "two reads beside two commits", warm, read_main, update_main_twice<'q'>)),
    durable(two("durable_insert", "two make the same key", warm, insert<kNew, 'p'>, insert<kNew, 'q'>)),
    durable(two("durable_delete", "a delete beside a commit", warm, erase_main, update_main<'q'>)),
    durable(two("durable_claim_commit", "as claim_commit_reclaim", warm, claim_and_commit, update_main<'q'>)),
    durable(two("durable_reclaim", "as commit_reclaim", own, commit_as_owner, reclaim_and_look,
                judge_stale_apply)),
    durable(two("durable_reap", "as commit_reap", warm, update_main<'p'>, reap_and_update<kMain>)),
    durable(two("durable_multi_multi", "as multi_multi", warm, update_both<'p'>, update_both_reversed<'q'>)),
    durable(two("durable_multi_commit", "a commit of two keys beside commits of each", warm, update_both<'p'>,
                update_main_and_other<'q'>)),
    durable(two("durable_multi_twice", "as multi_twice", warm, update_both<'p'>, update_both_twice<'q'>)),
    durable(two("durable_snapshot", "as multi_snapshot", warm, update_both<'p'>, snapshot<'p', 'q'>)),
    durable(two("durable_multi_reap", "as multi_reap", warm, update_both<'p'>, reap_and_update_both<'q'>)),
    three("commit_reap_reap", "a commit; two reap", warm, update_main<'p'>, reap, reap),
    three("commit_reap_open", "a commit; one reaps; another reaps, opens a session, and commits", warm,
          update_main<'p'>, reap, reap_and_update<kMain>),
    three("commit_commit_reap", "two commits; a third process reaps and allocates", warm, update_main<'p'>,
          update_main<'q'>, reap_and_update<kOther>),
    durable(three("durable_commit_commit_reap", "as commit_commit_reap", warm, update_main<'p'>,
                  update_main<'q'>, reap_and_update<kOther>)),
    {"everything",
     "four that claim, commit, insert, delete and reap",
     4,
     warm,
     {claim_and_commit, update_main_and_other<'t'>, reap_and_insert, insert_erase_update},
     nullptr},
};

}  // namespace

std::span<const Scenario> scenarios() {
    return kScenarios;
}

const Scenario* find_scenario(std::string_view name) {
    for (const Scenario& scenario : scenarios()) {
        if (scenario.name == name) return &scenario;
    }
    return nullptr;
}

}  // namespace keystile::explore
