// Durable stores: what is on disk comes back, whatever becomes of the segment and of the processes.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "support/child.hpp"
#include "support/test_store.hpp"

namespace keystile::testing {

namespace {

namespace fs = std::filesystem;

class DurableTest : public ::testing::Test {
protected:
    void SetUp() override {
        folder_ = fs::temp_directory_path() / ("keystile-durable-" + std::to_string(::getpid()));
        fs::remove_all(folder_);
        url_ = "file:" + folder_.string();
    }
    void TearDown() override {
        close();
        (void)ks_destroy(url_.c_str(), KS_DESTROY_FORCE);
        fs::remove_all(folder_);
    }

    ks_status open(uint32_t flags = 0) {
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
    // As a reboot does.
    void lose_segment() {
        std::ifstream lock(folder_ / "lock");
        std::string word;
        while (lock >> word) {
            if (word.starts_with("/")) fs::remove(word);
        }
    }
    ks_status put(const std::string& key, const std::string& value, uint32_t flags = 0,
                  ks_receipt* receipt = nullptr) {
        ks_commit_options options{};
        options.struct_size = sizeof options;
        options.flags = flags;
        return ks_commit(session_, bytes(key), stamp(key), bytes(value), &options, receipt);
    }
    ks_stamp stamp(const std::string& key) {
        ks_stamp seen{};
        (void)ks_get(session_, bytes(key), nullptr, 0, nullptr, &seen);
        return seen;
    }
    std::string get(const std::string& key) {
        std::string value(1 << 17, '\0');
        std::size_t size = 0;
        const ks_status s = ks_get(session_, bytes(key), value.data(), value.size(), &size, nullptr);
        return s == KS_OK ? value.substr(0, size) : ks_status_name(s);
    }
    fs::path newest_journal() {
        std::set<fs::path> files;
        for (const auto& entry : fs::directory_iterator(folder_)) {
            if (entry.path().filename().string().starts_with("journal-")) files.insert(entry.path());
        }
        return *files.rbegin();
    }

    fs::path folder_;
    std::string url_;
    ks_store* store_ = nullptr;
    ks_session* session_ = nullptr;
};

TEST_F(DurableTest, WhatWasCommittedComesBackWithoutItsSegment) {
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    const std::string long_key(300, 'k'), large(100'000, 'v');
    ASSERT_EQ(put("a", "1"), KS_OK);
    ASSERT_EQ(put("a", "2"), KS_OK);
    ASSERT_EQ(put("empty", ""), KS_OK);
    ASSERT_EQ(put(long_key, large), KS_OK);
    ASSERT_EQ(put("gone", "x"), KS_OK);
    ASSERT_EQ(ks_delete(session_, bytes("gone"), stamp("gone"), nullptr, nullptr), KS_OK);
    const ks_stamp before = stamp("a");
    close();
    lose_segment();

    ASSERT_EQ(open(KS_OPEN_MUST_EXIST), KS_OK) << ks_last_error();
    EXPECT_EQ(get("a"), "2");
    EXPECT_EQ(get("empty"), "");
    EXPECT_EQ(get(long_key), large);
    EXPECT_EQ(get("gone"), "KS_NOT_FOUND");
    EXPECT_EQ(check_now(store_), "");
    // The same version of another incarnation: who read it before has to look again.
    EXPECT_EQ(stamp("a").version, before.version);
    EXPECT_GT(stamp("a").epoch, before.epoch);
    EXPECT_EQ(ks_commit(session_, bytes("a"), before, bytes("stale"), nullptr, nullptr), KS_FENCED);
    ks_receipt receipt{};
    ASSERT_EQ(put("a", "3", 0, &receipt), KS_OK);
    EXPECT_GT(receipt.stamp.version, before.version);
    EXPECT_EQ(receipt.lsn, receipt.stamp.version);
}

TEST_F(DurableTest, ACopyOfTheFolderIsAStoreOfItsOwn) {
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    ASSERT_EQ(put("a", "1", KS_COMMIT_DURABLE), KS_OK);
    close();  // its segment stays, and the copied `lock` names it too
    const fs::path original = folder_;
    const fs::path copy = original.string() + "-copy";
    fs::remove_all(copy);
    fs::copy(original, copy);
    folder_ = copy;
    url_ = "file:" + copy.string();
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    EXPECT_EQ(get("a"), "1");
    ASSERT_EQ(put("a", "2", KS_COMMIT_DURABLE), KS_OK);
    close();
    const std::string copy_url = url_;
    folder_ = original;
    url_ = "file:" + original.string();
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    EXPECT_EQ(get("a"), "1");
    EXPECT_EQ(ks_destroy(copy_url.c_str(), 0), KS_OK) << ks_last_error();
    EXPECT_EQ(put("a", "3", KS_COMMIT_DURABLE), KS_OK) << "the copy's end was the original's";
    fs::remove_all(copy);
}

TEST_F(DurableTest, ReadersBringItBackToo) {
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    ASSERT_EQ(put("a", "1"), KS_OK);
    close();
    lose_segment();
    ASSERT_EQ(open(KS_OPEN_READ_ONLY), KS_OK) << ks_last_error();
    EXPECT_EQ(get("a"), "1");
}

// AckedSurvives: everybody is killed, the segment is lost; what was told durable is there.
// The fork handler closed the descriptors that carry locks: their numbers are other files' by now, and the flusher is
// the parent's thread, whose memory is that of the child's.
TEST_F(DurableTest, ItsHandleIsClosedInAForkedChildThatOpenedAgain) {
#if defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "this sanitizer wants no threads in the child of one that has some";
#endif
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    ASSERT_EQ(put("k", "1"), KS_OK);
    EXPECT_EQ(run_in_child([this] {
                  ks_store* const parents = store_;
                  int own[8];
                  for (int& fd : own) fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
                  if (open() != KS_OK || put("k", "2") != KS_OK) return 1;
                  ks_close(parents);
                  for (const int fd : own) {
                      if (::fcntl(fd, F_GETFD) == -1) return 2;
                  }
                  if (put("k", "3", KS_COMMIT_DURABLE) != KS_OK) return 3;
                  close();
                  return 0;
              }),
              0);
    EXPECT_EQ(get("k"), "3");
}

TEST_F(DurableTest, AcknowledgedDurableCommitsSurviveEverybodysDeath) {
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    close();
    for (int round = 0; round < 5; ++round) {
        int told[2];
        ASSERT_EQ(::pipe(told), 0);
        const std::string key = "round " + std::to_string(round);
        pid_t writers[2];
        for (int w = 0; w < 2; ++w) {
            writers[w] = ::fork();
            if (writers[w] != 0) continue;
            if (open(w == 0 ? KS_OPEN_NO_FLUSHER : 0) != KS_OK) ::_exit(1);
            for (std::uint32_t i = 1;; ++i) {
                const std::string own = key + " " + std::to_string(w);
                const ks_status status = put(own, std::to_string(i), KS_COMMIT_DURABLE);
                if (status != KS_OK) {
                    std::fprintf(stderr, "a durable put: %s: %s\n", ks_status_name(status), ks_last_error());
                    ::_exit(2);
                }
                const std::uint32_t line[2] = {static_cast<std::uint32_t>(w), i};
                if (::write(told[1], line, sizeof line) != sizeof line) ::_exit(3);
            }
        }
        ::close(told[1]);
        std::uint32_t acknowledged[2] = {0, 0};
        std::uint32_t line[2];
        for (int i = 0; i < 40 && ::read(told[0], line, sizeof line) == sizeof line; ++i)
            acknowledged[line[0]] = line[1];
        for (const pid_t writer : writers) ::kill(writer, SIGKILL);
        for (const pid_t writer : writers) {
            int status = 0;
            ASSERT_EQ(::waitpid(writer, &status, 0), writer);
            EXPECT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
        }
        while (::read(told[0], line, sizeof line) == sizeof line) acknowledged[line[0]] = line[1];
        ::close(told[0]);
        if (round % 2 == 0) lose_segment();  // else the segment is still there, and all of it counts
        ASSERT_EQ(open(), KS_OK) << ks_last_error();
        for (int w = 0; w < 2; ++w) {
            const std::string value = get(key + " " + std::to_string(w));
            if (acknowledged[w] == 0) continue;
            EXPECT_GE(std::stoul(value), acknowledged[w]);
            EXPECT_LE(std::stoul(value), acknowledged[w] + 1);
        }
        EXPECT_EQ(check_now(store_), "");
        close();
    }
}

TEST_F(DurableTest, CheckpointsReplaceTheJournal) {
    ASSERT_EQ(open(KS_OPEN_NO_FLUSHER), KS_OK) << ks_last_error();
    const std::string large(100'000, 'x');
    std::vector<ks_stamp> stamps;
    for (int round = 0; round < 4; ++round) {
        for (int i = 0; i < 20; ++i)
            ASSERT_EQ(put("k" + std::to_string(i), large + std::to_string(round)), KS_OK);
        ASSERT_EQ(put("gone", "x"), KS_OK);
        ASSERT_EQ(ks_delete(session_, bytes("gone"), stamp("gone"), nullptr, nullptr), KS_OK);
        ASSERT_EQ(ks_checkpoint(store_), KS_OK) << ks_last_error();
    }
    EXPECT_FALSE(fs::exists(folder_ / "journal-000001"));
    for (int i = 0; i < 20; ++i) stamps.push_back(stamp("k" + std::to_string(i)));
    EXPECT_EQ(check_now(store_), "");
    close();
    lose_segment();
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    for (std::size_t i = 0; i < stamps.size(); ++i) {
        EXPECT_EQ(get("k" + std::to_string(i)), large + "3");
        EXPECT_EQ(stamp("k" + std::to_string(i)).version, stamps[i].version);
    }
    EXPECT_EQ(get("gone"), "KS_NOT_FOUND");
    EXPECT_EQ(check_now(store_), "");
}

TEST_F(DurableTest, CheckpointsAreMadeByItself) {
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    const std::string large(1 << 20, 'x');
    const auto has_first = [&] { return fs::exists(folder_ / "journal-000001"); };
    for (int i = 0; i < 400 && has_first(); ++i)
        ASSERT_EQ(put("k", large + std::to_string(i), KS_COMMIT_DURABLE), KS_OK);
    EXPECT_FALSE(has_first()) << "400 MiB of journal, and no two checkpoints";
}

TEST_F(DurableTest, CheckpointsWhileOthersCommitAndDie) {
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    close();
    for (int round = 0; round < 3; ++round) {
        int told[2];
        ASSERT_EQ(::pipe(told), 0);
        const pid_t writer = ::fork();
        if (writer == 0) {
            if (open(KS_OPEN_NO_FLUSHER) != KS_OK) ::_exit(1);
            for (std::uint32_t i = 1;; ++i) {
                const std::string key = std::to_string(round) + " " + std::to_string(i % 50);
                if (put(key, std::to_string(i), KS_COMMIT_DURABLE) != KS_OK) ::_exit(2);
                if (::write(told[1], &i, sizeof i) != sizeof i) ::_exit(3);
            }
        }
        const pid_t maker = ::fork();
        if (maker == 0) {
            if (open(KS_OPEN_NO_FLUSHER) != KS_OK) ::_exit(1);
            for (;;) {
                const ks_status s = ks_checkpoint(store_);
                if (s != KS_OK && s != KS_BUSY) ::_exit(2);
            }
        }
        ::close(told[1]);
        std::uint32_t acknowledged = 0, i = 0;
        while (acknowledged < 300 && ::read(told[0], &i, sizeof i) == sizeof i) acknowledged = i;
        for (const pid_t child : {maker, writer}) {
            ::kill(child, SIGKILL);
            int status = 0;
            ASSERT_EQ(::waitpid(child, &status, 0), child);
            EXPECT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
        }
        while (::read(told[0], &i, sizeof i) == sizeof i) acknowledged = i;
        ::close(told[0]);
        lose_segment();
        ASSERT_EQ(open(), KS_OK) << ks_last_error();
        for (std::uint32_t last = acknowledged; last + 50 > acknowledged && last > 0; --last) {
            const std::string value = get(std::to_string(round) + " " + std::to_string(last % 50));
            EXPECT_TRUE(value == std::to_string(last) || value == std::to_string(last + 50))
                << value << " for " << last;
        }
        EXPECT_EQ(check_now(store_), "");
        close();
    }
}

TEST_F(DurableTest, ATransactionComesBackWholeOrNotAtAll) {
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    for (int i = 0; i < 50; ++i) {
        ks_multi* multi = nullptr;
        ASSERT_EQ(ks_multi_begin(session_, &multi), KS_OK);
        for (int k = 0; k < 5; ++k) {
            ASSERT_EQ(
                ks_multi_put(multi, bytes("key " + std::to_string(k)), bytes(std::to_string(i)), nullptr),
                KS_OK);
        }
        ASSERT_EQ(ks_multi_commit(multi), KS_OK);
        ks_multi_end(multi);
    }
    ASSERT_EQ(ks_flush(store_), KS_OK);
    close();
    lose_segment();
    // Cut in the middle of a record above what is known to be on disk: the mark is gone.
    fs::remove(folder_ / "mark");
    const fs::path journal = newest_journal();
    fs::resize_file(journal, 4096 + 3000);
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    const std::string value = get("key 0");
    EXPECT_LT(std::stoi(value), 49);
    for (int k = 1; k < 5; ++k) EXPECT_EQ(get("key " + std::to_string(k)), value);
}

TEST_F(DurableTest, ATransactionIsOnDiskIfOneOfItsWritesSaysSo) {
    ASSERT_EQ(open(KS_OPEN_NO_FLUSHER), KS_OK) << ks_last_error();
    ks_commit_options relaxed{}, durable{};
    relaxed.struct_size = durable.struct_size = sizeof relaxed;
    relaxed.flags = KS_COMMIT_RELAXED;
    durable.flags = KS_COMMIT_DURABLE;
    ks_multi* multi = nullptr;
    ASSERT_EQ(ks_multi_begin(session_, &multi), KS_OK);
    const auto records_after = [&](const ks_commit_options& first, const ks_commit_options& second) {
        EXPECT_EQ(ks_multi_put(multi, bytes("a"), bytes("1"), &first), KS_OK);
        EXPECT_EQ(ks_multi_delete(multi, bytes("b"), &second), KS_OK);
        EXPECT_EQ(ks_multi_commit(multi), KS_OK) << ks_last_error();
        ks_multi_reset(multi);
        ks_verify_report report{};
        report.struct_size = sizeof report;
        EXPECT_EQ(ks_verify(url_.c_str(), nullptr, nullptr, &report), KS_OK) << ks_last_error();
        return report.records;
    };
    EXPECT_EQ(records_after(relaxed, relaxed), 0u);
    EXPECT_EQ(records_after(relaxed, durable), 2u);
    EXPECT_EQ(records_after(relaxed, relaxed), 2u);  // a flag is not kept
    EXPECT_EQ(records_after(durable, relaxed), 4u);
    ks_multi_end(multi);
}

TEST_F(DurableTest, DamageBelowTheMarkIsToldWithItsPlace) {
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    ASSERT_EQ(put("a", "1", KS_COMMIT_DURABLE), KS_OK);
    ASSERT_EQ(put("b", "2", KS_COMMIT_DURABLE), KS_OK);
    close();
    lose_segment();
    std::fstream file(newest_journal(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096 + 60);
    file.put('?');
    file.close();
    ASSERT_EQ(open(), KS_E_JOURNAL_CORRUPT);
    EXPECT_NE(std::string(ks_last_error()).find("journal-000001, at offset 4096"), std::string::npos)
        << ks_last_error();
}

// A program that blocks a signal, to wait for it, must not die of it because it opened a store.
TEST_F(DurableTest, TheFlushersThreadTakesNoSignal) {
    const pid_t child = ::fork();
    if (child == 0) {
        if (open() != KS_OK) ::_exit(1);
        sigset_t term;
        sigemptyset(&term);
        sigaddset(&term, SIGTERM);
        ::pthread_sigmask(SIG_BLOCK, &term, nullptr);
        ::kill(::getpid(), SIGTERM);
        int got = 0;
        ::_exit(::sigwait(&term, &got) == 0 && got == SIGTERM ? 0 : 2);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

// By whoever tidies up: what is written into a file without a name is not acknowledged.
TEST_F(DurableTest, AJournalFileThatIsRemovedWhileItIsWrittenIsNoticedAtOnce) {
    ASSERT_EQ(open(KS_OPEN_NO_FLUSHER), KS_OK) << ks_last_error();
    ASSERT_EQ(put("before", "1", KS_COMMIT_DURABLE), KS_OK);
    fs::remove(newest_journal());
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(put("behind", std::to_string(i), KS_COMMIT_DURABLE), KS_E_JOURNAL);
        EXPECT_EQ(ks_last_errno(), 0) << ks_last_error();
        EXPECT_EQ(ks_flush(store_), KS_E_JOURNAL);
    }
    EXPECT_EQ(get("before") + get("behind"), "11") << "readers go on";
    ASSERT_EQ(ks_checkpoint(store_), KS_OK) << ks_last_error();
    EXPECT_EQ(put("behind", "2", KS_COMMIT_DURABLE), KS_OK) << ks_last_error();
    close();
    lose_segment();
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    EXPECT_EQ(get("before") + get("behind"), "12");
}

TEST_F(DurableTest, AFolderThatIsRemovedAcknowledgesNothingMore) {
    ASSERT_EQ(open(KS_OPEN_NO_FLUSHER), KS_OK) << ks_last_error();
    ASSERT_EQ(put("k", "1", KS_COMMIT_DURABLE), KS_OK);
    fs::remove_all(folder_);
    EXPECT_EQ(put("k", "2", KS_COMMIT_DURABLE), KS_E_JOURNAL);
    EXPECT_LT(ks_checkpoint(store_), 0);
    EXPECT_EQ(ks_flush(store_), KS_E_JOURNAL) << ks_last_error();
    EXPECT_EQ(get("k"), "2") << "readers go on";
    EXPECT_FALSE(fs::exists(folder_));
}

TEST_F(DurableTest, WhoFindsTheRingHalfFullFlushes) {
    ASSERT_EQ(open(KS_OPEN_NO_FLUSHER), KS_OK) << ks_last_error();
    ks_receipt receipt{};
    ks_stamp seen{};
    const auto records = [&] {
        ks_verify_report report{};
        report.struct_size = sizeof report;
        EXPECT_EQ(ks_verify(url_.c_str(), nullptr, nullptr, &report), KS_OK) << ks_last_error();
        return report.records;
    };
    for (int i = 0; i < (1 << 15) + 512; ++i) {  // of 2^16 cells
        if (i == 1 << 14) {
            EXPECT_EQ(records(), 0u);
        }
        ASSERT_EQ(ks_commit(session_, bytes("k"), seen, bytes("v"), nullptr, &receipt), KS_OK)
            << ks_last_error();
        seen = receipt.stamp;
    }
    EXPECT_GT(records(), 1u << 14);
}

TEST_F(DurableTest, ManyMoreCommitsThanTheRingHolds) {
    ASSERT_EQ(open(KS_OPEN_NO_FLUSHER), KS_OK) << ks_last_error();
    constexpr int kCommits = 200'000;
    for (int i = 0; i < kCommits; ++i)
        ASSERT_EQ(put("k" + std::to_string(i % 7), std::to_string(i)), KS_OK) << i << ks_last_error();
    close();
    lose_segment();
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    for (int i = kCommits - 7; i < kCommits; ++i)
        EXPECT_EQ(get("k" + std::to_string(i % 7)), std::to_string(i));
    EXPECT_EQ(check_now(store_), "");
}

TEST_F(DurableTest, OpeningAnswers) {
    EXPECT_EQ(open(KS_OPEN_MUST_EXIST), KS_E_NO_STORE);
    EXPECT_EQ(open(KS_OPEN_READ_ONLY), KS_E_NO_STORE);
    ASSERT_EQ(open(KS_OPEN_MUST_CREATE), KS_OK) << ks_last_error();
    EXPECT_EQ(ks_destroy(url_.c_str(), 0), KS_E_IN_USE);
    close();
    EXPECT_EQ(open(KS_OPEN_MUST_CREATE), KS_E_EXISTS);
    ks_store* other = nullptr;
    EXPECT_EQ(ks_open("file:relative", nullptr, &other), KS_E_URL);
    EXPECT_EQ(ks_open("file:/proc/none/there", nullptr, &other), KS_E_NO_STORE);
    EXPECT_EQ(ks_destroy(url_.c_str(), 0), KS_OK) << ks_last_error();
    EXPECT_EQ(open(KS_OPEN_MUST_EXIST), KS_E_NO_STORE);
}

}  // namespace

}  // namespace keystile::testing
