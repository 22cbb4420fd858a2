// snapshot, export and import: one instant's keys and values, out and in again; nothing is overwritten unasked.
#include <fstream>

#include "command.hpp"

namespace keystile::test {
namespace {

using nlohmann::json;

class CliExport : public CliTest {
protected:
    std::string lines_of(int count, const std::string& value = "x") const {
        std::string lines;
        for (int i = 0; i < count; ++i)
            lines += R"({"key":"k)" + std::to_string(i) + R"(","value":")" + value + "\"}\n";
        return lines;
    }

    json expect_refused(const std::string& lines, int exit_code, std::string_view status,
                        const std::string& sentence, const Words& arguments = {}) const {
        Words words{"import"};
        words.insert(words.end(), arguments.begin(), arguments.end());
        const std::string before = ok({"snapshot"});
        const Outcome human = run(words, lines);
        EXPECT_EQ(human.exit_code, exit_code) << human.out << human.err;
        EXPECT_NE(human.err.find(sentence), std::string::npos) << human.err;
        words.push_back("--json");
        const Outcome outcome = run(words, lines);
        EXPECT_EQ(outcome.exit_code, exit_code) << outcome.out;
        EXPECT_EQ(outcome.json()["status"], status);
        EXPECT_EQ(ok({"snapshot"}), before);
        return outcome.json();
    }
};

TEST_F(CliExport, ASnapshotIsATableOrOneObject) {
    EXPECT_EQ(ok({"snapshot"}), "");
    ok({"put", "b", "--value", "two\nlines", "--create"});
    ok({"put", "a", "--value", "1", "--create"});
    ok({"put", "gone", "--value", "1", "--create"});
    ok({"del", "gone", "--force"});
    ok({"put", "long", "--value", std::string(47, 'x') + "üü", "--create"});
    const std::string table = ok({"snapshot"});
    EXPECT_TRUE(table.starts_with("KEY   VERSION")) << table;
    EXPECT_LT(table.find("\na "), table.find("\nb ")) << table;
    EXPECT_NE(table.find("two\\x0alines"), std::string::npos) << table;
    EXPECT_NE(table.find(std::string(47, 'x') + "...\n"), std::string::npos) << table;
    EXPECT_EQ(table.find("gone"), std::string::npos) << table;

    const json result = run({"snapshot", "b", "--json"}).json();
    EXPECT_EQ(result["status"], "ok");
    ASSERT_EQ(result["keys"].size(), 1u);
    EXPECT_EQ(result["keys"][0], (json{{"key", "b"},
                                       {"value", "two\nlines"},
                                       {"encoding", "text"},
                                       {"version", 1},
                                       {"epoch", epoch_of(0)}}));
}

TEST_F(CliExport, WhatGoesOutComesIn) {
    ok({"put", "text", "--value", "größe \"1\"\n", "--create"});
    ok({"put", "empty", "--value", "", "--create"});
    ok({"put", "AP8=", "--key-base64", "--create"}, std::string("\0\xff", 2));
    const std::string lines = ok({"export"});
    EXPECT_EQ(lines,
              "{\"key\":{\"base64\":\"AP8=\"},\"value\":{\"base64\":\"AP8=\"}}\n"
              "{\"key\":\"empty\",\"value\":\"\"}\n"
              "{\"key\":\"text\",\"value\":\"größe \\\"1\\\"\\n\"}\n");
    EXPECT_EQ(ok({"export", "t"}), "{\"key\":\"text\",\"value\":\"größe \\\"1\\\"\\n\"}\n");
    EXPECT_EQ(ok({"export", "dA==", "--key-base64"}), ok({"export", "t"}));

    ok({"destroy"});
    ok({"create"});
    EXPECT_EQ(ok({"export"}), "");
    EXPECT_EQ(ok({"import"}, lines), "imported 3 keys in one commit\n");
    EXPECT_EQ(ok({"export"}), lines);
    EXPECT_EQ(run({"get", "AP8=", "--key-base64"}).out, std::string("\0\xff", 2));
}

TEST_F(CliExport, AFullOutputIsAFault) {
    ok({"put", "k", "--value", "x", "--create"});
    EXPECT_EQ(shell("keystile export > /dev/full").exit_code, 70);
    EXPECT_EQ(shell("keystile snapshot > /dev/full").exit_code, 70);
}

TEST_F(CliExport, NothingIsOverwrittenUnasked) {
    ok({"put", "k1", "--value", "mine", "--create"});
    const json refused =
        expect_refused(lines_of(3), 10, "conflict", "line 2: k1 is at " + stamp(1, 0) + " now");
    EXPECT_EQ(refused["keys"].size(), 1u);
    EXPECT_EQ(refused["keys"][0]["key"], "k1");
    EXPECT_EQ(refused["keys"][0]["line"], 2);
    EXPECT_EQ(refused["imported"], 0);
    EXPECT_NE(run({"import"}, lines_of(3)).err.find("--replace"), std::string::npos);

    EXPECT_EQ(ok({"import", "--if-absent"}, lines_of(3)),
              "imported 2 keys in one commit; 1 had a value already\n");
    EXPECT_EQ(ok({"get", "k1"}), "mine");
    EXPECT_EQ(ok({"get", "k2"}), "x");
    EXPECT_EQ(run({"import", "--if-absent", "--json"}, lines_of(3)).json(),
              (json{{"status", "ok"}, {"imported", 0}, {"skipped", 3}, {"commits", 0}}));

    EXPECT_EQ(ok({"import", "--replace"}, lines_of(3, "y")), "imported 3 keys in one commit\n");
    EXPECT_EQ(ok({"get", "k1"}), "y");
    EXPECT_EQ(run({"import", "--replace", "--if-absent"}, lines_of(3)).exit_code, 64);
}

TEST_F(CliExport, ADeletedKeyIsFree) {
    ok({"put", "k0", "--value", "old", "--create"});
    ok({"del", "k0", "--force"});
    ok({"import"}, lines_of(1));
    EXPECT_EQ(ok({"get", "k0"}), "x");
}

TEST_F(CliExport, MoreKeysAreSeveralCommitsAndItSaysSo) {
    EXPECT_EQ(ok({"import"}, lines_of(1024)), "imported 1024 keys in one commit\n");
    EXPECT_EQ(ok({"import", "--replace"}, lines_of(2049, "y")),
              "imported 2049 keys in 3 commits, each atomic in itself\n");
    EXPECT_EQ(ok({"get", "k2048"}), "y");
    const std::string lines = ok({"export"});
    EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2049);

    // Refused while nothing is written, though the key in the way is in the third commit.
    ok({"destroy"});
    ok({"create"});
    ok({"put", "k2048", "--value", "mine", "--create"});
    expect_refused(lines_of(2049), 10, "conflict", "line 2049: k2048 is at");
    EXPECT_EQ(ok({"import", "--if-absent", "--json"}, lines_of(2049)),
              "{\"status\":\"ok\",\"imported\":2048,\"skipped\":1,\"commits\":2}\n");
}

TEST_F(CliExport, WhatIsRefusedLateSaysHowFarItCame) {
    ok({"claim", "k1500", "--lease", "1h"});
    const Outcome outcome = run({"import", "--json"}, lines_of(2049));
    EXPECT_EQ(outcome.exit_code, 12);
    EXPECT_EQ(outcome.json()["imported"], 1024);
    EXPECT_EQ(outcome.json()["commits"], 1);
    EXPECT_EQ(outcome.json()["keys"][0]["line"], 1501);
    EXPECT_NE(
        run({"import", "--replace"}, lines_of(2049)).err.find("1024 keys were written before, in 1 commits"),
        std::string::npos);
    ok({"get", "k1023"});
    EXPECT_EQ(run({"get", "k1024"}).exit_code, 13);
    ok({"reclaim", "k1500", "--live"});
    ok({"claim", "k1501", "--lease", "30ms"});
    ok({"import", "--if-absent", "--wait", "1m"}, lines_of(2049));
    EXPECT_EQ(ok({"get", "k2048"}), "x");
}

TEST_F(CliExport, MistakesAreNamedWithTheirLineAndWriteNothing) {
    const auto mistake = [this](const std::string& line, const std::string& sentence) {
        EXPECT_EQ(expect_refused("{\"key\":\"a\",\"value\":\"1\"}\n" + line, 64, "usage",
                                 "line 2: " + sentence)["line"],
                  2);
    };
    mistake("nonsense", "no valid JSON");
    mistake(R"({"key":"b"})", "\"value\" is missing");
    mistake(R"({"value":"b"})", "\"key\" is missing");
    mistake(R"({"key":"b","value":null})", "\"value\" must be");
    mistake(R"({"key":"b","value":"1","version":1})", "\"version\" has no meaning here");
    mistake(R"({"key":{"base64":"*"},"value":"1"})", "\"key\" is not base64");
    mistake(R"({"key":"","value":"1"})", "\"key\": a key has 1 to 1024 bytes");
    mistake(R"({"key":"a","value":"2"})", "a stands in line 1 already");
    mistake(R"({"key":{"base64":"YQ=="},"value":"2"})", "a stands in line 1 already");
    EXPECT_EQ(run({"import", "--file", "/nowhere"}).exit_code, 64);
    EXPECT_EQ(run({"import", "--file", testing::TempDir()}).exit_code, 70);
    EXPECT_EQ(ok({"import"}, "\n"), "imported 0 keys\n");
}

TEST_F(CliExport, NeedAStore) {
    ok({"destroy"});
    for (const Words& words : {Words{"snapshot"}, Words{"export"}, Words{"import"}})
        expect_fails(words, 66, "no_store");
    ok({"create"});
}

}  // namespace
}  // namespace keystile::test
