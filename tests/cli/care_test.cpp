// recover, repair, flushd: the commands that care for a durable store on disk.
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "abi/keystile.h"
#include "command.hpp"

namespace keystile::test {
namespace {

namespace fs = std::filesystem;

class CliCare : public CliTest {
protected:
    void SetUp() override {
        CliTest::SetUp();
        static int count = 0;
        folder_ = fs::temp_directory_path() /
                  ("keystile-care-" + std::to_string(getpid()) + "-" + std::to_string(++count));
        fs::remove_all(folder_);
        url_ = "file:" + folder_.string();
        ok({"create", "--store", url_, "--max-bytes", "64M"});
        for (const char* key : {"a", "b", "c"}) put(key);
    }
    void TearDown() override {
        run({"destroy", "--store", url_});
        fs::remove_all(folder_);
        CliTest::TearDown();
    }

    void put(const std::string& key) {
        ok({"put", key, "--value", "value " + key, "--force", "--store", url_});
    }
    std::string get(const std::string& key) { return ok({"get", key, "--store", url_}); }
    fs::path journal() const { return folder_ / "journal-000001"; }
    void lose_segment() {
        std::ifstream lock(folder_ / "lock");
        std::string word;
        while (lock >> word) {
            if (word.starts_with("/")) fs::remove(word);
        }
    }
    static void spoil(const fs::path& path, long offset) {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(offset);
        file.put('?');
    }

    fs::path folder_;
    std::string url_;
};

// ---- recover

TEST_F(CliCare, RecoverSaysBeforeWhatItThenDoes) {
    EXPECT_NE(ok({"recover", folder_.string()}).find("needs no recovery"), std::string::npos);
    EXPECT_NE(ok({"recover", "--dry-run", folder_.string()}).find("is in memory"), std::string::npos);
    EXPECT_EQ(run({"recover", "--dry-run", "--json", folder_.string()}).json()["needed"], false);
    lose_segment();
    const auto dry = run({"recover", "--dry-run", "--json", folder_.string()}).json();
    EXPECT_EQ(dry["status"], "ok");
    EXPECT_EQ(dry["needed"], true);
    EXPECT_EQ(dry["records"], 3);
    EXPECT_EQ(dry["incarnation"], 2);
    EXPECT_EQ(dry["end_file"], "journal-000001");
    EXPECT_EQ(run({"recover", "--dry-run", "--json", folder_.string()}).json(), dry);  // nothing was done
    const auto done = run({"recover", "--json", "--store", url_}).json();
    EXPECT_EQ(done["needed"], true);
    for (const char* name :
         {"records", "entries", "last_lsn", "incarnation", "end_file", "end_offset", "cut"})
        EXPECT_EQ(done[name], dry[name]) << name;
    EXPECT_EQ(run({"recover", "--json", folder_.string()}).json()["needed"], false);
    EXPECT_EQ(get("c"), "value c");
}

TEST_F(CliCare, RecoverTellsWhatItWouldCutAndWhatItRefuses) {
    lose_segment();
    const long end = run({"recover", "--dry-run", "--json", folder_.string()}).json()["end_offset"];
    spoil(journal(), end - 20);
    expect_fails({"recover", "--dry-run", folder_.string()}, 65, "unusable");
    expect_fails({"recover", folder_.string()}, 65, "unusable");
    EXPECT_NE(run({"recover", folder_.string()}).err.find("keystile repair"), std::string::npos);
    EXPECT_EQ(run({"recover", "--dry-run", "--json", folder_.string()}).json()["damages"].size(), 1u);
    fs::remove(folder_ / "mark");  // now nobody knows that it was on disk
    EXPECT_NE(ok({"recover", "--dry-run", folder_.string()}).find("; cut behind that: "), std::string::npos);
    EXPECT_TRUE(run({"recover", "--json", folder_.string()}).json()["cut"].is_string());
    EXPECT_EQ(get("b"), "value b");
    expect_fails({"get", "c", "--store", url_}, 13, "not_found");
}

// ---- repair

TEST_F(CliCare, RepairTellsWhatIsLostAndWithYesDoesIt) {
    EXPECT_EQ(ok({"repair", folder_.string()}), url_ + " needs no repair\n");
    lose_segment();
    spoil(journal(), 4096 + 60);
    expect_fails({"get", "a", "--store", url_}, 65, "unusable");
    const Outcome told = run({"repair", folder_.string()});
    EXPECT_EQ(told.exit_code, 65);
    EXPECT_NE(told.out.find("loss: " + journal().string() + " at offset 4096: "), std::string::npos)
        << told.out;
    EXPECT_NE(told.out.find("kept: 0 keys"), std::string::npos) << told.out;
    EXPECT_NE(told.out.find("lost: 2 commits of 2 keys, 2 to 3"), std::string::npos) << told.out;
    EXPECT_NE(told.out.find("lost: c, last commit 3"), std::string::npos) << told.out;
    EXPECT_NE(told.err.find("--yes"), std::string::npos) << told.err;
    const auto plan = run({"repair", "--json", folder_.string()}).json();
    EXPECT_EQ(plan["need"], "needed");
    EXPECT_EQ(plan["done"], false);
    EXPECT_EQ(plan["lost_keys"][0]["key"], "b");
    EXPECT_EQ(plan["damages"][0]["offset"], 4096);
    const auto done = run({"repair", "--yes", "--json", folder_.string()}).json();
    EXPECT_EQ(done["status"], "ok");
    EXPECT_EQ(done["done"], true);
    EXPECT_EQ(done["lost_keys"], plan["lost_keys"]);
    EXPECT_TRUE(fs::exists(folder_ / std::string(done["folder"]) / "journal-000001"));
    ok({"verify", folder_.string()});
    put("a");
    EXPECT_EQ(get("a"), "value a");
    EXPECT_EQ(run({"repair", "--yes", "--json", folder_.string()}).json()["need"], "not_needed");
}

TEST_F(CliCare, RepairSendsWhoHasTheSegmentToCompact) {
    spoil(journal(), 4096 + 60);
    expect_fails({"repair", "--yes", folder_.string()}, 12, "held");
    EXPECT_NE(run({"repair", folder_.string()}).err.find("keystile compact --store " + url_),
              std::string::npos);
    ok({"compact", "--store", url_});
    lose_segment();
    EXPECT_EQ(ok({"repair", folder_.string()}), url_ + " needs no repair\n");
    EXPECT_EQ(get("a"), "value a");
}

TEST_F(CliCare, RepairIsRefusedWhileSomebodyHasItOpen) {
    Running flusher({binary(), "flushd", folder_.string()}, environment());
    flusher.next_line();
    expect_fails({"repair", "--yes", folder_.string()}, 12, "held");
    flusher.signal(SIGTERM);
    EXPECT_EQ(flusher.wait(), 0);
    ok({"repair", "--yes", "--drop-segment", folder_.string()});
    expect_fails({"repair"}, 64, "usage");  // a volatile one
    expect_fails({"repair", "/no/such/folder"}, 66, "no_store");
}

// ---- flushd

class Opened {
public:
    explicit Opened(const std::string& url) {
        ks_open_options options{};
        options.struct_size = sizeof options;
        options.flags = KS_OPEN_MUST_EXIST | KS_OPEN_NO_FLUSHER;
        EXPECT_EQ(ks_open(url.c_str(), &options, &store_), KS_OK) << ks_last_error();
    }
    Opened(const Opened&) = delete;
    Opened& operator=(const Opened&) = delete;
    ~Opened() { ks_close(store_); }

    uint64_t put(const std::string& value) {
        ks_session* const session = ks_default_session(store_);
        const ks_bytes key{"k", 1};
        ks_stamp seen{};
        (void)ks_get(session, key, nullptr, 0, nullptr, &seen);
        ks_receipt receipt{};
        EXPECT_EQ(ks_commit(session, key, seen, {value.data(), value.size()}, nullptr, &receipt), KS_OK);
        return receipt.lsn;
    }

private:
    ks_store* store_ = nullptr;
};

uint64_t last_lsn(const std::string& url) {
    ks_verify_report report{};
    report.struct_size = sizeof report;
    EXPECT_EQ(ks_verify(url.c_str(), nullptr, nullptr, &report), KS_OK) << ks_last_error();
    return report.recovery.last_lsn;
}

TEST_F(CliCare, FlushdFlushesForAllAndALastTime) {
    Opened program(url_);
    {
        Running flusher({binary(), "flushd", folder_.string()}, environment());
        Running another({binary(), "flushd", folder_.string()}, environment());
        EXPECT_EQ(flusher.next_line(), "flushing " + url_ + " every 5ms");
        another.next_line();
        const uint64_t lsn = program.put("by the interval");
        while (last_lsn(url_) < lsn) {
        }
        for (Running* one : {&flusher, &another}) {
            one->signal(SIGTERM);
            EXPECT_EQ(one->wait(), 0);
        }
    }
    uint64_t lsn = program.put("at the beginning");
    Running slow({binary(), "flushd", "--json", "--interval", "1h", folder_.string()}, environment());
    slow.next_line();
    while (last_lsn(url_) < lsn) {
    }
    lsn = program.put("at the end");
    EXPECT_LT(last_lsn(url_), lsn);
    slow.signal(SIGINT);
    EXPECT_NE(slow.next_line().find("\"event\":\"ended\""), std::string::npos);
    EXPECT_EQ(slow.wait(), 0);
    EXPECT_EQ(last_lsn(url_), lsn);
    expect_fails({"flushd", "--interval", "0", folder_.string()}, 64, "usage");
    expect_fails({"flushd", "--interval", "2h", folder_.string()}, 64, "usage");
    expect_fails({"flushd", "/no/such/folder"}, 66, "no_store");
}

// What was in it is in memory, and comes into new files.
TEST_F(CliCare, FlushdMendsAJournalWhoseFileIsLost) {
    Opened program(url_);
    program.put("on disk");
    ok({"compact", "--store", url_});  // a folder without journal and checkpoint is no store
    const uint64_t before = program.put("before");
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
        if (entry.path().filename().string().starts_with("journal-")) std::filesystem::remove(entry.path());
    }
    Running flusher({binary(), "flushd", "--json", folder_.string()}, environment());
    flusher.next_line();
    const auto refused = nlohmann::json::parse(flusher.next_line());
    EXPECT_EQ(refused["event"], "refused");
    EXPECT_EQ(refused["code"], "KS_E_JOURNAL");
    EXPECT_NE(refused["error"].get<std::string>().find("keystile compact"), std::string::npos);
    EXPECT_EQ(nlohmann::json::parse(flusher.next_line())["event"], "goes_on");
    EXPECT_GE(last_lsn(url_), before);
    flusher.signal(SIGTERM);
    flusher.next_line();
    EXPECT_EQ(flusher.wait(), 0);
}

// A disk that is full for a while, by the limit of a file's size.
TEST_F(CliCare, FlushdSaysOnceThatTheDiskRefusesAndGoesOn) {
    Opened program(url_);
    Running flusher({binary(), "flushd", "--json", folder_.string()}, environment());
    flusher.next_line();
    rlimit limit{};
    ASSERT_EQ(prlimit(flusher.pid(), RLIMIT_FSIZE, nullptr, &limit), 0);
    const rlimit none{1024, limit.rlim_max};
    ASSERT_EQ(prlimit(flusher.pid(), RLIMIT_FSIZE, &none, nullptr), 0);
    const uint64_t lsn = program.put("no room");
    const auto refused = nlohmann::json::parse(flusher.next_line());
    EXPECT_EQ(refused["event"], "refused");
    EXPECT_EQ(refused["code"], "KS_E_FULL");
    ASSERT_EQ(prlimit(flusher.pid(), RLIMIT_FSIZE, &limit, nullptr), 0);
    EXPECT_EQ(nlohmann::json::parse(flusher.next_line())["event"], "goes_on");
    EXPECT_EQ(last_lsn(url_), lsn);
    // At the end the exit code says whether all is on disk.
    ASSERT_EQ(prlimit(flusher.pid(), RLIMIT_FSIZE, &none, nullptr), 0);
    program.put("no room again");
    EXPECT_EQ(nlohmann::json::parse(flusher.next_line())["event"], "refused");
    flusher.signal(SIGTERM);
    EXPECT_EQ(nlohmann::json::parse(flusher.next_line())["status"], "fault");
    EXPECT_EQ(flusher.wait(), 70);
}

}  // namespace
}  // namespace keystile::test
