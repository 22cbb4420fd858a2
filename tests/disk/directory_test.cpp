// The directory, its lock and its names; journal files are made once, whoever makes them.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "disk/journal_support.hpp"
#include "support/child.hpp"
#include "support/power_loss.hpp"

namespace keystile::testing {

namespace {

using namespace engine;

Directory opened(const std::string& path, const DirectoryOptions& options = {}) {
    Directory directory;
    EXPECT_EQ(Directory::open(path, options, &directory), Status::kOk);
    return directory;
}

mode_t mode_of(const std::string& path) {
    struct stat info{};
    EXPECT_EQ(::stat(path.c_str(), &info), 0);
    return info.st_mode & 07777;
}

// ---- Made and opened

TEST(JournalDirectory, IsMadeForItsOwnerAlone) {
    const Folder folder;
    const mode_t mask = ::umask(0);
    Directory directory;
    EXPECT_EQ(Directory::open(folder.of("d"), {}, &directory), Status::kOk);
    ::umask(mask);
    EXPECT_EQ(mode_of(folder.of("d")), 0700u);
    EXPECT_EQ(mode_of(folder.of("d/lock")), 0600u);
}

TEST(JournalDirectory, IsMadeForAGroupWhateverTheUmask) {
    const Folder folder;
    const mode_t mask = ::umask(077);
    const Directory directory = opened(folder.of("d"), {.group = ::getgid(), .has_group = true});
    EXPECT_EQ(make_journal(directory, {1, 1, 1, 1, 0, 9, 0}, 0), Status::kOk);
    ::umask(mask);
    EXPECT_EQ(mode_of(folder.of("d")), S_ISGID | 0770u);
    EXPECT_EQ(mode_of(folder.of("d/lock")), 0660u);
    EXPECT_EQ(mode_of(folder.of("d/journal-000001")), 0660u);
}

TEST(JournalDirectory, OfAGroupThatItsFilesDoNotInheritIsPrivate) {
    const Folder folder;
    ASSERT_EQ(::mkdir(folder.of("d").c_str(), 0700), 0);
    ASSERT_EQ(::chmod(folder.of("d").c_str(), 0775), 0);
    EXPECT_EQ(opened(folder.of("d")).file_mode(), 0600u);
    ASSERT_EQ(::chmod(folder.of("d").c_str(), S_ISGID | 0755), 0);
    EXPECT_EQ(opened(folder.of("d")).file_mode(), 0600u);
    ASSERT_EQ(::chmod(folder.of("d").c_str(), S_ISGID | 0775), 0);
    EXPECT_EQ(opened(folder.of("d")).file_mode(), 0660u);
}

std::vector<std::string> synced;

TEST(JournalDirectory, IsOnDiskWhenItIsMade) {
    const Folder folder;
    synced.clear();
    checked::on_disk = [](DiskStep& step) {
        if (step.call == DiskCall::kSyncFolder) synced.emplace_back(step.path);
        return 0;
    };
    opened(folder.of("d"));
    checked::on_disk = nullptr;
    EXPECT_EQ(synced, std::vector<std::string>{folder.path()});
}

TEST(JournalDirectory, ThatIsNotThereIsNotMadeUnasked) {
    const Folder folder;
    Directory directory;
    EXPECT_EQ(Directory::open(folder.of("d"), {.must_exist = true}, &directory), Status::kNoStore);
    EXPECT_EQ(Directory::open(folder.of("d"), {.is_read_only = true}, &directory), Status::kNoStore);
    EXPECT_EQ(Directory::open(folder.of("no/d"), {}, &directory), Status::kNoStore);
    EXPECT_TRUE(folder.names().empty());
}

TEST(JournalDirectory, ThatIsAFileIsNoStore) {
    const Folder folder;
    write_all(folder.of("d"), "a file");
    Directory directory;
    EXPECT_EQ(Directory::open(folder.of("d"), {.must_exist = true}, &directory), Status::kNoStore);
    EXPECT_NE(Directory::open(folder.of("d"), {}, &directory), Status::kOk);
}

std::uint64_t told_magic = 0;

TEST(JournalDirectory, OnAFileSystemOfOtherHostsIsRefused) {
    const Folder folder;
    checked::on_disk = [](DiskStep& step) {
        if (step.call == DiskCall::kFileSystem) step.magic = told_magic;
        return 0;
    };
    Directory directory;
    for (const std::uint64_t magic : {0x6969u, 0xFF534D42u, 0xFE534D42u, 0x517Bu, 0x00C36400u, 0x5346414Fu,
                                      0x6B414653u, 0x0BD00BD0u, 0x01161970u, 0x7461636Fu}) {
        told_magic = magic;
        EXPECT_EQ(Directory::open(folder.of("d"), {}, &directory), Status::kNetworkFileSystem) << magic;
    }
    for (const std::uint64_t magic :
         {0xEF53u, 0x58465342u, 0x9123683Eu, 0x01021994u, 0x2FC12FC1u, 0x65735546u, 0x794C7630u}) {
        told_magic = magic;
        EXPECT_EQ(Directory::open(folder.of("d"), {}, &directory), Status::kOk) << magic;
    }
    checked::on_disk = nullptr;
}

// ---- The lock

TEST(DirectoryLock, IsSharedByParticipantsAndKeepsTheRecovererOut) {
    const Folder folder;
    Directory mine = opened(folder.path());
    ASSERT_EQ(mine.try_lock(LockKind::kShared), Status::kOk);
    Child other([&](const Child::Line& line) {
        Directory theirs = opened(folder.path());
        if (theirs.try_lock(LockKind::kExclusive) != Status::kBusy) return 1;
        if (theirs.try_lock(LockKind::kShared) != Status::kOk) return 2;
        line.ready();
        line.await();  // until the parent let go
        return theirs.try_lock(LockKind::kExclusive) == Status::kOk ? 0 : 3;
    });
    ASSERT_TRUE(other.await_ready());
    EXPECT_EQ(mine.try_lock(LockKind::kExclusive), Status::kBusy);
    // The attempt left us what we had.
    Directory third = opened(folder.path());
    EXPECT_EQ(third.try_lock(LockKind::kExclusive), Status::kBusy);
    EXPECT_EQ(mine.unlock(), Status::kOk);
    other.go();
    EXPECT_EQ(other.await_end(), 0);
}

TEST(DirectoryLock, OfTheRecovererKeepsEverybodyOutUntilItIsExchanged) {
    const Folder folder;
    Directory mine = opened(folder.path());
    ASSERT_EQ(mine.try_lock(LockKind::kExclusive), Status::kOk);
    Child other([&](const Child::Line& line) {
        Directory theirs = opened(folder.path());
        if (theirs.try_lock(LockKind::kShared) != Status::kBusy) return 1;
        line.ready();
        line.await();
        return theirs.try_lock(LockKind::kShared) == Status::kOk ? 0 : 2;
    });
    ASSERT_TRUE(other.await_ready());
    ASSERT_EQ(mine.try_lock(LockKind::kShared), Status::kOk);
    other.go();
    EXPECT_EQ(other.await_end(), 0);
}

TEST(DirectoryLock, OfAKilledProcessIsGone) {
    const Folder folder;
    Child other([&](const Child::Line& line) {
        Directory theirs = opened(folder.path());
        if (theirs.try_lock(LockKind::kExclusive) != Status::kOk) return 1;
        line.ready();
        line.await();
        return 2;
    });
    ASSERT_TRUE(other.await_ready());
    Directory mine = opened(folder.path());
    EXPECT_EQ(mine.try_lock(LockKind::kShared), Status::kBusy);
    other.kill();
    EXPECT_EQ(mine.try_lock(LockKind::kExclusive), Status::kOk);
}

TEST(DirectoryLock, IsSharedByWhoMayOnlyRead) {
    const Folder folder;
    opened(folder.path());
    Directory reader = opened(folder.path(), {.is_read_only = true});
    EXPECT_EQ(reader.try_lock(LockKind::kShared), Status::kOk);
    Directory writer = opened(folder.path());
    EXPECT_EQ(writer.try_lock(LockKind::kExclusive), Status::kBusy);
}

// ---- Where the store lies

TEST(SegmentPlaceText, ComesBackAsItWas) {
    const Folder folder;
    const Directory directory = opened(folder.path());
    std::optional<SegmentPlace> read;
    ASSERT_EQ(directory.read_place(&read), Status::kOk);
    EXPECT_FALSE(read.has_value());
    for (const std::string& path :
         {std::string("/dev/shm/keystile.a b  c"), std::string(3500, 'p'), std::string("x")}) {
        const SegmentPlace place{UINT64_MAX, 7, {1, UINT64_MAX}, 64769, UINT64_MAX, path};
        ASSERT_EQ(directory.write_place(place), Status::kOk);
        ASSERT_EQ(directory.read_place(&read), Status::kOk);
        ASSERT_TRUE(read.has_value());
        EXPECT_TRUE(*read == place);
    }
    EXPECT_EQ(read_all(folder.of("lock")).size(), 4096u);
    EXPECT_EQ(directory.write_place({1, 1, {}, 1, 1, "two\nlines"}), Status::kArgument);
    EXPECT_EQ(directory.write_place({1, 1, {}, 1, 1, std::string(3501, 'p')}), Status::kArgument);
}

TEST(SegmentPlaceText, WithAnyBitFlippedOrCutOffSaysNothing) {
    const Folder folder;
    const Directory directory = opened(folder.path());
    const SegmentPlace place{1, 2, {3, 4}, 5, 6, "/dev/shm/keystile.x"};
    ASSERT_EQ(directory.write_place(place), Status::kOk);
    const std::string good = read_all(folder.of("lock"));
    std::optional<SegmentPlace> read;
    for (std::size_t bit = 0; bit < 300 * 8; ++bit) {
        std::string wrong = good;
        wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ (1 << bit % 8));
        write_all(folder.of("lock"), wrong);
        ASSERT_EQ(directory.read_place(&read), Status::kOk);
        // A letter of the sum may be a capital one: it is the same sum.
        ASSERT_TRUE(!read.has_value() || (*read == place && std::isxdigit(wrong[bit / 8]))) << bit;
    }
    for (const std::size_t length : {0u, 1u, 100u, 4095u}) {
        write_all(folder.of("lock"), good.substr(0, length));
        ASSERT_EQ(directory.read_place(&read), Status::kOk);
        EXPECT_FALSE(read.has_value());
    }
}

// ---- Names

TEST(JournalNames, AreOneANumber) {
    EXPECT_EQ(journal_name(0x2A), "journal-00002a");
    EXPECT_EQ(checkpoint_name(kPositionMax), "checkpoint-ffffffffffffff");
    std::uint32_t file = 0;
    Position start = 0;
    EXPECT_TRUE(parse_journal_name("journal-ffffff", &file) && file == kJournalFileMax);
    EXPECT_TRUE(parse_checkpoint_name("checkpoint-00000000000010", &start) && start == 16);
    for (const char* wrong : {"journal-00002A", "journal-2a", "journal-0000002a", "journal-00002 ",
                              "journal-00002a~", "Journal-00002a", ".journal-00002a", "", "journal-"}) {
        EXPECT_FALSE(parse_journal_name(wrong, &file)) << wrong;
    }
    EXPECT_EQ(name_behind(".journal-00002a.0123456789abcdef"), "journal-00002a");
    for (const char* other : {".", "..", ".gitignore", "journal-00002a", ".journal-00002a",
                              ".journal-00002a.0123456789abcdeF", "..0123456789abcdef"}) {
        EXPECT_EQ(name_behind(other), "") << other;
    }
}

TEST(JournalDirectory, ListsWhatIsItsOwnInOrder) {
    const Folder folder;
    const Directory directory = opened(folder.path());
    for (const char* name :
         {"journal-000010", "journal-00000a", "journal-000002", "checkpoint-00000000000100",
          "checkpoint-000000000000ff", "mark", "notes.txt", ".hidden", ".mark.0123456789abcdef"}) {
        write_all(folder.of(name), "");
    }
    DirectoryListing listing;
    ASSERT_EQ(directory.list(&listing), Status::kOk);
    EXPECT_EQ(listing.journals, (std::vector<std::uint32_t>{2, 10, 16}));
    EXPECT_EQ(listing.checkpoints, (std::vector<Position>{255, 256}));
    EXPECT_EQ(listing.half_made, std::vector<std::string>{".mark.0123456789abcdef"});
    ASSERT_EQ(directory.remove_half_made(), Status::kOk);
    const auto names = folder.names();
    EXPECT_EQ(std::count(names.begin(), names.end(), ".mark.0123456789abcdef"), 0);
    EXPECT_EQ(std::count(names.begin(), names.end(), ".hidden"), 1);
}

// ---- Journal files

TEST(JournalFileHead, ComesBackAsItWas) {
    const Folder folder;
    const Directory directory = opened(folder.path());
    const JournalHead head{0xABCDEF, 3, 0x2A, 1000, 8192, 5000, 77};
    ASSERT_EQ(make_journal(directory, head, 100'000), Status::kOk);
    EXPECT_EQ(folder.names(), (std::vector<std::string>{"journal-00002a", "lock"}));
    const std::string bytes = read_all(folder.of("journal-00002a"));
    EXPECT_EQ(bytes.size(), 100'000u);
    EXPECT_EQ(bytes.find_first_not_of('\0', 72), std::string::npos);
    JournalFile file;
    Damage damage;
    ASSERT_EQ(JournalFile::open(directory, 0x2A, Access::kReadOnly, &file, &damage), Status::kOk);
    EXPECT_EQ(file.head().store_id, head.store_id);
    EXPECT_EQ(file.head().incarnation, head.incarnation);
    EXPECT_EQ(file.head().file, head.file);
    EXPECT_EQ(file.head().start, head.start);
    EXPECT_EQ(file.head().end_before, head.end_before);
    EXPECT_EQ(file.head().limit, head.limit);
    EXPECT_EQ(file.head().wall_ns, head.wall_ns);
    EXPECT_EQ(JournalFile::open(directory, 0x2B, Access::kReadOnly, &file, &damage), Status::kNoStore);
}

TEST(JournalFileHead, WithAnyBitFlippedOrCutOffIsRefused) {
    const Folder folder;
    const Directory directory = opened(folder.path());
    ASSERT_EQ(make_journal(directory, {1, 1, 1, 1, 0, 9, 0}, 0), Status::kOk);
    const std::string good = read_all(folder.of("journal-000001"));
    JournalFile file;
    Damage damage;
    for (std::size_t bit = 0; bit < 72 * 8; ++bit) {
        std::string wrong = good;
        wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ (1 << bit % 8));
        write_all(folder.of("journal-000001"), wrong);
        // The seventh byte says which version of the format it is.
        ASSERT_EQ(JournalFile::open(directory, 1, Access::kReadOnly, &file, &damage),
                  bit / 8 == 6 ? Status::kLayout : Status::kJournalCorrupt)
            << bit;
    }
    for (const std::size_t length : {0u, 8u, 71u}) {
        write_all(folder.of("journal-000001"), good.substr(0, length));
        EXPECT_NE(JournalFile::open(directory, 1, Access::kReadOnly, &file, &damage), Status::kOk);
    }
    std::filesystem::rename(folder.of("journal-000001"), folder.of("journal-000002"));
    write_all(folder.of("journal-000002"), good);
    EXPECT_EQ(JournalFile::open(directory, 2, Access::kReadOnly, &file, &damage), Status::kJournalCorrupt);
    EXPECT_STREQ(damage.what, "its head is of another file");
}

TEST(JournalFileHead, IsOnDiskWhenItIsMade) {
    const Folder folder, after;
    PowerLoss power(folder.path());
    const Directory directory = opened(folder.path());
    for (std::uint32_t file = 1; file < 4; ++file) {
        ASSERT_EQ(make_journal(directory, {1, 1, file, 1, 0, 9, 0}, 20'000), Status::kOk);
        for (std::uint64_t seed = 0; seed < 20; ++seed) {
            Dice dice(seed);
            power.rebuild(after.path(), dice);
            ASSERT_TRUE(read_all(after.of(journal_name(file))) == read_all(folder.of(journal_name(file))));
        }
    }
}

// A slow maker: the file is there meanwhile, and somebody took his hidden one for a dead one's.
TEST(JournalFileHead, IsNotThatOfAMakerWhoWasOvertaken) {
    const Folder folder;
    const Directory directory = opened(folder.path());
    ASSERT_EQ(make_journal(directory, {1, 1, 2, 1, 0, 9, 0}, 0), Status::kOk);
    checked::on_disk = [](DiskStep& step) {
        if (step.call == DiskCall::kLink) std::filesystem::remove(step.path);
        return 0;
    };
    EXPECT_EQ(make_journal(directory, {7, 1, 2, 1, 0, 9, 0}, 0), Status::kOk);
    checked::on_disk = nullptr;
    JournalFile file;
    Damage damage;
    ASSERT_EQ(JournalFile::open(directory, 2, Access::kReadOnly, &file, &damage), Status::kOk);
    EXPECT_EQ(file.head().store_id, 1u);
}

// Whoever comes first has made it; whoever comes later finds it as it was made, nothing lost, nothing left over.
TEST(JournalFileHead, IsTheFirstMakersWhoeverRaces) {
    constexpr int kMakers = 4;
    constexpr std::uint32_t kFiles = 20;
    const Folder folder;
    opened(folder.path());
    std::vector<std::unique_ptr<Child>> makers;
    for (std::uint64_t i = 1; i <= kMakers; ++i) {
        makers.push_back(std::make_unique<Child>([&, i](const Child::Line& line) {
            const Directory directory = opened(folder.path());
            line.ready();
            line.await();
            for (std::uint32_t file = 1; file <= kFiles; ++file) {
                if (make_journal(directory, {i, 1, file, 1, 0, 9, 0}, 50'000) != Status::kOk) return 1;
                JournalFile journal;
                Damage damage;
                if (JournalFile::open(directory, file, Access::kReadWrite, &journal, &damage) != Status::kOk)
                    return 2;
                const std::uint64_t store = journal.head().store_id;
                if (JournalFile::open(directory, file, Access::kReadWrite, &journal, &damage) != Status::kOk)
                    return 3;
                if (journal.head().store_id != store) return 4;
            }
            return 0;
        }));
    }
    for (auto& maker : makers) ASSERT_TRUE(maker->await_ready());
    for (auto& maker : makers) maker->go();
    for (auto& maker : makers) EXPECT_EQ(maker->await_end(), 0);
    EXPECT_EQ(folder.names().size(), kFiles + 1);  // and the lock
}

}  // namespace

}  // namespace keystile::testing
