// Snapshot: values of one instant, copied out, that stay as they were.
#include <atomic>
#include <thread>
#include <type_traits>
#include <vector>

#include "cpp_support.hpp"

namespace {

using cpp_test::FreshUrl;
using keystile::Outcome;
using keystile::Session;
using keystile::Snapshot;
using keystile::Store;
using keystile::Transaction;
using namespace std::literals;

static_assert(!std::is_copy_constructible_v<Snapshot> && std::is_nothrow_move_constructible_v<Snapshot>);
static_assert(std::forward_iterator<Snapshot::Iterator>);

struct Snapshots : testing::Test {
    FreshUrl url;
    Store store = Store::open(url);
    Session session = store.session();

    void set(std::string_view key, std::string_view value) {
        ASSERT_TRUE(session.update(key, [&](std::string_view) { return std::string(value); }));
    }
};

TEST_F(Snapshots, HaveTheKeysOfAPrefixInTheirOrder) {
    for (const char* key : {"j/c", "j/a", "other", "j/b", "j/gone"}) set(key, std::string("value of ") + key);
    ASSERT_TRUE(session.erase("j/gone", session.get("j/gone").stamp));
    const auto taken = session.snapshot("j/");
    ASSERT_TRUE(taken);
    ASSERT_EQ(taken.snapshot.size(), 3u);
    std::vector<std::string> keys;
    for (const auto& [key, value, stamp, is_found] : taken.snapshot) {
        EXPECT_EQ(value, std::string("value of ") + std::string(key));
        EXPECT_EQ(stamp, session.get(key).stamp);
        EXPECT_TRUE(is_found);
        keys.emplace_back(key);
    }
    EXPECT_EQ(keys, (std::vector<std::string>{"j/a", "j/b", "j/c"}));
    EXPECT_EQ(taken.snapshot[1].key, "j/b");
    EXPECT_EQ(session.snapshot().snapshot.size(), 4u);
    EXPECT_TRUE(session.snapshot("nothing/").snapshot.empty());
}

TEST_F(Snapshots, HaveGivenKeysAsTheyWereGiven) {
    set("a", "1");
    set("b", "2");
    const auto taken = session.snapshot_of({"b", "missing", "a", "b"});
    ASSERT_TRUE(taken);
    ASSERT_EQ(taken.snapshot.size(), 4u);
    EXPECT_EQ(taken.snapshot[0].value, "2");
    EXPECT_EQ(taken.snapshot[1].key, "missing");
    EXPECT_FALSE(taken.snapshot[1].is_found);
    EXPECT_EQ(taken.snapshot[2].value, "1");
    EXPECT_EQ(taken.snapshot[3].value, "2");
    const std::vector<std::string> names{"a"};
    EXPECT_EQ(session.snapshot_of(std::span(names)).snapshot[0].value, "1");
}

TEST_F(Snapshots, FindByKey) {
    set("a", "1");
    set("b", "");
    const auto taken = session.snapshot();
    ASSERT_TRUE(taken.snapshot.find("a"));
    EXPECT_EQ(taken.snapshot.find("a")->value, "1");
    EXPECT_EQ(taken.snapshot.find("a")->stamp, session.get("a").stamp);
    ASSERT_TRUE(taken.snapshot.find("b"));
    EXPECT_EQ(taken.snapshot.find("b")->value, "");
    EXPECT_FALSE(taken.snapshot.find("c"));
    EXPECT_FALSE(session.snapshot_of({"c"}).snapshot.find("c"));
}

TEST_F(Snapshots, StayAsTheyWereLongerThanTheStore) {
    const std::string large(2 << 20, 'x');
    set("a", "1");
    set("large", large);
    Snapshot kept = [&] {
        Session short_lived = Store::open(url).session();
        return std::move(short_lived.snapshot().snapshot);
    }();
    set("a", "2");
    set("large", "small");
    session = Session();
    store = Store();
    ASSERT_TRUE(kept.find("a") && kept.find("large"));
    EXPECT_EQ(kept.find("a")->value, "1");
    EXPECT_TRUE(kept.find("large")->value == large);  // no print of it
    const Snapshot moved = std::move(kept);
    EXPECT_EQ(moved.size(), 2u);
    EXPECT_TRUE(kept.empty());  // NOLINT(bugprone-use-after-move): that it is empty is the point
    EXPECT_FALSE(kept);
    EXPECT_FALSE(kept.find("a"));
    EXPECT_EQ(kept.begin(), kept.end());
}

TEST_F(Snapshots, AreNotForNonsense) {
    EXPECT_EQ(session.snapshot_of({"a", ""}).status, KS_E_KEY_SIZE);
    EXPECT_TRUE(Session().snapshot().is_fault());
    EXPECT_TRUE(Session().snapshot_of({"a"}).is_fault());
}

TEST_F(Snapshots, CanBeTakenFromAReadOnlyStore) {
    set("a", "1");
    Session reader = Store::open(url, {.is_read_only = true}).session();
    const auto taken = reader.snapshot();
    ASSERT_TRUE(taken);
    ASSERT_TRUE(taken.snapshot.find("a"));
    EXPECT_EQ(taken.snapshot.find("a")->value, "1");
}

// The writer changes all keys in one commit; a snapshot that mixes two of its commits is no cut.
TEST_F(Snapshots, AreCutsWhileTheirKeysChange) {
    constexpr int kKeys = 8;
    const auto write = [](Session& by, int round) {
        return by.transact([&](Transaction& transaction) {
            for (int i = 0; i < kKeys; ++i) transaction.put("k/" + std::to_string(i), std::to_string(round));
        });
    };
    ASSERT_TRUE(write(session, 0));
    std::atomic<bool> is_over{false};
    std::thread writer([&] {
        Session mine = store.session();
        for (int round = 1; !is_over; ++round) {
            EXPECT_TRUE(write(mine, round));
        }
    });
    std::string first, last;
    for (int i = 0; i < 500 || first == last; ++i) {
        const auto taken =
            i % 2 == 0 ? session.snapshot("k/")
                       : session.snapshot_of({"k/0", "k/1", "k/2", "k/3", "k/4", "k/5", "k/6", "k/7"});
        EXPECT_TRUE(taken) << taken.name();
        EXPECT_EQ(taken.snapshot.size(), 8u);
        if (HasFailure()) break;
        for (const auto& entry : taken.snapshot) EXPECT_EQ(entry.value, taken.snapshot[0].value);
        if (i == 0) first = taken.snapshot[0].value;
        last = taken.snapshot[0].value;
        if (HasFailure()) break;
    }
    is_over = true;
    writer.join();
}

}  // namespace
