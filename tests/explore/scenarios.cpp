#include "explore/bodies_claims.hpp"
#include "explore/bodies_data.hpp"
#include "explore/scenario.hpp"

namespace keystile::explore {

namespace {

// Each process has committed before: it keeps a spare block, and its line is of a life that is over.
void warm(World& world) {
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
    {"commit_commit",
     "two read, append, commit; who loses does it again",
     2,
     warm,
     {update_main<'p'>, update_main<'q'>},
     nullptr,
     274,
     5534},
    {"commit_two",
     "a commit beside two of another process, to the same key and to another",
     2,
     warm,
     {update_main<'p'>, update_main_and_other<'q'>},
     nullptr,
     420,
     13275},
    {"commit_read",
     "two reads beside two commits, the second into the block that the first replaced",
     2,
     warm,
     {read_main, update_main_twice<'q'>},
     nullptr,
     316,
     5299},
    {"insert_insert", "two make the same key", 2, warm, {insert<'p'>, insert<'q'>}, nullptr, 724, 11134},
    {"delete_commit",
     "a delete beside a commit",
     2,
     warm,
     {erase_main, update_main<'q'>},
     nullptr,
     301,
     5071},
    {"claim_commit_reclaim",
     "a claim, and a commit that gives it back, beside a commit without one",
     2,
     warm,
     {claim_and_commit, update_main<'q'>},
     nullptr,
     374,
     6574},
    {"claim_claim", "a claim beside two claims", 2, warm, {claim_twice, claim_main}, nullptr, 143, 792},
    {"commit_reclaim",
     "an owner commits while its claim is reclaimed",
     2,
     own,
     {commit_as_owner, reclaim_and_look},
     judge_stale_apply,
     1067,
     15552},
    {"release_reclaim",
     "an owner gives back and claims again while its first claim is reclaimed",
     2,
     own,
     {release_and_own_again, reclaim_first},
     judge_lost_claim,
     167,
     2529},
    {"renew_reclaim",
     "a lease that is over is renewed while another claims",
     2,
     own_expired,
     {renew_and_commit, claim_the_expired},
     judge_renewal,
     232,
     3397},
    {"claim_forger",
     "an owner commits beside a stranger who knows its ticket",
     2,
     own,
     {commit_as_owner, forge},
     nullptr,
     473,
     8053},
    {"commit_reap",
     "a commit; another process reaps, opens a session, perhaps in its record, and commits",
     2,
     warm,
     {update_main<'p'>, reap_and_update<kMain>},
     nullptr,
     392,
     18843},
    {"commit_reap_reap", "a commit; two reap", 3, warm, {update_main<'p'>, reap, reap}, nullptr, 6, 62246},
    {"commit_commit_reap",
     "two commits; a third process reaps and allocates",
     3,
     warm,
     {update_main<'p'>, update_main<'q'>, reap_and_update<kOther>},
     nullptr,
     5524,
     387061},
    {"everything",
     "four processes that claim, commit, insert, delete and reap: for random schedules",
     4,
     warm,
     {claim_and_commit, update_main_and_other<'t'>, reap_and_insert, insert_erase_update},
     nullptr,
     0,
     0},
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
