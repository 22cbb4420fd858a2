// Transaction: all of its writes or none, what was read is compared, and each outcome names its keys.
#include <functional>
#include <type_traits>
#include <vector>

#include "cpp_support.hpp"

namespace {

using cpp_test::FreshUrl;
using keystile::Claim;
using keystile::Outcome;
using keystile::Session;
using keystile::Stamp;
using keystile::Store;
using keystile::Transaction;
using namespace std::literals;

static_assert(!std::is_copy_constructible_v<Transaction> &&
              std::is_nothrow_move_constructible_v<Transaction>);

struct Transactions : testing::Test {
    FreshUrl url;
    Store store = Store::open(url);
    Session session = store.session();
    Session other = store.session();
    Transaction transaction = session.transaction();

    void set(std::string_view key, std::string_view value) {
        ASSERT_TRUE(other.update(key, [&](std::string_view) { return std::string(value); }));
    }
    std::string value_of(std::string_view key) {
        return std::string(other.get(key).text().value_or("(none)"));
    }
};

// ---- All or nothing ------------------------------------------------------------------------------------------

TEST_F(Transactions, WriteAllAtOnce) {
    set("old", "x");
    transaction.put("a", "1").put("b", "2").erase("old");
    EXPECT_EQ(value_of("a"), "(none)");
    const auto done = transaction.commit();
    ASSERT_TRUE(done) << done.name();
    EXPECT_TRUE(done.moved.empty());
    EXPECT_EQ(value_of("a"), "1");
    EXPECT_EQ(value_of("b"), "2");
    EXPECT_EQ(value_of("old"), "(none)");
}

TEST_F(Transactions, TellEachKeysNewStamp) {
    transaction.put("a", "1").put("b", "2");
    ASSERT_TRUE(transaction.commit());
    ASSERT_EQ(transaction.size(), 2u);
    EXPECT_EQ(transaction.result(0).key, "a");
    EXPECT_EQ(transaction.result(1).key, "b");
    EXPECT_EQ(transaction.result(0).stamp, other.get("a").stamp);
    EXPECT_EQ(transaction.result(1).stamp, other.get("b").stamp);
    EXPECT_TRUE(transaction.result(2).is_fault());
    EXPECT_EQ(transaction.result("b").stamp, transaction.result(1).stamp);
    EXPECT_EQ(transaction.result("b").key, "b");
    EXPECT_EQ(transaction.result("c").outcome(), Outcome::not_found);
    EXPECT_TRUE(transaction.result("").is_fault());
    EXPECT_TRUE(other.commit("a", transaction.result(0).stamp, "next"));
}

TEST_F(Transactions, ThrownAwayChangeNothing) {
    {
        Transaction lost = session.transaction();
        lost.put("a", "1");
    }
    transaction.put("a", "1");
    transaction.reset();
    ASSERT_TRUE(transaction.put("b", "2").commit());
    EXPECT_EQ(value_of("a"), "(none)");
    EXPECT_EQ(value_of("b"), "2");
}

TEST_F(Transactions, ReadWhatTheyPut) {
    set("a", "1");
    set("b", "1");
    EXPECT_EQ(transaction.read("a").value, "1");
    transaction.put("a", "2").erase("b");
    EXPECT_EQ(transaction.read("a").value, "2");
    EXPECT_EQ(transaction.read("b").outcome(), Outcome::not_found);
    EXPECT_EQ(value_of("a"), "1");
    ASSERT_TRUE(transaction.commit());
    EXPECT_EQ(value_of("a"), "2");
}

TEST_F(Transactions, CarryLargeValues) {
    const std::string large(3 << 20, 'x');
    ASSERT_TRUE(transaction.put("a", large).put("b", large).commit());
    transaction.reset();
    EXPECT_TRUE(transaction.read("a").value == large);  // no print of it
    EXPECT_EQ(transaction.read("nothing").outcome(), Outcome::not_found);
}

TEST_F(Transactions, MayBeEmpty) {
    EXPECT_TRUE(transaction.commit());
    EXPECT_EQ(transaction.size(), 0u);
}

// ---- What is compared ------------------------------------------------------------------------------------------

TEST_F(Transactions, AConflictNamesTheKeysThatMoved) {
    set("a", "1");
    set("b", "1");
    (void)transaction.read("a");
    (void)transaction.read("b");
    set("b", "2");
    const auto done = transaction.put("c", "1").commit();
    switch (done.outcome()) {
        case Outcome::conflict:
            break;
        default:
            FAIL() << done.name();
    }
    ASSERT_EQ(done.moved.size(), 1u);
    EXPECT_EQ(done.moved[0].key, "b");
    EXPECT_EQ(done.moved[0].outcome(), Outcome::conflict);
    EXPECT_EQ(done.moved[0].stamp, other.get("b").stamp);
    EXPECT_EQ(done.find("b"), done.moved.data());
    EXPECT_EQ(done.find("a"), nullptr);
    EXPECT_EQ(value_of("c"), "(none)");
}

TEST_F(Transactions, WithoutWritesCompareWhatTheyRead) {
    set("a", "1");
    (void)transaction.read("a");
    (void)transaction.read("missing");
    EXPECT_TRUE(transaction.commit());
    transaction.reset();
    (void)transaction.read("a");
    (void)transaction.read("missing");
    set("missing", "came");
    const auto done = transaction.commit();
    EXPECT_EQ(done.outcome(), Outcome::conflict);
    EXPECT_NE(done.find("missing"), nullptr);
}

TEST_F(Transactions, LetNoWriteSkewThrough) {
    set("a", "1");
    set("b", "1");
    Transaction second = other.transaction();
    for (const char* key : {"a", "b"}) {  // either may leave if the other stays
        EXPECT_EQ(transaction.read(key).value, "1");
        EXPECT_EQ(second.read(key).value, "1");
    }
    EXPECT_TRUE(transaction.put("a", "0").commit());
    EXPECT_EQ(second.put("b", "0").commit().outcome(), Outcome::conflict);
    EXPECT_EQ(value_of("b"), "1");
}

TEST_F(Transactions, ExpectComparesWithoutWriting) {
    set("a", "1");
    const Stamp seen = other.get("a").stamp;
    ASSERT_TRUE(transaction.expect("a", seen).put("b", "1").commit());
    EXPECT_EQ(other.get("a").stamp, seen);
    set("a", "2");
    transaction.reset();
    const auto done = transaction.expect("a", seen).put("b", "2").commit();
    EXPECT_EQ(done.outcome(), Outcome::conflict);
    EXPECT_EQ(value_of("b"), "1");
    transaction.reset();
    EXPECT_EQ(transaction.expect("b", Stamp{}).commit().outcome(), Outcome::conflict);
}

TEST_F(Transactions, ReadTwiceToldOfAChange) {
    set("a", "1");
    (void)transaction.read("a");
    set("a", "2");
    EXPECT_EQ(transaction.read("a").outcome(), Outcome::conflict);
    EXPECT_EQ(transaction.put("a", "3").commit().outcome(), Outcome::conflict);
    EXPECT_EQ(value_of("a"), "2");
}

TEST_F(Transactions, ErasingNothingIsNoFault) {
    transaction.erase("nothing").put("a", "1");
    EXPECT_TRUE(transaction.commit());
    EXPECT_EQ(value_of("nothing"), "(none)");
}

// ---- Faults ------------------------------------------------------------------------------------------------

TEST_F(Transactions, AFaultIsKeptAndNothingIsWritten) {
    transaction.put("a", "1").put("", "2").put("b", "3");
    EXPECT_EQ(transaction.fault().status, KS_E_KEY_SIZE);
    const auto done = transaction.commit();
    EXPECT_EQ(done.status, KS_E_KEY_SIZE);
    EXPECT_EQ(done.outcome(), Outcome::fault);
    EXPECT_TRUE(done.moved.empty());
    EXPECT_EQ(value_of("a"), "(none)");
    EXPECT_EQ(value_of("b"), "(none)");
    transaction.reset();
    EXPECT_TRUE(transaction.fault());
    EXPECT_TRUE(transaction.put("a", "1").commit());
}

TEST_F(Transactions, RefuseWhatHasNoMeaning) {
    const auto fault_of = [&](auto&& fill) {
        transaction.reset();
        fill();
        return transaction.commit().status;
    };
    const std::string too_long(KS_KEY_SIZE_MAX + 1, 'k');
    EXPECT_EQ(fault_of([&] { transaction.erase(too_long); }), KS_E_KEY_SIZE);
    EXPECT_EQ(fault_of([&] { (void)transaction.read(""); }), KS_E_KEY_SIZE);
    EXPECT_EQ(fault_of([&] { transaction.put("a", std::string(KS_VALUE_SIZE_MAX + 1, 'x')); }),
              KS_E_VALUE_SIZE);
    EXPECT_EQ(fault_of([&] { transaction.put("a", "1").put("a", "2"); }), KS_E_ARGUMENT);
    EXPECT_EQ(fault_of([&] { transaction.put("a", "1").erase("a"); }), KS_E_ARGUMENT);
    EXPECT_EQ(fault_of([&] { transaction.expect("a", {}).expect("a", {}); }), KS_E_ARGUMENT);
    EXPECT_EQ(value_of("a"), "(none)");
}

TEST_F(Transactions, TakeSoManyKeysAndNoMore) {
    for (unsigned i = 0; i < KS_MULTI_KEYS_MAX; ++i) transaction.put("k" + std::to_string(i), "v");
    ASSERT_TRUE(transaction.commit());
    EXPECT_EQ(value_of("k" + std::to_string(KS_MULTI_KEYS_MAX - 1)), "v");
    transaction.reset();
    for (unsigned i = 0; i <= KS_MULTI_KEYS_MAX; ++i) transaction.put("n" + std::to_string(i), "v");
    EXPECT_EQ(transaction.commit().status, KS_E_ARGUMENT);
    EXPECT_EQ(value_of("n0"), "(none)");
}

TEST_F(Transactions, AreOverAfterTheirCommit) {
    ASSERT_TRUE(transaction.put("a", "1").commit());
    EXPECT_TRUE(transaction.commit().is_fault());
    transaction.reset();
    transaction.put("b", "2");
    ASSERT_TRUE(transaction.commit());
    EXPECT_TRUE(transaction.put("c", "3").fault().is_fault());
}

TEST_F(Transactions, AnEmptyOneAnswersFaults) {
    Transaction nothing;
    EXPECT_FALSE(nothing);
    EXPECT_TRUE(nothing.put("a", "1").fault().is_fault());
    EXPECT_TRUE(nothing.commit().is_fault());
    nothing.reset();
    EXPECT_TRUE(nothing.read("a").is_fault());
    Session moved = std::move(other);
    EXPECT_TRUE(other.try_transaction().is_fault());  // NOLINT(bugprone-use-after-move): what it answers then
    EXPECT_THROW((void)other.transaction(), keystile::Error);
    other = std::move(moved);

    Transaction first = session.transaction();
    first.put("a", "1");
    transaction = std::move(first);
    EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): that it is empty is the point
    EXPECT_TRUE(transaction.commit());
    EXPECT_EQ(value_of("a"), "1");
}

TEST_F(Transactions, KeepTheirSessionOpen) {
    Transaction kept = [&] {
        Session short_lived = Store::open(url).session();
        return short_lived.transaction();
    }();
    EXPECT_TRUE(kept.put("a", "1").commit());
    EXPECT_EQ(value_of("a"), "1");
}

TEST_F(Transactions, NeedARightToWrite) {
    Session reader = Store::open(url, {.is_read_only = true}).session();
    EXPECT_EQ(reader.try_transaction().status, KS_E_READ_ONLY);
}

// ---- Claims ------------------------------------------------------------------------------------------------

TEST_F(Transactions, WriteUnderAClaimAndGiveItBack) {
    auto claimed = session.claim("job");
    ASSERT_TRUE(claimed);
    ASSERT_TRUE(transaction.put("job", "half", claimed.claim).put("log", "1").commit());
    EXPECT_EQ(other.claim("job").outcome(), Outcome::held);
    EXPECT_EQ(claimed.claim.get().value, "half");
    ASSERT_TRUE(claimed.claim.commit("more"));

    transaction.reset();
    ASSERT_TRUE(transaction.put_and_release("job", "done", claimed.claim).put("log", "2").commit());
    EXPECT_EQ(value_of("job"), "done");
    EXPECT_TRUE(other.claim("job"));
    EXPECT_EQ(claimed.claim.commit("late").outcome(), Outcome::fenced);
}

TEST_F(Transactions, EraseAndReleaseUnderAClaim) {
    set("a", "1");
    set("b", "1");
    auto a = session.claim("a"), b = session.claim("b"), c = session.claim("c");
    transaction.erase("a", a.claim).erase_and_release("b", b.claim).release("c", c.claim);
    ASSERT_TRUE(transaction.commit());
    EXPECT_EQ(value_of("a"), "(none)");
    EXPECT_EQ(value_of("b"), "(none)");
    EXPECT_EQ(other.claim("a").outcome(), Outcome::held);
    EXPECT_TRUE(other.claim("b"));
    EXPECT_TRUE(other.claim("c"));
}

TEST_F(Transactions, ALostClaimFencesAllOfIt) {
    auto claimed = session.claim("job", {.lease = 1ms});
    ASSERT_TRUE(claimed);
    const auto heir = other.claim("job", {.wait = keystile::forever});
    ASSERT_TRUE(heir);
    const auto done = transaction.put("job", "late", claimed.claim).put("log", "late").commit();
    EXPECT_EQ(done.outcome(), Outcome::fenced);
    ASSERT_NE(done.find("job"), nullptr);
    EXPECT_EQ(done.find("job")->outcome(), Outcome::fenced);
    EXPECT_TRUE(done.find("job")->has_claim);
    EXPECT_TRUE(done.has_lost_a_claim());
    EXPECT_FALSE(transaction.result("log").has_claim);
    EXPECT_EQ(value_of("log"), "(none)");
}

TEST_F(Transactions, AnothersClaimHoldsAllOfIt) {
    const auto claimed = other.claim("b", {.lease = 1h});
    const auto done = transaction.put("a", "1").put("b", "1").commit();
    EXPECT_EQ(done.outcome(), Outcome::held);
    ASSERT_EQ(done.moved.size(), 1u);
    EXPECT_EQ(done.moved[0].key, "b");
    EXPECT_EQ(done.moved[0].owner.pid, ::getpid());
    EXPECT_GT(done.moved[0].owner.lease_left(), 30min);
    EXPECT_EQ(value_of("a"), "(none)");
}

TEST_F(Transactions, AClaimIsGoodForItsKeyOnly) {
    Claim claim = session.claim("a").claim;
    EXPECT_EQ(transaction.put("b", "1", claim).commit().status, KS_E_GRANT);
    const Claim moved = std::move(claim);
    for (const auto& use : std::vector<std::function<void()>>{
             [&] { transaction.put("a", "1", claim); },  // NOLINT(bugprone-use-after-move): it is empty now
             [&] { transaction.erase("a", claim); }, [&] { transaction.release("a", claim); }}) {
        transaction.reset();
        use();
        EXPECT_EQ(transaction.commit().status, KS_E_GRANT);
    }
    EXPECT_EQ(value_of("a"), "(none)");
}

}  // namespace
