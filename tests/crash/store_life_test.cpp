// Deaths in the making and the ending of a whole store, and around sleeping waiters.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <vector>

#include "support/child.hpp"
#include "support/points.hpp"
#include "support/test_store.hpp"

namespace keystile::testing {

namespace {

ks_status put_once(ks_session* session, std::string_view key, std::string_view value) {
    ks_stamp seen{};
    (void)ks_get(session, bytes(key), nullptr, 0, nullptr, &seen);
    return ks_commit(session, bytes(key), seen, bytes(value), nullptr, nullptr);
}

int open_and_put(const TestStore& store) {
    ks_store* opened = nullptr;
    ks_session* session = nullptr;
    if (const ks_status s = open_small(store.url(), 0, &opened); s != KS_OK) return 2;
    if (ks_session_open(opened, &session) != KS_OK || put_once(session, "k", "v") != KS_OK) return 3;
    ks_close(opened);
    return 0;
}

int destroy(const TestStore& store) {
    return ks_destroy(store.url().c_str(), 0) == KS_OK ? 0 : 1;
}

TEST(StoreLife, ACreatorKilledBeforeTheLinkLeavesNothing) {
    const TestStore store;
    Child creator([&](const Child::Line&) {
        arm({{"segment.create.before_link", 1, SIGKILL}});
        return open_and_put(store);
    });
    EXPECT_EQ(creator.await_end(), 128 + SIGKILL);
    EXPECT_FALSE(std::filesystem::exists(store.path()));
    EXPECT_EQ(open_and_put(store), 0);
    EXPECT_EQ(scan(store.url()), "");
}

TEST(StoreLife, ACreatorStoppedBeforeTheLinkEndsInTheStoreThatAnotherMade) {
    const TestStore store;
    Child creator([&](const Child::Line&) {
        arm({{"segment.create.before_link", 1, SIGSTOP}});
        return open_and_put(store);
    });
    ASSERT_TRUE(creator.await_stop());
    EXPECT_EQ(open_and_put(store), 0);
    creator.resume();
    EXPECT_EQ(creator.await_end(), 0);
    const Attached self(store.url());
    ks_stamp seen{};
    EXPECT_EQ(ks_get(self.session, bytes("k"), nullptr, 0, nullptr, &seen), KS_TOO_SMALL);
    EXPECT_EQ(seen.version, 2u);  // both commits are in one store
}

TEST(StoreLife, RacingCreatorsEndInOneStore) {
    const TestStore store;
    constexpr int kCreators = 8;
    std::vector<std::unique_ptr<Child>> creators;
    for (int i = 0; i < kCreators; ++i) {
        creators.push_back(std::make_unique<Child>([&store, i](const Child::Line&) {
            arm({{"segment.create.before_link", 1, i % 2 == 0 ? SIGKILL : SIGSTOP}});
            return open_and_put(store);
        }));
    }
    // Nobody links before all have come so far.
    for (int i = 0; i < kCreators; ++i) {
        Child& creator = *creators[static_cast<std::size_t>(i)];
        if (i % 2 == 0) {
            EXPECT_EQ(creator.await_end(), 128 + SIGKILL);
        } else {
            EXPECT_TRUE(creator.await_stop());
        }
    }
    for (int i = 1; i < kCreators; i += 2) creators[static_cast<std::size_t>(i)]->resume();
    for (int i = 1; i < kCreators; i += 2) {
        const int ended = creators[static_cast<std::size_t>(i)]->await_end();
        EXPECT_TRUE(ended == 0 || ended == 3) << ended;  // 3: another's commit came first
    }
    EXPECT_EQ(scan(store.url()), "");
}

TEST(StoreLife, ADestroyerKilledBeforeTheUnlinkLeavesAStoreThatIsDestroyedAgain) {
    const TestStore store;
    ASSERT_EQ(open_and_put(store), 0);
    Child destroyer([&](const Child::Line&) {
        arm({{"segment.destroy.before_unlink", 1, SIGKILL}});
        return destroy(store);
    });
    EXPECT_EQ(destroyer.await_end(), 128 + SIGKILL);
    ks_store* opened = nullptr;
    EXPECT_EQ(open_small(store.url(), 0, &opened), KS_E_DESTROYED);
    EXPECT_EQ(destroy(store), 0);
    EXPECT_EQ(open_and_put(store), 0);
    EXPECT_EQ(scan(store.url()), "");
}

TEST(StoreLife, ADestroyerStoppedBeforeTheUnlinkDoesNotTakeTheNextStoreOfThatName) {
    const TestStore store;
    ASSERT_EQ(open_and_put(store), 0);
    Child destroyer([&](const Child::Line&) {
        arm({{"segment.destroy.before_unlink", 1, SIGSTOP}});
        (void)ks_destroy(store.url().c_str(), 0);
        return 0;
    });
    ASSERT_TRUE(destroyer.await_stop());
    EXPECT_EQ(destroy(store), 0);
    EXPECT_EQ(open_and_put(store), 0);
    destroyer.resume();
    EXPECT_EQ(destroyer.await_end(), 0);
    EXPECT_EQ(scan(store.url()), "") << "the new store is gone";
}

// With a process that has it open, and is told.
TEST(StoreLife, ADurableStoresDestroyerKilledAnywhereIsFinishedByTheNext) {
    for (const char* point : {"operations.destroy.before_history", "operations.destroy.before_segment"}) {
        const std::string folder = "/dev/shm/keystile-destroyed-" + std::to_string(::getpid());
        const std::string url = "file:" + folder;
        {
            const Attached self(url);
            ASSERT_EQ(put(self.session, "k", "v"), KS_OK);
            EXPECT_EQ(ks_destroy(url.c_str(), 0), KS_E_IN_USE);
            Child destroyer([&](const Child::Line&) {
                arm({{point, 1, SIGKILL}});
                return ks_destroy(url.c_str(), KS_DESTROY_FORCE) == KS_OK ? 0 : 1;
            });
            EXPECT_EQ(destroyer.await_end(), 128 + SIGKILL);
            ks_store* opened = nullptr;
            EXPECT_EQ(open_small(url, 0, &opened), KS_E_DESTROYED) << point;
            EXPECT_EQ(put(self.session, "k", "w"), KS_E_DESTROYED);
            EXPECT_EQ(ks_flush(self.store), KS_E_DESTROYED);
            EXPECT_EQ(ks_checkpoint(self.store), KS_E_DESTROYED);
            EXPECT_EQ(ks_destroy(url.c_str(), KS_DESTROY_FORCE), KS_OK) << point << ks_last_error();
            EXPECT_TRUE(std::filesystem::is_empty(folder)) << point;
            // A new one of the same name, beside who still has the old one open.
            const Attached next(url);
            EXPECT_EQ(put(next.session, "k", "new"), KS_OK);
            EXPECT_EQ(put(self.session, "k", "w"), KS_E_DESTROYED);
        }
        ks_store* again = nullptr;
        ASSERT_EQ(open_small(url, KS_OPEN_MUST_EXIST, &again), KS_OK) << ks_last_error();
        EXPECT_EQ(ks_get(ks_default_session(again), bytes("k"), nullptr, 0, nullptr, nullptr), KS_TOO_SMALL);
        ks_close(again);
        EXPECT_EQ(ks_destroy(url.c_str(), 0), KS_OK);
        EXPECT_TRUE(std::filesystem::is_empty(folder));
        std::filesystem::remove(folder);
    }
}

// A waiter that really sleeps, and a waker that dies before the system call: the waiter looks again by
// itself.
TEST(StoreLife, AWaiterWhoseWakerWasKilledWakesByItself) {
    const TestStore store;
    const Attached self(store.url());
    ASSERT_EQ(put(self.session, "k", "1"), KS_OK);
    Child waiter([&](const Child::Line&) {
        const Attached at(store.url());
        ks_stamp seen{}, now{};
        (void)ks_get(at.session, bytes("k"), nullptr, 0, nullptr, &seen);
        const ks_status s = ks_watch(at.session, bytes("k"), seen, KS_FOREVER, &now);
        return s == KS_OK && now.version == seen.version + 1 ? 0 : 1;
    });
    while (!is_asleep_in_futex(waiter.pid())) {
    }
    Child waker([&](const Child::Line&) {
        const Attached at(store.url());
        arm({{"slots.wake.before_wake", 1, SIGKILL}});
        return put(at.session, "k", "2") == KS_OK ? 0 : 1;
    });
    EXPECT_EQ(waker.await_end(), 128 + SIGKILL);
    EXPECT_EQ(waiter.await_end(), 0);
}

TEST(StoreLife, AWaiterKilledInItsSleepDelaysNobody) {
    const TestStore store;
    {
        const Attached self(store.url());
        ASSERT_EQ(put(self.session, "k", "1"), KS_OK);
        Child waiter([&](const Child::Line&) {
            const Attached at(store.url());
            ks_stamp seen{};
            (void)ks_get(at.session, bytes("k"), nullptr, 0, nullptr, &seen);
            return static_cast<int>(ks_watch(at.session, bytes("k"), seen, KS_FOREVER, nullptr));
        });
        while (!is_asleep_in_futex(waiter.pid())) {
        }
        EXPECT_EQ(waiter.kill(), 128 + SIGKILL);
        EXPECT_EQ(put(self.session, "k", "2"), KS_OK);
    }
    EXPECT_EQ(scan(store.url()), "");
}

}  // namespace

}  // namespace keystile::testing
