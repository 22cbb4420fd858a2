// Gates: an effect runs under claims, on what was seen and on nothing else.
#include <csignal>

#include "plain/plain_support.hpp"
#include "support/child.hpp"
#include "support/points.hpp"

namespace keystile::testing {
namespace {

// A gate on one path, and what came of it.
struct Gated {
    ks_files_change change{};
    ks_status status = KS_OK;
    int result = -1;  // the effect did not run

    Gated(
        const Files& files, const char* path, ks_stamp seen, const ks_grant* grant = nullptr,
        ks_files_effect_fn effect = [](void*) { return 7; }, void* user = nullptr) {
        change.path = path;
        change.seen = seen;
        change.grant = grant;
        status = ks_files_gate(files.get(), &change, 1, effect, user, &result);
    }
};

// A second gate stops before its claim, and the first runs from its beginning to its end.
TEST(FilesGate, OfTwoOnOneStampOneRuns) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("p", "one"), KS_OK);
    const ks_stamp seen = files.stamp("p");
    Child second([&](const Child::Line&) {
        const Files own(folder);
        arm({{"files.gate.before_claim", 1, SIGSTOP}});
        const Gated gated(own, "p", seen);
        return gated.status == KS_FENCED && gated.result == -1 &&
                       gated.change.stamp.epoch == own.stamp("p").epoch
                   ? 0
                   : 1;
    });
    ASSERT_TRUE(second.await_stop());
    const Gated first(files, "p", seen);
    EXPECT_EQ(first.status, KS_OK);
    EXPECT_EQ(first.result, 7);
    second.resume();
    EXPECT_EQ(second.await_end(), 0);
    EXPECT_EQ(files.put("p", "two"), KS_OK);  // given back
}

// Nobody knows what the dead one's effect has done: who saw the file before decides anew.
TEST(FilesGate, AfterADeadOnesTheStampIsOver) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("p", "one"), KS_OK);
    const ks_stamp seen = files.stamp("p");
    ASSERT_EQ(run_in_child([&] {
                  const Files own(folder);
                  arm({{"files.gate.after_effect", 1, SIGKILL}});
                  (void)Gated(own, "p", seen);
                  return 0;
              }),
              128 + SIGKILL);
    const Gated stale(files, "p", seen);
    EXPECT_EQ(stale.status, KS_FENCED);
    EXPECT_EQ(stale.result, -1);
    EXPECT_EQ(stale.change.stamp.epoch, files.stamp("p").epoch);
    EXPECT_EQ(Gated(files, "p", stale.change.stamp).status, KS_OK);
}

struct Robbery {
    const Files& files;
    ks_stamp claimed;  // its claim

    static int run(void* user) {
        const Robbery& robbery = *static_cast<Robbery*>(user);
        ks_session* const session = ks_default_session(ks_files_store(robbery.files.get()));
        EXPECT_EQ(ks_reclaim(session, bytes_in("files/p"), robbery.claimed.epoch, KS_RECLAIM_LIVE, nullptr),
                  KS_OK);
        return 7;
    }
};

TEST(FilesGate, AClaimThatIsLostMeanwhileIsTold) {
    const Folder folder;
    const Files files(folder);
    const Files others(folder);
    for (const bool is_written : {false, true}) {
        SCOPED_TRACE(is_written);
        if (is_written) {
            ASSERT_EQ(files.put("p", "one"), KS_OK);
        }
        ks_grant grant{};
        ASSERT_EQ(ks_files_claim(files.get(), "p", nullptr, &grant, nullptr), KS_OK);
        EXPECT_EQ(Gated(files, "p", grant.stamp, &grant).status, KS_OK) << ks_last_error();
        Robbery robbery{others, grant.stamp};
        const Gated robbed(files, "p", grant.stamp, &grant, Robbery::run, &robbery);
        EXPECT_EQ(robbed.status, KS_FENCED);
        EXPECT_EQ(robbed.change.status, KS_FENCED);
        EXPECT_EQ(robbed.result, 7);
        const Gated late(files, "p", grant.stamp, &grant);
        EXPECT_EQ(late.status, KS_FENCED);
        EXPECT_EQ(late.result, -1);
    }
    const ks_stamp seen = files.stamp("p");
    Robbery robbery{others, {seen.version, seen.epoch + 1}};  // the gate's own
    const Gated robbed(files, "p", seen, nullptr, Robbery::run, &robbery);
    EXPECT_EQ(robbed.status, KS_FENCED);
    EXPECT_EQ(robbed.change.status, KS_FENCED);
    EXPECT_EQ(robbed.result, 7);
}

TEST(FilesGate, AnotherFilesGrantIsNone) {
    const Folder folder;
    const Files files(folder);
    ks_grant grant{}, other{};
    ASSERT_EQ(files.put("p", "one"), KS_OK);
    ASSERT_EQ(files.put("q", "one"), KS_OK);
    ASSERT_EQ(ks_files_claim(files.get(), "p", nullptr, &grant, nullptr), KS_OK);
    ASSERT_EQ(ks_files_claim(files.get(), "q", nullptr, &other, nullptr), KS_OK);
    const Gated gated(files, "p", files.stamp("p"), &other);
    EXPECT_EQ(gated.status, KS_E_GRANT);
    EXPECT_EQ(gated.result, -1);
}

}  // namespace
}  // namespace keystile::testing
