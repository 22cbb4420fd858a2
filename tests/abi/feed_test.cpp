// Feeds: every commit of a durable store once, in order, whatever becomes of the store meanwhile.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "support/child.hpp"
#include "support/test_store.hpp"

namespace keystile::testing {

namespace {

namespace fs = std::filesystem;

struct Entry {
    std::string key, value;
    ks_stamp stamp;
    uint64_t version_before;
    bool is_deleted;
};
struct Commit {
    uint64_t lsn, wall_ns;
    std::string label;
    std::vector<Entry> entries;
};

class FeedTest : public ::testing::Test {
protected:
    void SetUp() override {
        folder_ = fs::temp_directory_path() / ("keystile-feed-" + std::to_string(::getpid()));
        fs::remove_all(folder_);
        url_ = "file:" + folder_.string();
    }
    void TearDown() override {
        ks_feed_close(feed_);
        close();
        (void)ks_destroy(url_.c_str(), KS_DESTROY_FORCE);
        fs::remove_all(folder_);
    }

    ks_status open(uint32_t flags = KS_OPEN_NO_FLUSHER) {
        ks_open_options options{};
        options.struct_size = sizeof options;
        options.flags = flags;
        options.expected_keys = 1;
        options.max_bytes = 64u << 20;
        options.label = "test";
        const ks_status s = ks_open(url_.c_str(), &options, &store_);
        session_ = s == KS_OK ? ks_default_session(store_) : nullptr;
        return s;
    }
    void close() {
        ks_close(store_);
        store_ = nullptr;
        session_ = nullptr;
    }
    void lose_segment() {  // as a reboot does
        std::ifstream lock(folder_ / "lock");
        std::string word;
        while (lock >> word) {
            if (word.starts_with("/")) fs::remove(word);
        }
    }

    ks_stamp stamp(const std::string& key) {
        ks_stamp seen{};
        (void)ks_get(session_, bytes(key), nullptr, 0, nullptr, &seen);
        return seen;
    }
    uint64_t put(const std::string& key, const std::string& value, uint32_t flags = 0) {
        ks_commit_options options{};
        options.struct_size = sizeof options;
        options.flags = flags;
        ks_receipt receipt{};
        EXPECT_EQ(ks_commit(session_, bytes(key), stamp(key), bytes(value), &options, &receipt), KS_OK)
            << ks_last_error();
        return receipt.lsn;
    }
    uint64_t put_durable(const std::string& key, const std::string& value) {
        return put(key, value, KS_COMMIT_DURABLE);
    }

    ks_status open_feed(uint64_t from, uint64_t* oldest = nullptr) {
        ks_feed_close(feed_);
        feed_ = nullptr;
        return ks_feed_open(url_.c_str(), from, &feed_, oldest);
    }
    // The next commit; status_ says why there is none.
    std::optional<Commit> next(uint64_t timeout_ns = 0) {
        ks_feed_commit told{};
        status_ = ks_feed_next(feed_, timeout_ns, &told);
        if (status_ != KS_OK) return std::nullopt;
        Commit commit{told.lsn, told.wall_ns, told.label, {}};
        for (size_t i = 0; i < told.size; ++i) {
            const ks_feed_entry& e = told.entries[i];
            commit.entries.push_back({{static_cast<const char*>(e.key.data), e.key.size},
                                      {static_cast<const char*>(e.value.data), e.value.size},
                                      e.stamp,
                                      e.version_before,
                                      e.is_deleted != 0});
        }
        return commit;
    }
    std::vector<uint64_t> rest() {
        std::vector<uint64_t> lsns;
        while (const auto commit = next()) lsns.push_back(commit->lsn);
        return lsns;
    }

    fs::path folder_;
    std::string url_;
    ks_store* store_ = nullptr;
    ks_session* session_ = nullptr;
    ks_feed* feed_ = nullptr;
    ks_status status_ = KS_OK;
};

TEST_F(FeedTest, ShowsEachCommitAsItWas) {
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    const std::string large(300'000, 'v');
    const uint64_t first = put("a", "1");
    const ks_stamp a = stamp("a");
    const uint64_t second = put("a", large);
    ks_grant grant{};
    ASSERT_EQ(ks_claim(session_, bytes("a"), nullptr, &grant, nullptr), KS_OK);  // no commit
    ASSERT_EQ(ks_release(session_, &grant, nullptr), KS_OK);
    const ks_stamp released = stamp("a");
    ks_receipt receipt{};
    ASSERT_EQ(ks_delete(session_, bytes("a"), released, nullptr, &receipt), KS_OK);
    ks_multi* multi = nullptr;
    ASSERT_EQ(ks_multi_begin(session_, &multi), KS_OK);
    ASSERT_EQ(ks_multi_put(multi, bytes("x"), bytes(""), nullptr), KS_OK);
    ASSERT_EQ(ks_multi_put(multi, bytes("y"), bytes("2"), nullptr), KS_OK);
    ASSERT_EQ(ks_multi_read(multi, bytes("a"), nullptr, 0, nullptr, nullptr), KS_NOT_FOUND);
    ASSERT_EQ(ks_multi_commit(multi), KS_OK);
    ks_multi_end(multi);
    ASSERT_EQ(ks_flush(store_), KS_OK);

    ASSERT_EQ(open_feed(0), KS_OK) << ks_last_error();
    auto commit = next();
    ASSERT_TRUE(commit);
    EXPECT_EQ(commit->lsn, first);
    EXPECT_EQ(commit->label, "test");
    EXPECT_GT(commit->wall_ns, 0u);
    ASSERT_EQ(commit->entries.size(), 1u);
    EXPECT_EQ(commit->entries[0].key, "a");
    EXPECT_EQ(commit->entries[0].value, "1");
    EXPECT_EQ(commit->entries[0].stamp.version, a.version);
    EXPECT_EQ(commit->entries[0].stamp.epoch, a.epoch);
    EXPECT_EQ(commit->entries[0].version_before, 0u);
    EXPECT_FALSE(commit->entries[0].is_deleted);
    commit = next();
    ASSERT_TRUE(commit);
    EXPECT_EQ(commit->lsn, second);
    EXPECT_EQ(commit->entries.at(0).value, large);
    EXPECT_EQ(commit->entries.at(0).version_before, first);
    commit = next();
    ASSERT_TRUE(commit);
    EXPECT_EQ(commit->lsn, receipt.lsn);
    EXPECT_TRUE(commit->entries.at(0).is_deleted);
    EXPECT_EQ(commit->entries.at(0).value, "");
    EXPECT_EQ(commit->entries.at(0).stamp.epoch, released.epoch);
    commit = next();
    ASSERT_TRUE(commit);
    std::map<std::string, std::string> put;  // a key that was only compared is not among them
    for (const Entry& entry : commit->entries) put[entry.key] = entry.value;
    EXPECT_EQ(put, (std::map<std::string, std::string>{{"x", ""}, {"y", "2"}}));
    EXPECT_FALSE(next());
    EXPECT_EQ(status_, KS_TIMEOUT);
}

TEST_F(FeedTest, GoesOnFromAnyLsn) {
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    std::vector<uint64_t> lsns;
    const std::string large(100'000, 'v');  // four files
    for (int i = 0; i < 80; ++i) {
        lsns.push_back(put("k" + std::to_string(i % 3), large));
        if (i % 10 == 9) {
            ASSERT_EQ(ks_flush(store_), KS_OK);
        }
    }
    ASSERT_TRUE(fs::exists(folder_ / "journal-000003"));
    for (const bool is_in_use : {true, false}) {
        if (!is_in_use) {
            close();
            lose_segment();
        }
        for (uint64_t from = 0; from <= lsns.back() + 2; from += 1 + from * 5 % 9) {
            ASSERT_EQ(open_feed(from), KS_OK) << ks_last_error();
            const auto wanted = std::vector(std::lower_bound(lsns.begin(), lsns.end(), from), lsns.end());
            EXPECT_EQ(rest(), wanted) << "from " << from;
            EXPECT_EQ(status_, KS_TIMEOUT) << ks_last_error();
        }
        ASSERT_EQ(open_feed(KS_FEED_NOW), KS_OK);
        EXPECT_EQ(rest(), std::vector<uint64_t>{});
    }
}

TEST_F(FeedTest, ShowsWhatIsOnDiskAndNothingElse) {
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    ASSERT_EQ(open_feed(0), KS_OK);
    const uint64_t lsn = put("a", "1");
    EXPECT_EQ(rest(), std::vector<uint64_t>{});
    ASSERT_EQ(ks_flush(store_), KS_OK);
    EXPECT_EQ(rest(), std::vector<uint64_t>{lsn});
    ASSERT_EQ(open_feed(KS_FEED_NOW), KS_OK);
    const uint64_t later = put_durable("a", "2");
    EXPECT_EQ(rest(), std::vector<uint64_t>{later});
}

TEST_F(FeedTest, WaitsForACommit) {
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    close();
    Child writer([&](const Child::Line& line) {
        if (open(0) != KS_OK) return 1;
        line.ready();
        line.await();
        put("a", "1");  // relaxed: its flusher brings it to disk
        line.await();
        close();
        return 0;
    });
    ASSERT_TRUE(writer.await_ready());
    ASSERT_EQ(open_feed(0), KS_OK);
    EXPECT_FALSE(next(1'000'000));
    EXPECT_EQ(status_, KS_TIMEOUT);
    writer.go();
    const auto commit = next(KS_FOREVER);
    ASSERT_TRUE(commit) << ks_last_error();
    EXPECT_EQ(commit->entries.at(0).value, "1");
    writer.go();
    EXPECT_EQ(writer.await_end(), 0);
}

// Each writer counts, in keys of its own and in one that all share: what is seen of it has no gap, and each version
// follows on the one that it says it replaced.
TEST_F(FeedTest, ShowsEveryCommitOnceWhileOthersWriteFlushAndMakeCheckpoints) {
    constexpr int kWriters = 3, kCommits = 250, kRests = 5;
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    close();
    ASSERT_EQ(open_feed(0), KS_OK) << ks_last_error();
    std::vector<std::unique_ptr<Child>> writers;
    for (int w = 0; w < kWriters; ++w) {
        writers.push_back(std::make_unique<Child>([&, w](const Child::Line& line) {
            if (open(w == 0 ? KS_OPEN_NO_FLUSHER : 0u) != KS_OK) return 1;
            const std::string own = "own " + std::to_string(w), filler(4000, 'f');
            for (int i = 1; i <= kCommits; ++i) {
                ks_multi* multi = nullptr;
                ks_status s = ks_multi_begin(session_, &multi);
                for (const std::string& key : {own, std::string("shared")}) {
                    if (s == KS_OK)
                        s = ks_multi_put(multi, bytes(key), bytes(std::to_string(i) + " " + filler), nullptr);
                }
                if (s == KS_OK) s = ks_multi_commit(multi);
                ks_multi_end(multi);
                if (s != KS_OK) return 2;
                if (w != 1 && i % 8 == 0 && ks_flush(store_) != KS_OK) return 3;
                if (i % (kCommits / kRests) != 0) continue;
                if (ks_flush(store_) != KS_OK) return 4;
                line.ready();
                line.await();
            }
            close();
            return 0;
        }));
    }
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    std::map<std::string, int> counts;
    std::map<std::string, uint64_t> versions;
    uint64_t last = 0;
    int commits = 0, looks = 0, checkpoints = 0, rests = 0;
    while (rests < kRests) {
        const auto commit = next(commits == 0 ? KS_FOREVER : 0);
        // Only one that has seen everything makes a checkpoint: the files that it removes are read by then.
        if (!commit && status_ == KS_TIMEOUT) {
            const bool is_rest = commits == (rests + 1) * kWriters * (kCommits / kRests);
            if (is_rest || ++looks % 4 == 0) {
                ASSERT_EQ(ks_checkpoint(store_), KS_OK) << ks_last_error();
                ++checkpoints;
            }
            if (!is_rest) continue;
            for (auto& writer : writers) {
                ASSERT_TRUE(writer->await_ready());
                writer->go();
            }
            ++rests;
            continue;
        }
        ASSERT_TRUE(commit) << ks_status_name(status_) << " " << ks_last_error();
        ++commits;
        EXPECT_GT(commit->lsn, last);
        last = commit->lsn;
        ASSERT_EQ(commit->entries.size(), 2u);
        for (const Entry& entry : commit->entries) {
            EXPECT_EQ(entry.version_before, versions[entry.key]) << entry.key;
            versions[entry.key] = entry.stamp.version;
            if (entry.key != "shared") {
                EXPECT_EQ(std::stoi(entry.value), ++counts[entry.key]);
            }
        }
    }
    for (auto& writer : writers) EXPECT_EQ(writer->await_end(), 0);
    EXPECT_EQ(rest(), std::vector<uint64_t>{});
    for (int w = 0; w < kWriters; ++w) EXPECT_EQ(counts["own " + std::to_string(w)], kCommits);
    EXPECT_GE(checkpoints, kRests);
    EXPECT_FALSE(fs::exists(folder_ / "journal-000001"));
}

// Nobody waits for whom here: the feed gets every commit, or is told from where there are some.
TEST_F(FeedTest, WhoRacesARemovalGetsEveryCommitOrGoesOnFromTheOldest) {
    constexpr int kRounds = 12, kCommits = 20;
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    uint64_t last = put_durable("k", "0 ");
    close();
    ASSERT_EQ(open_feed(0), KS_OK);
    ASSERT_TRUE(next());
    Child writer([&](const Child::Line& line) {
        if (open() != KS_OK) return 1;
        const std::string large(100'000, 'v');
        for (int round = 0; round < kRounds; ++round) {
            for (int i = 1; i <= kCommits; ++i) put("k", std::to_string(round * kCommits + i) + " " + large);
            if (ks_checkpoint(store_) != KS_OK) return 2;
            if (round == kRounds / 2) line.ready();  // who has not read yet is overtaken by now
        }
        put_durable("k", std::to_string(kRounds * kCommits + 1) + " ");
        close();
        return ::testing::Test::HasFailure() ? 3 : 0;
    });
    ASSERT_TRUE(writer.await_ready());
    int count = 0, lags = 0;
    bool is_behind_gap = false;
    uint64_t oldest = 0;
    while (count <= kRounds * kCommits) {
        ks_feed_commit told{};
        ks_status s = ks_feed_next(feed_, KS_FOREVER, &told);
        if (s == KS_BUSY) continue;
        if (s == KS_LAGGED) {
            ++lags;
            for (oldest = told.lsn; s == KS_LAGGED || s == KS_BUSY;) {
                ASSERT_GT(oldest, last);
                s = open_feed(oldest, &oldest);
            }
            ASSERT_EQ(s, KS_OK) << ks_last_error();
            is_behind_gap = true;
            continue;
        }
        ASSERT_EQ(s, KS_OK) << ks_last_error();
        ASSERT_EQ(told.size, 1u);
        const ks_bytes value = told.entries[0].value;
        const int counted = std::stoi(std::string(static_cast<const char*>(value.data), value.size));
        if (is_behind_gap) {
            EXPECT_GE(told.lsn, oldest);
            EXPECT_GT(counted, count);
        } else {
            EXPECT_EQ(told.entries[0].version_before, last);
            EXPECT_EQ(counted, count + 1);
        }
        is_behind_gap = false;
        count = counted;
        last = told.lsn;
    }
    EXPECT_GE(lags, 1);
    EXPECT_EQ(writer.await_end(), 0);
}

TEST_F(FeedTest, WhoIsOvertakenLearnsTheOldestLsn) {
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    const std::string large(100'000, 'v');
    put_durable("k", "first");
    ASSERT_EQ(open_feed(0), KS_OK);
    ASSERT_TRUE(next());
    for (int round = 0; round < 6; ++round) {
        for (int i = 0; i < 20; ++i) put("k", large);
        ASSERT_EQ(ks_checkpoint(store_), KS_OK) << ks_last_error();
    }
    ASSERT_FALSE(fs::exists(folder_ / "journal-000002"));  // the first is still open here
    ks_feed_commit told{};
    ks_status s = KS_OK;
    for (int i = 0; s == KS_OK && i < 100; ++i) s = ks_feed_next(feed_, 0, &told);
    ASSERT_EQ(s, KS_LAGGED) << ks_last_error();
    const uint64_t oldest = told.lsn;
    EXPECT_EQ(ks_feed_next(feed_, 0, &told), KS_LAGGED);

    uint64_t oldest_at_open = 0;
    EXPECT_EQ(open_feed(1, &oldest_at_open), KS_LAGGED);
    EXPECT_EQ(oldest_at_open, oldest);
    EXPECT_EQ(open_feed(oldest - 1, &oldest_at_open), KS_LAGGED);
    ASSERT_EQ(open_feed(oldest), KS_OK);
    const auto from_oldest = rest();
    ASSERT_FALSE(from_oldest.empty());
    EXPECT_EQ(from_oldest.back(), stamp("k").version);
    ASSERT_EQ(open_feed(0), KS_OK);
    EXPECT_EQ(rest(), from_oldest);
}

TEST_F(FeedTest, GoesOnThroughRecoveries) {
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    ASSERT_EQ(open_feed(0), KS_OK);
    uint64_t epoch = 0;
    for (int round = 0; round < 3; ++round) {
        std::vector<uint64_t> lsns{put("a", "1"), put("a", "2")};
        if (round % 2 == 0) {
            ASSERT_EQ(ks_flush(store_), KS_OK);
            EXPECT_EQ(rest(), lsns);
            lsns.clear();
        }
        lsns.push_back(put("a", "3"));
        close();
        if (round != 1) lose_segment();  // or it is still there
        EXPECT_EQ(rest(), lsns);
        lose_segment();
        EXPECT_EQ(rest(), std::vector<uint64_t>{});
        EXPECT_EQ(status_, KS_TIMEOUT);
        ASSERT_EQ(open(), KS_OK) << ks_last_error();
        EXPECT_EQ(rest(), std::vector<uint64_t>{});
        EXPECT_GT(stamp("a").epoch, epoch);
        epoch = stamp("a").epoch;
        const uint64_t lsn = put_durable("b", "1");
        const auto commit = next();
        ASSERT_TRUE(commit) << ks_last_error();
        EXPECT_EQ(commit->lsn, lsn);
        EXPECT_EQ(commit->entries.at(0).stamp.epoch, stamp("b").epoch);
    }
}

// Everybody is killed with relaxed commits on their way: what a feed shows then is what the next opener finds.
TEST_F(FeedTest, OfAStoreWhoseProcessesAreDeadShowsWhatRecoveryFinds) {
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    close();
    for (int round = 0; round < 3; ++round) {
        Child writer([&](const Child::Line& line) {
            if (open(0) != KS_OK) return 1;
            for (int i = 0;; ++i) {
                put("k", std::to_string(i), i == 1000 ? KS_COMMIT_DURABLE : 0u);
                if (i == 2000) line.ready();
            }
        });
        ASSERT_TRUE(writer.await_ready());
        writer.kill();
        lose_segment();
        ASSERT_EQ(open_feed(0), KS_OK) << ks_last_error();
        std::string value;
        while (const auto commit = next()) value = commit->entries.at(0).value;
        EXPECT_EQ(status_, KS_TIMEOUT) << ks_last_error();
        ASSERT_EQ(open(), KS_OK) << ks_last_error();
        std::string found(16, '\0');
        std::size_t size = 0;
        ASSERT_EQ(ks_get(session_, bytes("k"), found.data(), found.size(), &size, nullptr), KS_OK);
        EXPECT_EQ(found.substr(0, size), value);
        EXPECT_FALSE(next());
        EXPECT_EQ(status_, KS_TIMEOUT) << ks_last_error();
        close();
    }
}

TEST_F(FeedTest, TellsDamageWithItsPlaceAndKeepsIt) {
    for (const bool is_in_use : {true, false}) {
        ASSERT_EQ(open(), KS_OK) << ks_last_error();
        const uint64_t lsn = put_durable("a", "1");
        put_durable("b", "2");
        if (!is_in_use) {
            close();
            lose_segment();
        }
        const fs::path path = folder_ / "journal-000001";
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekg(4096 + 8);
        char length[8];
        file.read(length, sizeof length);
        uint64_t second = 0;
        std::memcpy(&second, length, sizeof second);
        second += 4096;
        file.seekp(static_cast<std::streamoff>(second + 20));
        file.put('?');
        file.close();
        ASSERT_EQ(open_feed(0), KS_OK);
        EXPECT_EQ(rest(), std::vector<uint64_t>{lsn});
        const std::string place = path.string() + ", at offset " + std::to_string(second);
        for (int again = 0; again < 2; ++again) {
            EXPECT_EQ(status_, KS_E_JOURNAL_CORRUPT);
            EXPECT_NE(std::string(ks_last_error()).find(place), std::string::npos) << ks_last_error();
            EXPECT_FALSE(next());
        }
        close();
        ASSERT_EQ(ks_destroy(url_.c_str(), 0), KS_OK);
    }
}

TEST_F(FeedTest, SeesThatTheStoreIsGone) {
    const std::function<void()> ways[] = {[&] { ASSERT_EQ(ks_destroy(url_.c_str(), 0), KS_OK); },
                                          [&] { fs::remove_all(folder_); },
                                          [&] { fs::remove(folder_ / "journal-000001"); },
                                          [&] {
                                              ASSERT_EQ(ks_destroy(url_.c_str(), 0), KS_OK);
                                              ASSERT_EQ(open(), KS_OK) << ks_last_error();
                                              put_durable("other", "1");
                                          },
                                          [&] { fs::rename(folder_, folder_.string() + ".moved"); }};
    for (const auto& way : ways) {
        ASSERT_EQ(open(), KS_OK) << ks_last_error();
        put_durable("a", "1");
        close();
        ASSERT_EQ(open_feed(0), KS_OK) << ks_last_error();
        ASSERT_TRUE(next());
        way();
        EXPECT_FALSE(next());
        EXPECT_EQ(status_, KS_E_DESTROYED);
        close();
        lose_segment();
        fs::remove_all(folder_);
        fs::remove_all(folder_.string() + ".moved");
    }
}

TEST_F(FeedTest, AnswersToMistakes) {
    EXPECT_EQ(ks_feed_open(nullptr, 0, &feed_, nullptr), KS_E_ARGUMENT);
    EXPECT_EQ(ks_feed_open(url_.c_str(), 0, nullptr, nullptr), KS_E_ARGUMENT);
    EXPECT_EQ(ks_feed_open("shm:none", 0, &feed_, nullptr), KS_E_URL);
    EXPECT_EQ(ks_feed_open("nothing", 0, &feed_, nullptr), KS_E_URL);
    EXPECT_EQ(open_feed(0), KS_E_NO_STORE);
    EXPECT_EQ(feed_, nullptr);
    ks_feed_commit told{};
    EXPECT_EQ(ks_feed_next(nullptr, 0, &told), KS_E_ARGUMENT);
    ks_feed_close(nullptr);
    ASSERT_EQ(open(), KS_OK);
    ASSERT_EQ(open_feed(0), KS_OK) << ks_last_error();
    EXPECT_EQ(ks_feed_next(feed_, 0, nullptr), KS_E_ARGUMENT);
    EXPECT_EQ(run_in_child([&] {
                  if (ks_feed_next(feed_, 0, &told) != KS_E_FORKED) return 1;
                  ks_feed_close(feed_);
                  return ks_feed_next(feed_, 0, &told) == KS_E_HANDLE ? 0 : 2;
              }),
              0);
    ks_feed* const closed = feed_;
    ks_feed_close(feed_);
    feed_ = nullptr;
    EXPECT_EQ(ks_feed_next(closed, 0, &told), KS_E_HANDLE);
    ks_feed_close(closed);
}

}  // namespace

}  // namespace keystile::testing
