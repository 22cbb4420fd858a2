// Many keys in one commit at its edges: handles, arguments, limits, sizes, full and destroyed stores.
#include <sys/resource.h>

#include <atomic>
#include <thread>

#include "multi_support.hpp"
#include "support/child.hpp"

namespace {

using abi_test::bytes;
using abi_test::FreshUrl;
using abi_test::is_same;
using abi_test::Lane;
using abi_test::Multi;
using abi_test::put;
using abi_test::stamp_of;
using abi_test::text;
using abi_test::value_of;

std::string name(std::size_t number) {
    return "key " + std::to_string(number);
}

// A session that another thread is in, waiting for a claim, until end().
class BusySession {
public:
    BusySession(ks_session* session, const std::string& url)
        : holder_(url), held_(abi_test::claim_of(holder_.session, "held")) {
        std::atomic<pid_t> waiter = 0;
        waiting_ = std::thread([&waiter, session] {
            waiter = ::gettid();
            ks_claim_options options{};
            options.struct_size = sizeof options;
            options.wait_ns = KS_FOREVER;
            ks_grant grant{};
            EXPECT_EQ(ks_claim(session, bytes("held"), &options, &grant, nullptr), KS_OK);
        });
        while (waiter == 0 || !keystile::testing::is_asleep_in_futex(waiter)) {
        }
    }
    void end() {
        EXPECT_EQ(ks_release(holder_.session, &held_, nullptr), KS_OK);
        waiting_.join();
    }

private:
    Lane holder_;
    ks_grant held_;
    std::thread waiting_;
};

TEST(MultiLimits, A1024KeysAreOneCommitAndOneMoreIsRefused) {
    const FreshUrl fresh;
    const Lane lane(fresh.url());
    Multi multi(lane.session);
    for (int round = 0; round < 2; ++round) {
        for (std::size_t i = 0; i < KS_MULTI_KEYS_MAX; ++i)
            ASSERT_EQ(multi.put(name(i), std::to_string(i + round)), KS_OK);
        EXPECT_EQ(multi.size(), KS_MULTI_KEYS_MAX);
        for (const std::size_t i : {0u, 15u, 16u, 17u, 1023u}) {  // those that are in it are found
            std::string value;
            EXPECT_EQ(multi.read(name(i), &value), KS_OK) << i;
            EXPECT_EQ(value, std::to_string(i + round));
        }
        EXPECT_EQ(multi.size(), KS_MULTI_KEYS_MAX);
        ASSERT_EQ(multi.commit(), KS_OK) << ks_last_error();
        for (std::size_t i = 0; i < KS_MULTI_KEYS_MAX; ++i) {
            const ks_multi_result result = multi.item(i);
            ASSERT_EQ(text(result.key), name(i));
            ASSERT_EQ(result.status, KS_OK);
            ASSERT_TRUE(is_same(result.stamp, stamp_of(lane.session, name(i))));
            ASSERT_EQ(value_of(lane.session, name(i)), std::to_string(i + round));
        }
        multi.reset();
    }
    for (std::size_t i = 0; i < KS_MULTI_KEYS_MAX; ++i) ASSERT_EQ(multi.read(name(i)), KS_OK);
    EXPECT_EQ(multi.put("one more", "x"), KS_E_ARGUMENT);
    EXPECT_EQ(multi.read("one more"), KS_E_ARGUMENT);
    EXPECT_EQ(multi.expect("one more", {0, 0}), KS_E_ARGUMENT);
    EXPECT_EQ(multi.remove("one more"), KS_E_ARGUMENT);
    EXPECT_EQ(multi.size(), KS_MULTI_KEYS_MAX);
    EXPECT_EQ(multi.commit(), KS_E_ARGUMENT);
    EXPECT_EQ(value_of(lane.session, "one more"), "(none)");
    multi.reset();
    ASSERT_EQ(multi.put(name(700), "again"), KS_OK);  // nothing of the large one is left
    ASSERT_EQ(multi.put(name(3), "again"), KS_OK);
    EXPECT_EQ(multi.size(), 2u);
    EXPECT_EQ(multi.commit(), KS_OK);
    abi_test::check_of(lane.store);
}

TEST(MultiLimits, OneOfMany) {
    const FreshUrl fresh;
    const Lane lane(fresh.url());
    Multi multi(lane.session);
    for (std::size_t i = 0; i < KS_MULTI_KEYS_MAX; ++i) ASSERT_EQ(multi.read(name(i)), KS_NOT_FOUND);
    ASSERT_EQ(put(lane.session, name(555), "moved"), KS_OK);
    EXPECT_EQ(multi.commit(), KS_CONFLICT);
    for (std::size_t i = 0; i < KS_MULTI_KEYS_MAX; ++i)
        ASSERT_EQ(multi.status(i), i == 555 ? KS_CONFLICT : KS_OK) << i;
}

TEST(MultiLimits, ValuesOfNoBytesAndOfAMebibyte) {
    const FreshUrl fresh;
    const Lane lane(fresh.url());
    const std::string large(1u << 20, 'L');
    Multi multi(lane.session);
    for (int round = 0; round < 4; ++round) {
        multi.reset();
        ASSERT_EQ(multi.put("none", round % 2 == 0 ? "" : large), KS_OK);
        ASSERT_EQ(multi.put("large", round % 2 == 0 ? large : ""), KS_OK);
        ASSERT_EQ(ks_multi_put(multi.get(), bytes("null"), {nullptr, 0}, nullptr), KS_OK);
        ASSERT_EQ(multi.commit(), KS_OK);
        EXPECT_EQ(value_of(lane.session, "none"), round % 2 == 0 ? "" : large);
        EXPECT_EQ(value_of(lane.session, "large"), round % 2 == 0 ? large : "");
        EXPECT_EQ(value_of(lane.session, "null"), "");
    }
    std::string largest(KS_VALUE_SIZE_MAX, 'x');
    multi.reset();
    ASSERT_EQ(multi.put("large", largest), KS_OK);
    ASSERT_EQ(multi.put("none", largest), KS_OK);
    ASSERT_EQ(multi.commit(), KS_OK);
    EXPECT_EQ(value_of(lane.session, "large"), largest);
    abi_test::check_of(lane.store);
}

TEST(MultiArguments, BadOnesAreFaults) {
    const FreshUrl fresh;
    const Lane lane(fresh.url());
    ks_multi* none = nullptr;
    EXPECT_EQ(ks_multi_begin(nullptr, &none), KS_E_ARGUMENT);
    EXPECT_EQ(ks_multi_begin(lane.session, nullptr), KS_E_ARGUMENT);
    EXPECT_EQ(none, nullptr);
    EXPECT_EQ(ks_multi_read(nullptr, bytes("k"), nullptr, 0, nullptr, nullptr), KS_E_ARGUMENT);
    EXPECT_EQ(ks_multi_expect(nullptr, bytes("k"), {0, 0}), KS_E_ARGUMENT);
    EXPECT_EQ(ks_multi_put(nullptr, bytes("k"), bytes("v"), nullptr), KS_E_ARGUMENT);
    EXPECT_EQ(ks_multi_delete(nullptr, bytes("k"), nullptr), KS_E_ARGUMENT);
    const ks_grant grant{};
    EXPECT_EQ(ks_multi_release(nullptr, bytes("k"), &grant), KS_E_ARGUMENT);
    EXPECT_EQ(ks_multi_commit(nullptr), KS_E_ARGUMENT);
    EXPECT_EQ(ks_multi_fault(nullptr), KS_E_ARGUMENT);
    ks_multi_result result{};
    EXPECT_EQ(ks_multi_item(nullptr, 0, &result), KS_E_ARGUMENT);
    EXPECT_EQ(ks_multi_find(nullptr, bytes("k"), &result), KS_E_ARGUMENT);
    EXPECT_EQ(ks_multi_size(nullptr), 0u);
    ks_multi_reset(nullptr);
    ks_multi_end(nullptr);

    Multi multi(lane.session);
    const std::string too_long(KS_KEY_SIZE_MAX + 1, 'k');
    for (const ks_bytes key :
         {ks_bytes{"", 0}, ks_bytes{nullptr, 0}, bytes(too_long), ks_bytes{nullptr, 3}}) {
        const ks_status fault = key.data == nullptr && key.size != 0 ? KS_E_ARGUMENT : KS_E_KEY_SIZE;
        EXPECT_EQ(ks_multi_read(multi.get(), key, nullptr, 0, nullptr, nullptr), fault);
        EXPECT_EQ(ks_multi_expect(multi.get(), key, {0, 0}), fault);
        EXPECT_EQ(ks_multi_put(multi.get(), key, bytes("v"), nullptr), fault);
        EXPECT_EQ(ks_multi_delete(multi.get(), key, nullptr), fault);
        EXPECT_EQ(ks_multi_release(multi.get(), key, &grant), fault);
    }
    EXPECT_EQ(ks_multi_put(multi.get(), bytes("k"), {nullptr, 5}, nullptr), KS_E_ARGUMENT);
    EXPECT_EQ(ks_multi_read(multi.get(), bytes("k"), nullptr, 5, nullptr, nullptr), KS_E_ARGUMENT);
    EXPECT_EQ(ks_multi_release(multi.get(), bytes("k"), nullptr), KS_E_ARGUMENT);
    ks_commit_options options{};
    EXPECT_EQ(multi.put("k", "v", &options), KS_E_STRUCT_SIZE);
    EXPECT_EQ(multi.remove("k", &options), KS_E_STRUCT_SIZE);
    options.struct_size = sizeof options;
    options.flags = 1u << 20;
    EXPECT_EQ(multi.put("k", "v", &options), KS_E_ARGUMENT);
    options.flags = KS_COMMIT_RELEASE;
    EXPECT_EQ(multi.put("k", "v", &options), KS_E_ARGUMENT);  // release what?
    options.flags = 0;
    options.reserved = 1;
    EXPECT_EQ(multi.put("k", "v", &options), KS_E_ARGUMENT);
    EXPECT_EQ(multi.size(), 0u);
    EXPECT_EQ(ks_multi_item(multi.get(), 0, &result), KS_E_ARGUMENT);
    multi.reset();
    ASSERT_EQ(multi.put("k", "v"), KS_OK);
    EXPECT_EQ(ks_multi_item(multi.get(), 0, nullptr), KS_E_ARGUMENT);
    EXPECT_EQ(multi.find("k", nullptr), KS_E_ARGUMENT);
    EXPECT_EQ(multi.find("", &result), KS_E_KEY_SIZE);
    EXPECT_EQ(multi.fault(), KS_OK) << "asking spoils nothing";
    EXPECT_EQ(multi.commit(), KS_OK);
    EXPECT_EQ(value_of(lane.session, "k"), "v");
}

TEST(MultiHandles, AClosedSessionIsToldAndTheTransactionCanBeEnded) {
    const FreshUrl fresh;
    const Lane lane(fresh.url());
    ks_session* session = nullptr;
    ASSERT_EQ(ks_session_open(lane.store, &session), KS_OK);
    Multi multi(session);
    ASSERT_EQ(multi.put("a", "1"), KS_OK);
    ks_session_close(session);
    ks_multi_result result{};
    EXPECT_EQ(multi.put("b", "1"), KS_E_HANDLE);
    EXPECT_EQ(multi.read("a"), KS_E_HANDLE);
    EXPECT_EQ(multi.expect("b", {0, 0}), KS_E_HANDLE);
    EXPECT_EQ(multi.remove("b"), KS_E_HANDLE);
    EXPECT_EQ(multi.release("b", {}), KS_E_HANDLE);
    EXPECT_EQ(multi.commit(), KS_E_HANDLE);
    EXPECT_EQ(ks_multi_item(multi.get(), 0, &result), KS_E_HANDLE);
    EXPECT_EQ(multi.find("a", &result), KS_E_HANDLE);
    multi.reset();
    EXPECT_EQ(multi.put("b", "1"), KS_E_HANDLE);
    ks_multi* none = nullptr;
    EXPECT_EQ(ks_multi_begin(session, &none), KS_E_HANDLE);
    EXPECT_EQ(value_of(lane.session, "a"), "(none)");
}

TEST(MultiHandles, AClosedStoreIsToldToo) {
    const FreshUrl fresh;
    auto lane = std::make_unique<Lane>(fresh.url());
    Multi multi(lane->session);
    ASSERT_EQ(multi.put("a", "1"), KS_OK);
    lane.reset();
    EXPECT_EQ(multi.put("b", "1"), KS_E_HANDLE);
    EXPECT_EQ(multi.commit(), KS_E_HANDLE);
}

TEST(MultiHandles, AChildMustNotUseItsParentsTransaction) {
    const FreshUrl fresh;
    const Lane lane(fresh.url());
    Multi multi(lane.session);
    ASSERT_EQ(multi.put("a", "parent"), KS_OK);
    EXPECT_EQ(abi_test::in_child([&] {
                  ks_multi_result result{};
                  ks_multi* none = nullptr;
                  CHILD_CHECK(multi.put("b", "child") == KS_E_FORKED);
                  CHILD_CHECK(multi.read("a") == KS_E_FORKED);
                  CHILD_CHECK(multi.expect("b", {0, 0}) == KS_E_FORKED);
                  CHILD_CHECK(multi.remove("b") == KS_E_FORKED);
                  CHILD_CHECK(multi.release("b", {}) == KS_E_FORKED);
                  CHILD_CHECK(multi.fault() == KS_E_FORKED);
                  CHILD_CHECK(multi.commit() == KS_E_FORKED);
                  CHILD_CHECK(ks_multi_item(multi.get(), 0, &result) == KS_E_FORKED);
                  CHILD_CHECK(multi.find("a", &result) == KS_E_FORKED);
                  CHILD_CHECK(ks_multi_begin(lane.session, &none) == KS_E_FORKED);
                  ks_multi_reset(multi.get());
                  ks_multi_end(multi.get());
                  return 0;
              }),
              0);
    EXPECT_EQ(multi.commit(), KS_OK);
    EXPECT_EQ(value_of(lane.session, "a"), "parent");
}

TEST(MultiHandles, AnEndedTransactionIsToldAlsoWhileOthersComeAndGo) {
    const FreshUrl fresh;
    const Lane lane(fresh.url());
    ks_multi* ended = nullptr;
    ASSERT_EQ(ks_multi_begin(lane.session, &ended), KS_OK);
    ASSERT_EQ(ks_multi_put(ended, bytes("a"), bytes("1"), nullptr), KS_OK);
    ks_multi_end(ended);
    for (int i = 0; i < 100; ++i) {
        Multi other(lane.session);
        ASSERT_EQ(other.put("b", "1"), KS_OK);
        const ks_grant grant{};
        ks_multi_result result{};
        EXPECT_EQ(ks_multi_read(ended, bytes("a"), nullptr, 0, nullptr, nullptr), KS_E_HANDLE);
        EXPECT_EQ(ks_multi_expect(ended, bytes("a"), {0, 0}), KS_E_HANDLE);
        EXPECT_EQ(ks_multi_put(ended, bytes("a"), bytes("1"), nullptr), KS_E_HANDLE);
        EXPECT_EQ(ks_multi_delete(ended, bytes("a"), nullptr), KS_E_HANDLE);
        EXPECT_EQ(ks_multi_release(ended, bytes("a"), &grant), KS_E_HANDLE);
        EXPECT_EQ(ks_multi_fault(ended), KS_E_HANDLE);
        EXPECT_EQ(ks_multi_commit(ended), KS_E_HANDLE);
        EXPECT_EQ(ks_multi_item(ended, 0, &result), KS_E_HANDLE);
        EXPECT_EQ(ks_multi_find(ended, bytes("a"), &result), KS_E_HANDLE);
        EXPECT_EQ(ks_multi_size(ended), 0u);
        ks_multi_reset(ended);
        ks_multi_end(ended);
        ASSERT_EQ(other.commit(), KS_OK);
    }
    EXPECT_EQ(value_of(lane.session, "a"), "(none)");
}

// A commit that never came to the transaction leaves it to be asked again.
TEST(MultiHandles, ACommitThatMetABusySessionMayBeAskedAgain) {
    const FreshUrl fresh;
    const Lane lane(fresh.url());
    Multi multi(lane.session);
    ASSERT_EQ(multi.put("a", "1"), KS_OK);
    BusySession busy(lane.session, fresh.url());
    EXPECT_EQ(multi.commit(), KS_E_SESSION_BUSY);
    EXPECT_EQ(multi.fault(), KS_OK);
    busy.end();
    EXPECT_EQ(multi.commit(), KS_OK);
    EXPECT_EQ(multi.commit(), KS_E_ARGUMENT);
    EXPECT_EQ(value_of(lane.session, "a"), "1");
}

// A put that did not come in for that is missed.
TEST(MultiHandles, APutThatMetABusySessionSpoilsItsTransaction) {
    const FreshUrl fresh;
    const Lane lane(fresh.url());
    BusySession busy(lane.session, fresh.url());
    Multi multi(lane.session);
    EXPECT_EQ(multi.put("a", "1"), KS_E_SESSION_BUSY);
    busy.end();
    ASSERT_EQ(multi.put("b", "1"), KS_OK);
    EXPECT_EQ(multi.commit(), KS_E_SESSION_BUSY);
    EXPECT_EQ(value_of(lane.session, "b"), "(none)");
}

TEST(MultiStores, AReadOnlyOneTakesNoTransactions) {
    const FreshUrl fresh;
    const Lane lane(fresh.url());
    ASSERT_EQ(put(lane.session, "a", "1"), KS_OK);
    const Lane reader(fresh.url(), KS_OPEN_READ_ONLY);
    ks_multi* multi = nullptr;
    EXPECT_EQ(ks_multi_begin(reader.session, &multi), KS_E_READ_ONLY);
    EXPECT_EQ(multi, nullptr);
}

TEST(MultiStores, ADestroyedOneTakesNothing) {
    const FreshUrl fresh;
    const Lane lane(fresh.url());
    Multi multi(lane.session);
    ASSERT_EQ(multi.put("a", "1"), KS_OK);
    ASSERT_EQ(ks_destroy(fresh.url().c_str(), KS_DESTROY_FORCE), KS_OK);
    EXPECT_EQ(multi.commit(), KS_E_DESTROYED);
    EXPECT_EQ(multi.commit(), KS_E_ARGUMENT);  // it is over
    multi.reset();
    EXPECT_EQ(multi.read("a"), KS_NOT_FOUND);
    EXPECT_EQ(multi.read("new"), KS_E_DESTROYED);  // where would its slot be?
    EXPECT_EQ(value_of(lane.session, "a"), "(none)");
}

// From inside a callback, with a transaction of the same session.
TEST(MultiStores, TheCallbackOfAListMayCommit) {
    const FreshUrl fresh;
    const Lane lane(fresh.url());
    for (int i = 0; i < 3; ++i) ASSERT_EQ(put(lane.session, name(i), "old"), KS_OK);
    Multi multi(lane.session);
    const auto commit = [](void* user, const ks_entry* entry) {
        auto& own = *static_cast<Multi*>(user);
        own.reset();
        EXPECT_EQ(own.put(text(entry->key), "new"), KS_OK);
        EXPECT_EQ(own.put("count of " + text(entry->key), "1"), KS_OK);
        EXPECT_EQ(own.commit(), KS_OK);
        return 0;
    };
    ASSERT_EQ(ks_list(lane.session, bytes("key "), 0, commit, &multi), KS_OK);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(value_of(lane.session, name(i)), "new");
}

// What a transaction had taken when the memory ended, it gives back; nothing of it is done.
TEST(MultiFull, NothingIsHalfDoneAndTheMemoryIsGivenBack) {
    for (const std::size_t size : {100u, 5000u, 200'000u}) {
        const FreshUrl fresh;
        ks_store* store = abi_test::open_small(fresh.url(), 20000);
        ks_session* session = nullptr;
        ASSERT_EQ(ks_session_open(store, &session), KS_OK);
        const std::string value(size, 'x');
        std::size_t count = 0;
        while (put(session, name(count), value) == KS_OK) ++count;
        ASSERT_EQ(ks_last_status(), KS_E_FULL);
        ASSERT_GT(count, 55u);
        for (std::size_t i = 0; i < 12; ++i)
            ASSERT_EQ(ks_delete(session, bytes(name(i)), stamp_of(session, name(i)), nullptr, nullptr),
                      KS_OK);
        const ks_check_report before = abi_test::check_of(store);
        Multi multi(session);
        ks_check_report first{};
        for (int round = 0; round < 30; ++round) {
            multi.reset();
            for (std::size_t i = 20; i < 50; ++i)
                ASSERT_EQ(multi.put(name(i), std::string(size, 'y')), KS_OK);
            ASSERT_EQ(multi.commit(), KS_E_FULL) << size << " " << round;
            const ks_check_report now = abi_test::check_of(store);
            if (round == 0) first = now;
            ASSERT_EQ(now.blocks_live, before.blocks_live);
            ASSERT_EQ(now.blocks_free + now.blocks_in_flight, first.blocks_free + first.blocks_in_flight)
                << round;
        }
        for (std::size_t i = 20; i < 50; ++i) {
            ASSERT_EQ(value_of(session, name(i)), value);
            ASSERT_NE(stamp_of(session, name(i)).version, 0u);
        }
        multi.reset();  // what fits, goes
        for (std::size_t i = 20; i < 22; ++i) ASSERT_EQ(multi.put(name(i), std::string(size, 'y')), KS_OK);
        EXPECT_EQ(multi.commit(), KS_OK) << size << ks_last_error();
        EXPECT_EQ(value_of(session, name(21)), std::string(size, 'y'));
        multi.reset();  // and a comparison, too
        for (std::size_t i = 30; i < 32; ++i)
            ASSERT_EQ(ks_multi_read(multi.get(), bytes(name(i)), nullptr, 0, nullptr, nullptr), KS_TOO_SMALL);
        EXPECT_EQ(multi.commit(), KS_OK);
        abi_test::check_of(store);
        ks_close(store);
    }
}

// Blocks of deleted values serve transactions too, what is written down of them included.
TEST(MultiFull, WhatWasDeletedServesATransaction) {
    const FreshUrl fresh;
    ks_store* store = abi_test::open_small(fresh.url(), 20000);
    ks_session* session = nullptr;
    ASSERT_EQ(ks_session_open(store, &session), KS_OK);
    const std::string value(8000, 'x');
    std::size_t count = 0;
    while (put(session, name(count), value) == KS_OK) ++count;
    ASSERT_EQ(ks_last_status(), KS_E_FULL);
    for (std::size_t i = 0; i < 8; ++i)
        ASSERT_EQ(ks_delete(session, bytes(name(i)), stamp_of(session, name(i)), nullptr, nullptr), KS_OK);
    Multi multi(session);
    for (std::size_t i = 8; i < 20; ++i) {
        multi.reset();
        ASSERT_EQ(multi.remove(name(i)), KS_OK);
        ASSERT_EQ(multi.put(name(i + 100), "small"), KS_OK);
        EXPECT_EQ(multi.commit(), KS_OK) << i << ks_last_error();
    }
    EXPECT_EQ(value_of(session, name(8)) + value_of(session, name(108)), "(none)small");
    abi_test::check_of(store);
    ks_close(store);
}

// A session keeps its last descriptor for its next transaction, but not from a value that finds no other room, and not
// beyond its end.
TEST(MultiFull, WhatIsKeptForTheNextTransactionServesAValueFirst) {
    const FreshUrl fresh;
    ks_store* store = abi_test::open_small(fresh.url(), 20000);
    for (const bool is_filled : {false, true}) {
        ks_session* session = nullptr;
        ASSERT_EQ(ks_session_open(store, &session), KS_OK);
        {
            Multi multi(session);
            ASSERT_EQ(multi.put("a", "1"), KS_OK);
            ASSERT_EQ(multi.put("b", "1"), KS_OK);
            ASSERT_EQ(multi.commit(), KS_OK);
        }
        EXPECT_EQ(abi_test::check_of(store).blocks_in_flight, 1u);
        if (is_filled) {
            std::size_t count = 0;
            while (put(session, name(count), std::string(8000, 'x')) == KS_OK) ++count;
            EXPECT_EQ(ks_last_status(), KS_E_FULL);
        } else {
            ks_session_close(session);
        }
        EXPECT_EQ(abi_test::check_of(store).blocks_in_flight, 0u);
    }
    ks_close(store);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they live on address space
// A put that the process has no memory for is not in the transaction, nor half in it; nor is that done without it.
TEST(MultiMemory, APutThatFailsSpoilsItsTransaction) {
    const FreshUrl fresh;
    EXPECT_EQ(abi_test::in_child([&] {
                  ks_store* store = abi_test::open_small(fresh.url(), 100);
                  ks_session* session = nullptr;
                  CHILD_CHECK(ks_session_open(store, &session) == KS_OK);
                  const rlimit small{300u << 20, 300u << 20};
                  CHILD_CHECK(::setrlimit(RLIMIT_AS, &small) == 0);
                  const std::string value(KS_VALUE_SIZE_MAX, 'v');
                  Multi multi(session);
                  std::size_t puts = 0;
                  ks_status s = KS_OK;
                  while (puts < KS_MULTI_KEYS_MAX && (s = multi.put(name(puts), value)) == KS_OK) ++puts;
                  CHILD_CHECK(s == KS_E_MEMORY && puts > 0);
                  CHILD_CHECK(multi.size() == puts && multi.fault() == KS_E_MEMORY);
                  CHILD_CHECK(multi.read(name(puts)) == KS_NOT_FOUND);
                  CHILD_CHECK(multi.put(name(puts), "") == KS_OK);
                  CHILD_CHECK(multi.commit() == KS_E_MEMORY);
                  CHILD_CHECK(value_of(session, name(puts)) == "(none)");
                  return 0;
              }),
              0);
}

// Nor is a commit, and then the transaction is over as after any other fault.
TEST(MultiMemory, ACommitThatFailsIsTheOnlyOne) {
    const FreshUrl fresh;
    EXPECT_EQ(abi_test::in_child([&] {
                  ks_store* store = abi_test::open_small(fresh.url(), 10'000);
                  ks_session* session = nullptr;
                  CHILD_CHECK(ks_session_open(store, &session) == KS_OK);
                  Multi multi(session);
                  for (std::size_t i = 0; i < KS_MULTI_KEYS_MAX; ++i)
                      CHILD_CHECK(multi.put(name(i), "v") == KS_OK);
                  const rlimit small{100u << 20, 100u << 20};
                  CHILD_CHECK(::setrlimit(RLIMIT_AS, &small) == 0);
                  std::vector<void*> eaten;
                  eaten.reserve(4'000'000);
                  for (std::size_t bytes = 1u << 20; bytes >= 64; bytes /= 2) {
                      while (void* const piece = std::malloc(bytes)) eaten.push_back(piece);
                  }
                  CHILD_CHECK(multi.commit() == KS_E_MEMORY);
                  for (void* const piece : eaten) std::free(piece);
                  CHILD_CHECK(multi.commit() == KS_E_ARGUMENT);
                  CHILD_CHECK(value_of(session, name(0)) == "(none)");
                  multi.reset();
                  CHILD_CHECK(multi.put(name(0), "v") == KS_OK && multi.commit() == KS_OK);
                  return 0;
              }),
              0);
}
#endif

}  // namespace
