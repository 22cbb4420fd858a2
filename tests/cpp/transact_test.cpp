// Session::transact: the whole function again until it wins; nothing is lost among threads, processes and claims.
#include <signal.h>

#include <atomic>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

#include "cpp_support.hpp"

namespace {

using cpp_test::FreshUrl;
using cpp_test::number;
using cpp_test::plus_one;
using keystile::Outcome;
using keystile::Session;
using keystile::Store;
using keystile::Transaction;
using namespace std::literals;

struct Transact : testing::Test {
    FreshUrl url;
    Store store = Store::open(url);
    Session session = store.session();
    Session other = store.session();
};

void add_one(Transaction& transaction, std::string_view key) {
    transaction.put(key, plus_one(transaction.read(key).value));
}

// From one account to the next; the sum stays.
auto transfer(const std::string& from, const std::string& to) {
    return [=](Transaction& transaction) {
        const long has = number(transaction.read(from).value);
        const long gets = number(transaction.read(to).value);
        transaction.put(from, std::to_string(has - 1)).put(to, std::to_string(gets + 1));
    };
}

// ---- The function ------------------------------------------------------------------------------------------

TEST_F(Transact, CommitsWhatTheFunctionWrote) {
    const auto done = session.transact([](Transaction& transaction) {
        add_one(transaction, "a");
        add_one(transaction, "b");
    });
    ASSERT_TRUE(done) << done.name();
    EXPECT_TRUE(done.is_committed);
    EXPECT_EQ(done.tries, 1u);
    EXPECT_EQ(session.get("a").value, "1");
    EXPECT_EQ(session.get("b").value, "1");
}

TEST_F(Transact, MayBeCalledOff) {
    const auto done = session.transact([](Transaction& transaction) {
        transaction.put("a", "1");
        return transaction.read("b").ok();
    });
    EXPECT_TRUE(done);
    EXPECT_FALSE(done.is_committed);
    EXPECT_EQ(session.get("a").outcome(), Outcome::not_found);
    ASSERT_TRUE(session.commit("b", {}, "there"));
    const auto again = session.transact([](Transaction& transaction) {
        transaction.put("a", "1");
        return transaction.read("b").ok();
    });
    EXPECT_TRUE(again.is_committed);
    EXPECT_EQ(session.get("a").value, "1");
}

TEST_F(Transact, LetsExceptionsThroughAndChangesNothing) {
    const auto fail = [](Transaction& transaction) {
        transaction.put("a", "1");
        throw std::runtime_error("mine");
    };
    EXPECT_THROW((void)session.transact(fail), std::runtime_error);
    EXPECT_EQ(session.get("a").outcome(), Outcome::not_found);
}

TEST_F(Transact, EndsAtAFault) {
    int calls = 0;
    const auto done = session.transact([&](Transaction& transaction) {
        ++calls;
        transaction.put("a", "1").put("", "2");
    });
    EXPECT_EQ(done.status, KS_E_KEY_SIZE);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(session.get("a").outcome(), Outcome::not_found);
    EXPECT_TRUE(Session().transact([](Transaction&) {}).is_fault());
}

// ---- Against others ----------------------------------------------------------------------------------------

TEST_F(Transact, CallsItAgainWhenSomebodyWasFaster) {
    int calls = 0;
    const auto done = session.transact([&](Transaction& transaction) {
        add_one(transaction, "a");
        add_one(transaction, "b");
        if (++calls == 1) {  // wins in between, on a key already read
            EXPECT_TRUE(other.update("a", [](std::string_view) { return "10"; }));
        }
    });
    ASSERT_TRUE(done);
    EXPECT_EQ(done.tries, 2u);
    EXPECT_TRUE(done.moved.empty());
    EXPECT_EQ(session.get("a").value, "11");
    EXPECT_EQ(session.get("b").value, "1");  // the lost try wrote nothing
}

TEST_F(Transact, GoesOnAfterAnOwnershipInBetween) {
    ASSERT_TRUE(session.commit("a", {}, "1"));
    int calls = 0;
    const auto done = session.transact([&](Transaction& transaction) {
        add_one(transaction, "a");
        if (++calls == 1) {
            EXPECT_TRUE(other.claim("a").claim.release());
        }
    });
    ASSERT_TRUE(done);
    EXPECT_EQ(done.tries, 2u);
    EXPECT_EQ(session.get("a").value, "2");
}

TEST_F(Transact, WaitsForAClaimToEnd) {
    auto claimed = other.claim("b");
    ASSERT_TRUE(claimed);
    std::thread writer([&] {
        const auto done = store.here().transact([](Transaction& transaction) {
            add_one(transaction, "a");
            add_one(transaction, "b");
        });
        EXPECT_TRUE(done) << done.name();
    });
    ASSERT_TRUE(claimed.claim.commit("41"));
    ASSERT_TRUE(claimed.claim.release());
    writer.join();
    EXPECT_EQ(session.get("a").value, "1");
    EXPECT_EQ(session.get("b").value, "42");
}

TEST_F(Transact, EndsWhenItsOwnClaimWasTaken) {
    auto claimed = session.claim("job", {.lease = 1ms});
    ASSERT_TRUE(claimed);
    const auto heir = other.claim("job", {.wait = keystile::forever});
    ASSERT_TRUE(heir);
    int calls = 0;
    const auto done = session.transact([&](Transaction& transaction) {
        ++calls;
        add_one(transaction, "log");
        transaction.put("job", "late", claimed.claim);
    });
    EXPECT_EQ(done.outcome(), Outcome::fenced);
    EXPECT_EQ(calls, 1);
    EXPECT_NE(done.find("job"), nullptr);
    EXPECT_EQ(session.get("log").outcome(), Outcome::not_found);
}

// Of the store as it was before somebody rebuilt it: no later try can win.
TEST_F(Transact, EndsWhenAClaimIsOfThePast) {
    const auto claimed = session.claim("job", {.lease = 1h, .is_detached = true});
    ASSERT_TRUE(claimed);
    const std::string token = claimed.claim.token();
    const std::size_t epoch_at = token.find('-') + 1, rest_at = token.rfind('-');
    const std::uint64_t epoch = std::stoull(token.substr(epoch_at, rest_at - epoch_at), nullptr, 16);
    std::ostringstream past;
    past << token.substr(0, epoch_at) << std::hex << epoch - (std::uint64_t{1} << 39)
         << token.substr(rest_at);
    const auto adopted = session.adopt("job", past.str());
    ASSERT_TRUE(adopted);
    const auto write = [&](Transaction& transaction) {
        add_one(transaction, "log");
        transaction.put("job", "late", adopted.claim);
    };
    const auto done = session.transact(write, {.tries_max = 3});
    EXPECT_EQ(done.outcome(), Outcome::fenced);
    EXPECT_EQ(done.tries, 1u);
    EXPECT_EQ(session.get("log").outcome(), Outcome::not_found);
}

TEST_F(Transact, GivesUpWhereItWasToldTo) {
    auto claimed = other.claim("a");
    ASSERT_TRUE(claimed);
    int calls = 0;
    const auto count = [&](Transaction& transaction) {
        ++calls;
        transaction.put("a", "1").put("b", "1");
    };
    const auto busy = session.transact(count, {.tries_max = 3});
    EXPECT_EQ(busy.outcome(), Outcome::busy);
    EXPECT_EQ(busy.tries, 3u);
    EXPECT_EQ(calls, 3);
    ASSERT_EQ(busy.moved.size(), 1u);
    EXPECT_EQ(busy.moved[0].key, "a");
    EXPECT_EQ(busy.moved[0].owner.pid, ::getpid());
    EXPECT_FALSE(busy.is_committed);
    EXPECT_EQ(session.transact(count, {.time_max = 1ms}).outcome(), Outcome::timeout);
    EXPECT_EQ(session.transact(count, {.time_max = 0ns}).tries, 1u);
    EXPECT_EQ(session.get("b").outcome(), Outcome::not_found);
}

TEST_F(Transact, FourThreadsLoseNothing) {
    constexpr int kThreads = 4;
    constexpr long kEach = 500;
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
            Session mine = store.session();
            for (long n = 0; n < kEach; ++n) {
                const auto done = mine.transact([&](Transaction& transaction) {  // in opposite orders
                    add_one(transaction, i % 2 == 0 ? "a" : "b");
                    add_one(transaction, i % 2 == 0 ? "b" : "a");
                });
                ASSERT_TRUE(done) << done.name();
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(number(session.get("a").value), kThreads * kEach);
    EXPECT_EQ(number(session.get("b").value), kThreads * kEach);
    EXPECT_TRUE(store.check());
}

// Three accounts, three processes that move money round in a circle, one of them killed at a random moment: every
// snapshot on the way has the whole sum.
TEST(TransactAcrossProcesses, TheSumHoldsInEverySnapshotWhileOneIsKilled) {
    const FreshUrl url;
    const Store store = Store::open(url);
    Session session = store.session();
    const std::vector<std::string> accounts{"account/a", "account/b", "account/c"};
    for (const std::string& account : accounts) ASSERT_TRUE(session.commit(account, {}, "1000"));
    std::vector<pid_t> children;
    children.reserve(accounts.size());
    for (std::size_t i = 0; i < accounts.size(); ++i) {
        children.push_back(cpp_test::start_child([&, i] {
            Session mine = Store::open(url).session();
            for (long n = 0; n < 300 || i == 0; ++n) {  // the first goes on until it is killed
                mine.transact(transfer(accounts[i], accounts[(i + 1) % 3])).throw_if_fault();
            }
            return 0;
        }));
    }
    long snapshots = 0;
    const auto check_sum = [&] {
        const auto taken = session.snapshot("account/");
        ASSERT_TRUE(taken) << taken.name();
        long sum = 0;
        for (const auto& entry : taken.snapshot) sum += number(entry.value);
        ASSERT_EQ(sum, 3000);
        ++snapshots;
    };
    while ((number(session.get("account/a").value) > 900 || snapshots < 200) &&
           !testing::Test::HasFailure()) {
        check_sum();
    }
    ASSERT_EQ(::kill(children[0], SIGKILL), 0);
    EXPECT_EQ(cpp_test::wait_for(children[0]), 128 + SIGKILL);
    EXPECT_EQ(cpp_test::wait_for(children[1]), 0);
    EXPECT_EQ(cpp_test::wait_for(children[2]), 0);
    check_sum();
    EXPECT_TRUE(store.check());
}

}  // namespace
