#include "explore/scenario.hpp"

#include "explore/actor.hpp"

namespace keystile::explore {

using namespace keystile::engine;

namespace {

constexpr std::uint64_t kHourNs = 3'600'000'000'000;

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

template <char letter>
void update_main(int process) {
    Actor(process).update(kMain, letter);
}

template <char letter>
void update_main_and_other(int process) {
    Actor self(process);
    self.update(kMain, letter);
    self.update(kOther, letter);
}

template <char letter>
void update_main_twice(int process) {
    Actor self(process);
    self.update(kMain, letter);
    self.update(kMain, static_cast<char>(letter + 1));
}

void read_main(int process) {
    Actor self(process);
    const Value first = self.get(kMain), second = self.get(kMain);
    if (second.stamp.version < first.stamp.version) world().fail("a version went back");
}

template <char letter>
void insert(int process) {
    Actor self(process);
    self.make();
    Value never{};
    self.append(kNew, never, letter);
}

void insert_erase_update(int process) {
    Actor self(process);
    self.make();
    self.append(kNew, Value{}, 'i');
    self.erase(kMain, self.get(kMain));
    self.update(kMain, 'j');
}

void erase_main(int process) {
    Actor self(process);
    self.erase(kMain, self.get(kMain));
}

// ---- Claims ---------------------------------------------------------------------------------------------

void claim_and_commit(int process) {
    Actor self(process);
    Grant grant;
    if (self.claim(kMain, &grant) == Status::kOk) self.append(kMain, self.get(kMain), 'p', &grant, true);
}

void claim_twice(int process) {
    Actor self(process);
    Grant grant;
    if (self.claim(kMain, &grant) != Status::kOk) return;
    self.release(grant);
    self.claim(kMain, &grant);
}

void claim_main(int process) {
    Actor self(process);
    Grant grant;
    self.claim(kMain, &grant);
}

// The owner commits twice, the second time giving the claim back.
void commit_as_owner(int process) {
    Actor self(process);
    const Grant& grant = world().grants[0];
    self.append(kMain, self.get(kMain), 'p', &grant);
    self.append(kMain, self.get(kMain), 'q', &grant, true);
}

// notes[0]: one more than the version after which the old owner must have been fenced.
void reclaim_and_look(int process) {
    Actor self(process);
    if (self.reclaim(kMain, world().grants[0].epoch, true) != Status::kOk) return;
    world().notes[0] = self.get(kMain).stamp.version + 1;
    self.update(kMain, 'r');
}

void judge_stale_apply(World& world) {
    for (std::size_t i = 0; i < world.deed_count && world.notes[0] != 0; ++i) {
        const Deed& deed = world.deeds[i];
        if (deed.process == 0 && deed.is_ended && deed.status == Status::kOk && deed.version >= world.notes[0])
            world.fail("a commit was applied under a claim that was reclaimed before");
    }
}

// notes[0]: a claim that nobody reclaimed was lost.
void release_and_own_again(int process) {
    Actor self(process);
    self.release(world().grants[0]);
    Grant again;
    if (self.claim(kMain, &again) != Status::kOk) return;
    if (self.append(kMain, self.get(kMain), 'p', &again) == Status::kFenced) world().notes[0] = 1;
}

void reclaim_first(int process) {
    Actor(process).reclaim(kMain, world().grants[0].epoch, true);
}

void judge_lost_claim(World& world) {
    if (world.notes[0] != 0) world.fail("a claim was lost that nobody reclaimed");
}

// notes[0]: renewed; notes[1]: taken by the other; notes[2]: fenced after all.
void renew_and_commit(int process) {
    Actor self(process);
    const Grant& grant = world().grants[0];
    if (self.renew(grant, kHourNs) != Status::kOk) return;
    world().notes[0] = 1;
    if (self.append(kMain, self.get(kMain), 'p', &grant) == Status::kFenced) world().notes[2] = 1;
}

void claim_the_expired(int process) {
    Actor self(process);
    Grant grant;
    if (self.claim(kMain, &grant) != Status::kOk) return;
    world().notes[1] = 1;
    self.append(kMain, self.get(kMain), 'q', &grant, true);
}

void judge_renewal(World& world) {
    const bool is_lost = world.notes[1] != 0 || world.notes[2] != 0;
    if (world.notes[0] != 0 && is_lost && !world.machine().is_dead(0))
        world.fail("a lease was renewed and reclaimed all the same");
}

// A stranger with the owner's ticket, and with his epoch under his own name.
void forge(int process) {
    Actor self(process);
    Grant grant = world().grants[0];
    grant.slot = &self.slot(kMain);
    self.steal(kMain, self.get(kMain), 'x', grant);
    grant.session = self.session().lane.id().index;
    grant.generation = self.session().lane.id().generation;
    self.steal(kMain, self.get(kMain), 'y', grant);
}

// ---- Memory ---------------------------------------------------------------------------------------------

void reap(int process) {
    Actor(process).reap();
}

template <int key>
void reap_and_update(int process) {
    Actor self(process);
    self.reap();
    self.reopen();
    self.update(key, 'r');
}

void reap_and_insert(int process) {
    Actor self(process);
    self.reap();
    self.reopen();
    self.make();
    self.append(kNew, Value{}, 's');
    self.update(kOther, 's');
}

constexpr Scenario kScenarios[] = {
    {"commit_commit", "two read, append, commit; who loses does it again", 2, warm,
     {update_main<'p'>, update_main<'q'>}, nullptr, 274, 5534},
    {"commit_two", "a commit beside two of another process, to the same key and to another", 2, warm,
     {update_main<'p'>, update_main_and_other<'q'>}, nullptr, 420, 13275},
    {"commit_read", "two reads beside two commits, the second into the block that the first replaced", 2, warm,
     {read_main, update_main_twice<'q'>}, nullptr, 316, 5299},
    {"insert_insert", "two make the same key", 2, warm, {insert<'p'>, insert<'q'>}, nullptr, 724, 11134},
    {"delete_commit", "a delete beside a commit", 2, warm, {erase_main, update_main<'q'>}, nullptr, 301, 5071},
    {"claim_commit_reclaim", "a claim, and a commit that gives it back, beside a commit without one", 2, warm,
     {claim_and_commit, update_main<'q'>}, nullptr, 374, 6574},
    {"claim_claim", "a claim beside two claims", 2, warm, {claim_twice, claim_main}, nullptr, 143, 792},
    {"commit_reclaim", "an owner commits while its claim is reclaimed", 2, own,
     {commit_as_owner, reclaim_and_look}, judge_stale_apply, 1067, 15552},
    {"release_reclaim", "an owner gives back and claims again while its first claim is reclaimed", 2, own,
     {release_and_own_again, reclaim_first}, judge_lost_claim, 167, 2529},
    {"renew_reclaim", "a lease that is over is renewed while another claims", 2, own_expired,
     {renew_and_commit, claim_the_expired}, judge_renewal, 232, 3397},
    {"claim_forger", "an owner commits beside a stranger who knows its ticket", 2, own, {commit_as_owner, forge},
     nullptr, 473, 8053},
    {"commit_reap", "a commit; another process reaps, opens a session, perhaps in its record, and commits", 2, warm,
     {update_main<'p'>, reap_and_update<kMain>}, nullptr, 392, 18843},
    {"commit_reap_reap", "a commit; two reap", 3, warm, {update_main<'p'>, reap, reap}, nullptr, 6, 62246},
    {"commit_commit_reap", "two commits; a third process reaps and allocates", 3, warm,
     {update_main<'p'>, update_main<'q'>, reap_and_update<kOther>}, nullptr, 5524, 387061},
    {"everything", "four processes that claim, commit, insert, delete and reap: for random schedules", 4, warm,
     {claim_and_commit, update_main_and_other<'t'>, reap_and_insert, insert_erase_update}, nullptr, 0, 0},
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
