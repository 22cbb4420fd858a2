// watch, ls, stat: looking on.
#include "command.hpp"

namespace keystile::test {
namespace {

using CliWatch = CliTest;
using CliLook = CliTest;

TEST_F(CliWatch, EveryKindOfChangeHasItsLine) {
    Running watcher({binary(), "watch", "k", "--version", "0", "--epoch", "0", "--count", "4", "--value"},
                    environment());
    ok({"put", "k", "--value", "a\nb", "--create"});
    EXPECT_EQ(watcher.next_line(), "put     " + stamp(1, 0) + "  a\\x0ab");
    const std::string token = first_line(ok({"claim", "k", "--lease", "1h"}));
    EXPECT_EQ(watcher.next_line(), "claim   " + stamp(1, 1) + "  a\\x0ab");
    ok({"release", "k", "--claim", token});
    EXPECT_EQ(watcher.next_line(), "release " + stamp(1, 2) + "  a\\x0ab");
    ok({"del", "k", "--force"});
    EXPECT_EQ(watcher.next_line(), "delete  " + stamp(2, 2));
    EXPECT_EQ(watcher.wait(), 0);
}

TEST_F(CliWatch, AChangeSinceTheStampIsSeenAtOnce) {
    ok({"put", "k", "--value", "x", "--create"});
    const auto answer =
        run({"watch", "k", "--version", "0", "--epoch", "0", "--once", "--value", "--json"}).json();
    EXPECT_EQ(answer["event"], "put");
    EXPECT_EQ(answer["value"], "x");
    EXPECT_EQ(answer["version"], 1);
    EXPECT_EQ(answer["claimed"], false);
}

TEST_F(CliWatch, NothingHappensUntilTheTimeIsOver) {
    expect_fails({"watch", "k", "--timeout", "20ms"}, 14, "timeout");
    expect_fails({"watch", "k", "--timeout", "0"}, 14, "timeout");
    expect_fails({"watch", "k", "--once", "--count", "2"}, 64, "usage");
    expect_fails({"watch", "k", "--timeout", "20"}, 64, "usage");
}

TEST_F(CliWatch, EndsWithTheStore) {
    Running watcher({binary(), "watch", "k", "--version", "0", "--epoch", "0", "--timeout", "20s", "--json"},
                    environment());
    ok({"put", "k", "--value", "x", "--create"});
    watcher.next_line();
    ok({"destroy", "--force"});
    EXPECT_EQ(nlohmann::json::parse(watcher.next_line())["code"], "KS_E_DESTROYED");
    EXPECT_EQ(watcher.wait(), 65);
}

TEST_F(CliLook, ListingIsSortedAndFiltered) {
    for (const char* key : {"b", "a/2", "a/1"}) ok({"put", key, "--value", key, "--create"});
    EXPECT_EQ(ok({"ls", "--keys"}), "a/1\na/2\nb\n");
    EXPECT_EQ(ok({"ls", "a/", "-k"}), "a/1\na/2\n");
    EXPECT_TRUE(ok({"ls"}).starts_with("KEY  VERSION "));
    ok({"del", "b", "--force"});
    EXPECT_EQ(ok({"ls", "b", "-k"}), "");
    EXPECT_EQ(ok({"ls", "b"}), "");
    EXPECT_EQ(run({"ls", "b", "--all", "--json"}).json()["keys"][0]["deleted"], true);
}

TEST_F(CliLook, ListingNamesOwners) {
    ok({"put", "k", "--value", "abc", "--create"});
    ok({"claim", "k", "--lease", "1h"});
    const auto entry = run({"ls", "--json"}).json()["keys"][0];
    EXPECT_EQ(entry["key"], "k");
    EXPECT_EQ(entry["size"], 3);
    EXPECT_EQ(entry["owner"]["detached"], true);
    EXPECT_NE(ok({"ls"}).find("the holder of its token, 59m"), std::string::npos);
}

TEST_F(CliLook, StatCountsAndNamesParticipants) {
    ok({"put", "k", "--value", "abc", "--create"});
    run({"put", "k", "--value", "abc", "--create"});
    Running watcher({binary(), "watch", "k", "--version", "0", "--epoch", "0"}, environment());
    watcher.next_line();  // it is attached now
    const auto answer = run({"stat", "--json"}).json();
    EXPECT_EQ(answer["total"]["commits"], 1);
    EXPECT_EQ(answer["total"]["conflicts"], 1);
    EXPECT_EQ(answer["keys"], 1);
    ASSERT_EQ(answer["participants"].size(), 1u);
    EXPECT_EQ(answer["participants"][0]["label"], "keystile watch");
    EXPECT_EQ(answer["participants"][0]["alive"], true);
    const std::string human = ok({"stat"});
    EXPECT_NE(human.find("keystile watch"), std::string::npos) << human;
    EXPECT_NE(human.find("commits       1"), std::string::npos) << human;
}

}  // namespace
}  // namespace keystile::test
