// log, watch --prefix: the history of a durable store.
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <regex>
#include <sstream>
#include <thread>

#include "command.hpp"

namespace keystile::test {
namespace {

class CliLog : public CliTest {
protected:
    CliLog()
        : folder_(std::filesystem::temp_directory_path() /
                  ("keystile-cli-log-" + std::to_string(::getpid()))),
          url_("file:" + folder_.string()) {
        std::filesystem::remove_all(folder_);
    }
    ~CliLog() override {
        run({"destroy", "--store", url_});
        std::filesystem::remove_all(folder_);
    }
    void put(const std::string& key, const std::string& value) const {
        ok({"put", key, "--force", "--store", url_}, value);
    }
    // Without the time and the epoch.
    std::string log(Words words) const {
        words.insert(words.begin(), {"log", folder_.string()});
        const std::regex varying(R"(^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z  | epoch=\d+)");
        std::istringstream lines(ok(words));
        std::string text, line;
        while (std::getline(lines, line)) text += std::regex_replace(line, varying, "") + "\n";
        return text;
    }

    std::filesystem::path folder_;
    std::string url_;
};

TEST_F(CliLog, HasEveryCommitOnce) {
    ok({"create", "--store", url_});
    EXPECT_EQ(log({}), "");
    put("a/1", "x");
    put("b", "y");
    put("a/1", "z\n");
    ok({"del", "a/1", "--force", "--store", url_});
    EXPECT_EQ(log({}),
              "keystile put    put     a/1  version=1\n"
              "keystile put    put     b  version=2\n"
              "keystile put    put     a/1  version=3\n"
              "keystile del    delete  a/1  version=4\n");
    EXPECT_EQ(log({"--key", "b"}), "keystile put    put     b  version=2\n");
    EXPECT_EQ(log({"--prefix", "a/", "--from", "2", "--count", "1", "--value"}),
              "keystile put    put     a/1  version=3  z\\x0a\n");
    EXPECT_EQ(log({"--from", "100"}), "");

    ok({"multi", "--store", url_}, "{\"put\":\"a/2\",\"value\":\"v\"}\n{\"put\":\"c\",\"value\":\"w\"}\n");
    const auto answer = run({"log", "--store", url_, "--json", "--from", "5", "--value"}).json();
    EXPECT_EQ(answer["status"], "ok");
    EXPECT_EQ(answer["lsn"], 5);
    EXPECT_EQ(answer["label"], "keystile multi");
    ASSERT_EQ(answer["entries"].size(), 2u);
    for (const auto& entry : answer["entries"]) {
        EXPECT_EQ(entry["event"], "put");
        EXPECT_EQ(entry["version"], 5);
        EXPECT_EQ(entry["version_before"], 0);
        EXPECT_EQ(entry["value"], entry["key"] == "c" ? "w" : "v");
    }
    EXPECT_EQ(run({"log", url_, "--json", "--from", "5", "--key", "c"}).json()["entries"].size(), 1u);
}

TEST_F(CliLog, Follows) {
    ok({"create", "--store", url_});
    put("a", "1");
    Running follower({binary(), "log", url_, "--follow", "--count", "2", "--value"}, environment());
    EXPECT_TRUE(follower.next_line().ends_with("  1"));
    put("b", "2");
    EXPECT_TRUE(follower.next_line().ends_with("  2"));
    EXPECT_EQ(follower.wait(), 0);
}

TEST_F(CliLog, OfWhatCheckpointsReplacedSaysWhereItBegins) {
    ok({"create", "--store", url_});
    const std::string large(1'500'000, 'v');
    put("a", large);  // fills the first file
    put("a", large);
    ok({"compact", "--store", url_});
    put("b", "x");
    ok({"compact", "--store", url_});
    EXPECT_FALSE(std::filesystem::exists(folder_ / "journal-000001"));
    expect_fails({"log", url_, "--from", "1"}, 17, "lagged");
    EXPECT_EQ(run({"log", url_, "--from", "1", "--json"}).json()["oldest_lsn"], 2);
    EXPECT_EQ(log({}),
              "keystile put    put     a  version=2\n"
              "keystile put    put     b  version=3\n");
}

TEST_F(CliLog, WatchesEveryKeyOfAPrefix) {
    ok({"create", "--store", url_});
    put("jobs/old", "x");
    Running watcher({binary(), "watch", "--prefix", "jobs/", "--once", "--value", "--store", url_},
                    environment());
    std::atomic<bool> is_seen{false};
    std::thread writer([&] {  // until it is there
        while (!is_seen) {
            put("other", "y");
            put("jobs/1", "z");
        }
    });
    const std::string line = watcher.next_line();
    is_seen = true;
    writer.join();
    EXPECT_TRUE(line.starts_with("put     jobs/1  version=") && line.ends_with("  z")) << line;
    EXPECT_EQ(watcher.wait(), 0);
    expect_fails({"watch", "--prefix", "jobs/", "--timeout", "20ms", "--store", url_}, 14, "timeout");
}

TEST_F(CliLog, MistakesAreNamed) {
    expect_fails({"log"}, 64, "usage");  // a volatile store
    expect_fails({"log", "shm:demo"}, 64, "usage");
    expect_fails({"log", url_}, 66, "no_store");
    expect_fails({"log", url_, "--from", "now"}, 64, "usage");
    expect_fails({"watch", "--prefix", "jobs/"}, 64, "usage");
    EXPECT_NE(run({"watch", "--prefix", "jobs/"}).err.find("keeps no history"), std::string::npos);
    expect_fails({"watch"}, 64, "usage");
    ok({"create", "--store", url_});
    expect_fails({"watch", "k", "--prefix", "jobs/", "--store", url_}, 64, "usage");
}

}  // namespace
}  // namespace keystile::test
