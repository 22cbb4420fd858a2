// A durable store's files as the C interface tells and mends them: what a recovery finds, what a repair would lose.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "support/child.hpp"
#include "support/test_store.hpp"

namespace keystile::testing {

namespace {

namespace fs = std::filesystem;

constexpr long kFirstRecord = 4096;

struct Told {
    std::string damage;
    std::map<std::string, std::uint64_t> lost;
    ks_repair_report report{};
};

class RepairTest : public ::testing::Test {
protected:
    void SetUp() override {
        folder_ = fs::temp_directory_path() / ("keystile-repair-" + std::to_string(::getpid()));
        fs::remove_all(folder_);
        url_ = "file:" + folder_.string();
    }
    void TearDown() override {
        close();
        (void)ks_destroy(url_.c_str(), 0);
        fs::remove_all(folder_);
    }

    ks_status open(ks_recovery* recovery = nullptr) {
        ks_open_options options{};
        options.struct_size = sizeof options;
        options.flags = KS_OPEN_NO_FLUSHER;
        options.expected_keys = 1;
        options.max_bytes = 64u << 20;
        options.recovery_out = recovery;
        if (!segments_.empty()) options.segment_folder = segments_.c_str();
        return ks_open(url_.c_str(), &options, &store_);
    }
    void close() {
        ks_close(store_);
        store_ = nullptr;
    }
    // Keys "1" to "count", on disk, and the store closed.
    void make(int count) {
        ASSERT_EQ(open(), KS_OK) << ks_last_error();
        for (int i = 1; i <= count; ++i) ASSERT_EQ(put(std::to_string(i)), KS_OK) << ks_last_error();
        ASSERT_EQ(ks_flush(store_), KS_OK);
        close();
    }
    ks_status put(const std::string& key) {
        ks_session* session = ks_default_session(store_);
        ks_stamp seen{};
        (void)ks_get(session, bytes(key), nullptr, 0, nullptr, &seen);
        return ks_commit(session, bytes(key), seen, bytes("value " + key), nullptr, nullptr);
    }
    std::string get(const std::string& key) {
        std::string value(100, '\0');
        std::size_t size = 0;
        const ks_status s =
            ks_get(ks_default_session(store_), bytes(key), value.data(), value.size(), &size, nullptr);
        return s == KS_OK ? value.substr(0, size) : ks_status_name(s);
    }
    fs::path segment() const {
        std::ifstream lock(folder_ / "lock");
        std::string word;
        while (lock >> word) {
            if (word.starts_with("/")) return word;
        }
        return {};
    }
    void lose_segment() { fs::remove(segment()); }
    fs::path newest_journal() const {
        std::string newest;
        for (const std::string& name : names()) {
            if (name.starts_with("journal-")) newest = name;
        }
        return folder_ / newest;
    }
    std::set<std::string> names() const {
        std::set<std::string> names;
        for (const auto& entry : fs::directory_iterator(folder_)) names.insert(entry.path().filename());
        return names;
    }
    static void spoil(const fs::path& path, long offset) {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekg(offset);
        const int byte = file.get();
        file.seekp(offset);
        file.put(static_cast<char>(byte ^ 0x55));
    }

    static void on_damage(void* user, const ks_damage* damage) {
        static_cast<Told*>(user)->damage =
            std::string(damage->path) + " " + std::to_string(damage->offset) + " " + damage->what;
    }
    static void on_lost(void* user, const ks_lost_key* lost) {
        const std::string key(static_cast<const char*>(lost->key.data), lost->key.size);
        static_cast<Told*>(user)->lost[key] = lost->last_lsn;
    }
    ks_status repair(uint32_t flags, Told* told) {
        told->report.struct_size = sizeof told->report;
        return ks_repair(url_.c_str(), flags, on_damage, on_lost, told, &told->report);
    }
    ks_verify_report verify() {
        ks_verify_report report{};
        report.struct_size = sizeof report;
        (void)ks_verify(url_.c_str(), nullptr, nullptr, &report);
        return report;
    }

    fs::path folder_;
    std::string segments_;  // where they are made; empty: where they always are
    std::string url_;
    ks_store* store_ = nullptr;
};

TEST_F(RepairTest, TellsFirstAndThenDoesIt) {
    make(5);
    lose_segment();
    const fs::path journal = newest_journal();
    spoil(journal, kFirstRecord + 60);
    ASSERT_EQ(open(), KS_E_JOURNAL_CORRUPT);
    const auto before = names();

    Told plan;
    ASSERT_EQ(repair(0, &plan), KS_OK) << ks_last_error();
    EXPECT_EQ(names(), before);
    EXPECT_EQ(plan.report.need, KS_REPAIR_NEEDED);
    EXPECT_EQ(plan.report.is_done, 0u);
    EXPECT_TRUE(plan.damage.starts_with(journal.string() + " 4096 ")) << plan.damage;
    EXPECT_EQ(plan.report.kept_keys, 0u);
    EXPECT_EQ(plan.report.lost_commits, 4u);
    EXPECT_EQ(plan.report.lost_keys, 4u);
    EXPECT_EQ(plan.lost.size(), 4u);
    EXPECT_EQ(plan.lost.count("1"), 0u);  // unreadable
    EXPECT_EQ(plan.lost["5"], plan.report.lost_last_lsn);
    EXPECT_EQ(plan.report.unreadable_lsn, plan.report.lost_last_lsn + 1);
    EXPECT_GT(plan.report.unreadable_bytes, 0u);
    ASSERT_EQ(open(), KS_E_JOURNAL_CORRUPT);

    Told done;
    ASSERT_EQ(repair(KS_REPAIR_DO, &done), KS_OK) << ks_last_error();
    EXPECT_EQ(done.report.is_done, 1u);
    EXPECT_EQ(done.damage, plan.damage);
    EXPECT_EQ(done.lost, plan.lost);
    EXPECT_TRUE(fs::exists(folder_ / done.report.folder / journal.filename()));
    EXPECT_EQ(done.report.files, 2u);  // and the mark
    EXPECT_EQ(verify().problems, 0u);
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    EXPECT_EQ(get("5"), "KS_NOT_FOUND");
    EXPECT_EQ(put("5"), KS_OK);
    EXPECT_EQ(check_now(store_), "");
}

TEST_F(RepairTest, KeepsWhatIsBeforeTheDamage) {
    make(5);
    lose_segment();
    spoil(newest_journal(), static_cast<long>(verify().recovery.end_offset) - 20);
    Told done;
    ASSERT_EQ(repair(KS_REPAIR_DO, &done), KS_OK) << ks_last_error();
    EXPECT_EQ(done.report.kept_keys, 4u);
    EXPECT_EQ(done.report.lost_commits, 0u);
    EXPECT_GT(done.report.unreadable_lsn, done.report.kept_last_lsn + 1);
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    for (int i = 1; i <= 4; ++i) EXPECT_EQ(get(std::to_string(i)), "value " + std::to_string(i));
    EXPECT_EQ(get("5"), "KS_NOT_FOUND");
}

TEST_F(RepairTest, OfASoundStoreIsNotNeeded) {
    make(2);
    for (const bool has_segment : {true, false}) {
        if (!has_segment) lose_segment();
        const auto before = names();
        Told told;
        ASSERT_EQ(repair(KS_REPAIR_DO | KS_REPAIR_DROP_SEGMENT, &told), KS_OK) << ks_last_error();
        EXPECT_EQ(told.report.need, KS_REPAIR_NOT_NEEDED);
        EXPECT_EQ(told.report.is_done, 0u);
        EXPECT_EQ(names(), before);
        EXPECT_EQ(fs::exists(segment()), has_segment);
    }
}

TEST_F(RepairTest, IsRefusedWhileTheStoreIsOpen) {
    make(2);
    spoil(newest_journal(), kFirstRecord + 60);
    ASSERT_EQ(open(), KS_OK) << ks_last_error();  // it is in memory
    Told told;
    for (const uint32_t flags : {0u, KS_REPAIR_DO, KS_REPAIR_DO | KS_REPAIR_DROP_SEGMENT})
        EXPECT_EQ(repair(flags, &told), KS_E_IN_USE);
    EXPECT_EQ(get("2"), "value 2");
}

// Whatever became of the files, the segment has everything, and a checkpoint brings it to disk.
TEST_F(RepairTest, IsRefusedWhileTheSegmentIsThereAndACheckpointOfThatLosesNothing) {
    for (const std::string what :
         {"a record", "a head", "no journal", "no mark, a head", "checkpoint, a head",
          "checkpoint, no journal", "bad checkpoint, a record"}) {
        const auto has = [&](const char* word) { return what.find(word) != std::string::npos; };
        make(3);
        // As after a kill: the last commit is in the segment alone.
        ASSERT_EQ(run_in_child([&] {
                      if (open() != KS_OK) return 1;
                      if (has("checkpoint") && ks_checkpoint(store_) != KS_OK) return 2;
                      return put("relaxed") == KS_OK ? 0 : 3;
                  }),
                  0);
        if (has("a record")) spoil(newest_journal(), kFirstRecord + 60);
        if (has("a head")) spoil(newest_journal(), 20);
        if (has("no mark")) fs::remove(folder_ / "mark");
        if (has("no journal")) fs::remove(newest_journal());
        if (has("bad checkpoint")) spoil(folder_ / "checkpoint-00000000000004", 20);
        const auto before = names();
        Told told;
        for (const uint32_t flags : {0u, KS_REPAIR_DO}) {
            EXPECT_EQ(repair(flags, &told), KS_E_SEGMENT_LEFT) << what;
            EXPECT_NE(std::string(ks_last_error()).find(segment().string()), std::string::npos);
            EXPECT_NE(std::string(ks_last_error()).find("a checkpoint of it"), std::string::npos);
        }
        EXPECT_EQ(names(), before);

        ASSERT_EQ(open(), KS_OK) << what << ": " << ks_last_error();
        EXPECT_EQ(ks_checkpoint(store_), KS_OK) << what << ": " << ks_last_error();
        close();
        lose_segment();
        ASSERT_EQ(open(), KS_OK) << what << ": " << ks_last_error();
        for (const char* key : {"1", "2", "3", "relaxed"})
            EXPECT_EQ(get(key), std::string("value ") + key) << what;
        close();
        ASSERT_EQ(ks_destroy(url_.c_str(), 0), KS_OK);
    }
}

// No flush says "no such store" of one that is open, or that it needs the repair which is refused.
TEST_F(RepairTest, AJournalFileThatIsLostOrDamagedIsSaidWithItsRemedy) {
    for (const bool is_gone : {true, false}) {
        make(2);
        ASSERT_EQ(open(), KS_OK) << ks_last_error();
        if (is_gone) fs::remove(newest_journal());
        if (!is_gone) spoil(newest_journal(), 20);
        ASSERT_EQ(put("3"), KS_OK);
        ks_session* session = ks_default_session(store_);
        ks_commit_options durable{};
        durable.struct_size = sizeof durable;
        durable.flags = KS_COMMIT_DURABLE;
        const auto expect_said = [&](ks_status status) {
            EXPECT_EQ(status, KS_E_JOURNAL) << ks_status_name(status);
            EXPECT_EQ(ks_last_errno(), 0);
            EXPECT_NE(std::string(ks_last_error()).find("keystile compact"), std::string::npos);
        };
        expect_said(ks_flush(store_));
        expect_said(ks_wait_durable(store_, 3, KS_FOREVER));
        expect_said(ks_commit(session, bytes("4"), ks_stamp{}, bytes("value 4"), &durable, nullptr));
        ASSERT_EQ(ks_checkpoint(store_), KS_OK) << ks_last_error();
        EXPECT_EQ(ks_flush(store_), KS_OK) << ks_last_error();
        close();
        lose_segment();
        ASSERT_EQ(open(), KS_OK) << ks_last_error();
        for (const char* key : {"1", "3", "4"}) EXPECT_EQ(get(key), std::string("value ") + key);
        close();
        ASSERT_EQ(ks_destroy(url_.c_str(), 0), KS_OK);
    }
}

TEST_F(RepairTest, GivesTheSegmentUpIfItIsTold) {
    make(3);
    const std::uint64_t end = verify().recovery.end_offset;
    spoil(newest_journal(), static_cast<long>(end) - 20);
    Told told;
    ASSERT_EQ(repair(KS_REPAIR_DROP_SEGMENT, &told), KS_OK) << ks_last_error();
    EXPECT_EQ(told.report.need, KS_REPAIR_NEEDED);
    EXPECT_TRUE(fs::exists(segment()));
    ASSERT_EQ(repair(KS_REPAIR_DO | KS_REPAIR_DROP_SEGMENT, &told), KS_OK) << ks_last_error();
    EXPECT_FALSE(fs::exists(segment()));
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    EXPECT_EQ(get("2"), "value 2");
    EXPECT_EQ(get("3"), "KS_NOT_FOUND");
}

// Its folder is away, as another mount namespace's is: nobody can tell whether it is still there.
TEST_F(RepairTest, ASegmentThatIsNotSeenFromHereIsAskedAboutAndNeverAttachedAgain) {
    const fs::path seen = folder_.string() + "-seen", unseen = folder_.string() + "-unseen";
    for (const fs::path& path : {seen, unseen}) fs::remove_all(path);
    fs::create_directory(seen);
    segments_ = seen.string();
    make(3);
    spoil(newest_journal(), static_cast<long>(verify().recovery.end_offset) - 20);
    fs::rename(seen, unseen);
    Told told;
    for (const uint32_t flags : {0u, KS_REPAIR_DO}) {
        EXPECT_EQ(repair(flags, &told), KS_E_SEGMENT_LEFT);
        EXPECT_NE(std::string(ks_last_error()).find("not seen from here"), std::string::npos);
    }
    ASSERT_EQ(repair(KS_REPAIR_DO | KS_REPAIR_DROP_SEGMENT, &told), KS_OK) << ks_last_error();
    fs::rename(unseen, seen);
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    EXPECT_EQ(get("2"), "value 2");
    EXPECT_EQ(get("3"), "KS_NOT_FOUND");  // else the old segment is there again
    EXPECT_EQ(put("4"), KS_OK);
    EXPECT_EQ(ks_flush(store_), KS_OK) << ks_last_error();
    close();
    lose_segment();
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    EXPECT_EQ(get("4"), "value 4");
    close();
    fs::remove_all(seen);
}

TEST_F(RepairTest, MistakesAreNamed) {
    Told told;
    EXPECT_EQ(repair(0, &told), KS_E_NO_STORE);
    EXPECT_EQ(repair(4, &told), KS_E_ARGUMENT);
    EXPECT_EQ(ks_repair(nullptr, 0, nullptr, nullptr, nullptr, nullptr), KS_E_ARGUMENT);
    EXPECT_EQ(ks_repair("shm:x", 0, nullptr, nullptr, nullptr, nullptr), KS_E_URL);
    make(1);
    ks_repair_report report{};
    EXPECT_EQ(ks_repair(url_.c_str(), 0, nullptr, nullptr, nullptr, &report), KS_E_STRUCT_SIZE);
    EXPECT_EQ(ks_repair(url_.c_str(), 0, nullptr, nullptr, nullptr, nullptr), KS_OK);
    ks_recovery recovery{};
    EXPECT_EQ(open(&recovery), KS_E_STRUCT_SIZE);
}

// ---- What a recovery finds

TEST_F(RepairTest, ARecoveryIsToldBeforeAndAfter) {
    make(3);
    ks_verify_report report = verify();
    EXPECT_EQ(report.recovery.is_needed, 0u);
    EXPECT_EQ(report.recovery.records, 3u);
    lose_segment();
    report = verify();
    const ks_recovery& dry = report.recovery;
    EXPECT_EQ(dry.is_needed, 1u);
    EXPECT_EQ(dry.status, KS_OK);
    EXPECT_EQ(dry.incarnation, 2u);
    EXPECT_EQ(dry.checkpoint_lsn, 0u);
    EXPECT_EQ(dry.entries, 3u);
    EXPECT_EQ(dry.last_lsn, 3u);
    EXPECT_EQ(dry.end_file, 1u);
    EXPECT_EQ(dry.cut, nullptr);

    ks_recovery told{};
    told.struct_size = sizeof told;
    ASSERT_EQ(open(&told), KS_OK) << ks_last_error();
    EXPECT_EQ(told.is_needed, 1u);
    EXPECT_EQ(told.incarnation, dry.incarnation);
    EXPECT_EQ(told.records, dry.records);
    EXPECT_EQ(told.last_lsn, dry.last_lsn);
    EXPECT_EQ(told.end_file, dry.end_file);
    EXPECT_EQ(told.end_offset, dry.end_offset);
    close();
    ASSERT_EQ(open(&told), KS_OK) << ks_last_error();
    EXPECT_EQ(told.is_needed, 0u);
    EXPECT_EQ(told.records, 0u);
}

TEST_F(RepairTest, ARecoveryTellsWhatItCutsAndWhatItRefuses) {
    make(3);
    lose_segment();
    const fs::path mark = folder_ / "mark", aside = folder_ / "aside";
    fs::rename(mark, aside);
    const std::uint64_t end = verify().recovery.end_offset;
    spoil(newest_journal(), static_cast<long>(end) - 20);
    EXPECT_EQ(verify().recovery.status, KS_OK);
    EXPECT_EQ(verify().recovery.records, 2u);
    EXPECT_NE(verify().recovery.cut, nullptr);
    fs::rename(aside, mark);
    EXPECT_EQ(verify().recovery.status, KS_E_JOURNAL_CORRUPT);
    ks_recovery told{};
    told.struct_size = sizeof told;
    EXPECT_EQ(open(&told), KS_E_JOURNAL_CORRUPT);
    EXPECT_EQ(told.is_needed, 1u);
    EXPECT_EQ(told.status, KS_E_JOURNAL_CORRUPT);
    EXPECT_EQ(told.records, 2u);
}

TEST_F(RepairTest, ACheckpointIsMadeWhenItIsDue) {
    ASSERT_EQ(open(), KS_OK) << ks_last_error();
    ASSERT_EQ(put("1"), KS_OK);
    EXPECT_EQ(ks_checkpoint_if_due(store_), KS_OK);
    EXPECT_EQ(verify().checkpoints, 0u);
    const std::string large(1 << 20, 'x');
    ks_session* session = ks_default_session(store_);
    for (int i = 0; i < 12; ++i) {
        ks_stamp seen{};
        (void)ks_get(session, bytes("large"), nullptr, 0, nullptr, &seen);
        ASSERT_EQ(ks_commit(session, bytes("large"), seen, bytes(large), nullptr, nullptr), KS_OK);
        ASSERT_EQ(ks_flush(store_), KS_OK);
    }
    EXPECT_EQ(ks_checkpoint_if_due(store_), KS_OK) << ks_last_error();
    EXPECT_EQ(verify().checkpoints, 1u);
    EXPECT_EQ(ks_checkpoint_if_due(nullptr), KS_E_ARGUMENT);
}

}  // namespace

}  // namespace keystile::testing
