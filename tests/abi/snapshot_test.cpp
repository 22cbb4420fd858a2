// Snapshots: the values that keys had at one instant, kept for as long as the caller likes.
#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>

#include "multi_support.hpp"

namespace {

using abi_test::bytes;
using abi_test::FreshUrl;
using abi_test::is_same;
using abi_test::Lane;
using abi_test::Multi;
using abi_test::put;
using abi_test::stamp_of;
using abi_test::text;

// A snapshot, closed with the scope.
class Snapshot {
public:
    Snapshot() = default;
    Snapshot(const Snapshot&) = delete;
    Snapshot& operator=(const Snapshot&) = delete;
    ~Snapshot() { ks_snapshot_close(snapshot_); }

    ks_status keys(ks_session* session, const std::vector<std::string>& keys) {
        std::vector<ks_bytes> names;
        for (const std::string& key : keys) names.push_back(bytes(key));
        clear();
        return ks_snapshot_keys(session, names.data(), names.size(), &snapshot_);
    }
    ks_status prefix(ks_session* session, std::string_view prefix) {
        clear();
        return ks_snapshot_prefix(session, bytes(prefix), &snapshot_);
    }
    const ks_snapshot* get() const { return snapshot_; }
    std::size_t size() const { return ks_snapshot_size(snapshot_); }
    ks_snapshot_entry at(std::size_t index) const {
        ks_snapshot_entry entry{};
        EXPECT_EQ(ks_snapshot_at(snapshot_, index, &entry), KS_OK) << index;
        return entry;
    }
    // "key=value key=- ..." in order
    std::string all() const {
        std::string told;
        for (std::size_t i = 0; i < size(); ++i) {
            const ks_snapshot_entry entry = at(i);
            told += text(entry.key) + "=" + (entry.status == KS_OK ? text(entry.value) : "-") + " ";
        }
        return told;
    }

private:
    void clear() {
        ks_snapshot_close(snapshot_);
        snapshot_ = nullptr;
    }
    ks_snapshot* snapshot_ = nullptr;
};

class SnapshotTest : public ::testing::Test {
protected:
    SnapshotTest() : at_(std::make_unique<Lane>(fresh_.url())) {}
    ks_session* session() { return at_->session; }
    ks_store* store() { return at_->store; }
    std::string url() { return fresh_.url(); }
    void put(std::string_view key, std::string_view value) {
        ASSERT_EQ(abi_test::put(session(), key, value), KS_OK) << ks_last_error();
    }
    void remove(std::string_view key) {
        ASSERT_EQ(ks_delete(session(), bytes(key), stamp_of(session(), key), nullptr, nullptr), KS_OK);
    }
    void close() { at_.reset(); }

private:
    FreshUrl fresh_;
    std::unique_ptr<Lane> at_;
};

TEST_F(SnapshotTest, OfKeysIsInTheOrderGivenWithWhatIsMissing) {
    put("b", "2");
    put("a", "1");
    put("gone", "x");
    put("empty", "");
    remove("gone");
    Snapshot snapshot;
    ASSERT_EQ(snapshot.keys(session(), {"b", "never", "a", "gone", "b", "empty", "never"}), KS_OK);
    EXPECT_EQ(snapshot.all(), "b=2 never=- a=1 gone=- b=2 empty= never=- ");
    EXPECT_TRUE(is_same(snapshot.at(0).stamp, stamp_of(session(), "b")));
    EXPECT_TRUE(is_same(snapshot.at(1).stamp, {0, 0}));
    EXPECT_EQ(snapshot.at(1).status, KS_NOT_FOUND);
    EXPECT_EQ(snapshot.at(1).value.size, 0u);
    EXPECT_TRUE(is_same(snapshot.at(3).stamp, stamp_of(session(), "gone")));
    EXPECT_EQ(snapshot.at(3).stamp.version, 2u);
    // Asking for "never" has made nothing of it.
    ks_stats stats{};
    stats.struct_size = sizeof stats;
    ASSERT_EQ(ks_stat(store(), &stats), KS_OK);
    EXPECT_EQ(stats.keys, 4u);
}

TEST_F(SnapshotTest, OfAPrefixIsSortedAndHasOnlyWhatHasAValue) {
    for (const char* key : {"user/9", "user/10", "user/", "user", "users/1", "zzz"}) put(key, key);
    put("user/gone", "x");
    remove("user/gone");
    const ks_grant grant = abi_test::claim_of(session(), "user/claimed");
    Snapshot snapshot;
    ASSERT_EQ(snapshot.prefix(session(), "user/"), KS_OK);
    EXPECT_EQ(snapshot.all(), "user/=user/ user/10=user/10 user/9=user/9 ");
    ASSERT_EQ(snapshot.prefix(session(), ""), KS_OK);
    EXPECT_EQ(snapshot.size(), 6u);
    EXPECT_TRUE(is_same(snapshot.at(0).stamp, stamp_of(session(), "user")));
    ASSERT_EQ(snapshot.prefix(session(), "nothing like it"), KS_OK);
    EXPECT_EQ(snapshot.size(), 0u);
    ks_snapshot* all = nullptr;
    ASSERT_EQ(ks_snapshot_prefix(session(), {nullptr, 0}, &all), KS_OK);
    EXPECT_EQ(ks_snapshot_size(all), 6u);
    ks_snapshot_close(all);
    EXPECT_EQ(ks_release(session(), &grant, nullptr), KS_OK);
}

TEST_F(SnapshotTest, OfAClaimedKeyHasItsValueAndItsStamp) {
    put("a", "1");
    const ks_grant grant = abi_test::claim_of(session(), "a");
    Snapshot snapshot;
    ASSERT_EQ(snapshot.keys(session(), {"a"}), KS_OK);
    EXPECT_EQ(snapshot.all(), "a=1 ");
    EXPECT_EQ(snapshot.at(0).stamp.epoch, grant.stamp.epoch);
}

TEST_F(SnapshotTest, StaysAsItWas) {
    put("a", "before");
    put("b", "before");
    Snapshot keys, prefix;
    ASSERT_EQ(keys.keys(session(), {"a", "b", "c"}), KS_OK);
    ASSERT_EQ(prefix.prefix(session(), ""), KS_OK);
    put("a", "after, and longer");
    remove("b");
    put("c", "new");
    EXPECT_EQ(keys.all(), "a=before b=before c=- ");
    EXPECT_EQ(prefix.all(), "a=before b=before ");
    close();
    EXPECT_EQ(keys.all(), "a=before b=before c=- ");
    EXPECT_EQ(prefix.all(), "a=before b=before ");
    ks_snapshot_entry entry{};
    EXPECT_EQ(ks_snapshot_get(keys.get(), bytes("b"), &entry), KS_OK);
    EXPECT_EQ(text(entry.value), "before");
}

// It is memory of the process, and so of a forked child as well.
TEST_F(SnapshotTest, IsReadableInAForkedChild) {
    put("a", "1");
    Snapshot snapshot;
    ASSERT_EQ(snapshot.keys(session(), {"a"}), KS_OK);
    EXPECT_EQ(abi_test::in_child([&] {
                  CHILD_CHECK(snapshot.all() == "a=1 ");
                  ks_snapshot* none = nullptr;
                  const ks_bytes key = bytes("a");
                  CHILD_CHECK(ks_snapshot_keys(session(), &key, 1, &none) == KS_E_FORKED);
                  CHILD_CHECK(ks_snapshot_prefix(session(), key, &none) == KS_E_FORKED);
                  CHILD_CHECK(none == nullptr);
                  return 0;
              }),
              0);
}

TEST_F(SnapshotTest, GetFindsByKey) {
    for (const char* key : {"b", "a", "aa", "c"}) put(key, std::string("value of ") + key);
    put("gone", "x");
    remove("gone");
    Snapshot keys, prefix;
    ASSERT_EQ(keys.keys(session(), {"c", "gone", "aa", "a", "b", "aa", "never"}), KS_OK);
    ASSERT_EQ(prefix.prefix(session(), ""), KS_OK);
    for (const Snapshot* snapshot : {&keys, &prefix}) {
        for (const char* key : {"b", "a", "aa", "c"}) {
            ks_snapshot_entry entry{};
            ASSERT_EQ(ks_snapshot_get(snapshot->get(), bytes(key), &entry), KS_OK) << key;
            EXPECT_EQ(text(entry.key), key);
            EXPECT_EQ(text(entry.value), std::string("value of ") + key);
            EXPECT_EQ(entry.status, KS_OK);
            EXPECT_TRUE(is_same(entry.stamp, stamp_of(session(), key)));
            EXPECT_EQ(ks_snapshot_get(snapshot->get(), bytes(key), nullptr), KS_OK);
        }
        ks_snapshot_entry entry{};
        for (const char* key : {"gone", "never", "aaa", "0", "zzz"})
            EXPECT_EQ(ks_snapshot_get(snapshot->get(), bytes(key), &entry), KS_NOT_FOUND) << key;
        EXPECT_EQ(ks_snapshot_get(snapshot->get(), {"", 0}, &entry), KS_E_KEY_SIZE);
        EXPECT_EQ(ks_snapshot_get(snapshot->get(), {nullptr, 2}, &entry), KS_E_ARGUMENT);
    }
}

TEST_F(SnapshotTest, OfNothing) {
    Snapshot snapshot;
    ASSERT_EQ(snapshot.keys(session(), {}), KS_OK);
    EXPECT_EQ(snapshot.size(), 0u);
    ks_snapshot* empty = nullptr;
    ASSERT_EQ(ks_snapshot_keys(session(), nullptr, 0, &empty), KS_OK);
    ks_snapshot_entry entry{};
    EXPECT_EQ(ks_snapshot_at(empty, 0, &entry), KS_E_ARGUMENT);
    EXPECT_EQ(ks_snapshot_get(empty, bytes("a"), &entry), KS_NOT_FOUND);
    ks_snapshot_close(empty);
    ASSERT_EQ(snapshot.prefix(session(), ""), KS_OK);  // an empty store
    EXPECT_EQ(snapshot.size(), 0u);
}

TEST_F(SnapshotTest, BadArgumentsAreFaults) {
    put("a", "1");
    const ks_bytes key = bytes("a");
    ks_snapshot* none = nullptr;
    EXPECT_EQ(ks_snapshot_keys(nullptr, &key, 1, &none), KS_E_ARGUMENT);
    EXPECT_EQ(ks_snapshot_keys(session(), nullptr, 1, &none), KS_E_ARGUMENT);
    EXPECT_EQ(ks_snapshot_keys(session(), &key, 1, nullptr), KS_E_ARGUMENT);
    EXPECT_EQ(ks_snapshot_prefix(nullptr, key, &none), KS_E_ARGUMENT);
    EXPECT_EQ(ks_snapshot_prefix(session(), {nullptr, 1}, &none), KS_E_ARGUMENT);
    EXPECT_EQ(ks_snapshot_prefix(session(), key, nullptr), KS_E_ARGUMENT);
    const std::string too_long(KS_KEY_SIZE_MAX + 1, 'k');
    for (const ks_bytes bad : {bytes(too_long), ks_bytes{"", 0}}) {
        const ks_bytes keys[] = {key, bad};
        EXPECT_EQ(ks_snapshot_keys(session(), keys, 2, &none), KS_E_KEY_SIZE);
    }
    EXPECT_EQ(ks_snapshot_prefix(session(), bytes(too_long), &none), KS_E_KEY_SIZE);
    ks_snapshot_close(nullptr);
    EXPECT_EQ(ks_last_status(), KS_E_KEY_SIZE);  // closing nothing is no fault
    const ks_bytes null_key[] = {{nullptr, 4}};
    EXPECT_EQ(ks_snapshot_keys(session(), null_key, 1, &none), KS_E_ARGUMENT);
    EXPECT_EQ(none, nullptr);
    EXPECT_EQ(ks_snapshot_size(nullptr), 0u);
    ks_snapshot_entry entry{};
    EXPECT_EQ(ks_snapshot_at(nullptr, 0, &entry), KS_E_ARGUMENT);
    EXPECT_EQ(ks_snapshot_get(nullptr, key, &entry), KS_E_ARGUMENT);
    Snapshot snapshot;
    ASSERT_EQ(snapshot.keys(session(), {"a"}), KS_OK);
    EXPECT_EQ(ks_snapshot_at(snapshot.get(), 1, &entry), KS_E_ARGUMENT);
    EXPECT_EQ(ks_snapshot_at(snapshot.get(), SIZE_MAX, &entry), KS_E_ARGUMENT);
    EXPECT_EQ(ks_snapshot_at(snapshot.get(), 0, nullptr), KS_OK);
    ks_session* closed = nullptr;
    ASSERT_EQ(ks_session_open(store(), &closed), KS_OK);
    ks_session_close(closed);
    EXPECT_EQ(ks_snapshot_keys(closed, &key, 1, &none), KS_E_HANDLE);
    EXPECT_EQ(ks_snapshot_prefix(closed, key, &none), KS_E_HANDLE);
}

TEST_F(SnapshotTest, AClosedOneIsToldAlsoWhileOthersComeAndGo) {
    put("a", "1");
    const ks_bytes key = bytes("a");
    ks_snapshot* closed = nullptr;
    ASSERT_EQ(ks_snapshot_keys(session(), &key, 1, &closed), KS_OK);
    ks_snapshot_close(closed);
    for (int i = 0; i < 100; ++i) {
        Snapshot other;
        ASSERT_EQ(other.keys(session(), {"a"}), KS_OK);
        ks_snapshot_entry entry{};
        EXPECT_EQ(ks_snapshot_at(closed, 0, &entry), KS_E_HANDLE);
        EXPECT_EQ(ks_snapshot_get(closed, key, &entry), KS_E_HANDLE);
        EXPECT_EQ(ks_snapshot_size(closed), 0u);
        ks_snapshot_close(closed);
        EXPECT_EQ(other.all(), "a=1 ");
    }
}

TEST_F(SnapshotTest, OfAReadOnlyStore) {
    put("a", "1");
    put("b", "2");
    const Lane reader(url(), KS_OPEN_READ_ONLY);
    Snapshot snapshot;
    ASSERT_EQ(snapshot.keys(reader.session, {"b", "a", "never"}), KS_OK);
    EXPECT_EQ(snapshot.all(), "b=2 a=1 never=- ");
    ASSERT_EQ(snapshot.prefix(reader.session, ""), KS_OK);
    EXPECT_EQ(snapshot.all(), "a=1 b=2 ");
}

TEST_F(SnapshotTest, OfADestroyedStoreIsWhatWasLast) {
    put("a", "1");
    ASSERT_EQ(ks_destroy(url().c_str(), KS_DESTROY_FORCE), KS_OK);
    Snapshot snapshot;
    ASSERT_EQ(snapshot.keys(session(), {"a", "never"}), KS_OK);
    EXPECT_EQ(snapshot.all(), "a=1 never=- ");
    ASSERT_EQ(snapshot.prefix(session(), ""), KS_OK);
    EXPECT_EQ(snapshot.all(), "a=1 ");
}

TEST_F(SnapshotTest, OfValuesOfEverySize) {
    std::vector<std::string> keys;
    for (const std::size_t size : {0u, 1u, 7u, 8u, 64u, 4096u, 70'000u, 1u << 20, 3u << 20}) {
        keys.push_back(std::to_string(size));
        put(keys.back(), std::string(size, 'v'));
    }
    Snapshot snapshot;
    for (int round = 0; round < 2; ++round) {
        ASSERT_EQ(round == 0 ? snapshot.keys(session(), keys) : snapshot.prefix(session(), ""), KS_OK);
        ASSERT_EQ(snapshot.size(), keys.size());
        for (std::size_t i = 0; i < keys.size(); ++i) {
            const ks_snapshot_entry entry = snapshot.at(i);
            EXPECT_EQ(text(entry.value), std::string(std::stoul(text(entry.key)), 'v'));
        }
    }
}

TEST_F(SnapshotTest, OfTwoThousandKeysAndOfLongOnes) {
    std::vector<std::string> keys;
    for (int i = 0; i < 2000; ++i) {
        keys.push_back("key " + std::to_string(i) + std::string(i % 3 == 0 ? 900 : 0, 'k'));
        put(keys.back(), std::to_string(i));
    }
    Snapshot snapshot;
    ASSERT_EQ(snapshot.keys(session(), keys), KS_OK);
    ASSERT_EQ(snapshot.size(), keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) {
        ASSERT_EQ(text(snapshot.at(i).key), keys[i]);
        ASSERT_EQ(text(snapshot.at(i).value), std::to_string(i));
    }
    ASSERT_EQ(snapshot.prefix(session(), "key "), KS_OK);
    std::sort(keys.begin(), keys.end());
    ASSERT_EQ(snapshot.size(), keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) ASSERT_EQ(text(snapshot.at(i).key), keys[i]);
}

// One writer moves units between two keys, another creates and deletes keys; no cut ever shows a unit twice or not at
// all.
TEST_F(SnapshotTest, IsACutWhileOthersWrite) {
    constexpr int kRounds = 300;
    for (const bool is_read_only : {false, true}) {
        put("sum/a", "1000");
        put("sum/b", "1000");
        std::string wrong[2];
        std::atomic<bool> is_over{false};
        std::thread mover([&] {
            Multi multi(ks_default_session(store()));
            for (int i = 0; !is_over; ++i) {
                std::string a, b;
                multi.reset();
                if (multi.read("sum/a", &a) != KS_OK || multi.read("sum/b", &b) != KS_OK) continue;
                const int step = i % 2 == 0 ? 1 : -1;
                (void)multi.put("sum/a", std::to_string(std::stoi(a) + step) + std::string(i % 40, ' '));
                (void)multi.put("sum/b", std::to_string(std::stoi(b) - step));
                if (const ks_status s = multi.commit(); s < 0) wrong[0] = ks_last_error();
            }
        });
        std::thread maker([&] {
            Multi multi(ks_default_session(store()));
            for (int i = 0; !is_over; ++i) {
                const std::string key = "sum/pair " + std::to_string(i % 50);
                multi.reset();
                if (i / 50 % 2 == 0) {
                    (void)multi.put(key, "7");
                    (void)multi.put(key + " back", "-7");
                } else {
                    (void)multi.remove(key);
                    (void)multi.remove(key + " back");
                }
                if (const ks_status s = multi.commit(); s != KS_OK) wrong[1] = ks_last_error();
            }
        });
        int taken = 0;
        const Lane reader(url(), is_read_only ? KS_OPEN_READ_ONLY : 0);
        for (int i = 0; i < kRounds; ++i) {
            Snapshot snapshot;
            const ks_status s = i % 2 == 0
                                    ? snapshot.prefix(reader.session, "sum/")
                                    : snapshot.keys(reader.session, {"sum/b", "none", "sum/a", "sum/b"});
            if (s == KS_BUSY && (is_read_only || i % 2 == 0)) continue;
            EXPECT_EQ(s, KS_OK) << ks_last_error();
            if (s != KS_OK) break;
            ++taken;
            int sum = 0;
            for (std::size_t k = 0; k < snapshot.size(); ++k) {
                if (i % 2 == 1 && k == 3) {
                    EXPECT_EQ(text(snapshot.at(3).value), text(snapshot.at(0).value));
                    continue;
                }
                if (snapshot.at(k).status == KS_OK) sum += std::stoi(text(snapshot.at(k).value));
            }
            EXPECT_EQ(sum, 2000) << snapshot.all();
        }
        is_over = true;
        mover.join();
        maker.join();
        EXPECT_GT(taken, 0);
        EXPECT_EQ(wrong[0] + wrong[1], "");
    }
    abi_test::check_of(store());
}

}  // namespace
