// create, destroy, check, and what every command says when the store is not as it should be.
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "command.hpp"

namespace keystile::test {
namespace {

using CliStore = CliTest;

std::string segment_of(const std::string& url) {
    return "/dev/shm/keystile." + url.substr(4);
}

TEST_F(CliStore, CreatingTwiceIsFineUnlessExclusive) {
    EXPECT_EQ(ok({"create"}), "exists already: " + store_ + "\n");
    EXPECT_EQ(run({"create", "--json"}).json()["created"], false);
    expect_fails({"create", "--exclusive"}, 10, "conflict");
    EXPECT_EQ(run({"create", "--exclusive", "--json"}).json()["code"], "KS_E_EXISTS");
    ok({"destroy"});
    EXPECT_EQ(run({"create", "--json", "--max-bytes", "64M", "--expected-keys", "100"}).json()["created"],
              true);
    expect_fails({"create", "--max-bytes", "lots"}, 64, "usage");
    expect_fails({"create", "--group", "no such group"}, 64, "usage");
}

TEST_F(CliStore, NoCommandButCreateMakesAStore) {
    ok({"destroy"});
    for (const Words& words :
         {Words{"get", "k"}, Words{"put", "k", "--value", "x", "--create"}, Words{"claim", "k"}, Words{"ls"},
          Words{"stat"}, Words{"check"}, Words{"watch", "k"}, Words{"destroy"}, Words{"reclaim", "k"},
          Words{"del", "k", "--force"}}) {
        expect_fails(words, 66, "no_store");
    }
    EXPECT_NE(run({"get", "k"}).err.find("keystile create"), std::string::npos);
    EXPECT_EQ(run({"destroy"}).err.find("keystile create"), std::string::npos);
}

TEST_F(CliStore, CreatingInAFolderThatIsNotThereIsNotAdvisedToCreate) {
    expect_fails({"create", "--store", "shm:/no/such/dir/y"}, 66, "no_store");
    const std::string said = run({"create", "--store", "shm:/no/such/dir/y"}).err;
    EXPECT_EQ(said.find("keystile create"), std::string::npos) << said;
    EXPECT_NE(said.find("there is no folder /no/such/dir"), std::string::npos) << said;
    const std::string of_a_file = run({"create", "--store", "file:/proc/version"}).err;
    EXPECT_NE(of_a_file.find("/proc/version is a file"), std::string::npos) << of_a_file;
}

TEST_F(CliStore, AStoreInUseIsDestroyedByForceOnly) {
    ok({"put", "k", "--value", "x", "--create"});
    Running watcher({binary(), "watch", "k", "--version", "0", "--epoch", "0"}, environment());
    watcher.next_line();
    expect_fails({"destroy"}, 12, "held");
    ok({"destroy", "--force"});
    expect_fails({"get", "k"}, 66, "no_store");
}

TEST_F(CliStore, ADurableStoreIsCompacted) {
    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("keystile-cli-" + std::to_string(::getpid()));
    const std::string url = "file:" + folder.string();
    ok({"create", "--store", url});
    ok({"put", "k", "--value", "x", "--create", "--store", url});
    EXPECT_EQ(ok({"compact", "--store", url}), url + ": a checkpoint was made\n");
    EXPECT_EQ(run({"compact", "--json", "--store", url}).json()["status"], "ok");
    int checkpoints = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        checkpoints += entry.path().filename().string().starts_with("checkpoint-") ? 1 : 0;
    EXPECT_GE(checkpoints, 1);
    EXPECT_EQ(ok({"get", "k", "--store", url}), "x");
    ok({"destroy", "--store", url});
    std::filesystem::remove_all(folder);
    expect_fails({"compact", "--store", url}, 66, "no_store");
    expect_fails({"compact"}, 64, "usage");  // a volatile one
}

TEST_F(CliStore, ADurableStoreIsVerified) {
    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("keystile-cli-verify-" + std::to_string(::getpid()));
    const std::string url = "file:" + folder.string();
    ok({"put", "k", "--value", "x", "--create", "--store", (ok({"create", "--store", url}), url)});
    EXPECT_NE(ok({"verify", folder.string()}).find(" is sound: 1 commit in 1 journal file, "),
              std::string::npos);
    const auto sound = run({"verify", "--json", "--store", url}).json();
    EXPECT_EQ(sound["status"], "ok");
    EXPECT_EQ(sound["records"], 1);
    EXPECT_EQ(sound["damages"].size(), 0u);
    const std::string journal = (folder / "journal-000001").string();
    ASSERT_EQ(truncate(journal.c_str(), 40), 0);
    expect_fails({"verify", folder.string()}, 65, "unusable");
    const auto damaged = run({"verify", "--json", folder.string()}).json();
    EXPECT_EQ(damaged["damages"][0]["path"], journal);
    EXPECT_EQ(damaged["damages"][0]["offset"], 0);
    EXPECT_EQ(damaged["damages"][0]["cost"], "loss");
    EXPECT_EQ(damaged["damages"][0]["below_mark"], true);
    EXPECT_NE(run({"verify", folder.string()}).out.find("loss: " + journal + " at offset 0"),
              std::string::npos);
    ok({"destroy", "--store", url});
    std::filesystem::remove_all(folder);
    expect_fails({"verify", folder.string()}, 66, "no_store");
    expect_fails({"verify"}, 64, "usage");  // a volatile one
}

TEST_F(CliStore, AHealthyStoreChecksClean) {
    ok({"put", "k", "--value", "x", "--create"});
    ok({"claim", "k", "--lease", "1h"});
    const auto answer = run({"check", "--json"}).json();
    EXPECT_EQ(answer["status"], "ok");
    EXPECT_EQ(answer["keys"], 1);
    EXPECT_EQ(answer["claimed"], 1);
    EXPECT_EQ(answer["problems"].size(), 0u);
    EXPECT_NE(ok({"check"}).find("consistent"), std::string::npos);
}

TEST_F(CliStore, ADamagedSegmentIsUnusable) {
    ASSERT_EQ(truncate(segment_of(store_).c_str(), 100), 0);
    expect_fails({"get", "k"}, 65, "unusable");
    expect_fails({"check"}, 65, "unusable");
    const int file = open(segment_of(store_).c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
    ASSERT_EQ(write(file, "a letter", 8), 8);
    close(file);
    expect_fails({"ls"}, 65, "unusable");
    expect_fails({"destroy"}, 65, "unusable");
    unlink(segment_of(store_).c_str());
}

TEST_F(CliStore, TheStoreMustBeNamed) {
    const std::string store = std::exchange(store_, "");
    expect_fails({"get", "k"}, 64, "usage");
    EXPECT_NE(run({"get", "k"}).err.find("--store"), std::string::npos);
    for (const char* of_a_folder : {"verify", "recover", "repair", "flushd", "log"})
        EXPECT_NE(run({of_a_folder}).err.find("Give DIR or --store file:/DIR"), std::string::npos)
            << of_a_folder;
    ok({"put", "k", "--value", "x", "--create", "--store", store});
    EXPECT_EQ(ok({"--store", store, "get", "k"}), "x");
    expect_fails({"--store", "demo", "get", "k"}, 64, "usage");
    expect_fails({"--store", "ftp:demo", "get", "k"}, 64, "usage");
    store_ = store;
}

TEST_F(CliStore, AFullOutputIsAFaultNotASuccess) {
    ok({"put", "k", "--value", "x", "--create"});
    EXPECT_EQ(shell("keystile get k > /dev/full").exit_code, 70);
    EXPECT_EQ(shell("keystile get k --json > /dev/full").exit_code, 70);
    EXPECT_EQ(shell("keystile claim k > /dev/full").exit_code, 70);
    ok({"claim", "k"});  // the claim whose token nobody got was given back
}

}  // namespace
}  // namespace keystile::test
