// Verify beside writers, flushers and checkpoints: files come and go, grow and are cut, and nothing of that is damage.
#include <csignal>
#include <memory>

#include "disk/journal_support.hpp"
#include "disk/opener.hpp"
#include "support/child.hpp"

namespace keystile::testing {

namespace {

using namespace engine;

constexpr int kLiveLooks = 12, kLiveTries = 4 * kLiveLooks;

std::string text_of(const Verification& found) {
    std::string text;
    for (const Problem& problem : found.problems) {
        text += problem.path + " at " + std::to_string(problem.damage.offset) + ": " + problem.damage.what +
                " (" + std::to_string(static_cast<int>(problem.cost)) + ")\n";
    }
    return text;
}

// One who commits without an end; large values, so that files are full soon.
int write_on(const std::string& folder, const std::string& segments, int who, const Child::Line& line) {
    Opener opener;
    if (opener.open(folder, segments) != Status::kOk) return 1;
    line.ready();
    for (int i = 0;; ++i) {
        const std::string key = "key " + std::to_string(who) + " " + std::to_string(i % 7);
        if (opener.put(key, std::string(i % 8 == 0 ? 90'000 : 50, 'v')) != Status::kOk) return 2;
        if (i % 5 == who && opener.flush_all() != Status::kOk) return 3;
        if (i % 16 == 0 && opener.write_all() != Status::kOk) return 4;
    }
}

int make_checkpoints(const std::string& folder, const std::string& segments, const Child::Line& line) {
    Opener opener;
    if (opener.open(folder, segments) != Status::kOk) return 1;
    line.ready();
    for (;;) {
        const Status s = make_checkpoint(opener.store);
        if (s != Status::kOk && s != Status::kBusy) return 2;
    }
}

TEST(VerifyLive, BesideWritersAndCheckpointsNothingIsWrong) {
    const Folder folder, segments;
    {
        Opener first;
        ASSERT_EQ(first.open(folder.path(), segments.path()), Status::kOk);
        ASSERT_EQ(first.put("key", "value"), Status::kOk);
        ASSERT_EQ(first.flush_all(), Status::kOk);
    }
    std::vector<std::unique_ptr<Child>> children;
    for (int who = 0; who < 2; ++who) {
        children.push_back(std::make_unique<Child>([&, who](const Child::Line& line) {
            return write_on(folder.path(), segments.path(), who, line);
        }));
    }
    children.push_back(std::make_unique<Child>(
        [&](const Child::Line& line) { return make_checkpoints(folder.path(), segments.path(), line); }));
    for (const auto& child : children) ASSERT_TRUE(child->await_ready());

    Directory directory;
    ASSERT_EQ(Directory::open(folder.path(), {.must_exist = true, .is_read_only = true}, &directory),
              Status::kOk);
    int verified = 0;
    std::uint32_t first_file = 0, last_file = 0;
    for (int i = 0; i < kLiveTries && verified < kLiveLooks; ++i) {
        Verification found;
        const Status s = verify_history(directory, &found);
        ASSERT_TRUE(s == Status::kOk || s == Status::kBusy) << static_cast<int>(s);
        if (s == Status::kBusy) continue;
        ++verified;
        EXPECT_TRUE(found.is_sound()) << text_of(found);
        EXPECT_EQ(found.recovery_status, Status::kOk) << text_of(found);
        if (first_file == 0) first_file = found.recovery.file;
        last_file = found.recovery.file;
    }
    for (const auto& child : children) EXPECT_EQ(child->kill(), 128 + SIGKILL);
    EXPECT_EQ(verified, kLiveLooks);
    EXPECT_GT(last_file, first_file) << "no file was rolled: the test saw nothing";
    Verification after;
    ASSERT_EQ(verify_history(directory, &after), Status::kOk);
    EXPECT_TRUE(after.is_sound()) << text_of(after);
}

}  // namespace

}  // namespace keystile::testing
