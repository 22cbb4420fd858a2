// keystile files: as a script uses it.
#include <sys/resource.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "command.hpp"

namespace keystile::test {
namespace {

class CliFiles : public CliTest {
protected:
    void SetUp() override {
        CliTest::SetUp();
        char name[] = "/dev/shm/keystile-cli-files-XXXXXX";
        root_ = ::mkdtemp(name);
        extra_environment_.push_back("KEYSTILE_ROOT=" + root_);
    }
    void TearDown() override {
        if (std::filesystem::exists(root_ + "/.keystile"))
            (void)run({"destroy", "--force", "--store", "file:" + root_ + "/.keystile"});
        std::filesystem::remove_all(root_);
        CliTest::TearDown();
    }
    std::string peek(const std::string& path) const {
        std::ifstream file(root_ + "/" + path);
        if (!file) return "(none)";
        std::stringstream text;
        text << file.rdbuf();
        return text.str();
    }
    void poke(const std::string& path, const std::string& text) const {
        std::ofstream(root_ + "/" + path) << text;
    }

    std::string root_;
};

TEST_F(CliFiles, OptionsWithoutMeaningAreNotPassedOver) {
    for (const char* option : {"--store=shm:other", "--key-base64"}) {
        const Outcome outcome = run({"files", "status", option});
        EXPECT_EQ(outcome.exit_code, 64);
        EXPECT_NE(outcome.err.find("has no meaning here"), std::string::npos) << outcome.err;
    }
}

TEST_F(CliFiles, AFolderThatIsNoRootIsNamed) {
    EXPECT_NE(shell("cd " + root_ + " && keystile files status --root .").err.find(root_ + ": nothing was"),
              std::string::npos);
    EXPECT_NE(run({"files", "status", "--root", root_ + "/no"}).err.find("there is no such folder"),
              std::string::npos);
    poke("file", "x");
    EXPECT_NE(run({"files", "status", "--root", root_ + "/file"}).err.find("is no folder"),
              std::string::npos);
}

TEST_F(CliFiles, NobodyGetsARootWithinARootByAccident) {
    ok({"files", "write", "src/plan", "--value", "one", "--create"});
    const std::string within = "cd " + root_ + "/src && unset KEYSTILE_ROOT && keystile files ";
    const Outcome refused = shell(within + "read plan");
    EXPECT_EQ(refused.exit_code, 64);
    EXPECT_NE(refused.err.find("lies in the root " + root_ + ": give --root"), std::string::npos)
        << refused.err;
    EXPECT_EQ(peek("src/.keystile/lock"), "(none)");
    EXPECT_EQ(shell(within + "--root .. read src/plan").out, "one");
    EXPECT_EQ(shell("cd " + root_ + " && unset KEYSTILE_ROOT && keystile files read src/plan").out, "one");
}

TEST_F(CliFiles, AWriteSaysWhatItWasComputedFrom) {
    expect_fails({"files", "status"}, 66, "no_store");
    EXPECT_EQ(run({"files", "write", "a/plan", "--value", "one"}).exit_code, 64);
    ok({"files", "write", "a/plan", "--value", "one", "--create"});
    EXPECT_EQ(peek("a/plan"), "one");
    EXPECT_EQ(ok({"files", "read", "a/plan"}), "one");
    const nlohmann::json seen = run({"files", "read", "a/plan", "--json"}).json();
    EXPECT_EQ(seen["value"], "one");
    const std::string version = seen["version"].dump(), epoch = seen["epoch"].dump();
    ok({"files", "write", "a/plan", "--version", version, "--epoch", epoch}, "two");
    const Outcome refused =
        run({"files", "write", "a/plan", "--version", version, "--epoch", epoch, "--json"}, "three");
    EXPECT_EQ(refused.exit_code, 10);
    EXPECT_EQ(refused.json()["status"], "conflict");
    EXPECT_EQ(refused.json()["path"], "a/plan");
    EXPECT_EQ(peek("a/plan"), "two");
    EXPECT_EQ(run({"files", "rm", "a/plan", "--version", version, "--epoch", epoch}).exit_code, 10);
    ok({"files", "rm", "a/plan", "--force"});
    EXPECT_EQ(peek("a/plan"), "(none)");
    expect_fails({"files", "read", "a/plan"}, 13, "not_found");
    EXPECT_EQ(run({"files", "read", "../x"}).exit_code, 64);
    EXPECT_EQ(run({"files", "read", "a"}).exit_code, 64);
}

TEST_F(CliFiles, AnotherProgramsEditIsAdoptedOrRestored) {
    ok({"files", "write", "f", "--value", "one", "--create"});
    poke("f", "edited");
    expect_fails({"files", "read", "f"}, 18, "foreign_edit");
    EXPECT_EQ(run({"files", "write", "f", "--value", "two", "--force"}).exit_code, 18);
    EXPECT_EQ(run({"files", "status", "--json"}).json()["files"][0]["state"], "edited");
    ok({"files", "adopt", "f"});
    expect_fails({"files", "adopt", "typo"}, 13, "not_found");
    EXPECT_EQ(ok({"files", "read", "f"}), "edited");
    std::filesystem::remove(root_ + "/f");
    EXPECT_EQ(run({"files", "status", "--json"}).json()["files"][0]["state"], "missing");
    ok({"files", "restore", "f"});
    EXPECT_EQ(peek("f"), "edited");
    std::filesystem::remove(root_ + "/f");
    std::filesystem::create_directory(root_ + "/f");
    const Outcome refused = run({"files", "restore", "f"});
    EXPECT_EQ(refused.exit_code, 64);
    EXPECT_NE(refused.err.find("folder"), std::string::npos) << refused.err;
    EXPECT_EQ(refused.err.find("committed"), std::string::npos) << refused.err;
    ok({"files", "adopt", "f"});
    std::filesystem::remove(root_ + "/f");
    ok({"files", "write", "f", "--value", "edited", "--force"});
    poke("new", "x");
    EXPECT_EQ(run({"files", "status", "--json"}).json()["files"].size(), 1u);
    EXPECT_EQ(run({"files", "status", "--all", "--json"}).json()["files"][1]["state"], "untracked");
}

TEST_F(CliFiles, PublishIsAllOrNothing) {
    poke("c.src", "from a file");
    const std::string lines =
        "{\"path\":\"a\",\"value\":\"1\",\"create\":true}\n{\"path\":\"d/b\",\"file\":\"" + root_ +
        "/c.src\",\"force\":true}\n{\"path\":\"absent\",\"version\":0,\"epoch\":0}\n";
    ok({"files", "publish"}, lines);
    EXPECT_EQ(peek("a") + peek("d/b"), "1from a file");
    const Outcome refused = run({"files", "publish", "--json"},
                                "{\"path\":\"a\",\"remove\":true,\"force\":true}\n"
                                "{\"path\":\"d/b\",\"value\":\"2\",\"version\":0,\"epoch\":0}\n");
    EXPECT_EQ(refused.exit_code, 10);
    EXPECT_EQ(refused.json()["files"][0]["path"], "d/b");
    EXPECT_EQ(peek("a"), "1");
    for (const char* line : {R"({"path":"a","value":"2"})", R"({"path":"a","remove":true})",
                             R"({"path":"a"})", R"({"path":"a","value":"2","create":true,"force":true})",
                             R"({"path":"a","remove":true,"create":true})", R"({"path":"a","force":true})"}) {
        const Outcome mistake = run({"files", "publish"}, std::string(line) + "\n");
        EXPECT_EQ(mistake.exit_code, 64);
        EXPECT_NE(mistake.err.find("line 1: what "), std::string::npos) << mistake.err;
    }
    EXPECT_EQ(run({"files", "publish"}, "{\"path\":\"a\\u0000b\",\"value\":\"2\"}\n").exit_code, 64);
    EXPECT_EQ(peek("a"), "1");
    EXPECT_EQ(run({"files", "publish"}, "{\"path\":\"a\",\"values\":\"1\"}\n").exit_code, 64);
    EXPECT_EQ(run({"files", "publish"}, "{\"path\":\"a\",\"value\":\"1\",\"remove\":true}\n").exit_code, 64);
}

// Of what comes on standard input nothing would be left for the lines: they would be the content.
TEST_F(CliFiles, PublishDoesNotSwallowItsOwnLines) {
    const std::string b = "{\"path\":\"b\",\"value\":\"B\",\"create\":true}\n";
    for (const char* file : {"-", ""}) {
        const Outcome refused =
            run({"files", "publish"}, "{\"path\":\"a\",\"file\":\"" + std::string(file) + "\"}\n" + b);
        EXPECT_EQ(refused.exit_code, 64);
        EXPECT_NE(refused.err.find("line 1: "), std::string::npos) << refused.err;
    }
    const Outcome missing = run({"files", "publish"}, b + "{\"path\":\"a\",\"file\":\"/no/such\"}\n");
    EXPECT_EQ(missing.exit_code, 64);
    EXPECT_NE(missing.err.find("line 2: "), std::string::npos) << missing.err;
    poke("lines", "{\"path\":\"a\",\"file\":\"-\"}\n{\"path\":\"c\",\"file\":\"-\"}\n");
    EXPECT_EQ(run({"files", "publish", "--file", root_ + "/lines"}, "twice?").exit_code, 64);
    EXPECT_EQ(peek("a") + peek("b") + peek("c"), "(none)(none)(none)");
    poke("lines", "{\"path\":\"a\",\"file\":\"-\",\"create\":true}\n" + b);
    ok({"files", "publish", "--file", root_ + "/lines"}, "the input");
    EXPECT_EQ(peek("a") + peek("b"), "the inputB");
}

TEST_F(CliFiles, KeysOfFilesAreNotWrittenAsState) {
    ok({"files", "write", "p", "--value", "one", "--create"});
    const std::string state = "file:" + root_ + "/.keystile";
    for (const char* end : {"", "/", "/../.keystile"}) {
        const Words store{"--store", state + end};
        const auto refused = [&](Words words, const std::string& input = {}) {
            words.insert(words.end(), store.begin(), store.end());
            const Outcome outcome = run(words, input);
            EXPECT_EQ(outcome.exit_code, 64) << words.front();
            EXPECT_NE(outcome.err.find("keystile files"), std::string::npos) << outcome.err;
        };
        refused({"put", "files/p", "--force", "--value", "x"});
        refused({"put", "files.disk/p", "--force", "--value", "x"});
        refused({"del", "files/p", "--version", "1", "--epoch", "0"});
        refused({"multi"}, "{\"put\":\"files/p\",\"value\":\"x\"}\n");
        refused({"multi"}, "{\"delete\":\"files/p\"}\n");
        refused({"import", "--replace"}, "{\"key\":\"files/p\",\"value\":\"x\"}\n");
        EXPECT_EQ(ok({"files", "read", "p"}), "one");
    }
    ok({"get", "files/p", "--store", state});
    ok({"put", "files", "--store", state, "--force", "--value", "state"});
    ok({"del", "files/p", "--store", state, "--force"});  // the way out of what is no file's
    const std::string elsewhere = "file:" + root_ + "/store";
    ok({"create", "--store", elsewhere});
    ok({"put", "files/p", "--store", elsewhere, "--force", "--value", "state"});
    ok({"destroy", "--force", "--store", elsewhere});
}

// The journal takes the commit and cannot grow for it: a full disk.
TEST_F(CliFiles, AFaultAfterItsCommitSaysSo) {
    ok({"files", "write", "f", "--value", "one", "--create"});
    const std::string large(300'000, 'x'), source = root_ + "/large";
    poke("large", large);
    const auto with_small_disk = [&](const Words& words, const std::string& input = {}) {
        rlimit whole{};
        getrlimit(RLIMIT_FSIZE, &whole);
        const rlimit small{200'000, whole.rlim_max};
        setrlimit(RLIMIT_FSIZE, &small);  // the command's too, which is not killed by it
        const Outcome outcome = run(words, input);
        setrlimit(RLIMIT_FSIZE, &whole);
        return outcome;
    };
    const Outcome written = with_small_disk({"files", "write", "f", "--force", "--file", source, "--json"});
    EXPECT_EQ(written.exit_code, 70);
    EXPECT_NE(written.json()["error"].dump().find("committed as version="), std::string::npos);
    const nlohmann::json seen = run({"files", "read", "f", "--json"}).json();
    EXPECT_EQ(seen["version"], written.json()["version"]);
    EXPECT_EQ(seen["value"].get<std::string>().size(), large.size());
    const Outcome published =
        with_small_disk({"files", "publish", "--json"},
                        "{\"path\":\"f\",\"file\":\"" + source +
                            "\",\"force\":true}\n{\"path\":\"g\",\"value\":\"1\",\"create\":true}\n");
    EXPECT_EQ(published.exit_code, 70);
    EXPECT_GT(published.json()["files"][1]["version"], 0);
    EXPECT_LT(with_small_disk({"files", "status"}).exit_code, 128) << "opening it, too";
    EXPECT_EQ(ok({"files", "read", "g"}), "1");
}

TEST_F(CliFiles, AClaimOfItsKeyKeepsOthersOut) {
    ok({"files", "write", "f", "--value", "one", "--create"});
    const std::string store = "file:" + root_ + "/.keystile";
    const nlohmann::json claim =
        run({"claim", "files/f", "--store", store, "--lease", "1m", "--json"}).json();
    expect_fails({"files", "write", "f", "--value", "two", "--force"}, 12, "held");
    ok({"files", "write", "f", "--value", "two", "--force", "--claim", claim["token"]});
    EXPECT_EQ(peek("f"), "two");
    EXPECT_EQ(run({"files", "write", "f", "--value", "x", "--force", "--claim", "junk"}).exit_code, 64);
}

TEST_F(CliFiles, WatchTellsCommits) {
    ok({"files", "write", "d/f", "--value", "one", "--create"});
    EXPECT_EQ(run({"files", "watch", "../x"}).exit_code, 64);
    EXPECT_EQ(run({"files", "watch", "/"}).exit_code, 64);
    Running watcher({binary(), "files", "watch", "./d/", "--count", "2", "--json"}, environment());
    // Nothing says when it has begun: so something happens until it tells.
    std::atomic<bool> is_told = false;
    std::thread writer([&] {
        for (int i = 0; i < 200 && !is_told; ++i)
            ok({"files", "write", "d/f", "--value", std::to_string(i), "--force"});
    });
    const std::string first = watcher.next_line();
    is_told = true;
    writer.join();
    ok({"files", "rm", "d/f", "--force"});
    EXPECT_EQ(nlohmann::json::parse(first)["path"], "d/f");
    EXPECT_EQ(nlohmann::json::parse(first)["event"], "put");
    EXPECT_FALSE(watcher.next_line().empty());
    EXPECT_EQ(watcher.wait(), 0);
}

}  // namespace
}  // namespace keystile::test
