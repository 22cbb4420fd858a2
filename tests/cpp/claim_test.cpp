// The claim guard: gives back what it holds exactly once, commits under it, and knows when it was taken away.
#include <type_traits>

#include "cpp_support.hpp"

namespace {

using cpp_test::FreshUrl;
using keystile::Claim;
using keystile::Outcome;
using keystile::Session;
using keystile::Store;
using namespace std::literals;

static_assert(!std::is_copy_constructible_v<Claim> && std::is_nothrow_move_constructible_v<Claim>);
static_assert(!std::is_copy_constructible_v<Session> && std::is_nothrow_move_constructible_v<Session>);

struct ClaimGuard : testing::Test {
    FreshUrl url;
    Store store = Store::open(url);
    Session session = store.session();
    Session other = store.session();

    bool is_free() { return static_cast<bool>(other.claim("k")); }  // and free again after the question
};

TEST_F(ClaimGuard, GivesBackAtTheEndOfTheScope) {
    {
        const auto claimed = session.claim("k");
        ASSERT_TRUE(claimed);
        EXPECT_EQ(claimed.claim.epoch() % 2, 1u);
        EXPECT_FALSE(is_free());
    }
    EXPECT_TRUE(is_free());
}

TEST_F(ClaimGuard, GivesBackWhenAnExceptionPasses) {
    try {
        const auto claimed = session.claim("k");
        throw std::runtime_error("mine");
    } catch (const std::runtime_error&) {
    }
    EXPECT_TRUE(is_free());
}

TEST_F(ClaimGuard, MovesAndLeavesNothingBehind) {
    Claim first = session.claim("k").claim;
    ASSERT_TRUE(first);
    Claim second = std::move(first);
    EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): that it is empty is the point
    EXPECT_TRUE(second);
    EXPECT_FALSE(is_free());
    second = session.claim("another").claim;  // what it held before is given back
    EXPECT_TRUE(is_free());
    EXPECT_FALSE(other.claim("another"));
}

TEST_F(ClaimGuard, TellsWhoHoldsTheKey) {
    const auto claimed = session.claim("k", {.lease = 1h});
    const auto refused = other.claim("k");
    EXPECT_EQ(refused.outcome(), Outcome::held);
    EXPECT_FALSE(refused.claim);
    EXPECT_EQ(refused.owner.pid, ::getpid());
    EXPECT_FALSE(refused.owner.name().empty());
    EXPECT_GT(refused.owner.lease_left(), 30min);
    EXPECT_LE(refused.owner.lease_left(), 1h);
    EXPECT_EQ(refused.stamp, claimed.stamp);
    EXPECT_EQ(other.claim("k", {.wait = 1ms}).outcome(), Outcome::timeout);
    const auto unleased = session.claim("other");
    EXPECT_EQ(other.claim("other").owner.lease_left(), keystile::forever);
}

TEST_F(ClaimGuard, CommitsAgainAndAgain) {
    auto claimed = session.claim("k");
    Claim& claim = claimed.claim;
    for (const auto* value : {"a", "b", "c"}) {
        const auto done = claim.commit(value);
        ASSERT_TRUE(done);
        EXPECT_EQ(done.stamp, claim.stamp());
    }
    EXPECT_EQ(claim.get().value, "c");
    EXPECT_EQ(session.get("k").value, "c");
    EXPECT_TRUE(claim.erase());
    EXPECT_EQ(claim.get().outcome(), Outcome::not_found);
    EXPECT_TRUE(claim.commit("again"));
    EXPECT_FALSE(is_free());
}

TEST_F(ClaimGuard, CommitsAndReleasesInOneStep) {
    auto claimed = session.claim("k");
    const auto done = claimed.claim.commit_and_release("v");
    ASSERT_TRUE(done);
    EXPECT_FALSE(claimed.claim);
    EXPECT_EQ(done.stamp.epoch, claimed.claim.epoch() + 1);
    EXPECT_TRUE(is_free());
    EXPECT_EQ(claimed.claim.commit("w").status, KS_E_GRANT);
    EXPECT_TRUE(session.claim("k").claim.erase_and_release());
    EXPECT_EQ(session.get("k").outcome(), Outcome::not_found);
}

TEST_F(ClaimGuard, ACopyThatCommittedIsAConflictUntilReadAgain) {
    auto claimed = session.claim("k");
    Claim& claim = claimed.claim;
    ks_commit_options options{};
    options.struct_size = sizeof options;
    options.grant = &claim.grant();
    ASSERT_EQ(ks_commit_k(session.native(), claim.grant().key, claim.stamp(), keystile::Bytes("copy's"),
                          &options, nullptr),
              KS_OK);
    EXPECT_EQ(claim.commit("mine").outcome(), Outcome::conflict);
    EXPECT_TRUE(claim);
    EXPECT_EQ(claim.get().value, "copy's");
    EXPECT_TRUE(claim.commit("mine"));
}

TEST_F(ClaimGuard, AZombieIsFenced) {
    auto zombie = session.claim("k", {.lease = 1ms});
    ASSERT_TRUE(zombie);
    ASSERT_TRUE(zombie.claim.commit("while it lasted"));
    auto heir = other.claim("k", {.wait = keystile::forever});  // waits for the lease, then takes it
    ASSERT_TRUE(heir);
    EXPECT_GT(heir.claim.epoch(), zombie.claim.epoch());
    EXPECT_EQ(zombie.claim.renew(1h).outcome(), Outcome::fenced);
    EXPECT_FALSE(zombie.claim);  // nothing left to give back

    EXPECT_TRUE(heir.claim.commit_and_release("heir"));
    EXPECT_EQ(session.get("k").value, "heir");
}

TEST_F(ClaimGuard, ATakenClaimIsFencedAtItsCommit) {
    auto zombie = session.claim("k");
    EXPECT_EQ(other.reclaim("k", zombie.claim.epoch()).outcome(), Outcome::held);
    EXPECT_TRUE(other.reclaim("k", zombie.claim.epoch(), true));
    const auto refused = zombie.claim.commit("zombie");
    EXPECT_EQ(refused.outcome(), Outcome::fenced);
    EXPECT_EQ(refused.stamp.epoch, zombie.claim.epoch() + 1);
    EXPECT_EQ(session.get("k").outcome(), Outcome::not_found);
}

TEST_F(ClaimGuard, RenewsItsLease) {
    auto claimed = session.claim("k", {.lease = 1ms});
    EXPECT_TRUE(claimed.claim.renew(1h));
    EXPECT_GT(other.claim("k").owner.lease_left(), 30min);
    EXPECT_TRUE(claimed.claim.renew(keystile::forever));
    EXPECT_EQ(other.claim("k").owner.lease_left(), keystile::forever);
    EXPECT_EQ(claimed.claim.renew(-1s).status, KS_E_ARGUMENT);  // not "for ever" by accident
    EXPECT_EQ(session.claim("new", {.lease = -1s}).status, KS_E_ARGUMENT);
}

TEST_F(ClaimGuard, KeptClaimsStandUntilTheirSessionEnds) {
    {
        Session brief = store.session();
        (void)brief.claim("k").claim.keep();
        EXPECT_FALSE(is_free());
    }
    EXPECT_TRUE(is_free());
}

TEST_F(ClaimGuard, ADetachedClaimTravelsAsAToken) {
    auto claimed = session.claim("k", {.lease = 1h, .is_detached = true});
    ASSERT_TRUE(claimed);
    const std::string token = claimed.claim.token();
    (void)claimed.claim.keep();

    const pid_t child = cpp_test::start_child([&] {
        Session successor = Store::open(url).session();
        auto adopted = successor.adopt("k", token);
        if (adopted.claim.get().outcome() != Outcome::not_found) return 1;
        return adopted.claim.commit_and_release("from the successor") ? 0 : 2;
    });
    EXPECT_EQ(cpp_test::wait_for(child), 0);
    EXPECT_EQ(session.get("k").value, "from the successor");
    EXPECT_TRUE(is_free());
    EXPECT_EQ(session.adopt("k", "no token").status, KS_E_GRANT);
    EXPECT_THROW((void)session.claim("k").claim.token(), keystile::Error);
}

TEST_F(ClaimGuard, OfAParentIsNotGivenBackByAChild) {
    auto claimed = session.claim("k");
    const pid_t child = cpp_test::start_child([&] {
        {
            const Claim mine = std::move(claimed.claim);
        }  // its destructor runs in the child
        return session.get("k").status == KS_E_FORKED ? 0 : 1;
    });
    EXPECT_EQ(cpp_test::wait_for(child), 0);
    EXPECT_FALSE(is_free());
    EXPECT_TRUE(claimed.claim.commit_and_release("v"));
}

}  // namespace
