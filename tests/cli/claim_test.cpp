// claim, renew, release, reclaim: a detached claim lives in its token.
#include "command.hpp"

namespace keystile::test {
namespace {

class CliClaim : public CliTest {
protected:
    std::string claim(const std::string& key, const std::string& lease = "1h") const {
        return first_line(ok({"claim", key, "--lease", lease}));
    }
};

TEST_F(CliClaim, TheTokenWritesAndOthersAreHeld) {
    const std::string token = claim("k");
    expect_fails({"put", "k", "--value", "x", "--create"}, 12, "held");
    expect_fails({"put", "k", "--value", "x", "--force"}, 12, "held");
    EXPECT_EQ(ok({"put", "k", "--value", "mine", "--claim", token}), stamp(1, 1) + "\n");
    EXPECT_EQ(ok({"put", "k", "--update", "cat; echo more", "--claim", token}), stamp(2, 1) + "\n");
    EXPECT_EQ(ok({"get", "k"}), "minemore\n");
    EXPECT_EQ(ok({"release", "k", "--claim", token}), stamp(2, 2) + "\n");
    ok({"put", "k", "--value", "x", "--force"});
}

TEST_F(CliClaim, JsonHasTokenAndStamp) {
    const auto json = run({"claim", "k", "--json"}).json();
    EXPECT_EQ(json["status"], "ok");
    EXPECT_EQ(json["epoch"], epoch_of(1));
    ok({"release", "k", "--claim", json["token"]});
}

TEST_F(CliClaim, ASecondClaimIsHeldOrTimesOut) {
    claim("k");
    expect_fails({"claim", "k"}, 12, "held");
    expect_fails({"claim", "k", "--wait", "20ms"}, 14, "timeout");
    const auto owner = run({"claim", "k", "--json"}).json()["owner"];
    EXPECT_EQ(owner["detached"], true);
    EXPECT_EQ(owner["epoch"], epoch_of(1));
    EXPECT_TRUE(owner["pid"].is_null());
    EXPECT_GT(owner["lease_left_ns"].get<uint64_t>(), 60'000'000'000u);
}

TEST_F(CliClaim, CommitAndReleaseIsOneStep) {
    const std::string token = claim("k");
    EXPECT_EQ(ok({"put", "k", "--value", "done", "--claim", token, "--release"}), stamp(1, 2) + "\n");
    expect_fails({"release", "k", "--claim", token}, 11, "fenced");
    expect_fails({"put", "k", "--value", "x", "--force", "--release"}, 64, "usage");
}

TEST_F(CliClaim, AClaimThatWasTakenIsFenced) {
    const std::string token = claim("k", "20ms");
    const std::string next = first_line(ok({"claim", "k", "--lease", "1h", "--wait", "1m"}));
    for (const Words& words : {Words{"put", "k", "--value", "late", "--claim", token},
                               Words{"put", "k", "--update", "echo late", "--claim", token},
                               Words{"put", "k", "--value", "late", "--create", "--claim", token},
                               Words{"del", "k", "--claim", token}, Words{"renew", "k", "--claim", token},
                               Words{"release", "k", "--claim", token}}) {
        expect_fails(words, 11, "fenced");
    }
    ok({"put", "k", "--value", "next", "--claim", next});
    EXPECT_EQ(ok({"get", "k"}), "next");
}

TEST_F(CliClaim, AReadFromBeforeAClaimIsFenced) {
    ok({"put", "k", "--value", "1", "--create"});
    ok({"release", "k", "--claim", claim("k")});
    expect_fails({"put", "k", "--value", "2", "--version", "1", "--epoch", epoch(0)}, 11, "fenced");
}

TEST_F(CliClaim, RenewingReachesBeyondTheFirstLease) {
    const std::string token = claim("k", "1s");
    EXPECT_EQ(ok({"renew", "k", "--claim", token, "--lease", "1h"}), "renewed for 1h\n");
    EXPECT_EQ(run({"claim", "k", "--wait", "1500ms"}).exit_code, 14);
    expect_fails({"renew", "k", "--claim", token, "--lease", "forever"}, 64, "usage");
    expect_fails({"claim", "other", "--lease", "forever"}, 64, "usage");
    expect_fails({"renew", "k"}, 64, "usage");
}

TEST_F(CliClaim, ReclaimAsksFirstWhetherTheOwnerIsLate) {
    const std::string token = claim("k");
    expect_fails({"reclaim", "k"}, 12, "held");
    EXPECT_EQ(ok({"reclaim", "k", "--epoch", epoch(1), "--live"}), stamp(0, 2) + "\n");
    expect_fails({"put", "k", "--value", "x", "--claim", token}, 11, "fenced");
    expect_fails({"reclaim", "k", "--epoch", epoch(1)}, 11, "fenced");
    EXPECT_EQ(ok({"reclaim", "k"}), "k is not claimed\n");
    EXPECT_EQ(run({"reclaim", "k", "--json"}).json()["reclaimed"], false);
}

TEST_F(CliClaim, ATokenIsGoodForItsKeyOnly) {
    const std::string token = claim("k");
    claim("other");
    expect_fails({"put", "other", "--value", "x", "--claim", token}, 64, "usage");
    expect_fails({"put", "k", "--value", "x", "--claim", "no token"}, 64, "usage");
}

TEST_F(CliClaim, AKeyThatDoesNotExistIsNamed) {
    const std::string token = claim("k");
    for (const char* command : {"release", "renew"}) {
        expect_fails({command, "nokey", "--claim", token}, 13, "not_found");
        EXPECT_NE(run({command, "nokey", "--claim", token}).err.find("there is no key nokey"),
                  std::string::npos);
    }
}

TEST_F(CliClaim, TheTokenComesFromTheEnvironmentForItsKeyAndStore) {
    const std::string token = claim("k");
    extra_environment_ = {"KEYSTILE_KEY=k", "KEYSTILE_CLAIM=" + token};
    ok({"put", "k", "--value", "mine"});
    ok({"put", "free", "--value", "x", "--create"});
    expect_fails({"put", "free", "--value", "x"}, 64, "usage");
    ok({"release", "k"});
}

}  // namespace
}  // namespace keystile::test
