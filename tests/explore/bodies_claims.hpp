// What simulated processes do to claims, and what must be true of claims afterwards. notes[] say what happened.
#pragma once

#include "explore/actor.hpp"

namespace keystile::explore {

inline constexpr std::uint64_t kHourNs = 3'600'000'000'000;

inline void claim_and_commit(int process) {
    Actor self(process);
    engine::Grant grant;
    if (self.claim(kMain, &grant) == engine::Status::kOk)
        self.append(kMain, self.get(kMain), 'p', &grant, true);
}

inline void claim_twice(int process) {
    Actor self(process);
    engine::Grant grant;
    if (self.claim(kMain, &grant) != engine::Status::kOk) return;
    self.release(grant);
    self.claim(kMain, &grant);
}

inline void claim_main(int process) {
    Actor self(process);
    engine::Grant grant;
    self.claim(kMain, &grant);
}

// The owner commits twice, the second time giving the claim back.
inline void commit_as_owner(int process) {
    Actor self(process);
    const engine::Grant& grant = world().grants[0];
    self.append(kMain, self.get(kMain), 'p', &grant);
    self.append(kMain, self.get(kMain), 'q', &grant, true);
}

// notes[0]: one more than the version after which the old owner must have been fenced.
inline void reclaim_and_look(int process) {
    Actor self(process);
    if (self.reclaim(kMain, world().grants[0].epoch, true) != engine::Status::kOk) return;
    world().notes[0] = self.get(kMain).stamp.version + 1;
    self.update(kMain, 'r');
}

inline void judge_stale_apply(World& world) {
    for (std::size_t i = 0; i < world.deed_count && world.notes[0] != 0; ++i) {
        const Deed& deed = world.deeds[i];
        if (deed.process == 0 && deed.is_ended && deed.status == engine::Status::kOk &&
            deed.version >= world.notes[0])
            world.fail("a commit was applied under a claim that was reclaimed before");
    }
}

// notes[0]: a claim that nobody reclaimed was lost.
inline void release_and_own_again(int process) {
    Actor self(process);
    self.release(world().grants[0]);
    engine::Grant again;
    if (self.claim(kMain, &again) != engine::Status::kOk) return;
    if (self.append(kMain, self.get(kMain), 'p', &again) == engine::Status::kFenced) world().notes[0] = 1;
}

inline void reclaim_first(int process) {
    Actor(process).reclaim(kMain, world().grants[0].epoch, true);
}

inline void judge_lost_claim(World& world) {
    if (world.notes[0] != 0) world.fail("a claim was lost that nobody reclaimed");
}

// notes[0]: renewed; notes[1]: taken by the other; notes[2]: fenced after all.
inline void renew_and_commit(int process) {
    Actor self(process);
    const engine::Grant& grant = world().grants[0];
    if (self.renew(grant, kHourNs) != engine::Status::kOk) return;
    world().notes[0] = 1;
    if (self.append(kMain, self.get(kMain), 'p', &grant) == engine::Status::kFenced) world().notes[2] = 1;
}

inline void claim_the_expired(int process) {
    Actor self(process);
    engine::Grant grant;
    if (self.claim(kMain, &grant) != engine::Status::kOk) return;
    world().notes[1] = 1;
    self.append(kMain, self.get(kMain), 'q', &grant, true);
}

inline void judge_renewal(World& world) {
    const bool is_lost = world.notes[1] != 0 || world.notes[2] != 0;
    if (world.notes[0] != 0 && is_lost && !world.machine().is_dead(0))
        world.fail("a lease was renewed and reclaimed all the same");
}

// A stranger with the owner's ticket, and with his epoch under his own name.
inline void forge(int process) {
    Actor self(process);
    engine::Grant grant = world().grants[0];
    grant.slot = &self.slot(kMain);
    self.steal(kMain, self.get(kMain), 'x', grant);
    grant.session = self.session().lane.id().index;
    grant.generation = self.session().lane.id().generation;
    self.steal(kMain, self.get(kMain), 'y', grant);
}

}  // namespace keystile::explore
