// claim KEY -- CMD: the command runs while the claim holds, no longer, and its exit code comes back.
#include <signal.h>

#include "command.hpp"

namespace keystile::test {
namespace {

class CliRun : public CliTest {
protected:
    Words claim(const std::string& lease, const Words& cmd, const std::string& grace = "1m") const {
        Words argv{binary(), "claim", "k", "--lease", lease, "--grace", grace, "--"};
        argv.insert(argv.end(), cmd.begin(), cmd.end());
        return argv;
    }
    bool is_claimed() const { return run({"get", "k", "--json"}).json()["epoch"].get<uint64_t>() % 2 != 0; }
};

TEST_F(CliRun, CmdWritesUnderTheClaimAndItIsReleased) {
    const Outcome outcome =
        run({"claim", "k", "--", "sh", "-c", R"(keystile put "$KEYSTILE_KEY" --value mine)"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, stamp(1, 1) + "\n");
    EXPECT_EQ(ok({"get", "k"}), "mine");
    EXPECT_FALSE(is_claimed());
}

TEST_F(CliRun, TheExitCodeIsThatOfCmd) {
    EXPECT_EQ(run({"claim", "k", "--", "true"}).exit_code, 0);
    EXPECT_EQ(run({"claim", "k", "--", "sh", "-c", "exit 7"}).exit_code, 7);
    EXPECT_EQ(run({"claim", "k", "--", "sh", "-c", "kill -TERM $$"}).exit_code, 128 + SIGTERM);
    EXPECT_EQ(run({"claim", "k", "--", "./no-such-command"}).exit_code, 127);
    EXPECT_EQ(run({"claim", "k", "--", "/"}).exit_code, 126);
    EXPECT_EQ(run({"claim", "k", "--"}).exit_code, 64);
    EXPECT_FALSE(is_claimed());
    const auto answer = run({"claim", "k", "--json", "--", "sh", "-c", "echo noise; exit 7"}).json();
    EXPECT_EQ(answer["cmd_exit_code"], 7);
}

TEST_F(CliRun, WordsOfCmdAreItsOwn) {
    const Outcome outcome = run({"claim", "k", "--", "printf", "<%s>", "[a,b]", "--json", "--", "", "{}"});
    EXPECT_EQ(outcome.out, "<[a,b]><--json><--><><{}>") << outcome.err;
}

TEST_F(CliRun, AHeldKeyRunsNothing) {
    ok({"claim", "k", "--lease", "1h"});
    EXPECT_EQ(run({"claim", "k", "--", "echo", "ran"}).out, "");
    EXPECT_EQ(run({"claim", "k", "--", "echo", "ran"}).exit_code, 12);
}

TEST_F(CliRun, TheClaimIsRenewedWhileCmdRuns) {
    // CMD outlives its lease three times; meanwhile nobody can have the key.
    Running holder(
        claim("1s", {"sh", "-c", "echo ready; keystile watch nothing --once --timeout 2500ms; exit 0"}),
        environment());
    ASSERT_EQ(holder.next_line(), "ready");
    EXPECT_EQ(run({"claim", "k", "--wait", "2s"}).exit_code, 14);
    EXPECT_EQ(holder.wait(), 0);
    EXPECT_FALSE(is_claimed());
}

TEST_F(CliRun, AFencedCmdIsTerminated) {
    Running holder(claim("300ms", {"sh", "-c", "trap 'echo told; exit 0' TERM; echo ready; sleep 60 & wait"}),
                   environment());
    ASSERT_EQ(holder.next_line(), "ready");
    ok({"reclaim", "k", "--live"});
    EXPECT_EQ(holder.next_line(), "told");
    EXPECT_EQ(holder.wait(), 11);
    EXPECT_EQ(holder.next_line(), "");  // end of file: its background child is gone, too
}

TEST_F(CliRun, AFencedCmdThatDoesNotListenIsKilled) {
    Running holder(claim("300ms", {"sh", "-c", "trap '' TERM; echo ready; sleep 60"}, "100ms"),
                   environment());
    ASSERT_EQ(holder.next_line(), "ready");
    ok({"reclaim", "k", "--live"});
    EXPECT_EQ(holder.wait(), 11);
}

TEST_F(CliRun, AFrozenHolderLosesTheClaimAndCannotWrite) {
    Running holder(claim("200ms", {"sh", "-c", "trap '' TERM; echo ready; sleep 60"}, "100ms"),
                   environment());
    holder.next_line();
    holder.signal(SIGSTOP);
    holder.await_stop();
    const std::string token = first_line(ok({"claim", "k", "--lease", "1h", "--wait", "1m"}));
    ok({"put", "k", "--value", "theirs", "--claim", token});
    holder.signal(SIGCONT);
    EXPECT_EQ(holder.next_line(), "");
    EXPECT_EQ(ok({"get", "k"}), "theirs");
}

TEST_F(CliRun, ACmdThatReleasesItselfIsToldSo) {
    const Outcome outcome =
        run({"claim", "k", "--json", "--", "sh", "-c", R"(keystile -q release "$KEYSTILE_KEY")"});
    EXPECT_EQ(outcome.exit_code, 11);
    EXPECT_EQ(outcome.json()["status"], "fenced");
    EXPECT_EQ(outcome.json()["cmd_exit_code"], 0);
}

TEST_F(CliRun, SignalsArePassedOn) {
    for (const int number : {SIGTERM, SIGINT}) {
        const char* const script =
            "trap 'echo heard; exit 5' TERM INT; echo ready; while :; do sleep 0.05; done";
        Running holder(claim("1h", {"sh", "-c", script}), environment());
        ASSERT_EQ(holder.next_line(), "ready");
        holder.signal(number);
        EXPECT_EQ(holder.next_line(), "heard");
        EXPECT_EQ(holder.wait(), 5);
        EXPECT_FALSE(is_claimed());
    }
}

TEST_F(CliRun, CmdDoesNotOutliveItsKeystile) {
    Running holder(claim("1h", {"sh", "-c", "echo ready; sleep 1; echo outlived it"}), environment());
    ASSERT_EQ(holder.next_line(), "ready");
    holder.signal(SIGKILL);
    EXPECT_EQ(holder.wait(), 128 + SIGKILL);
    EXPECT_EQ(holder.next_line(), "");  // end of file, without the line
}

}  // namespace
}  // namespace keystile::test
