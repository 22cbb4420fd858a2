// keystile swarm: what it proves, what it refuses, and that it leaves nothing behind.
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <thread>

#include "../../bindings/cli/swarm/latency_histogram.hpp"
#include "command.hpp"

namespace keystile::test {
namespace {

using cli::swarm::LatencyHistogram;
using nlohmann::json;

class CliSwarm : public CliTest {
protected:
    // Few words, many chunks: every worker writes every key all the time.
    std::string hot_text() const {
        const std::string file = testing::TempDir() + "hot-" + std::to_string(getpid()) + ".txt";
        std::ofstream stream(file);
        for (int line = 0; line < 300; ++line) {
            stream << "the cat and the dog and the cat's kittens and the dog's puppies, all in all\n";
        }
        return file;
    }

    json swarm(Words arguments) const {
        arguments.insert(arguments.begin(), "swarm");
        arguments.push_back("--json");
        const Outcome outcome = run(arguments);
        EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
        return outcome.json();
    }

    void expect_usage(Words arguments, const std::string& word) const {
        arguments.insert(arguments.begin(), "swarm");
        const Outcome outcome = run(arguments);
        EXPECT_EQ(outcome.exit_code, 64) << outcome.out << outcome.err;
        EXPECT_NE(outcome.err.find(word), std::string::npos) << outcome.err;
    }
};

std::vector<std::string> temporary_stores_of(pid_t pid) {
    std::vector<std::string> names;
    const std::string prefix = "keystile.swarm-" + std::to_string(pid) + "-";
    for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
        if (entry.path().filename().string().starts_with(prefix)) {
            names.push_back(entry.path().filename().string());
        }
    }
    return names;
}

TEST_F(CliSwarm, NothingIsLostWhileWorkersAreStoppedAndKilled) {
    const json result = swarm({"--workers", "4", "--stop", "2", "--kill", "2", "--lease", "50ms"});
    EXPECT_GT(result["expected"], 280'000);
    EXPECT_EQ(result["found"], result["expected"]);
    EXPECT_EQ(result["lost"], 0);
    EXPECT_EQ(result["doubled"], 0);
    EXPECT_EQ(result["misplaced"], 0);
    EXPECT_EQ(result["noted"], result["chunks"]);
    EXPECT_EQ(result["stopped"], 2);
    EXPECT_EQ(result["killed"], 2);
    EXPECT_EQ(result["atomic"], true);
    EXPECT_EQ(result["redone"], 0);  // of a chunk that was not finished, nothing is there
    EXPECT_GE(result["fenced"], 2);  // a busy machine may hold up others for longer than their lease
    EXPECT_GE(result["commits"], result["chunks"]);
    EXPECT_GT(result["p50_ns"], 0);
    EXPECT_GE(result["p99_ns"], result["p50_ns"]);
    EXPECT_GT(result["elapsed_s"], 0.0);
    EXPECT_EQ(result["events"].size(), 4);
}

TEST_F(CliSwarm, NorWithACommitForEachWord) {
    const json result =
        swarm({"--no-atomic", "--workers", "4", "--stop", "2", "--kill", "2", "--lease", "50ms"});
    EXPECT_EQ(result["atomic"], false);
    EXPECT_EQ(result["found"], result["expected"]);
    EXPECT_EQ(result["lost"], 0);
    EXPECT_EQ(result["doubled"], 0);
    EXPECT_EQ(result["misplaced"], 0);
    EXPECT_EQ(result["noted"], result["chunks"]);
    EXPECT_GE(result["fenced"], 2);
    EXPECT_GT(result["commits"], 100 * result["chunks"].get<int64_t>());
}

TEST_F(CliSwarm, AChunkOfAnAtomicSwarmIsOneCommit) {
    const json result = swarm({"--workers", "1", "--atomic"});
    EXPECT_EQ(result["commits"], 2 * result["chunks"].get<int64_t>());  // taken, and done
    EXPECT_EQ(result["conflicts"], 0);
    EXPECT_EQ(result["lost"], 0);
}

// More different words than one commit takes keys, and no white space to cut at.
TEST_F(CliSwarm, AChunkWithTooManyWordsIsSplit) {
    const std::string file = testing::TempDir() + "many-" + std::to_string(getpid()) + ".txt";
    std::ofstream stream(file);
    for (int word = 0; word < 3000; ++word) stream << "w" << word << ",";
    stream << "''" << std::string(200, 'x') << "'" << std::string(64, 'y') << "'w7";
    stream.close();
    const json result = swarm({"--workers", "2", "--input", file, "--chunk-bytes", "16M"});
    EXPECT_EQ(result["chunks"], 3);
    EXPECT_EQ(result["noted"], 3);
    EXPECT_EQ(result["expected"], 3000 + 3 + 2);  // of at most 64 bytes: three of x alone, two around a '
    EXPECT_EQ(result["found"], result["expected"]);
    EXPECT_EQ(result["lost"], 0);
    EXPECT_EQ(result["doubled"], 0);
    EXPECT_EQ(result["misplaced"], 0);
    EXPECT_EQ(swarm({"--no-atomic", "--workers", "2", "--input", file, "--chunk-bytes", "16M"})["chunks"], 1);
}

// Read with other code than wrote it: a count and places, and nothing that says which chunks are in it.
TEST_F(CliSwarm, AnAtomicSwarmsValueIsACountAndPlaces) {
    const std::string text = hot_text();
    ok({"swarm", "--store", store_, "--input", text, "--workers", "3", "--chunk-bytes", "256"});
    std::ifstream stream(text);
    const std::string all((std::istreambuf_iterator<char>(stream)), {});
    const std::string value = ok({"get", "word/kittens"});
    ASSERT_GE(value.size(), 16u);
    uint64_t count = 0;
    memcpy(&count, value.data(), sizeof count);
    EXPECT_EQ(count, 300u);
    std::set<uint64_t> places;
    uint64_t place = 0;
    for (size_t at = 16; at < value.size(); ++at) {
        uint64_t coded = 0;
        for (unsigned shift = 0;; shift += 7, ++at) {
            coded |= (uint64_t{static_cast<unsigned char>(value[at])} & 0x7F) << shift;
            if (static_cast<unsigned char>(value[at]) < 0x80) break;
        }
        place += coded % 2 == 0 ? coded / 2 : ~(coded / 2);  // zigzag
        places.insert(place);
        EXPECT_EQ(all.compare(place, 7, "kittens"), 0) << place;
    }
    EXPECT_EQ(places.size(), 300u);
}

TEST_F(CliSwarm, TheSameWorkLosesWordsOnlyWithoutTheGuard) {
    const std::string text = hot_text();
    const Words work = {"--workers", "4", "--input", text, "--chunk-bytes", "128", "--think", "100us"};
    const json guarded = swarm(work);
    EXPECT_EQ(guarded["lost"], 0);
    EXPECT_EQ(guarded["doubled"], 0);
    EXPECT_GT(guarded["conflicts"], 0);
    EXPECT_GE(guarded["retries"], guarded["conflicts"]);

    Words unguarded_work = work;
    unguarded_work.push_back("--unguarded");
    const json unguarded = swarm(unguarded_work);
    EXPECT_EQ(unguarded["expected"], guarded["expected"]);
    EXPECT_GT(unguarded["lost"], 0);
    EXPECT_EQ(unguarded["found"].get<int64_t>(), unguarded["expected"].get<int64_t>() -
                                                     unguarded["lost"].get<int64_t>() +
                                                     unguarded["doubled"].get<int64_t>());
    EXPECT_EQ(unguarded["conflicts"], 0);
}

TEST_F(CliSwarm, AStoreThatWasNamedIsLeftForReading) {
    const std::string text = hot_text();
    const Words arguments = {"swarm",     "--store", store_,          "--input", text,
                             "--workers", "2",       "--chunk-bytes", "512"};
    const std::string table = ok(arguments);
    EXPECT_NE(table.find("lost updates"), std::string::npos) << table;
    EXPECT_NE(table.find("Nothing is lost"), std::string::npos) << table;
    EXPECT_EQ(ok({"get", "chunk/00000"}).substr(0, 15), "done by worker ");
    EXPECT_EQ(ok({"get", "notes"}).substr(0, 6), "noted ");
    EXPECT_NE(ok({"ls", "word/"}).find("word/cat's"), std::string::npos);

    const Outcome again = run(arguments);  // its keys would be counted twice
    EXPECT_EQ(again.exit_code, 64);
    EXPECT_NE(again.err.find("already"), std::string::npos) << again.err;
}

TEST_F(CliSwarm, TheStoreOfTheEnvironmentIsNotTouched) {
    ok({"swarm", "--input", hot_text(), "--workers", "1", "--quiet"});
    EXPECT_EQ(ok({"ls"}), "");
}

// A durable store in a folder of the test's own.
class CliDurableSwarm : public CliSwarm {
protected:
    void SetUp() override {
        CliSwarm::SetUp();
        folder_ = testing::TempDir() + "swarm-" + std::to_string(getpid());
        std::filesystem::remove_all(folder_);
        url_ = "file:" + folder_;
    }
    void TearDown() override {
        run({"destroy", "--store", url_, "--force"});
        std::filesystem::remove_all(folder_);
        CliSwarm::TearDown();
    }

    void expect_crash_was_survived(const json& result) const {
        EXPECT_EQ(result["found"], result["expected"]);
        EXPECT_EQ(result["lost"], 0);
        EXPECT_EQ(result["doubled"], 0);
        EXPECT_EQ(result["misplaced"], 0);
        EXPECT_EQ(result["noted"], result["chunks"]);
        EXPECT_EQ(result["on_disk"], result["chunks"]);
        EXPECT_EQ(result["killed"], result["workers"]);
        const json& crash = result["crash"];
        EXPECT_GT(crash["finished"], 0);
        EXPECT_LT(crash["finished"], result["chunks"]);  // it was in the middle
        EXPECT_LE(crash["acknowledged"], crash["recovered"]);
        EXPECT_EQ(crash["finished"].get<int64_t>() - crash["recovered"].get<int64_t>(), crash["again"]);
        EXPECT_GT(crash["journal_files"], 0);
        EXPECT_GT(crash["recovery_s"], 0.0);
    }

    std::string folder_, url_;
};

TEST_F(CliDurableSwarm, AllIsOnDiskInTheEnd) {
    const json result = swarm(
        {"--store", url_, "--workers", "3", "--input", hot_text(), "--chunk-bytes", "256", "--kill", "1"});
    EXPECT_EQ(result["lost"], 0);
    EXPECT_EQ(result["doubled"], 0);
    EXPECT_GT(result["chunks"], 50);
    EXPECT_EQ(result["on_disk"], result["chunks"]);
    EXPECT_EQ(ok({"get", "--store", url_, "chunk/00000"}).substr(0, 15), "done by worker ");
}

TEST_F(CliDurableSwarm, WhenEverybodyIsKilledTheRestIsDoneAgainAndNothingTwice) {
    expect_crash_was_survived(
        swarm({"--store", url_, "--crash", "--workers", "3", "--input", hot_text(), "--chunk-bytes", "128"}));
    // The store is whole for whoever comes next, though its memory went with the swarm.
    EXPECT_EQ(ok({"get", "--store", url_, "notes"}).substr(0, 6), "noted ");
    EXPECT_EQ(run({"verify", folder_}).exit_code, 0);
}

TEST_F(CliDurableSwarm, NorWithACommitForEachWord) {
    expect_crash_was_survived(swarm({"--store", url_, "--crash", "--no-atomic", "--workers", "3", "--input",
                                     hot_text(), "--chunk-bytes", "256"}));
}

TEST_F(CliDurableSwarm, ACrashLeavesNothingInMemory) {
    Running swarm({binary(), "swarm", "--store", url_, "--crash", "--workers", "2", "--input", hot_text(),
                   "--chunk-bytes", "512"},
                  environment());
    std::string table;
    for (std::string line = swarm.next_line(); table.find("wrong places") == std::string::npos;
         line = swarm.next_line()) {
        table += line + "\n";
    }
    EXPECT_EQ(swarm.wait(), 0) << table;
    for (const char* row : {"crashed", "acknowledged", "recovered", "done again", "on disk"}) {
        EXPECT_NE(table.find(row), std::string::npos) << table;
    }
    EXPECT_TRUE(temporary_stores_of(swarm.pid()).empty());
}

TEST_F(CliDurableSwarm, OnlyANewStoreOfItsOwnIsCrashed) {
    expect_usage({"--crash"}, "--store file:DIR");
    expect_usage({"--crash", "--store", store_}, "--store file:DIR");
    expect_usage({"--crash", "--store", url_, "--kill", "1"}, "--kill");
    expect_usage({"--crash", "--store", url_, "--unguarded"}, "--unguarded");
    EXPECT_FALSE(std::filesystem::exists(folder_)) << "made, though nothing was done";

    ok({"create", "--store", url_});
    ok({"put", "--store", url_, "plan", "--value", "ship it", "--create"});
    expect_usage({"--crash", "--store", url_}, "already");
    EXPECT_EQ(ok({"get", "--store", url_, "plan"}).substr(0, 7), "ship it");
}

TEST_F(CliDurableSwarm, AFolderThatHoldsSomethingElseIsRefused) {
    std::filesystem::create_directory(folder_);
    std::ofstream(folder_ + "/letter") << "dear";
    expect_usage({"--store", url_}, "something else");
    expect_usage({"--store", url_, "--crash"}, "something else");
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(CliSwarm, WhatCannotBeDoneIsRefused) {
    const std::string text = hot_text();
    expect_usage({"--workers", "4", "--stop", "4"}, "--stop");
    expect_usage({"--workers", "4", "--kill", "4"}, "--kill");
    expect_usage({"--atomic", "--unguarded"}, "--atomic");
    expect_usage({"--atomic", "--no-atomic"}, "--atomic");
    expect_usage({"--workers", "0"}, "--workers");
    expect_usage({"--workers", "many"}, "--workers");
    expect_usage({"--lease", "1ms"}, "--lease");
    expect_usage({"--chunk-bytes", "1"}, "--chunk-bytes");
    expect_usage({"--input", "/nowhere/at all"}, "/nowhere/at all");
    expect_usage({"--input", testing::TempDir()}, "directory");
    expect_usage({"--input", "/dev/null"}, "empty");
    expect_usage({"--input", text, "--chunk-bytes", "16K", "--stop", "2"}, "--chunk-bytes");
}

TEST_F(CliSwarm, InterruptedItLeavesNoStore) {
    Running swarm({binary(), "swarm", "--think", "1ms", "--quiet"}, environment());
    while (temporary_stores_of(swarm.pid()).empty()) {
        std::this_thread::yield();
    }
    swarm.signal(SIGINT);
    EXPECT_EQ(swarm.wait(), 128 + SIGINT);
    EXPECT_TRUE(temporary_stores_of(swarm.pid()).empty());
}

TEST(LatencyHistogram, QuantilesAreAtMostOneThirtySecondTooHigh) {
    LatencyHistogram histogram;
    EXPECT_EQ(histogram.quantile_ns(0.5), 0);
    for (uint64_t ns = 1; ns <= 100'000; ++ns) {
        histogram.record(ns * 7);
    }
    for (const double quantile : {0.01, 0.5, 0.99, 0.999, 1.0}) {
        const double exact = quantile * 700'000;
        EXPECT_GE(static_cast<double>(histogram.quantile_ns(quantile)), exact * 0.9999);
        EXPECT_LE(static_cast<double>(histogram.quantile_ns(quantile)), exact * 33 / 32 + 7);
    }
}

TEST(LatencyHistogram, EveryDurationHasABucketThatEndsBehindIt) {
    for (unsigned shift = 0; shift < 40; ++shift) {
        for (const uint64_t ns :
             {uint64_t{1} << shift, (uint64_t{1} << shift) - 1, (uint64_t{3} << shift) / 2}) {
            const size_t bucket = LatencyHistogram::index_of(ns);
            EXPECT_GE(LatencyHistogram::largest_in(bucket), ns);
            EXPECT_TRUE(bucket == 0 || LatencyHistogram::largest_in(bucket - 1) < ns) << ns;
        }
    }
    EXPECT_EQ(LatencyHistogram::index_of(UINT64_MAX), LatencyHistogram::kBuckets - 1);
}

}  // namespace
}  // namespace keystile::test
