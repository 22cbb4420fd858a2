// The guards: each is a check in the engine that a scenario here depends on. Property: with the guard on
// the scenario holds; with that one guard off it does not. So a guard that is lost by mistake turns its
// scenario red too.
//
// Scenarios are deterministic: whoever is slow is stopped at a crash point, whoever dies is killed at one.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "crash/guards.hpp"

namespace keystile::testing {

namespace {

constexpr char kOverwrite[] = "Overwrite";
constexpr char kBeforePublish[] = "operations.commit.before_publish";
constexpr char kBeforeCas[] = "operations.commit.before_cas";
constexpr char kAfterCommitCas[] = "operations.commit.after_cas";

// ---- Scenarios ------------------------------------------------------------------------------------------

// R5: a reader that stalls before it copies meets the block's next owner's bytes, and must not take them
// for its own.
bool a_slow_reader_sees_value_and_stamp_of_one_commit() {
    const TestStore store;
    create_small(store.url());
    const Attached self(store.url());
    HOLDS(put(self, "k", "value 1") == KS_OK);
    const auto reader = other(store, {{"operations.read.before_copy", 1, SIGSTOP}}, [](const Attached& at) {
        char buffer[16];
        std::size_t size = 0;
        ks_stamp seen{};
        if (ks_get(at.session, bytes("k"), buffer, sizeof buffer, &size, &seen) != KS_OK) return 1;
        return size == 7 && buffer[6] == static_cast<char>('0' + seen.version) ? 0 : 2;
    });
    HOLDS(reader->await_stop());
    HOLDS(put(self, "k", "value 2") == KS_OK);  // the block of value 1 is this session's spare now
    HOLDS(put(self, "k", "value 3") == KS_OK);  // and carries value 3
    reader->resume();
    HOLDS(reader->await_end() == 0);
    return true;
}

// NoStaleApply: who read before somebody owned the key does not commit after.
bool a_zombie_is_fenced() {
    const TestStore store;
    create_small(store.url());
    const Attached self(store.url());
    HOLDS(put(self, "k", "1") == KS_OK);
    const ks_stamp old = stamp_of(self, "k");
    ks_grant grant{};
    HOLDS(claim(self, "k", &grant) == KS_OK && ks_release(self.session, &grant, nullptr) == KS_OK);
    HOLDS(ks_commit(self.session, bytes("k"), old, bytes("stale"), nullptr, nullptr) == KS_FENCED);
    ks_grant again{};
    HOLDS(claim(self, "k", &again) == KS_OK);
    HOLDS(put_granted(self, grant, "k", "stale") == KS_FENCED);
    return get(self, "k") == "1";
}

// E9: an odd epoch that is somebody else's is no ticket.
bool a_stranger_s_grant_is_no_ticket() {
    const TestStore store;
    create_small(store.url());
    const Attached owner(store.url()), thief(store.url());
    ks_grant grant{};
    HOLDS(claim(owner, "k", &grant) == KS_OK);
    HOLDS(put_granted(thief, grant, "k", "stolen") == KS_E_GRANT);
    HOLDS(ks_release(thief.session, &grant, nullptr) == KS_E_GRANT);
    return put_granted(owner, grant, "k", "mine") == KS_OK;
}

// E4: the id of the old block counts only if the word still names that block. The victim reads it late (the
// block has another owner by then), writes it down, and dies.
bool the_dead_do_not_free_a_stranger_s_block() {
    const TestStore store;
    create_small(store.url());
    const Attached self(store.url());
    HOLDS(put(self, "k", "1") == KS_OK && put(self, "other", "1") == KS_OK);
    const auto victim =
        other(store,
              {{"operations.commit.before_old_id", 1, SIGSTOP}, {"operations.commit.before_cas", 1, SIGKILL}},
              [](const Attached& at) { return put(at, "k", "victim"); });
    HOLDS(victim->await_stop());
    HOLDS(put(self, "k", "2") == KS_OK);      // the block of "1" is this session's spare
    HOLDS(put(self, "other", "2") == KS_OK);  // and carries the other key's value
    victim->resume();
    (void)victim->await_end();  // killed; or, with the guard on, refused before it came so far
    HOLDS(ks_reap(self.store, nullptr) == KS_OK);
    HOLDS(ks_check(self.store, nullptr, nullptr, nullptr) == KS_OK);
    return get(self, "other") == "2";
}

// C1, E7: a bid made from a word that is old must not push the record's epoch back.
bool a_late_bid_does_not_unseat_the_owner() {
    const TestStore store;
    create_small(store.url());
    const Attached self(store.url());
    HOLDS(put(self, "k", "1") == KS_OK);
    const auto bidder = other(store, {{"slots.claim.before_record", 1, SIGSTOP}}, [](const Attached& at) {
        ks_grant grant{};
        return claim(at, "k", &grant) == KS_HELD ? 0 : 1;
    });
    HOLDS(bidder->await_stop());
    ks_grant grant{};
    HOLDS(claim(self, "k", &grant) == KS_OK && ks_release(self.session, &grant, nullptr) == KS_OK);
    HOLDS(claim(self, "k", &grant) == KS_OK);
    bidder->resume();
    HOLDS(bidder->await_end() == 0);
    return put_granted(self, grant, "k", "mine") == KS_OK;
}

// C4, E8: a reclaimer that judged the lease marks the record first; a lease renewed after that was not
// renewed.
bool a_renewed_claim_is_not_reclaimed() {
    const TestStore store;
    create_small(store.url());
    const Attached owner(store.url());
    ks_grant grant{};
    HOLDS(put(owner, "k", "1") == KS_OK && claim(owner, "k", &grant) == KS_OK);
    const std::uint64_t epoch = grant.stamp.epoch;
    const auto reclaimer =
        other(store, {{"slots.reclaim.after_mark", 1, SIGSTOP}}, [epoch](const Attached& at) {
            return ks_reclaim(at.session, bytes("k"), epoch, KS_RECLAIM_LIVE, nullptr);
        });
    HOLDS(reclaimer->await_stop());
    const ks_status renewed = ks_renew(owner.session, &grant, 0, nullptr);
    HOLDS(renewed == KS_OK || renewed == KS_FENCED);
    reclaimer->resume();
    HOLDS(reclaimer->await_end() == KS_OK);
    // Told "renewed", it would have to be true.
    return renewed == KS_FENCED || put_granted(owner, grant, "k", "mine") == KS_OK;
}

// X1: the living are not reaped, be they stopped.
bool a_stopped_process_keeps_its_memory() {
    const TestStore store;
    create_small(store.url());
    const Attached self(store.url());
    HOLDS(put(self, "k", "1") == KS_OK && put(self, "other", "1") == KS_OK);
    const bool is_off =
        is_switched_off("reaper.death_proven");  // off for the reaper alone, or all would reap themselves
    switch_off("");
    const auto slow = other(store, {{"operations.commit.before_cas", 1, SIGSTOP}},
                            [](const Attached& at) { return put(at, "k", "slow"); });
    HOLDS(slow->await_stop());
    {
        if (is_off) switch_off("reaper.death_proven");
        const Attached reaper(store.url());  // opening the store reaps
        for (int i = 0; i < 700; ++i)
            HOLDS(put(reaper, "n" + std::to_string(i), "x") == KS_OK);  // every block of the chunk
    }
    slow->resume();
    HOLDS(slow->await_end() == KS_OK);
    HOLDS(get(self, "k") == "slow");
    return ks_check(self.store, nullptr, nullptr, nullptr) == KS_OK;
}

// E5: a session line counts only as a whole: never a new block's id beside the slot of the commit before.
bool a_half_written_line_frees_nothing() {
    const TestStore store;
    create_small(store.url());
    const Attached self(store.url());
    HOLDS(put(self, "k", "1") == KS_OK && put(self, "other", "1") == KS_OK);
    const char* const inside = is_switched_off("commit.line_order") ? "operations.commit.inside_line"
                                                                    : "operations.commit.before_line";
    const auto victim = other(store, {{inside, 2, SIGKILL}}, [](const Attached& at) {
        const ks_status s = put(at, "other", "2");
        return s == KS_OK ? put(at, "k", "2") : s;
    });
    HOLDS(victim->await_end() == 128 + SIGKILL);
    HOLDS(ks_reap(self.store, nullptr) == KS_OK);
    HOLDS(ks_check(self.store, nullptr, nullptr, nullptr) == KS_OK);
    return get(self, "k") == "1";
}

// A line names the block that its commit WOULD replace. Its owner dies without having won; the winner is
// slow to free or keep the block. The reaper frees it, somebody else gets it: the winner must not take it
// from him.
bool a_slow_winner_does_not_take_back_what_was_reaped() {
    const TestStore store;
    create_small(store.url());
    const Attached self(store.url());
    HOLDS(put(self, "k", "1") == KS_OK);
    const auto loser =
        other(store, {{kBeforeCas, 1, SIGSTOP}}, [](const Attached& at) { return put(at, "k", "l"); });
    HOLDS(loser->await_stop());
    const auto winner = other(store, {{kAfterCommitCas, 1, SIGSTOP}}, [](const Attached& at) {
        if (put(at, "k", "w") != KS_OK) return 1;
        return put(at, "k", "again") == KS_OK && put(at, "own", "w") == KS_OK ? 0 : 2;
    });
    HOLDS(winner->await_stop());
    HOLDS(loser->kill() == 128 + SIGKILL);
    const Attached third(store.url());  // reaps the loser
    for (int i = 0; i < 700; ++i) HOLDS(put(third, "n" + std::to_string(i), "x") == KS_OK);
    winner->resume();
    HOLDS(winner->await_end() == 0);
    for (int i = 0; i < 700; ++i) HOLDS(get(third, "n" + std::to_string(i)) == "x");
    HOLDS(get(self, "k") == "again");
    return ks_check(self.store, nullptr, nullptr, nullptr) == KS_OK;
}

// The winner dies before it freed the replaced block, while somebody who lost lives on with that block in
// its line.
bool a_block_two_lines_name_is_reaped_all_the_same() {
    const TestStore store;
    create_small(store.url());
    {
        const Attached self(store.url());
        HOLDS(put(self, "k", "1") == KS_OK);
    }
    const auto loser =
        other(store, {{kBeforeCas, 1, SIGSTOP}}, [](const Attached& at) { return put(at, "k", "l"); });
    HOLDS(loser->await_stop());
    const auto winner =
        other(store, {{kAfterCommitCas, 1, SIGKILL}}, [](const Attached& at) { return put(at, "k", "w"); });
    HOLDS(winner->await_end() == 128 + SIGKILL);
    {
        const Attached reaper(store.url());
    }
    loser->resume();
    HOLDS(loser->await_end() == KS_CONFLICT);
    return is_clean(store);
}

// The dead session's record has a new owner: what that one holds is not the dead one's.
bool a_slow_reaper_leaves_the_next_owner_alone() {
    const TestStore store;
    create_small(store.url());
    std::uint64_t record = 0;  // the session record that the victim will have
    {
        const Attached self(store.url());
        HOLDS(put(self, "k", "1") == KS_OK);
        record = engine::peek(self.store->store->segment.header().next_session.value);
    }
    const auto reaper = [&] {
        const auto victim = other(store, {{kBeforePublish, 1, SIGSTOP}},
                                  [](const Attached& at) { return put(at, "k", "v"); });
        if (!victim->await_stop()) return std::unique_ptr<Child>();
        auto slow = std::make_unique<Child>([&store](const Child::Line& line) {
            const Attached at(store.url());
            line.ready();
            line.await();
            arm({{"operations.reap.before_look", 1, SIGSTOP}});
            return static_cast<int>(ks_reap(at.store, nullptr));
        });
        if (!slow->await_ready()) return std::unique_ptr<Child>();
        victim->kill();
        slow->go();
        return slow;
    }();
    HOLDS(reaper != nullptr && reaper->await_stop());
    ks_store* quick = nullptr;  // reaps as it opens, and does nothing else
    HOLDS(open_small(store.url(), 0, &quick) == KS_OK);
    engine::poke(quick->store->segment.header().next_session.value, record);
    const auto next =
        other(store, {{kBeforePublish, 1, SIGSTOP}}, [](const Attached& at) { return put(at, "k", "next"); });
    HOLDS(next->await_stop());
    reaper->resume();
    HOLDS(reaper->await_end() == KS_OK);
    {
        const Attached third(store.url());
        HOLDS(take_every_block(third, "x"));
    }
    next->resume();
    HOLDS(next->await_end() == KS_OK);
    ks_close(quick);
    const Attached self(store.url());
    HOLDS(get(self, "k") == "next");
    return ks_check(self.store, nullptr, nullptr, nullptr) == KS_OK;
}

// E6: a dead session's holding names a block that is a living one's by now.
bool what_the_living_have_is_not_reaped() {
    const TestStore store;
    create_small(store.url());
    const Attached self(store.url());
    HOLDS(put(self, "k", "1") == KS_OK);
    const auto victim = other(store, {{"operations.commit.before_wake", 1, SIGSTOP}},
                              [](const Attached& at) { return put(at, "k", "2"); });
    HOLDS(victim->await_stop());
    HOLDS(put(self, "k", "3") == KS_OK);  // the block of value 2 is this session's spare now
    victim->kill();
    {
        const Attached third(store.url());  // reaps the victim
        HOLDS(take_every_block(third, "x"));
    }
    HOLDS(put(self, "k", "4") == KS_OK && get(self, "k") == "4");
    return ks_check(self.store, nullptr, nullptr, nullptr) == KS_OK;
}

// A cell of the matrix as a scenario.
template <const char* name, const char* point>
bool cell() {
    const Operation& op = operation(name);
    const std::vector<std::string> points = points_of(op);
    const auto at = std::find(points.begin(), points.end(), point);
    HOLDS(at != points.end());
    const std::string wrong = killed_at(op, points, static_cast<std::size_t>(at - points.begin()));
    std::fputs(wrong.c_str(), stderr);
    return wrong.empty();
}

constexpr Guard kGuardsOfWords[] = {
    {"read.revalidate", a_slow_reader_sees_value_and_stamp_of_one_commit},
    {"commit.epoch", a_zombie_is_fenced},
    {"commit.old_id", the_dead_do_not_free_a_stranger_s_block},
    {"commit.line_order", a_half_written_line_frees_nothing},
    {"commit.publish_first", cell<kOverwrite, kAfterCommitCas>},
    {"claim.ticket", a_stranger_s_grant_is_no_ticket},
    {"claim.record_grows", a_late_bid_does_not_unseat_the_owner},
    {"claim.mark", a_renewed_claim_is_not_reclaimed},
    {"claim.mark_stops_renewal", a_renewed_claim_is_not_reclaimed},
    {"reaper.death_proven", a_stopped_process_keeps_its_memory},
    {"reaper.session", cell<kOverwrite, kBeforePublish>},
    {"reaper.reachable", cell<kOverwrite, kAfterCommitCas>},
    {"reaper.of_the_dead", what_the_living_have_is_not_reaped},
    {"reaper.same_owner", a_slow_reaper_leaves_the_next_owner_alone},
    {"reaper.line_reachable", cell<kOverwrite, kBeforeCas>},
};

std::vector<Guard> all_guards() {
    std::vector<Guard> all(std::begin(kGuardsOfWords), std::end(kGuardsOfWords));
    const std::span<const Guard> ring = guards_of_ring();
    all.insert(all.end(), ring.begin(), ring.end());
    return all;
}

// Asked of the schedule explorer alone, which needs no crash point to come between two instructions
// (`keystile_explore --guards`).
constexpr const char* kExplored[] = {"claim.record_matches", "claim.word_first", "commit.early_id",
                                     "reaper.line_id"};

class GuardMatters : public ::testing::TestWithParam<Guard> {};

TEST_P(GuardMatters, ItsScenarioHoldsWithItAndFailsWithoutIt) {
    const Guard& guard = GetParam();
    EXPECT_EQ(run_in_child([&] { return guard.scenario() ? 0 : 1; }), 0) << "with every guard on";
    const int without = run_in_child([&] {
        switch_off(guard.name);
        return guard.scenario() ? 0 : 1;
    });
    EXPECT_NE(without, 0) << "with " << guard.name << " off";
}

INSTANTIATE_TEST_SUITE_P(Guards, GuardMatters, ::testing::ValuesIn(all_guards()), [](const auto& test) {
    std::string name = test.param.name;
    std::replace(name.begin(), name.end(), '.', '_');
    return name;
});

// Races that no single guard decides.
TEST(DirectedRaces, ASlowWinnerDoesNotTakeBackWhatWasReaped) {
    EXPECT_TRUE(a_slow_winner_does_not_take_back_what_was_reaped());
}
TEST(DirectedRaces, ABlockThatTwoLinesNameIsReapedAllTheSame) {
    EXPECT_TRUE(a_block_two_lines_name_is_reaped_all_the_same());
}

TEST(Guards, EachOneOfTheEngineHasAScenario) {
    std::set<std::string> covered(std::begin(kExplored), std::end(kExplored));
    for (const Guard& guard : all_guards()) covered.insert(guard.name);
    const std::vector<std::string> all = guards_of_engine();
    for (const std::string& guard : all) {
        if (guard.starts_with("files.")) continue;  // tests/plain/crash_test.cpp
        EXPECT_TRUE(covered.contains(guard)) << guard;
    }
    for (const std::string& guard : covered) {
        EXPECT_TRUE(std::find(all.begin(), all.end(), guard) != all.end())
            << guard << " is not in the engine";
    }
}

}  // namespace

}  // namespace keystile::testing
