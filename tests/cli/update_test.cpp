// put --update: the whole loop, with nothing lost and nothing committed that CMD did not finish.
#include <memory>

#include "command.hpp"

namespace keystile::test {
namespace {

using CliUpdate = CliTest;

constexpr const char* kIncrement = "read n; echo $((n + 1))";

TEST_F(CliUpdate, FourShellsLoseNothing) {
    constexpr int kShells = 4, kEach = 25;
    std::vector<std::unique_ptr<Running>> shells;
    for (int i = 0; i < kShells; ++i) {
        const std::string script = "for i in $(seq " + std::to_string(kEach) +
                                   "); do keystile -q put n --update '" + kIncrement + "' || exit; done";
        shells.push_back(std::make_unique<Running>(Words{"/bin/sh", "-c", script}, environment()));
    }
    for (const auto& shell : shells) EXPECT_EQ(shell->wait(), 0);
    EXPECT_EQ(ok({"get", "n"}), std::to_string(kShells * kEach) + "\n");
    EXPECT_GE(run({"get", "n", "--json"}).json()["version"], kShells * kEach);
}

TEST_F(CliUpdate, CmdFindsWhatItWorksOn) {
    ok({"put", "k", "--value", "old", "--create"});
    ok({"put", "k", "--update",
        R"sh(echo "$KEYSTILE_KEY $KEYSTILE_VERSION $KEYSTILE_EPOCH $KEYSTILE_FOUND $(cat)")sh"});
    EXPECT_EQ(ok({"get", "k"}), "k 1 " + epoch(0) + " 1 old\n");
    ok({"put", "new", "--update", R"(echo "$KEYSTILE_STORE $KEYSTILE_FOUND <$(cat)>")"});
    EXPECT_EQ(ok({"get", "new"}), store_ + " 0 <>\n");
}

TEST_F(CliUpdate, CmdHasTheSignalsThatWeWereGiven) {
    const char* const script = "grep SigIgn /proc/self/status";
    // Those above 31 are the C library's own: of who has had a thread they are not ignored.
    const auto ignored = [](const std::string& line) {
        return std::stoull(line.substr(line.find(':') + 1), nullptr, 16) & 0x7FFFFFFFu;
    };
    ok({"put", "k", "--update", script});
    EXPECT_EQ(ignored(ok({"get", "k"})), ignored(shell(script).out));
    EXPECT_EQ(ignored(run({"claim", "k", "--", "sh", "-c", script}).out), ignored(shell(script).out));
}

TEST_F(CliUpdate, LargeValuesPassThroughCmd) {
    const std::string value(4'000'000, 'v');
    ok({"put", "k", "--create"}, value);
    ok({"put", "k", "--update", "cat; printf end"});
    EXPECT_EQ(ok({"get", "k"}), value + "end");
}

TEST_F(CliUpdate, AFailingCmdCommitsNothing) {
    ok({"put", "k", "--value", "old", "--create"});
    expect_fails({"put", "k", "--update", "echo half; exit 3"}, 16, "aborted");
    const Outcome outcome = run({"put", "k", "--update", "echo half; exit 3", "--json"});
    EXPECT_EQ(outcome.json()["cmd_exit_code"], 3);
    EXPECT_NE(run({"put", "k", "--update", "exit 3"}).err.find("exited with 3"), std::string::npos);
    EXPECT_EQ(run({"put", "k", "--update", "kill -KILL $$", "--json"}).json()["cmd_exit_code"], 137);
    EXPECT_EQ(run({"put", "k", "--update", "yes"}).exit_code, 16);  // more than a value may have
    EXPECT_EQ(ok({"get", "k"}), "old");
}

TEST_F(CliUpdate, TriesAreBounded) {
    ok({"put", "k", "--value", "0", "--create"});
    // CMD itself is the faster one, each time.
    const Words update{"put", "k",        "--tries",
                       "3",   "--update", "keystile -q put k --force --value x; echo runs >&2"};
    const Outcome outcome = run(update);
    EXPECT_EQ(outcome.exit_code, 15) << outcome.err;
    EXPECT_TRUE(outcome.err.starts_with("runs\nruns\nruns\nkeystile: busy")) << outcome.err;
    EXPECT_EQ(ok({"get", "k"}), "x");
}

TEST_F(CliUpdate, AClaimedKeyIsHeldBeforeCmdRuns) {
    ok({"claim", "k", "--lease", "1h"});
    const Outcome held = run({"put", "k", "--update", "echo ran >&2", "--json"});
    EXPECT_EQ(held.exit_code, 12);
    EXPECT_EQ(held.err, "");
    EXPECT_EQ(held.json()["owner"]["detached"], true);
    expect_fails({"put", "k", "--value", "x", "--force", "--wait", "20ms"}, 14, "timeout");
}

TEST_F(CliUpdate, WaitingOutlastsALease) {
    ok({"claim", "k", "--lease", "100ms"});
    ok({"put", "k", "--update", kIncrement, "--wait", "1m"});
    EXPECT_EQ(ok({"get", "k"}), "1\n");
}

}  // namespace
}  // namespace keystile::test
