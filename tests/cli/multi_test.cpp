// keystile multi: many keys in one commit, from JSON lines; a mistake in any of them writes nothing.
#include <fstream>
#include <thread>

#include "command.hpp"

namespace keystile::test {
namespace {

using nlohmann::json;

class CliMulti : public CliTest {
protected:
    json multi(const std::string& lines, Words arguments = {}) const {
        arguments.insert(arguments.begin(), {"multi", "--json"});
        return run(arguments, lines).json();
    }

    // Says so to people and to programs, and leaves the store as it was.
    json expect_refused(const std::string& lines, int exit_code, std::string_view status,
                        const std::string& sentence, const Words& arguments = {}) const {
        Words words{"multi"};
        words.insert(words.end(), arguments.begin(), arguments.end());
        const std::string before = ok({"snapshot"});
        const Outcome human = run(words, lines);
        EXPECT_EQ(human.exit_code, exit_code) << human.out << human.err;
        EXPECT_EQ(human.out, "");
        EXPECT_NE(human.err.find(sentence), std::string::npos) << human.err;
        words.push_back("--json");
        const Outcome outcome = run(words, lines);
        EXPECT_EQ(outcome.exit_code, exit_code) << outcome.out << outcome.err;
        EXPECT_EQ(outcome.err, "");
        EXPECT_EQ(outcome.json()["status"], status);
        EXPECT_NE(outcome.json()["error"].get<std::string>().find(sentence), std::string::npos)
            << outcome.out;
        EXPECT_EQ(ok({"snapshot"}), before);
        return outcome.json();
    }

    void expect_mistake(const std::string& line, const std::string& sentence) const {
        const std::string lines = R"({"put":"good","value":"x"})"
                                  "\n\n" +
                                  line + "\n";
        EXPECT_EQ(expect_refused(lines, 64, "usage", "line 3: " + sentence)["line"], 3) << line;
    }

    std::string stamp_members(const std::string& key) const {
        const json now = run({"get", key, "--json"}).json();
        return "\"version\":" + now["version"].dump() + ",\"epoch\":" + now["epoch"].dump();
    }
};

TEST_F(CliMulti, PutsDeletesAndExpectsInOneCommit) {
    ok({"put", "old", "--value", "x", "--create"});
    ok({"put", "same", "--value", "x", "--create"});
    const std::string lines = R"({"put":"a","value":"1"})"
                              "\n"
                              R"({"delete":"old"})"
                              "\r\n"
                              R"({"expect":"same",)" +
                              stamp_members("same") +
                              "}\n"
                              R"({"put":{"base64":"AAE="},"value":{"base64":"//8="}})";
    EXPECT_EQ(ok({"multi"}, lines), "put a " + stamp(1, 0) + "\ndelete old " + stamp(2, 0) +
                                        "\nexpect same " + stamp(1, 0) + "\nput \\x00\\x01 " + stamp(1, 0) +
                                        "\n");
    EXPECT_EQ(ok({"get", "a"}), "1");
    EXPECT_EQ(run({"get", "old"}).exit_code, 13);
    EXPECT_EQ(ok({"get", "AAE=", "--key-base64"}), "\xff\xff");
}

TEST_F(CliMulti, TellsProgramsWhatWasDone) {
    const json result = multi(R"({"put":"a","value":"ü"})"
                              "\n"
                              R"({"put":{"base64":"/w=="},"value":""})");
    EXPECT_EQ(result["status"], "ok");
    ASSERT_EQ(result["keys"].size(), 2u);
    EXPECT_EQ(result["keys"][0],
              (json{{"key", "a"}, {"done", "put"}, {"line", 1}, {"version", 1}, {"epoch", epoch_of(0)}}));
    EXPECT_EQ(result["keys"][1]["key"], "/w==");
    EXPECT_EQ(result["keys"][1]["key_encoding"], "base64");
    EXPECT_EQ(ok({"get", "a"}), "ü");
    EXPECT_EQ(ok({"multi", "--quiet"}, R"({"put":"a","value":"2"})"), "");
    EXPECT_EQ(multi("\n \n")["keys"].size(), 0u);
}

TEST_F(CliMulti, ReadsAFile) {
    const std::string file = testing::TempDir() + "multi-" + std::to_string(getpid()) + ".jsonl";
    std::ofstream(file) << R"({"put":"a","value":"1"})";
    ok({"multi", "--file", file});
    EXPECT_EQ(ok({"get", "a"}), "1");
    expect_refused("", 64, "usage", "/nowhere", {"--file", "/nowhere"});
    EXPECT_EQ(run({"multi", "--file", testing::TempDir()}).exit_code, 70);
    ok({"multi", "--file", "-"}, R"({"put":"a","value":"2"})");
    EXPECT_EQ(ok({"get", "a"}), "2");
}

TEST_F(CliMulti, AConflictNamesEachKeyAndWritesNothing) {
    for (const char* key : {"a", "b", "c"}) ok({"put", key, "--value", "1", "--create"});
    const std::string seen = stamp_members("a");
    ok({"put", "a", "--value", "2", "--force"});
    ok({"put", "c", "--value", "2", "--force"});
    const json refused =
        expect_refused(R"({"put":"a","value":"x",)" + seen + "}\n" + R"({"put":"b","value":"x"})" + "\n" +
                           R"({"expect":"c",)" + seen + "}",
                       10, "conflict", "line 3: c is at " + stamp(2, 0) + " now");
    ASSERT_EQ(refused["keys"].size(), 2u);
    EXPECT_EQ(
        refused["keys"][0],
        (json{{"key", "a"}, {"line", 1}, {"status", "conflict"}, {"version", 2}, {"epoch", epoch_of(0)}}));
    EXPECT_EQ(refused["keys"][1]["key"], "c");
    EXPECT_EQ(ok({"get", "b"}), "1");
    expect_refused(R"({"put":"b","value":"x","version":0,"epoch":0})", 10, "conflict", "nothing was written");
    expect_refused(R"({"delete":"b","version":0,"epoch":0})", 10, "conflict", "nothing was written");
}

TEST_F(CliMulti, AnExpectationAndAWriteOfOneKeyMayStandInTwoLines) {
    ok({"put", "a", "--value", "1", "--create"});
    const std::string seen = stamp_members("a");
    ok({"multi"}, R"({"put":"a","value":"2"})"
                  "\n"
                  R"({"expect":"a",)" +
                      seen + "}");
    EXPECT_EQ(ok({"get", "a"}), "2");
    expect_refused(R"({"delete":"a"})"
                   "\n"
                   R"({"expect":"a",)" +
                       seen + "}",
                   10, "conflict", "line 1: a is at");
}

TEST_F(CliMulti, ClaimsAreUsedKeptAndGivenBack) {
    const auto claim = [this](const std::string& key) {
        return first_line(ok({"claim", key, "--lease", "1h", "--quiet"}));
    };
    ok({"put", "c", "--value", "1", "--create"});
    const std::string a = claim("a"), b = claim("b"), c = claim("c");
    const json held = expect_refused(R"({"put":"free","value":"x"})"
                                     "\n"
                                     R"({"put":"a","value":"x"})",
                                     12, "held", "line 2: a is claimed by the holder of its token");
    EXPECT_EQ(held["keys"][0]["owner"]["detached"], true);

    ok({"multi"}, R"({"put":"a","value":"kept","claim":")" + a + "\"}\n" +
                      R"({"put":"b","value":"done","release":true,"claim":")" + b + "\"}\n" +
                      R"({"release":"c","claim":")" + c + "\"}");
    EXPECT_EQ(ok({"get", "a"}), "kept");
    EXPECT_EQ(ok({"get", "b"}), "done");
    EXPECT_EQ(run({"claim", "a"}).exit_code, 12);
    ok({"claim", "b"});
    ok({"claim", "c"});
    expect_refused(R"({"put":"free","value":"x"})"
                   "\n"
                   R"({"delete":"b","claim":")" +
                       b + "\"}",
                   11, "fenced", "line 2: b: the claim");
    expect_refused(R"({"put":"z","value":"x","claim":")" + a + "\"}", 13, "not_found", "line 1: ");
    const std::string d = claim("d"), e = claim("e");  // at the same epoch: only the owner differs
    EXPECT_EQ(expect_refused(R"({"put":"free","value":"x"})"
                             "\n"
                             R"({"put":"e","value":"x","claim":")" +
                                 d + "\"}",
                             64, "usage", "line 2: key e: ")["line"],
              2);
    expect_refused(R"({"put":"b","value":"x","claim":"no token"})", 64, "usage", "line 1: ");
}

TEST_F(CliMulti, WaitsForAClaimIfAskedTo) {
    const std::string lines = R"({"put":"a","value":"x"})"
                              "\n"
                              R"({"put":"b","value":"x"})";
    ok({"claim", "a", "--lease", "1h"});
    expect_refused(lines, 14, "timeout", "a is claimed", {"--wait", "20ms"});
    ok({"reclaim", "a", "--live"});
    ok({"claim", "b", "--lease", "30ms"});
    ok({"multi", "--wait", "1m"}, lines);
    EXPECT_EQ(ok({"get", "b"}), "x");
}

TEST_F(CliMulti, MistakesAreNamedWithTheirLine) {
    expect_mistake("{\"put\":\"a\",", "no valid JSON");
    expect_mistake("{\"put\":\"a\xff\",\"value\":\"\"}", "no valid JSON");
    expect_mistake(R"({"put":"a","value":"1"} {"put":"b","value":"1"})", "no valid JSON");
    expect_mistake("[1]", "a JSON object is wanted");
    expect_mistake("{}", "what is to be done?");
    expect_mistake(R"({"write":"a","value":"1"})", "what is to be done?");
    expect_mistake(R"({"put":"a","delete":"a","value":"1"})", "\"put\", \"expect\" and \"delete\" exclude");
    expect_mistake(R"({"put":"a","put":"b","value":"1"})", "\"put\" stands in it twice");
    expect_mistake(R"({"put":"a","value":{"base64":"AA==","base64":"AA=="}})",
                   "\"base64\" stands in it twice");
    expect_mistake(R"({"put":"a"})", "\"value\" is missing");
    expect_mistake(R"({"put":"a","value":1})", "\"value\" must be a string or {\"base64\": string}");
    expect_mistake(R"({"put":"a","value":{"base64":"A"}})", "\"value\" is not base64");
    expect_mistake(R"({"put":"a","value":{"base64":"AA==","x":1}})", "\"value\" must be");
    expect_mistake(R"({"put":["a"],"value":"1"})", "\"put\" must be a string");
    expect_mistake(R"({"put":"","value":"1"})", "\"put\": a key has 1 to 1024 bytes, this one has 0");
    expect_mistake(R"({"delete":")" + std::string(1025, 'k') + "\"}",
                   "\"delete\": a key has 1 to 1024 bytes");
    expect_mistake(R"({"put":"a","value":"1","vresion":1})", "\"vresion\" has no meaning here");
    expect_mistake(R"({"delete":"a","value":"1"})", "\"value\" has no meaning here");
    expect_mistake(R"({"expect":"a","version":1,"epoch":0,"claim":"t"})", "\"claim\" has no meaning here");
    expect_mistake(R"({"release":"a","claim":"t","version":1,"epoch":1})", "\"version\" has no meaning here");
    expect_mistake(R"({"expect":"a"})", "\"version\" and \"epoch\" are missing");
    expect_mistake(R"({"put":"a","value":"1","version":1})", "\"epoch\" is missing");
    expect_mistake(R"({"put":"a","value":"1","epoch":1})", "\"version\" is missing");
    expect_mistake(R"({"put":"a","value":"1","version":-1,"epoch":0})", "\"version\" must be a whole number");
    expect_mistake(R"({"put":"a","value":"1","version":1,"epoch":0.5})", "\"epoch\" must be a whole number");
    expect_mistake(R"({"put":"a","value":"1","version":"1","epoch":0})",
                   "\"version\" must be a whole number");
    expect_mistake(R"({"put":"a","value":"1","version":18446744073709551616,"epoch":0})",
                   "\"version\" must be");
    expect_mistake(R"({"release":"a"})", "\"claim\" is missing");
    expect_mistake(R"({"put":"a","value":"1","release":true})", "\"release\" gives a claim back");
    expect_mistake(R"({"put":"a","value":"1","claim":"t","release":1})", "\"release\" must be true or false");
    expect_mistake(R"({"put":"a","value":"1","claim":7})", "\"claim\" must be a string");
    expect_mistake(R"({"delete":"good"})", "good is written in line 1 already");
    expect_refused(R"({"expect":"a","version":1,"epoch":0})"
                   "\n"
                   R"({"put":"a","value":"1","version":1,"epoch":0})",
                   64, "usage", "line 2: line 1 says already what a is expected to be at");
    expect_refused(R"({"put":"a","value":")" + std::string((16 << 20) + 1, 'x') + "\"}", 64, "usage",
                   "line 1: \"value\": a value has at most 16 MiB");
}

TEST_F(CliMulti, TakesSoManyKeysAndNoMore) {
    std::string lines;
    for (int i = 0; i < 1024; ++i) lines += R"({"put":"k)" + std::to_string(i) + R"(","value":"x"})" + "\n";
    EXPECT_EQ(multi(lines)["keys"].size(), 1024u);
    EXPECT_EQ(ok({"get", "k1023"}), "x");
    expect_refused(lines + R"({"expect":"k0","version":0,"epoch":0})", 10, "conflict", "line 1: k0 is at");
    expect_refused(lines + R"({"put":"one more","value":"x"})", 64, "usage",
                   "line 1025: one commit takes 1024 keys");
}

TEST_F(CliMulti, NeedsAStore) {
    ok({"destroy"});
    EXPECT_EQ(run({"multi"}, R"({"put":"a","value":"1"})").exit_code, 66);
    ok({"create"});
}

// Two keys that only ever change together, by several processes at once: they never differ.
TEST_F(CliMulti, OthersSeeAllOrNothing) {
    std::vector<std::thread> writers;
    for (int writer = 0; writer < 3; ++writer) {
        writers.emplace_back([&, writer] {
            for (int i = 0; i < 20; ++i) {
                const std::string value = std::to_string(writer * 1000 + i);
                ok({"multi"}, R"({"put":"pair/a","value":")" + value + "\"}\n" +
                                  R"({"put":"pair/b","value":")" + value + "\"}");
            }
        });
    }
    for (int i = 0; i < 40; ++i) {
        const json keys = run({"snapshot", "pair/", "--json"}).json()["keys"];
        ASSERT_TRUE(keys.empty() || keys.size() == 2u) << keys;
        if (keys.empty()) continue;
        EXPECT_EQ(keys[0]["value"], keys[1]["value"]);
    }
    for (std::thread& writer : writers) writer.join();
    const json keys = run({"snapshot", "pair/", "--json"}).json()["keys"];
    ASSERT_EQ(keys.size(), 2u);
    EXPECT_GE(keys[0]["version"], 60);
    EXPECT_EQ(keys[1]["version"], keys[0]["version"]);
}

}  // namespace
}  // namespace keystile::test
