// get, put, del: what is written is what is read, and nobody overwrites what they have not seen.
#include "command.hpp"

namespace keystile::test {
namespace {

using CliValue = CliTest;

TEST_F(CliValue, PutCreatesAndGetReadsItBack) {
    EXPECT_EQ(ok({"put", "greeting", "--value", "hello", "--create"}), stamp(1, 0) + "\n");
    EXPECT_EQ(ok({"get", "greeting"}), "hello");
}

TEST_F(CliValue, BytesPassThroughUnchanged) {
    std::string bytes;
    for (int i = 0; i < 300'000; ++i) bytes += static_cast<char>(i * 7 % 256);
    ok({"put", "blob", "--create"}, bytes);
    EXPECT_EQ(ok({"get", "blob"}), bytes);
    ok({"put", "empty", "--create"}, "");
    EXPECT_EQ(ok({"get", "empty"}), "");
}

TEST_F(CliValue, ValuesThatLookLikeSomethingElseAreTakenAsTheyAre) {
    for (const char* value : {"", "{}", "[]", "[a,b]", "-5", "--json", "\"q\"", "a b"}) {
        ok({"put", "k", "--force", "--value", value});
        EXPECT_EQ(ok({"get", "k"}), value);
    }
    ok({"put", "k", "--force", "--value="});
    EXPECT_EQ(ok({"get", "k"}), "");
    ok({"put", "--force", "--value", "x", "--", "-key"});
    EXPECT_EQ(ok({"get", "--", "-key"}), "x");
    ok({"put", "get", "--value", "a command's name", "--create"});
    EXPECT_EQ(ok({"get", "get"}), "a command's name");
}

TEST_F(CliValue, GetAsJsonCarriesValueAndStamp) {
    ok({"put", "k", "--value", "wörd\n", "--create"});
    const auto text = run({"get", "k", "--json"}).json();
    EXPECT_EQ(text["status"], "ok");
    EXPECT_EQ(text["key"], "k");
    EXPECT_EQ(text["value"], "wörd\n");
    EXPECT_EQ(text["encoding"], "text");
    EXPECT_EQ(text["version"], 1);
    EXPECT_EQ(text["epoch"], epoch_of(0));

    ok({"put", "k", "--force"}, std::string_view("\xff\x00x", 3));
    const auto bytes = run({"get", "k", "--json"}).json();
    EXPECT_EQ(bytes["value"], "/wB4");
    EXPECT_EQ(bytes["encoding"], "base64");
}

TEST_F(CliValue, KeysOfAnyBytesAreShownEscapedAndTakenAsBase64) {
    ok({"put", "a\xff", "--value", "1", "--create"});
    const auto answer = run({"get", "a\xff", "--json"}).json();
    EXPECT_EQ(answer["key"], "Yf8=");
    EXPECT_EQ(answer["key_encoding"], "base64");
    EXPECT_EQ(ok({"get", "--key-base64", "Yf8="}), "1");
    EXPECT_EQ(ok({"ls", "--keys"}), "a\\xff\n");
    expect_fails({"get", "--key-base64", "Yf8"}, 64, "usage");
    ok({"put", "--key-base64", "AGI=", "--value", "2", "--create"});  // a zero byte: no argument can hold it
    EXPECT_EQ(ok({"get", "--key-base64", "AGI="}), "2");
}

TEST_F(CliValue, AStampIsGoodForOneCommit) {
    ok({"put", "k", "--value", "1", "--create"});
    EXPECT_EQ(ok({"put", "k", "--value", "2", "--version", "1", "--epoch", epoch(0)}), stamp(2, 0) + "\n");
    expect_fails({"put", "k", "--value", "3", "--version", "1", "--epoch", epoch(0)}, 10, "conflict");
    const auto answer =
        run({"put", "k", "--value", "3", "--version", "1", "--epoch", epoch(0), "--json"}).json();
    EXPECT_EQ(answer["version"], 2);
    EXPECT_EQ(answer["epoch"], epoch_of(0));
    expect_fails({"put", "k", "--value", "3", "--create"}, 10, "conflict");
    EXPECT_EQ(ok({"get", "k"}), "2");
}

TEST_F(CliValue, AShellReadsTheStampFromStandardError) {
    const Outcome outcome = shell(R"sh(
        stamp=$(mktemp)
        keystile put n --value 41 --create
        value=$(keystile get n --stamp 2>"$stamp") && . "$stamp" && rm "$stamp"
        keystile put n --value $((value + 1)) --version $version --epoch $epoch && keystile get n)sh");
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, stamp(1, 0) + "\n" + stamp(2, 0) + "\n42");
}

TEST_F(CliValue, ADeletedKeyIsWrittenAgainWithTheStampOfItsDeletion) {
    ok({"put", "k", "--value", "1", "--create"});
    EXPECT_EQ(ok({"del", "k", "--version", "1", "--epoch", epoch(0)}), stamp(2, 0) + "\n");
    expect_fails({"get", "k"}, 13, "not_found");
    expect_fails({"del", "k", "--force"}, 13, "not_found");
    expect_fails({"put", "k", "--value", "x", "--create"}, 10, "conflict");
    const Outcome missing = run({"get", "k", "--stamp"});
    EXPECT_EQ(missing.exit_code, 13);
    EXPECT_EQ(missing.err, stamp(2, 0) + "\n");
    EXPECT_EQ(run({"get", "k", "--json"}).json()["version"], 2);
    ok({"put", "k", "--value", "again", "--version", "2", "--epoch", epoch(0)});
    EXPECT_EQ(ok({"get", "k"}), "again");
}

TEST_F(CliValue, AWriterMustSayWhatWasSeen) {
    expect_fails({"put", "k", "--value", "x"}, 64, "usage");
    EXPECT_NE(run({"put", "k", "--value", "x"}).err.find("--version"), std::string::npos);
    expect_fails({"del", "k"}, 64, "usage");
    expect_fails({"put", "k", "--value", "x", "--version", "1"}, 64, "usage");
    expect_fails({"put", "k", "--value", "x", "--create", "--force"}, 64, "usage");
    expect_fails({"put", "k", "--value", "x", "--file", "y", "--force"}, 64, "usage");
    expect_fails({"put", "k", "--value", "x", "--create", "--wait", "1s"}, 64, "usage");
    expect_fails({"put", "k", "--value", "x", "--version", "-1", "--epoch", "0"}, 64, "usage");
}

TEST_F(CliValue, AFileThatCannotBeReadIsAWrongCommandLine) {
    expect_fails({"put", "k", "--file", "/no/such/file", "--create"}, 64, "usage");
    expect_fails({"put", "k", "--file", "/dev/shm", "--create"}, 64, "usage");  // can be opened, not read
}

TEST_F(CliValue, SizesAreBounded) {
    expect_fails({"get", std::string(1025, 'k')}, 64, "usage");
    expect_fails({"get", ""}, 64, "usage");
    const Outcome outcome = run({"put", "k", "--create"}, std::string((16u << 20) + 1, 'x'));
    EXPECT_EQ(outcome.exit_code, 64) << outcome.err;
    const std::string largest(16u << 20, 'x');
    ok({"put", "k", "--create"}, largest);
    EXPECT_EQ(ok({"get", "k"}), largest);
}

TEST_F(CliValue, QuietPrintsNothingButWhatWasAskedFor) {
    EXPECT_EQ(ok({"put", "k", "--value", "x", "--create", "-q"}), "");
    EXPECT_EQ(ok({"-q", "get", "k"}), "x");
}

}  // namespace
}  // namespace keystile::test
