// Feed: a durable store's commits as a range.
#include <filesystem>
#include <ranges>
#include <vector>

#include "cpp_support.hpp"

namespace {

using keystile::Feed;
using keystile::Outcome;
using keystile::Store;

static_assert(std::ranges::input_range<Feed::Commits>);
static_assert(std::ranges::forward_range<Feed::Commit>);
static_assert(!std::is_copy_constructible_v<Feed>);

struct Feeds : testing::Test {
    Feeds() {
        std::filesystem::remove_all(folder);
        store = Store::open(url, {.max_bytes = 64u << 20, .label = "feeds"});
    }
    ~Feeds() override {
        store = {};
        (void)Store::destroy(url);
        std::filesystem::remove_all(folder);
    }
    std::uint64_t set(std::string_view key, std::string_view value) {
        auto session = store.session();
        const auto done = session.commit(key, session.get(key).stamp, value);
        EXPECT_TRUE(done);
        EXPECT_EQ(ks_wait_durable(store.native(), done.lsn, KS_FOREVER), KS_OK);
        return done.lsn;
    }
    const std::string folder =
        std::filesystem::temp_directory_path() / ("keystile-cpp-feed-" + std::to_string(::getpid()));
    const std::string url = "file:" + folder;
    Store store;
};

TEST_F(Feeds, AreRangesOfCommitsThatAreRangesOfEntries) {
    const std::vector<std::uint64_t> lsns{set("a", "1"), set("b", "2"), set("a", "3")};
    Feed feed = Feed::open(url);
    std::vector<std::uint64_t> seen;
    std::string text;
    for (const Feed::Commit& commit : feed.commits()) {
        seen.push_back(commit.lsn());
        EXPECT_EQ(commit.label(), "feeds");
        EXPECT_GT(commit.time().time_since_epoch().count(), 0);
        EXPECT_EQ(commit.size(), 1u);
        for (const auto& [key, value, stamp, version_before, is_deleted] : commit) {
            text += std::string(key) + std::string(value) + (is_deleted ? "-" : "+");
            EXPECT_EQ(stamp.version, commit.lsn());
            EXPECT_EQ(version_before, commit.lsn() == lsns[2] ? lsns[0] : 0);
        }
    }
    EXPECT_EQ(feed.last().outcome(), Outcome::timeout);
    EXPECT_EQ(seen, lsns);
    EXPECT_EQ(text, "a1+b2+a3+");

    const std::uint64_t later = set("c", "4");  // and it goes on
    for (const Feed::Commit& commit : feed.commits(keystile::forever)) {
        EXPECT_EQ(commit.lsn(), later);
        break;
    }
    seen.clear();
    Feed again = Feed::open(url, lsns[1] + 1);
    for (const auto& commit : again.commits()) seen.push_back(commit.lsn());
    EXPECT_EQ(seen, (std::vector<std::uint64_t>{lsns[2], later}));
    Feed now = Feed::open(url, Feed::now);
    for (const auto& commit : now.commits()) ADD_FAILURE() << commit.lsn();
}

TEST_F(Feeds, FaultsAreValuesOrErrors) {
    EXPECT_EQ(Feed::try_open("shm:none").status, KS_E_URL);
    EXPECT_THROW((void)Feed::open("shm:none"), keystile::Error);
    Feed none;
    for (const auto& commit : none.commits()) ADD_FAILURE() << commit.lsn();
    EXPECT_EQ(none.last().status, KS_E_ARGUMENT);
    Feed feed = Feed::open(url);
    store = {};
    ASSERT_TRUE(Store::destroy(url));
    for (const auto& commit : feed.commits()) ADD_FAILURE() << commit.lsn();
    EXPECT_EQ(feed.last().status, KS_E_DESTROYED);
}

}  // namespace
