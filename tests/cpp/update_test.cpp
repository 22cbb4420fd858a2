// Session::update: loses nothing among threads and processes, waits for claims, gives up only where it was told to.
#include <signal.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "cpp_support.hpp"

namespace {

using cpp_test::FreshUrl;
using cpp_test::number;
using cpp_test::plus_one;
using keystile::Edit;
using keystile::Outcome;
using keystile::Session;
using keystile::Store;
using namespace std::literals;

struct Update : testing::Test {
    FreshUrl url;
    Store store = Store::open(url);
    Session session = store.session();
};

// ---- What the function gets and gives ------------------------------------------------------------------------

TEST_F(Update, CreatesAndChanges) {
    const auto made = session.update("k", plus_one);
    ASSERT_TRUE(made);
    EXPECT_TRUE(made.is_changed);
    EXPECT_EQ(made.tries, 1u);
    ASSERT_TRUE(session.update("k", plus_one));
    const auto read = session.get("k");
    EXPECT_EQ(read.value, "2");
    EXPECT_GT(read.stamp.version, made.stamp.version);
}

TEST_F(Update, TellsAMissingKeyFromAnEmptyOne) {
    std::vector<std::optional<std::string>> seen;
    const auto note = [&](std::optional<std::string_view> old) {
        seen.push_back(old ? std::optional(std::string(*old)) : std::nullopt);
        return "";
    };
    ASSERT_TRUE(session.update("k", note));
    ASSERT_TRUE(session.update("k", note));
    EXPECT_EQ(seen, (std::vector<std::optional<std::string>>{std::nullopt, ""}));
}

TEST_F(Update, TakesBytesAndReads) {
    ASSERT_TRUE(session.update("k", [](std::span<const std::byte> old) {
        std::vector<std::byte> next(old.begin(), old.end());
        next.push_back(std::byte{7});
        return next;
    }));
    std::uint64_t version = 0;
    ASSERT_TRUE(session.update("k", [&](const keystile::Read& read) {
        version = read.stamp.version;
        return read.value + "\x08";
    }));
    EXPECT_EQ(session.get("k").value, "\x07\x08");
    EXPECT_EQ(version, 1u);
}

TEST_F(Update, MayLeaveTheKeyAlone) {
    const auto made = session.commit("k", {}, "v");
    const auto nothing = [](std::string_view) -> std::optional<std::string> { return std::nullopt; };
    const auto left = session.update("k", nothing);
    EXPECT_TRUE(left);
    EXPECT_FALSE(left.is_changed);
    EXPECT_EQ(left.stamp, made.stamp);
    EXPECT_FALSE(session.update("k", [](std::string_view) { return keystile::keep; }).is_changed);
    EXPECT_FALSE(session.update("k", [](std::string_view) { return std::nullopt; }).is_changed);
    EXPECT_EQ(session.get("k").stamp, made.stamp);
    ASSERT_TRUE(session.update("k", [](std::string_view) { return std::optional("w"s); }).is_changed);
}

TEST_F(Update, MayErase) {
    ASSERT_TRUE(session.commit("k", {}, "v"));
    EXPECT_TRUE(session.update("k", [](std::string_view) { return keystile::erase; }).is_changed);
    EXPECT_EQ(session.get("k").outcome(), Outcome::not_found);
    const auto again = session.update("k", [](std::string_view) { return keystile::erase; });
    EXPECT_TRUE(again);
    EXPECT_FALSE(again.is_changed);
}

TEST_F(Update, MayDecideEachTime) {
    const auto countdown = [](std::optional<std::string_view> old) -> Edit {
        if (!old) return "2";
        if (*old == "0") return keystile::erase;
        if (*old == "1") return std::nullopt;
        return std::string("1");
    };
    ASSERT_TRUE(session.update("k", countdown).is_changed);
    EXPECT_EQ(session.get("k").value, "2");
    ASSERT_TRUE(session.update("k", countdown).is_changed);
    EXPECT_EQ(session.get("k").value, "1");
    EXPECT_FALSE(session.update("k", countdown).is_changed);
    ASSERT_TRUE(session.commit("k", session.get("k").stamp, "0"));
    ASSERT_TRUE(session.update("k", countdown).is_changed);
    EXPECT_EQ(session.get("k").outcome(), Outcome::not_found);
}

TEST_F(Update, LetsExceptionsThroughAndChangesNothing) {
    const auto made = session.commit("k", {}, "v");
    const auto fail = [](std::string_view) -> std::string { throw std::runtime_error("mine"); };
    EXPECT_THROW((void)session.update("k", fail), std::runtime_error);
    EXPECT_EQ(session.get("k").stamp, made.stamp);
}

TEST_F(Update, EndsAtAFault) {
    int calls = 0;
    const auto count = [&](std::string_view) { return std::to_string(++calls); };
    EXPECT_EQ(session.update("", count).status, KS_E_KEY_SIZE);
    EXPECT_EQ(calls, 0);
    const auto too_large = [&](std::string_view) {
        ++calls;
        return std::string(KS_VALUE_SIZE_MAX + 1, 'x');
    };
    EXPECT_EQ(session.update("k", too_large).status, KS_E_VALUE_SIZE);
    EXPECT_EQ(calls, 1);
}

// ---- Against others ---------------------------------------------------------------------------------------------

TEST_F(Update, RecomputesFromWhatTheOtherWrote) {
    ASSERT_TRUE(session.commit("k", {}, "1"));
    Session other = store.session();
    int calls = 0;
    const auto done = session.update("k", [&](std::string_view old) {
        if (++calls == 1) {  // wins in between
            EXPECT_TRUE(other.update("k", plus_one));
        }
        return plus_one(old);
    });
    ASSERT_TRUE(done);
    EXPECT_EQ(done.tries, 2u);
    EXPECT_EQ(session.get("k").value, "3");
}

TEST_F(Update, GoesOnAfterAnOwnershipInBetween) {
    ASSERT_TRUE(session.commit("k", {}, "1"));
    Session other = store.session();
    int calls = 0;
    const auto done = session.update("k", [&](std::string_view old) {
        if (++calls == 1) {  // fenced, without a claim of its own
            EXPECT_TRUE(other.claim("k").claim.release());
        }
        return plus_one(old);
    });
    ASSERT_TRUE(done);
    EXPECT_EQ(done.tries, 2u);
    EXPECT_EQ(session.get("k").value, "2");
}

TEST_F(Update, FourThreadsLoseNothing) {
    constexpr int kThreads = 4;
    constexpr long kEach = 2000;
    std::vector<std::thread> threads;
    std::atomic<std::uint64_t> tries{0};
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&] {
            Session mine = store.session();
            for (long n = 0; n < kEach; ++n) {
                const auto done = mine.update("counter", plus_one);
                ASSERT_TRUE(done) << done.name();
                tries += done.tries;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    const auto read = session.get("counter");
    EXPECT_EQ(number(read.value), kThreads * kEach);
    EXPECT_GE(read.stamp.version, static_cast<std::uint64_t>(kThreads * kEach));
    EXPECT_GE(tries.load(), static_cast<std::uint64_t>(kThreads * kEach));
}

TEST(UpdateAcrossProcesses, FourLoseNothing) {
    const FreshUrl url;
    constexpr int kProcesses = 4;
    constexpr long kEach = 2000;
    std::vector<pid_t> children;
    for (int i = 0; i < kProcesses; ++i) {
        children.push_back(cpp_test::start_child([&] {
            Session mine = Store::open(url).session();
            for (long n = 0; n < kEach; ++n) mine.update("counter", plus_one).throw_if_fault();
            return 0;
        }));
    }
    for (const pid_t child : children) EXPECT_EQ(cpp_test::wait_for(child), 0);
    Session session = Store::open(url).session();
    EXPECT_EQ(number(session.get("counter").value), kProcesses * kEach);
}

// ---- Claims in the way ------------------------------------------------------------------------------------

TEST_F(Update, WaitsForAClaimToEnd) {
    auto claimed = session.claim("k");
    ASSERT_TRUE(claimed);
    std::thread updater([&] {
        const auto done = store.here().update("k", plus_one);
        EXPECT_TRUE(done);
    });
    ASSERT_TRUE(claimed.claim.commit("41"));
    ASSERT_TRUE(claimed.claim.release());
    updater.join();
    EXPECT_EQ(session.get("k").value, "42");
}

TEST_F(Update, PassesALeaseThatRanOut) {
    Session holder = store.session();
    auto zombie = holder.claim("k", {.lease = 5ms});
    ASSERT_TRUE(zombie);
    ASSERT_TRUE(session.update("k", plus_one));
    EXPECT_EQ(zombie.claim.commit("zombie").outcome(), Outcome::fenced);
    EXPECT_EQ(session.get("k").value, "1");
}

TEST(UpdateAcrossProcesses, PassesAHolderThatWasKilled) {
    const FreshUrl url;
    Session session = Store::open(url).session();
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const pid_t holder = cpp_test::start_child([&] {
        Session mine = Store::open(url).session();
        auto claimed = mine.claim("k");
        if (!claimed || ::write(ready[1], "y", 1) != 1) return 1;
        ::pause();
        return 1;
    });
    char said = 0;
    ASSERT_EQ(::read(ready[0], &said, 1), 1);
    std::thread updater([&] { EXPECT_TRUE(Store::open(url).session().update("k", plus_one)); });
    EXPECT_EQ(session.update("k", plus_one, {.tries_max = 1}).outcome(), Outcome::busy);
    ASSERT_EQ(::kill(holder, SIGKILL), 0);
    EXPECT_EQ(cpp_test::wait_for(holder), 128 + SIGKILL);
    updater.join();
    EXPECT_EQ(session.get("k").value, "1");
    ::close(ready[0]);
    ::close(ready[1]);
}

TEST_F(Update, GivesUpWhereItWasToldTo) {
    Session other = store.session();
    auto claimed = other.claim("k");
    ASSERT_TRUE(claimed);
    int calls = 0;
    const auto count = [&](std::string_view) { return std::to_string(++calls); };
    const auto busy = session.update("k", count, {.tries_max = 3});
    EXPECT_EQ(busy.outcome(), Outcome::busy);
    EXPECT_EQ(busy.tries, 3u);
    EXPECT_EQ(calls, 3);
    EXPECT_EQ(busy.owner.pid, ::getpid());
    EXPECT_EQ(busy.stamp, claimed.stamp);
    EXPECT_EQ(session.update("k", count, {.time_max = 1ms}).outcome(), Outcome::timeout);
    EXPECT_EQ(session.update("k", count, {.time_max = 0ns}).tries, 1u);
    EXPECT_EQ(session.get("k").outcome(), Outcome::not_found);
}

}  // namespace
