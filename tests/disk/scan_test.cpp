// What a scan finds is a prefix of the history; that it is all that was on disk, or why not, is told.
#include <algorithm>
#include <filesystem>

#include "disk/journal_support.hpp"

namespace keystile::testing {

namespace {

using namespace engine;

std::vector<Position> from_to(Position first, Position last) {
    std::vector<Position> positions;
    for (Position p = first; p <= last; ++p) positions.push_back(p);
    return positions;
}

void flip(const std::string& path, std::uint64_t offset) {
    std::string bytes = read_all(path);
    bytes.at(offset) = static_cast<char>(bytes.at(offset) ^ 1);
    write_all(path, bytes);
}

struct Scanned : Folder {
    Scanned() : history(path()) { EXPECT_EQ(history.next_file(), Status::kOk); }
    void add(int count) { ASSERT_EQ(history.add_small(count), Status::kOk); }
    void next_file(Position start = 0) { ASSERT_EQ(history.next_file(start), Status::kOk); }
    std::string journal(std::uint32_t file) const { return of(journal_name(file)); }
    TestHistory history;
};

TEST(Scan, OfNothingSaysThatThereIsNoStore) {
    const Folder folder;
    TestHistory history(folder.path());
    EXPECT_EQ(scan(folder.path()).status, Status::kNoStore);
}

TEST(Scan, ShowsEveryRecordOfEveryFileInOrder) {
    Scanned t;
    t.add(5);
    t.next_file();
    t.next_file();
    t.add(3);
    t.next_file(20);
    t.add(2);
    for (const ScanScope scope : {ScanScope::kReplay, ScanScope::kJournals}) {
        const Seen seen = scan(t.path(), scope);
        EXPECT_EQ(seen.status, Status::kOk);
        EXPECT_TRUE(seen.records == t.history.records());
        EXPECT_EQ(seen.end.end, t.history.at());
        EXPECT_EQ(seen.end.store_id, TestHistory::kStore);
        EXPECT_EQ(seen.end.file, 4u);
        EXPECT_EQ(seen.end.limit, TestHistory::kLimit);
        EXPECT_EQ(seen.end.records, 10u);
        EXPECT_EQ(seen.end.entries, 10u);
        EXPECT_TRUE(seen.end.cut.is_none());
        EXPECT_EQ(seen.places.front(), (JournalPoint{1, 1, kJournalHeadBytes}));
        EXPECT_EQ(seen.places.back().file, 4u);
    }
}

TEST(Scan, OfFilesWithoutRecordsEndsAtTheStartOfTheLast) {
    Scanned t;
    t.next_file(7);
    const Seen seen = scan(t.path());
    EXPECT_EQ(seen.status, Status::kOk);
    EXPECT_EQ(seen.end.end, (JournalPoint{7, 2, kJournalHeadBytes}));
}

// ---- Checkpoints

TEST(Scan, BeginsAtTheNewestCheckpoint) {
    Scanned t;
    t.add(3);
    const JournalPoint middle = t.history.at();
    t.add(2);
    t.next_file();
    t.add(2);
    ASSERT_EQ(t.history.checkpoint({1, 1, kJournalHeadBytes}, {}), Status::kOk);
    ASSERT_EQ(t.history.checkpoint(middle, {{"k", "v", 2, 0, 0}}), Status::kOk);
    t.add(2);
    flip(t.journal(1), kJournalHeadBytes + 40);  // below what is read
    const Seen seen = scan(t.path());
    EXPECT_EQ(seen.status, Status::kOk);
    EXPECT_EQ(seen.end.checkpoint, middle.position);
    EXPECT_EQ(seen.end.checkpoint_entries, 1u);
    EXPECT_EQ(seen.checkpoint.size(), 1u);
    EXPECT_EQ(seen.positions(), from_to(4, 9));
    EXPECT_EQ(seen.end.end, t.history.at());
    EXPECT_EQ(scan(t.path(), ScanScope::kJournals).status, Status::kJournalCorrupt);
}

TEST(Scan, PassesADamagedCheckpointOverAndSaysSo) {
    Scanned t;
    t.add(3);
    ASSERT_EQ(t.history.checkpoint(t.history.at(), {{"old", "", 1, 0, 0}}), Status::kOk);
    t.add(3);
    ASSERT_EQ(t.history.checkpoint(t.history.at(), {{"new", "", 1, 0, 0}}), Status::kOk);
    t.add(1);
    flip(t.of(checkpoint_name(7)), 80);
    Seen seen = scan(t.path());
    EXPECT_EQ(seen.status, Status::kOk);
    EXPECT_EQ(seen.end.checkpoint, 4u);
    EXPECT_EQ(seen.checkpoint.at(0).key, "old");
    EXPECT_EQ(seen.positions(), from_to(4, 7));
    EXPECT_EQ(seen.end.bad_checkpoint.path, t.of(checkpoint_name(7)));
    EXPECT_STREQ(seen.end.bad_checkpoint.damage.what, "an entry's checksum is wrong");
    // Without any, all the files are there all the same.
    flip(t.of(checkpoint_name(4)), 80);
    seen = scan(t.path());
    EXPECT_EQ(seen.status, Status::kOk);
    EXPECT_EQ(seen.end.checkpoint, 0u);
    EXPECT_EQ(seen.positions(), from_to(1, 7));
}

TEST(Scan, WithoutACheckpointAndWithoutTheFirstFilesIsCorruption) {
    Scanned t;
    t.add(3);
    t.next_file();
    t.add(3);
    ASSERT_EQ(t.history.checkpoint(t.history.at(), {}), Status::kOk);
    std::filesystem::remove(t.journal(1));
    EXPECT_EQ(scan(t.path()).status, Status::kOk);
    std::filesystem::remove(t.of(checkpoint_name(7)));
    const Seen seen = scan(t.path());
    EXPECT_EQ(seen.status, Status::kJournalCorrupt);
    EXPECT_EQ(seen.end.damage.path, t.journal(2));
    EXPECT_STREQ(seen.end.damage.damage.what,
                 "files before it are gone, and no whole checkpoint replaces them");
    EXPECT_EQ(scan(t.path(), ScanScope::kJournals).positions(), from_to(4, 6));
}

// ---- Where a file ends

TEST(Scan, CutsATailThatNobodyWasTold) {
    Scanned t;
    t.add(3);
    ASSERT_EQ(t.history.mark(), Status::kOk);
    const JournalPoint known = t.history.at();
    t.add(3);
    flip(t.journal(1), known.offset + 50);
    const Seen seen = scan(t.path());
    EXPECT_EQ(seen.status, Status::kOk);
    EXPECT_EQ(seen.positions(), from_to(1, 3));
    EXPECT_EQ(seen.end.end, known);
    EXPECT_EQ(seen.end.cut.path, t.journal(1));
    EXPECT_EQ(seen.end.cut.damage.offset, known.offset);
}

TEST(Scan, TellsDamageBelowTheMarkFromATail) {
    Scanned t;
    t.add(2);
    const JournalPoint second = t.history.at();
    t.add(1);
    ASSERT_EQ(t.history.mark(), Status::kOk);
    t.add(1);
    flip(t.journal(1), second.offset + 50);
    const Seen seen = scan(t.path());
    EXPECT_EQ(seen.status, Status::kJournalCorrupt);
    EXPECT_EQ(seen.positions(), from_to(1, 2));
    EXPECT_EQ(seen.end.damage.path, t.journal(1));
    EXPECT_EQ(seen.end.damage.damage.offset, second.offset);
    EXPECT_EQ(seen.end.end, second);
}

TEST(Scan, TellsDamageBelowACheckpointsEndFromATail) {
    Scanned t;
    t.add(2);
    const JournalPoint second = t.history.at();
    t.add(1);
    ASSERT_EQ(t.history.checkpoint(second, {}), Status::kOk);  // on disk: three
    flip(t.journal(1), second.offset + 50);
    EXPECT_EQ(scan(t.path()).status, Status::kJournalCorrupt);
}

TEST(Scan, TellsDamageBelowTheNextFilesHeadFromATail) {
    Scanned t;
    t.add(2);
    const JournalPoint second = t.history.at();
    t.add(1);
    t.next_file();
    t.add(1);
    flip(t.journal(1), second.offset + 50);
    const Seen seen = scan(t.path());
    EXPECT_EQ(seen.status, Status::kJournalCorrupt);
    EXPECT_EQ(seen.positions(), from_to(1, 2));
    EXPECT_EQ(seen.end.end, second);
}

// Positions have gaps, so a record that is gone without a trace is missed by its offset alone.
TEST(Scan, MissesRecordsThatAreGoneWithoutATrace) {
    for (const bool has_next : {false, true}) {
        for (const bool is_cut_off : {false, true}) {
            Scanned t;
            t.add(2);
            const JournalPoint second = t.history.at();
            t.add(1);
            if (has_next) {
                t.next_file();
                t.add(1);
            } else {
                ASSERT_EQ(t.history.mark(), Status::kOk);
            }
            std::string bytes = read_all(t.journal(1)).substr(0, second.offset);
            if (!is_cut_off) bytes.resize(TestHistory::kFileBytes);
            write_all(t.journal(1), bytes);
            const Seen seen = scan(t.path());
            EXPECT_EQ(seen.status, Status::kJournalCorrupt);
            EXPECT_EQ(seen.positions(), from_to(1, 2));
            EXPECT_STREQ(seen.end.damage.damage.what, "records that were on disk are gone");
        }
    }
}

// A tail that a recovery cut, or that was written again elsewhere: it lies behind the end that the next file names.
TEST(Scan, DoesNotReadBehindTheEndOfAFile) {
    for (const bool is_sound : {false, true}) {
        Scanned t;
        t.add(2);
        const JournalPoint second = t.history.at();
        t.add(1);
        if (!is_sound) flip(t.journal(1), second.offset + 50);
        // Another writer, who knows of two.
        JournalFile journal;
        Damage damage;
        ASSERT_EQ(JournalFile::open(t.history.directory(), 1, Access::kReadWrite, &journal, &damage),
                  Status::kOk);
        const JournalHead next{TestHistory::kStore, 2, 2, 100, second.offset, 200, 0};
        ASSERT_EQ(make_journal(t.history.directory(), next, 8192), Status::kOk);
        const std::string record = encode(small_record(100), record_seed(next.store_id, 2, 2));
        ASSERT_EQ(JournalFile::open(t.history.directory(), 2, Access::kReadWrite, &journal, &damage),
                  Status::kOk);
        ASSERT_EQ(journal.head().limit, 200u);
        ASSERT_EQ(journal.write(kJournalHeadBytes, record.data(), record.size()), Status::kOk);
        const Seen seen = scan(t.path());
        // Its promise is below the one before: whoever made it did not read that.
        EXPECT_EQ(seen.status, Status::kJournalCorrupt);
        std::filesystem::remove(t.journal(2));
        const JournalHead right{TestHistory::kStore, 2, 2, 100, second.offset, 2 * TestHistory::kLimit, 0};
        ASSERT_EQ(make_journal(t.history.directory(), right, 8192), Status::kOk);
        ASSERT_EQ(JournalFile::open(t.history.directory(), 2, Access::kReadWrite, &journal, &damage),
                  Status::kOk);
        ASSERT_EQ(journal.write(kJournalHeadBytes, record.data(), record.size()), Status::kOk);
        const Seen again = scan(t.path());
        EXPECT_EQ(again.status, Status::kOk);
        EXPECT_EQ(again.positions(), (std::vector<Position>{1, 2, 100}));
        EXPECT_TRUE(again.end.cut.is_none());
        EXPECT_EQ(again.end.incarnation, 2u);
        EXPECT_EQ(again.end.limit, 2 * TestHistory::kLimit);
    }
}

TEST(Scan, EndsAtARecordWhosePositionCannotBe) {
    for (const Position wrong : {Position{2}, Position{3}, TestHistory::kLimit}) {
        Scanned t;
        t.add(3);
        const JournalPoint third = t.history.at();
        ASSERT_EQ(t.history.add(small_record(wrong)), Status::kOk);
        const Seen seen = scan(t.path());
        EXPECT_EQ(seen.positions(), from_to(1, 3));
        EXPECT_EQ(seen.end.end, third);
        EXPECT_FALSE(seen.end.cut.is_none());
    }
    Scanned t;
    t.add(3);
    const JournalPoint third = t.history.at();
    ASSERT_EQ(t.history.add(small_record(50)), Status::kOk);
    const JournalHead next{TestHistory::kStore, 1, 2, 50, t.history.at().offset, TestHistory::kLimit, 0};
    ASSERT_EQ(make_journal(t.history.directory(), next, 8192), Status::kOk);
    const Seen seen = scan(t.path());
    EXPECT_EQ(seen.status, Status::kJournalCorrupt);
    EXPECT_STREQ(seen.end.damage.damage.what, "a record's position is one of the next file's");
    EXPECT_EQ(seen.end.end, third);
}

// ---- Files that are missing

TEST(Scan, MissesAFile) {
    const struct {
        std::uint32_t removed;
        bool has_mark;
        const char* what;
    } cases[] = {{2, false, "it is not there, but a later one is"},
                 {3, true, "the mark names it, and it is not there"},
                 {1, false, "files before it are gone, and no whole checkpoint replaces them"}};
    for (const auto& c : cases) {
        Scanned t;
        t.add(1);
        t.next_file();
        t.add(1);
        t.next_file();
        t.add(1);
        ASSERT_EQ(c.has_mark ? t.history.mark() : Status::kOk, Status::kOk);
        std::filesystem::remove(t.journal(c.removed));
        const Seen seen = scan(t.path());
        EXPECT_EQ(seen.status, Status::kJournalCorrupt);
        EXPECT_STREQ(seen.end.damage.damage.what, c.what);
    }
}

TEST(Scan, MissesAFileThatACheckpointNames) {
    Scanned t;
    t.add(1);
    const JournalPoint first = t.history.at();
    t.next_file();
    t.add(1);
    ASSERT_EQ(t.history.checkpoint(first, {}), Status::kOk);
    std::filesystem::remove(t.journal(2));
    EXPECT_EQ(scan(t.path()).status, Status::kJournalCorrupt);
    std::filesystem::remove(t.journal(1));
    const Seen seen = scan(t.path());
    EXPECT_EQ(seen.status, Status::kJournalCorrupt);
    EXPECT_STREQ(seen.end.damage.damage.what, "a checkpoint names it, and it is not there");
}

TEST(Scan, MissesTheJournalThatAMarkNames) {
    Scanned t;
    t.add(1);
    ASSERT_EQ(t.history.mark(), Status::kOk);
    std::filesystem::remove(t.journal(1));
    EXPECT_EQ(scan(t.path()).status, Status::kJournalCorrupt);
}

TEST(Scan, RefusesAFileOfAnotherStore) {
    Scanned t;
    t.add(1);
    const JournalHead next{TestHistory::kStore + 1, 1, 2, 2, t.history.at().offset, TestHistory::kLimit, 0};
    ASSERT_EQ(make_journal(t.history.directory(), next, 8192), Status::kOk);
    const Seen seen = scan(t.path());
    EXPECT_EQ(seen.status, Status::kJournalCorrupt);
    EXPECT_EQ(seen.positions(), from_to(1, 1));
    EXPECT_STREQ(seen.end.damage.damage.what, "its head is of another store");
}

TEST(Scan, RefusesAHeadThatDoesNotFitTheFileBefore) {
    constexpr Position kLimit = TestHistory::kLimit;
    const struct {
        std::uint64_t incarnation;
        Position start, limit;
        const char* what;
    } cases[] = {{1, 10, 2 * kLimit, "its head is older than the file before"},
                 {2, 9, 2 * kLimit, "its head is older than the file before"},
                 {2, 10, 2 * kLimit - 1, "its head is older than the file before"},
                 {2, 10, 2 * kLimit, nullptr}};
    for (const auto& c : cases) {
        Scanned t;
        t.history.next_incarnation();
        t.next_file(10);
        const JournalHead next{TestHistory::kStore, c.incarnation, 3, c.start, kJournalHeadBytes, c.limit, 0};
        ASSERT_EQ(make_journal(t.history.directory(), next, 8192), Status::kOk);
        const Seen seen = scan(t.path());
        EXPECT_EQ(seen.status, c.what != nullptr ? Status::kJournalCorrupt : Status::kOk);
        EXPECT_STREQ(seen.end.damage.damage.what, c.what);
    }
    Scanned t;
    ASSERT_EQ(make_journal(t.history.directory(), {TestHistory::kStore, 1, 2, 1, 0, kLimit, 0}, 8192),
              Status::kOk);
    const Seen seen = scan(t.path());
    EXPECT_EQ(seen.status, Status::kJournalCorrupt);
    EXPECT_STREQ(seen.end.damage.damage.what, "its head says that no file is before it");
}

TEST(Scan, RefusesARecordOfBeforeItsFilesStart) {
    Scanned t;
    t.next_file(10);
    const std::string record = encode(small_record(9), record_seed(TestHistory::kStore, 1, 2));
    std::string bytes = read_all(t.journal(2));
    write_all(t.journal(2), bytes.replace(kJournalHeadBytes, record.size(), record));
    const Seen seen = scan(t.path());
    EXPECT_TRUE(seen.records.empty());
    EXPECT_STREQ(seen.end.cut.damage.what, "a record's position is none of its file's");
}

TEST(Scan, RefusesARecordThatGoesOnBehindItsFilesEnd) {
    Scanned t;
    t.add(2);
    const std::uint64_t end = t.history.at().offset - 8;
    ASSERT_EQ(make_journal(t.history.directory(), {TestHistory::kStore, 1, 2, 3, end, TestHistory::kLimit, 0},
                           8192),
              Status::kOk);
    const Seen seen = scan(t.path());
    EXPECT_EQ(seen.status, Status::kJournalCorrupt);
    EXPECT_EQ(seen.positions(), from_to(1, 1));
    EXPECT_STREQ(seen.end.damage.damage.what, "a record goes on behind the file's end");
}

TEST(Scan, RefusesACheckpointThatBeginsBehindItsFilesEnd) {
    Scanned t;
    t.add(2);
    const JournalPoint end = t.history.at();
    t.next_file();
    ASSERT_EQ(t.history.checkpoint({end.position, 1, end.offset + 8}, {}), Status::kOk);
    const Seen seen = scan(t.path());
    EXPECT_EQ(seen.status, Status::kJournalCorrupt);
    EXPECT_STREQ(seen.end.damage.damage.what, "replay begins behind its end");
}

TEST(Scan, DoesNotBelieveAStrangersMark) {
    Scanned t;
    t.add(2);
    ASSERT_EQ(write_mark(t.history.directory(), {TestHistory::kStore + 1, 1, 0, {99, 9, 8192}}), Status::kOk);
    EXPECT_EQ(scan(t.path()).status, Status::kOk);
}

TEST(Scan, SaysWhenTheSystemCannotRead) {
    Scanned t;
    t.add(2);
    ASSERT_EQ(t.history.checkpoint(t.history.at(), {}), Status::kOk);
    static int reads, failing;
    for (failing = 1;; ++failing) {
        reads = 0;
        checked::on_disk = [](DiskStep& step) {
            return step.call == DiskCall::kRead && ++reads == failing ? EIO : 0;
        };
        const Seen seen = scan(t.path());
        checked::on_disk = nullptr;
        if (reads < failing) break;
        EXPECT_EQ(seen.status, Status::kSystem) << failing;
        EXPECT_EQ(fault_errno, EIO) << failing;
    }
    EXPECT_GT(failing, 5);
}

TEST(FileWindow, HasNothingAfterAFault) {
    Scanned t;
    DiskFile file;
    FileWindow window;
    ASSERT_EQ(disk_open(t.journal(1), Access::kReadOnly, &file), Status::kOk);
    ASSERT_EQ(window.open(file), Status::kOk);
    ASSERT_NE(window.at(0, 8), nullptr);
    write_all(t.journal(1), std::string(1 << 20, 'x'));
    ASSERT_EQ(window.open(file), Status::kOk);
    ASSERT_NE(window.at(0, 8), nullptr);
    checked::on_disk = [](DiskStep&) { return EIO; };
    EXPECT_EQ(window.at(512 * 1024, 8), nullptr);
    checked::on_disk = nullptr;
    EXPECT_EQ(window.status(), Status::kSystem);
    EXPECT_EQ(window.at(512 * 1024, 8), nullptr);
}

TEST(Scan, EndsWithWhatTheVisitorSays) {
    Scanned t;
    t.add(3);
    struct Refusing final : HistoryVisitor {
        Status on_record(const RecordHead& record, const JournalPoint&) noexcept override {
            return record.position == 2 ? Status::kFull : Status::kOk;
        }
    } refusing;
    HistoryEnd end;
    EXPECT_EQ(scan_history(t.history.directory(), ScanScope::kReplay, refusing, &end), Status::kFull);
    EXPECT_EQ(end.records, 1u);
    EXPECT_EQ(end.end.position, 2u);
}

// ---- Any damage at all

// A checkpoint, two files, a mark. However a byte of it is changed or cut off: what is shown is a prefix, and if it is
// shorter than what was on disk, that is told.
struct Whole : Scanned {
    Whole() {
        add(2);
        start = history.at();
        add(2);
        EXPECT_EQ(history.checkpoint(start, {{"k", "v", 2, 0, 0}}), Status::kOk);
        next_file();
        add(2);
        EXPECT_EQ(history.mark(), Status::kOk);
        known = history.at();
        add(2);
    }
    void expect_prefix(const std::string& what) {
        const Seen seen = scan(path());
        if (seen.status == Status::kLayout) return;
        const auto& all = history.records();
        const std::size_t first = seen.end.checkpoint != 0 ? 2 : 0;
        ASSERT_LE(seen.records.size() + first, all.size()) << what;
        ASSERT_TRUE(std::equal(seen.records.begin(), seen.records.end(),
                               all.begin() + static_cast<std::ptrdiff_t>(first)))
            << what;
        const bool has_all_known = seen.end.end.position >= known.position;
        if (seen.status == Status::kOk) {
            ASSERT_TRUE(has_all_known) << what;
        } else {
            ASSERT_EQ(seen.status, Status::kJournalCorrupt) << what;
            ASSERT_FALSE(seen.end.damage.is_none()) << what;
        }
    }
    JournalPoint start, known;
};

TEST(AnyDamage, OfOneBitIsToldOrDoesNotMatter) {
    Whole t;
    for (const std::string& name : t.names()) {
        const std::string good = read_all(t.of(name));
        if (name == "mark" || name == "lock") continue;  // of the mark: below
        const std::size_t end = std::min<std::size_t>(good.find_last_not_of('\0') + 17, good.size());
        for (std::size_t at = 0; at < end; ++at) {
            if (at >= 128 && at < kJournalHeadBytes - 16) continue;  // nothing lies there, and nobody looks
            for (int bit = 0; bit < 8; ++bit) {
                std::string wrong = good;
                wrong[at] = static_cast<char>(wrong[at] ^ (1 << bit));
                write_all(t.of(name), wrong);
                t.expect_prefix(name + " byte " + std::to_string(at) + " bit " + std::to_string(bit));
                if (::testing::Test::HasFatalFailure()) return;
            }
        }
        write_all(t.of(name), good);
    }
}

TEST(AnyDamage, ThatCutsAFileOffIsToldOrDoesNotMatter) {
    Whole t;
    for (const std::string& name : t.names()) {
        const std::string good = read_all(t.of(name));
        if (name == "mark" || name == "lock") continue;
        for (std::size_t length = 0; length <= good.find_last_not_of('\0') + 9 && length < good.size();
             ++length) {
            if (length >= 128 && length < kJournalHeadBytes - 16) continue;
            write_all(t.of(name), good.substr(0, length));
            t.expect_prefix(name + " cut to " + std::to_string(length));
            if (::testing::Test::HasFatalFailure()) return;
        }
        write_all(t.of(name), good);
    }
}

TEST(AnyDamage, OfTheMarkLosesNothing) {
    Whole t;
    const std::string good = read_all(t.of("mark"));
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
        std::string wrong = good;
        wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ (1 << bit % 8));
        write_all(t.of("mark"), wrong);
        const Seen seen = scan(t.path());
        ASSERT_EQ(seen.status, Status::kOk) << bit;
        ASSERT_EQ(seen.positions(), from_to(3, 8));
    }
}

}  // namespace

}  // namespace keystile::testing
