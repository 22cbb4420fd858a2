// Many keys in one commit beside claims: held keys, grants, releases, and which answer goes first.
#include <functional>

#include "multi_support.hpp"

namespace {

using abi_test::bytes;
using abi_test::claim_of;
using abi_test::FreshUrl;
using abi_test::is_same;
using abi_test::Lane;
using abi_test::Multi;
using abi_test::put;
using abi_test::stamp_of;
using abi_test::under;
using abi_test::value_of;

class MultiClaimTest : public ::testing::Test {
protected:
    MultiClaimTest() : at_(fresh_.url()), other_(fresh_.url()) {
        for (const char* key : {"a", "b", "c"}) EXPECT_EQ(put(session(), key, "old"), KS_OK);
    }
    ~MultiClaimTest() override { abi_test::check_of(at_.store); }

    ks_session* session() { return at_.session; }
    ks_session* other() { return other_.session; }
    ks_store* store() { return at_.store; }
    std::string url() { return fresh_.url(); }
    std::string value(std::string_view key) { return value_of(session(), key); }
    ks_stamp stamp(std::string_view key) { return stamp_of(session(), key); }
    // The key's claim is over, whoever's it was, and nothing else has changed.
    void claim_and_release(std::string_view key) {
        const ks_grant grant = claim_of(other(), key);
        EXPECT_EQ(ks_release(other(), &grant, nullptr), KS_OK);
    }

private:
    FreshUrl fresh_;
    Lane at_, other_;
};

TEST_F(MultiClaimTest, AHeldKeyIsToldWithItsOwner) {
    const ks_grant grant = claim_of(other(), "b", 60'000'000'000u);
    Multi multi(session());
    ASSERT_EQ(multi.put("a", "new"), KS_OK);
    ASSERT_EQ(multi.put("b", "new"), KS_OK);
    EXPECT_EQ(multi.commit(), KS_HELD);
    EXPECT_EQ(multi.status(0), KS_OK);
    const ks_multi_result held = multi.item(1);
    EXPECT_EQ(held.status, KS_HELD);
    EXPECT_EQ(held.owner.pid, ::getpid());
    EXPECT_EQ(held.owner.epoch, grant.stamp.epoch);
    EXPECT_GT(held.owner.lease_left_ns, 0u);
    EXPECT_LE(held.owner.lease_left_ns, 60'000'000'000u);
    EXPECT_NE(std::string(held.owner.label), "");
    EXPECT_TRUE(is_same(held.stamp, stamp("b")));
    EXPECT_EQ(value("a") + value("b"), "oldold");
    ASSERT_EQ(ks_release(other(), &grant, nullptr), KS_OK);
    multi.reset();
    ASSERT_EQ(multi.put("b", "new"), KS_OK);  // a blind put asks only who holds it now
    EXPECT_EQ(multi.commit(), KS_OK);
    EXPECT_EQ(value("b"), "new");
}

TEST_F(MultiClaimTest, OnesOwnClaimWithoutItsGrantIsHeldToo) {
    const ks_grant grant = claim_of(session(), "a");
    Multi multi(session());
    ASSERT_EQ(multi.put("a", "new"), KS_OK);
    EXPECT_EQ(multi.commit(), KS_HELD);
    EXPECT_EQ(value("a"), "old");
    EXPECT_EQ(ks_release(session(), &grant, nullptr), KS_OK);
}

TEST_F(MultiClaimTest, OwnershipSinceTheReadIsFenced) {
    Multi multi(session());
    ASSERT_EQ(multi.read("a"), KS_OK);
    ASSERT_EQ(multi.expect("b", stamp("b")), KS_OK);
    ASSERT_EQ(multi.put("c", "new"), KS_OK);
    claim_and_release("b");
    EXPECT_EQ(multi.commit(), KS_FENCED);
    EXPECT_EQ(multi.status(0), KS_OK);
    EXPECT_EQ(multi.status(1), KS_FENCED);
    EXPECT_TRUE(is_same(multi.item(1).stamp, stamp("b")));
    EXPECT_EQ(value("c"), "old");
    multi.reset();
    ASSERT_EQ(multi.read("a"), KS_OK);
    claim_and_release("a");
    EXPECT_EQ(multi.read("a"), KS_CONFLICT);  // not the stamp remembered
}

TEST_F(MultiClaimTest, TheWorstAnswerIsTheTransactions) {
    const ks_stamp a = stamp("a"), b = stamp("b"), c = stamp("c");
    claim_and_release("a");                          // fenced
    ASSERT_EQ(put(session(), "b", "moved"), KS_OK);  // conflict
    const ks_grant grant = claim_of(other(), "c");   // held
    struct Case {
        bool fenced, conflict, held;
        ks_status worst;
    };
    for (const Case& is : {Case{true, true, true, KS_FENCED}, Case{false, true, true, KS_CONFLICT},
                           Case{true, false, true, KS_FENCED}, Case{true, true, false, KS_FENCED},
                           Case{false, false, true, KS_HELD}}) {
        Multi multi(session());
        ASSERT_EQ(multi.put("d", "never"), KS_OK);
        if (is.held) {
            ASSERT_EQ(multi.expect("c", c), KS_OK);
        }
        if (is.conflict) {
            ASSERT_EQ(multi.expect("b", b), KS_OK);
        }
        if (is.fenced) {
            ASSERT_EQ(multi.expect("a", a), KS_OK);
        }
        EXPECT_EQ(multi.commit(), is.worst);
        std::size_t at = 0;
        EXPECT_EQ(multi.status(at++), KS_OK);
        if (is.held) {
            EXPECT_EQ(multi.status(at++), KS_HELD);
        }
        if (is.conflict) {
            EXPECT_EQ(multi.status(at++), KS_CONFLICT);
        }
        if (is.fenced) {
            EXPECT_EQ(multi.status(at++), KS_FENCED);
        }
        EXPECT_EQ(value("d"), "(none)");
    }
    EXPECT_EQ(ks_release(other(), &grant, nullptr), KS_OK);
}

// One key, several reasons: as ks_commit.
TEST_F(MultiClaimTest, OneKeyIsToldAsASingleCommitWouldBe) {
    const ks_stamp seen = stamp("a");
    const ks_grant grant = claim_of(other(), "a");
    const ks_commit_options options = under(grant);
    ASSERT_EQ(ks_commit(other(), bytes("a"), stamp("a"), bytes("theirs"), &options, nullptr), KS_OK);
    Multi multi(session());
    ASSERT_EQ(multi.expect("a", seen), KS_OK);
    EXPECT_EQ(multi.commit(), KS_CONFLICT);  // moved and held
    ASSERT_EQ(ks_release(other(), &grant, nullptr), KS_OK);
    multi.reset();
    ASSERT_EQ(multi.expect("a", seen), KS_OK);
    EXPECT_EQ(multi.commit(), KS_CONFLICT);  // moved and owned since
    Multi late(other());
    ASSERT_EQ(late.put("a", "late", &options), KS_OK);
    ASSERT_EQ(late.expect("a", seen), KS_OK);
    EXPECT_EQ(late.commit(), KS_FENCED);  // the claim is over, and moved
    EXPECT_EQ(value("a"), "theirs");
}

TEST_F(MultiClaimTest, PutUnderAGrantWithAndWithoutRelease) {
    const ks_grant a = claim_of(session(), "a"), b = claim_of(session(), "b");
    const ks_commit_options with_a = under(a), with_b = under(b, KS_COMMIT_RELEASE);
    Multi multi(session());
    ASSERT_EQ(multi.put("a", "1", &with_a), KS_OK);
    ASSERT_EQ(multi.put("b", "2", &with_b), KS_OK);
    ASSERT_EQ(multi.put("c", "3"), KS_OK);
    ASSERT_EQ(multi.commit(), KS_OK);
    EXPECT_EQ(value("a") + value("b") + value("c"), "123");
    EXPECT_EQ(multi.item(0).stamp.epoch, a.stamp.epoch);
    EXPECT_EQ(multi.item(1).stamp.epoch, b.stamp.epoch + 1);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_GE(multi.item(i).stamp.version, 2u);
    EXPECT_TRUE(is_same(multi.item(1).stamp, stamp("b")));
    EXPECT_EQ(put(other(), "a", "x"), KS_HELD);  // still held
    EXPECT_EQ(put(other(), "b", "x"), KS_OK);    // free
    EXPECT_EQ(ks_release(session(), &b, nullptr), KS_FENCED);
    EXPECT_EQ(ks_release(session(), &a, nullptr), KS_OK);
}

TEST_F(MultiClaimTest, DeleteUnderAGrantWithRelease) {
    const ks_grant grant = claim_of(session(), "a"), none = claim_of(session(), "none");
    const ks_commit_options options = under(grant, KS_COMMIT_RELEASE), empty = under(none, KS_COMMIT_RELEASE);
    Multi multi(session());
    ASSERT_EQ(multi.remove("a", &options), KS_OK);
    ASSERT_EQ(multi.remove("none", &empty), KS_OK);
    ASSERT_EQ(multi.commit(), KS_OK);
    EXPECT_EQ(value("a"), "(none)");
    EXPECT_EQ(multi.item(0).stamp.epoch, grant.stamp.epoch + 1);
    EXPECT_EQ(multi.item(1).stamp.version, 0u);
    EXPECT_EQ(put(other(), "a", "x"), KS_OK);
    EXPECT_EQ(put(other(), "none", "x"), KS_OK);  // nothing to delete, but the claim was given back
}

TEST_F(MultiClaimTest, ReleaseWithinItLeavesTheValue) {
    const ks_grant grant = claim_of(session(), "a");
    Multi multi(session());
    ASSERT_EQ(multi.release("a", grant), KS_OK);
    ASSERT_EQ(multi.put("b", "new"), KS_OK);
    std::string read;
    EXPECT_EQ(multi.read("a", &read), KS_OK);
    EXPECT_EQ(read, "old");
    ASSERT_EQ(multi.commit(), KS_OK);
    EXPECT_EQ(value("a") + value("b"), "oldnew");
    EXPECT_EQ(stamp("a").version, 1u);
    EXPECT_EQ(stamp("a").epoch, grant.stamp.epoch + 1);
    EXPECT_EQ(put(other(), "a", "x"), KS_OK);
}

TEST_F(MultiClaimTest, ARefusedWriteSpoilsIt) {
    const ks_grant of_a = claim_of(session(), "a");
    ks_grant past = of_a;  // as from before the store was rebuilt
    past.stamp.epoch -= UINT64_C(1) << 39;
    const ks_commit_options under_a = under(of_a), under_past = under(past);
    struct Case {
        const char* what;
        ks_status answer;
        std::function<ks_status(Multi&)> call;
    };
    for (const Case& is : std::vector<Case>{
             {"b under a's grant", KS_E_GRANT, [&](Multi& m) { return m.put("b", "x", &under_a); }},
             {"b deleted under it", KS_E_GRANT, [&](Multi& m) { return m.remove("b", &under_a); }},
             {"b released with it", KS_E_GRANT, [&](Multi& m) { return m.release("b", of_a); }},
             {"a put under a past grant", KS_FENCED, [&](Multi& m) { return m.put("a", "x", &under_past); }},
             {"a released with it", KS_FENCED, [&](Multi& m) { return m.release("a", past); }},
             {"c put, and released", KS_E_ARGUMENT,
              [&](Multi& m) { return m.put("c", "x") == KS_OK ? m.release("c", of_a) : KS_OK; }}}) {
        Multi multi(session());
        EXPECT_EQ(is.call(multi), is.answer) << is.what;
        EXPECT_EQ(multi.fault(), is.answer) << is.what;
        EXPECT_EQ(multi.put("d", "x"), KS_OK);
        EXPECT_EQ(multi.commit(), is.answer) << is.what;
        EXPECT_EQ(value("a") + value("b") + value("c") + value("d"), "oldoldold(none)") << is.what;
    }
    EXPECT_EQ(ks_release(session(), &of_a, nullptr), KS_OK);
}

TEST_F(MultiClaimTest, ATransactionThatLosesKeepsItsClaims) {
    const ks_grant grant = claim_of(session(), "a");
    const ks_commit_options options = under(grant, KS_COMMIT_RELEASE);
    Multi multi(session());
    ASSERT_EQ(multi.read("b"), KS_OK);
    ASSERT_EQ(multi.put("a", "new", &options), KS_OK);
    ASSERT_EQ(put(other(), "b", "moved"), KS_OK);
    EXPECT_EQ(multi.commit(), KS_CONFLICT);
    EXPECT_EQ(put(other(), "a", "x"), KS_HELD);
    EXPECT_EQ(value("a"), "old");
    EXPECT_EQ(ks_release(session(), &grant, nullptr), KS_OK);
}

TEST_F(MultiClaimTest, AGrantThatWasTakenAwayIsFenced) {
    const ks_grant grant = claim_of(session(), "a");
    ASSERT_EQ(ks_reclaim(other(), bytes("a"), grant.stamp.epoch, KS_RECLAIM_LIVE, nullptr), KS_OK);
    const ks_commit_options options = under(grant);
    Multi multi(session());
    ASSERT_EQ(multi.put("a", "stale", &options), KS_OK);
    ASSERT_EQ(multi.put("b", "stale"), KS_OK);
    EXPECT_EQ(multi.commit(), KS_FENCED);
    EXPECT_EQ(multi.status(0), KS_FENCED);
    EXPECT_TRUE(is_same(multi.item(0).stamp, stamp("a")));
    multi.reset();
    ASSERT_EQ(multi.release("a", grant), KS_OK);
    ASSERT_EQ(multi.put("b", "stale"), KS_OK);
    EXPECT_EQ(multi.commit(), KS_FENCED);
    EXPECT_EQ(value("a") + value("b"), "oldold");
}

// With a grant and no expectation: the version of now. With one: that version.
TEST_F(MultiClaimTest, WithAGrantTheVersionIsTheOneExpectedOrTheOneOfNow) {
    const ks_stamp before = stamp("a");
    const ks_grant grant = claim_of(session(), "a");
    const ks_commit_options options = under(grant);
    ASSERT_EQ(ks_commit(session(), bytes("a"), stamp("a"), bytes("second"), &options, nullptr), KS_OK);
    Multi multi(session());
    ASSERT_EQ(multi.put("a", "third", &options), KS_OK);
    EXPECT_EQ(multi.commit(), KS_OK);
    multi.reset();
    ASSERT_EQ(multi.expect("a", before), KS_OK);
    ASSERT_EQ(multi.put("a", "fourth", &options), KS_OK);
    EXPECT_EQ(multi.commit(), KS_CONFLICT);
    multi.reset();
    ASSERT_EQ(multi.read("a"), KS_OK);
    ASSERT_EQ(multi.put("a", "fourth", &options), KS_OK);
    EXPECT_EQ(multi.commit(), KS_OK);
    EXPECT_EQ(value("a"), "fourth");
    EXPECT_EQ(ks_release(session(), &grant, nullptr), KS_OK);
}

// Whichever call says so: a grant of somebody else, of another key, or forged writes nothing.
TEST_F(MultiClaimTest, AForeignGrantIsAFaultAndWritesNothing) {
    const ks_grant theirs = claim_of(other(), "a"), mine = claim_of(session(), "b");
    ks_grant to_come = mine, free_epoch = mine, no_owner = mine;
    to_come.stamp.epoch += 2;
    free_epoch.stamp.epoch -= 1;
    no_owner.owner = UINT64_MAX;
    struct Case {
        const char* key;
        const ks_grant* grant;
    };
    const ks_grant zero{};
    for (const Case& is : {Case{"a", &theirs}, Case{"c", &mine}, Case{"b", &to_come}, Case{"b", &free_epoch},
                           Case{"b", &no_owner}, Case{"b", &zero}}) {
        const ks_commit_options options = under(*is.grant);
        Multi multi(session());
        ks_status s = multi.put(is.key, "forged", &options);
        if (s == KS_OK) s = multi.put("d", "forged");
        if (s == KS_OK) s = multi.commit();
        EXPECT_EQ(s, KS_E_GRANT) << is.key;
        multi.reset();
        s = multi.release(is.key, *is.grant);
        if (s == KS_OK) s = multi.commit();
        EXPECT_EQ(s, KS_E_GRANT) << is.key;
        EXPECT_EQ(value(is.key) + value("d"), "old(none)");
    }
    EXPECT_EQ(ks_release(other(), &theirs, nullptr), KS_OK);
    EXPECT_EQ(ks_release(session(), &mine, nullptr), KS_OK);
}

// What a commit answered that was a fault of one key: that key has it, and of none is more told than before.
TEST_F(MultiClaimTest, AFaultOfOneKeyIsThatKeys) {
    const ks_grant theirs = claim_of(other(), "a"), held = claim_of(other(), "c");
    const ks_commit_options forged = under(theirs);
    const ks_stamp b = stamp("b");
    Multi multi(session());
    ASSERT_EQ(multi.put("a", "forged", &forged), KS_OK);
    ASSERT_EQ(multi.read("b"), KS_OK);
    ASSERT_EQ(multi.put("c", "held"), KS_OK);
    ASSERT_EQ(put(session(), "b", "moved"), KS_OK);
    ASSERT_EQ(multi.commit(), KS_E_GRANT);
    EXPECT_EQ(multi.fault(), KS_OK) << "no call was refused";
    EXPECT_EQ(multi.status(0), KS_E_GRANT);
    EXPECT_EQ(multi.status(1), KS_OK);
    EXPECT_TRUE(is_same(multi.item(1).stamp, b));
    EXPECT_EQ(multi.status(2), KS_OK);
    EXPECT_TRUE(is_same(multi.item(2).stamp, {0, 0}));
    EXPECT_EQ(multi.item(2).owner.pid, 0);
    EXPECT_EQ(ks_release(other(), &theirs, nullptr), KS_OK);
    EXPECT_EQ(ks_release(other(), &held, nullptr), KS_OK);
}

TEST_F(MultiClaimTest, WhatIsWrittenUnderAClaimSaysSo) {
    const ks_grant a = claim_of(session(), "a"), b = claim_of(session(), "b");
    const ks_commit_options under_a = under(a);
    Multi multi(session());
    ASSERT_EQ(multi.put("a", "new", &under_a), KS_OK);
    ASSERT_EQ(multi.release("b", b), KS_OK);
    ASSERT_EQ(multi.put("c", "new"), KS_OK);
    for (const bool is_over : {false, true}) {
        if (is_over) {
            ASSERT_EQ(multi.commit(), KS_OK);
        }
        EXPECT_EQ(multi.item(0).has_grant, 1u);
        EXPECT_EQ(multi.item(1).has_grant, 1u);
        EXPECT_EQ(multi.item(2).has_grant, 0u);
    }
    EXPECT_EQ(ks_release(session(), &a, nullptr), KS_OK);
}

TEST_F(MultiClaimTest, AGrantServesEachSessionOfItsStoreAndATokenEverybody) {
    ks_session* second = nullptr;
    ASSERT_EQ(ks_session_open(store(), &second), KS_OK);
    const ks_grant grant = claim_of(session(), "a");
    ks_claim_options detached{};
    detached.struct_size = sizeof detached;
    detached.flags = KS_CLAIM_DETACHED;
    detached.lease_ns = 60'000'000'000u;
    ks_grant given{}, parsed{};
    ASSERT_EQ(ks_claim(session(), bytes("b"), &detached, &given, nullptr), KS_OK);
    char token[KS_TOKEN_SIZE];
    ASSERT_EQ(ks_grant_format(&given, token, sizeof token), KS_OK);
    ASSERT_EQ(ks_grant_parse(other(), bytes("b"), token, &parsed), KS_OK);
    const ks_commit_options with_grant = under(grant, KS_COMMIT_RELEASE), with_token = under(parsed);
    Multi multi(second), elsewhere(other());
    ASSERT_EQ(multi.put("a", "1", &with_grant), KS_OK);
    EXPECT_EQ(multi.commit(), KS_OK);
    ASSERT_EQ(elsewhere.put("b", "2", &with_token), KS_OK);
    ASSERT_EQ(elsewhere.put("c", "3"), KS_OK);
    EXPECT_EQ(elsewhere.commit(), KS_OK);
    EXPECT_EQ(value("a") + value("b") + value("c"), "123");
    elsewhere.reset();
    ASSERT_EQ(elsewhere.release("b", parsed), KS_OK);
    EXPECT_EQ(elsewhere.commit(), KS_OK);
    EXPECT_EQ(put(session(), "b", "free"), KS_OK);
}

TEST_F(MultiClaimTest, ClaimsThatAreOverAreReclaimedOnTheWay) {
    ks_session* closed = nullptr;
    ASSERT_EQ(ks_session_open(store(), &closed), KS_OK);
    (void)claim_of(closed, "a");
    ks_session_close(closed);
    (void)claim_of(other(), "b", 1'000'000);
    Multi multi(session());
    ks_status s = KS_HELD;
    while (s == KS_HELD) {  // until the lease of a millisecond is over
        multi.reset();
        ASSERT_EQ(multi.put("a", "1"), KS_OK);
        ASSERT_EQ(multi.put("b", "2"), KS_OK);
        s = multi.commit();
    }
    EXPECT_EQ(s, KS_OK);
    EXPECT_EQ(value("a") + value("b"), "12");
}

TEST_F(MultiClaimTest, WakesWhoWaitsForAClaimThatItReleases) {
    const ks_grant grant = claim_of(session(), "a");
    const ks_commit_options options = under(grant, KS_COMMIT_RELEASE);
    ks_claim_options patient{};
    patient.struct_size = sizeof patient;
    patient.wait_ns = 30'000'000'000u;
    const int status = [&] {
        std::fflush(nullptr);
        int ready[2];
        if (::pipe(ready) != 0) return -1;
        const pid_t child = ::fork();
        if (child == 0) {
            ks_store* own = nullptr;
            ks_session* lane = nullptr;
            char there = 'x';
            ks_grant won{};
            const bool is_well = abi_test::open(url(), 0, &own) == KS_OK &&
                                 ks_session_open(own, &lane) == KS_OK && ::write(ready[1], &there, 1) == 1 &&
                                 ks_claim(lane, bytes("a"), &patient, &won, nullptr) == KS_OK;
            ::_exit(is_well ? 0 : 1);
        }
        char there = 0;
        EXPECT_EQ(::read(ready[0], &there, 1), 1);
        Multi multi(session());
        EXPECT_EQ(multi.put("a", "new", &options), KS_OK);
        EXPECT_EQ(multi.commit(), KS_OK);
        int ended = 0;
        ::waitpid(child, &ended, 0);
        ::close(ready[0]);
        ::close(ready[1]);
        return ended;
    }();
    EXPECT_EQ(status, 0);
}

}  // namespace
