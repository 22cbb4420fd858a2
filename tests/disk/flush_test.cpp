// Flushing when the disk says no, and when others are faster: what counts as on disk was written and synced through one
// descriptor, and no failure and no late flusher leaves a store that cannot flush any more.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>
#include <functional>

#include "disk/journal_support.hpp"
#include "disk/opener.hpp"

namespace keystile::testing {

namespace {

using namespace engine;

// A call of the file system that concerns a journal file.
struct Call {
    DiskCall call;
    std::uint32_t file;
    std::uint64_t offset;
};

std::function<int(const Call&)> answer;  // 0: go on; else the errno

int on_journal(DiskStep& step) {
    std::uint32_t file = 0;
    const char* name = std::strrchr(step.path, '/');
    if (!answer || name == nullptr) return 0;
    const std::string_view hidden = name_behind(name + 1);
    if (!parse_journal_name(hidden.empty() ? name + 1 : hidden, &file)) return 0;
    return answer({step.call, file, step.offset});
}

class FlushTest : public ::testing::Test {
protected:
    void SetUp() override { checked::on_disk = on_journal; }
    void TearDown() override {
        answer = nullptr;
        checked::on_disk = nullptr;
        for (Opener& opener : openers_) opener.leave();
    }

    Opener& open() {
        Opener& opener = openers_.emplace_back();
        EXPECT_EQ(opener.open(folder_.path(), segments_.path()), Status::kOk);
        return opener;
    }

    // What the directory alone says.
    std::vector<std::string> history() {
        std::vector<std::string> values;
        const Seen seen = scan(folder_.path());
        EXPECT_EQ(seen.status, Status::kOk);
        for (const TestRecord& record : seen.records) values.push_back(record.entries.at(0).value);
        return values;
    }

    Folder folder_, segments_;
    std::deque<Opener> openers_;
};

TEST_F(FlushTest, AfterAFailureTheHistoryGoesOnInTheNextFile) {
    for (const DiskCall failing : {DiskCall::kWrite, DiskCall::kSyncData}) {
        Opener& one = open();
        const std::uint32_t file = one.durable().file;
        ASSERT_EQ(one.put("k", "1"), Status::kOk);
        ASSERT_EQ(one.flush_all(), Status::kOk);
        ASSERT_EQ(one.put("k", "2"), Status::kOk);
        answer = [&](const Call& c) { return c.call == failing && c.file == file ? EIO : 0; };
        EXPECT_NE(one.flush_all(), Status::kOk);
        EXPECT_LT(one.durable().position, one.end());
        EXPECT_EQ(one.flush_all(), Status::kOk);
        EXPECT_EQ(one.durable().file, file + 1);
        EXPECT_EQ(one.durable().position, one.end());
        answer = nullptr;
        const std::vector<std::string> values = history();
        ASSERT_GE(values.size(), 2u);
        EXPECT_EQ(std::vector<std::string>(values.end() - 2, values.end()),
                  (std::vector<std::string>{"1", "2"}));
        one.leave();
    }
}

// What the kernel could not write it tells each descriptor once, and forgets: a second sync of that file may say that
// all is well. So it is left, even if `durable` moved within it while the sync failed.
TEST_F(FlushTest, AFileThatFailedIsLeftWhateverBecomesOfDurable) {
    Opener& one = open();
    Opener& two = open();
    const std::uint32_t file = one.durable().file;
    ASSERT_EQ(two.put("k", "1"), Status::kOk);
    ASSERT_EQ(two.flush_all(), Status::kOk);
    ASSERT_EQ(one.put("k", "2"), Status::kOk);
    ASSERT_EQ(one.write_all(), Status::kOk);
    bool is_failing = true;
    answer = [&](const Call& c) {
        if (c.call != DiskCall::kWrite || c.file != file || !is_failing) return 0;
        is_failing = false;
        EXPECT_EQ(two.flush_all(), Status::kOk);  // meanwhile
        return EIO;
    };
    ASSERT_EQ(one.put("k", "3"), Status::kOk);
    EXPECT_NE(one.flush_all(), Status::kOk);
    EXPECT_EQ(one.durable().file, file + 1);
    answer = nullptr;
    EXPECT_EQ(one.flush_all(), Status::kOk);
    EXPECT_EQ(history(), (std::vector<std::string>{"1", "2", "3"}));
}

TEST_F(FlushTest, OnlyTheFileThatFailedIsLeft) {
    Opener& one = open();
    Opener& two = open();
    const std::uint32_t file = one.durable().file;
    ASSERT_EQ(one.put("k", "1"), Status::kOk);
    bool is_first = true;
    answer = [&](const Call& c) {
        if (c.call != DiskCall::kSyncData || c.file != file) return 0;
        if (!is_first) return EIO;
        is_first = false;
        EXPECT_NE(two.flush_all(), Status::kOk);  // it fails for both of them; two is first to leave it
        EXPECT_EQ(two.flush_all(), Status::kOk);
        return EIO;
    };
    EXPECT_NE(one.flush_all(), Status::kOk);
    EXPECT_EQ(one.durable().file, file + 1) << "a file that is sound was left";
    EXPECT_EQ(one.durable().position, one.end());
}

// Of what others wrote through theirs, one's own descriptor does not tell whether it came to the disk (F3).
TEST_F(FlushTest, WhatOthersWroteIsWrittenAgainBeforeItCounts) {
    Opener& one = open();
    Opener& two = open();
    ASSERT_EQ(one.put("k", "1"), Status::kOk);
    ASSERT_EQ(one.flush_all(), Status::kOk);  // one has written all there was
    ASSERT_EQ(two.put("k", "2"), Status::kOk);
    ASSERT_EQ(two.write_all(), Status::kOk);
    ASSERT_EQ(one.put("k", "3"), Status::kOk);
    const JournalPoint durable = one.durable();
    std::uint64_t first = UINT64_MAX;
    answer = [&](const Call& c) {
        if (c.call == DiskCall::kWrite) first = std::min(first, c.offset);
        return 0;
    };
    ASSERT_EQ(one.flush_all(), Status::kOk);
    EXPECT_EQ(first, durable.offset);
    EXPECT_EQ(history(), (std::vector<std::string>{"1", "2", "3"}));
}

// Each of two synced what he wrote, and the one who was ahead lost the race for the cursor.
TEST_F(FlushTest, ACursorBehindDurableIsCaughtUpWith) {
    Opener& one = open();
    ASSERT_EQ(one.put("k", "1"), Status::kOk);
    ASSERT_EQ(one.flush_all(), Status::kOk);
    const JournalPoint behind = one.cursor();
    for (int i = 2; i <= 5; ++i) {
        ASSERT_EQ(one.put("k", std::to_string(i)), Status::kOk);
        ASSERT_EQ(one.flush_all(), Status::kOk);
    }
    recycle_up_to(one.store.segment, one.durable().position - 1);
    ASSERT_TRUE(cas16(&one.store.segment.header().cursor, pack(one.cursor()), pack(behind)));
    ASSERT_EQ(one.put("k", "6"), Status::kOk);
    EXPECT_EQ(one.write_all(), Status::kOk);
    EXPECT_EQ(one.cursor().position, one.end());
    ASSERT_TRUE(cas16(&one.store.segment.header().cursor, pack(one.cursor()), pack(behind)));
    EXPECT_EQ(one.flush_all(), Status::kOk);
    EXPECT_EQ(one.durable().position, one.end());
    EXPECT_EQ(history().back(), "6");
}

// A flusher that was stopped between its look at `durable` and its look at the cursor, for as long as a whole file
// took. Its look is the state that is set back here.
TEST_F(FlushTest, ACursorNeverGoesBackToAFileThatWasLeft) {
    Opener& one = open();
    Opener& two = open();
    ASSERT_EQ(one.put("k", "1"), Status::kOk);
    ASSERT_EQ(one.flush_all(), Status::kOk);
    const JournalPoint before = one.durable();
    std::uint32_t failing = before.file;
    answer = [&](const Call& c) { return c.call == DiskCall::kSyncData && c.file == failing ? EIO : 0; };
    ASSERT_EQ(one.put("k", "2"), Status::kOk);
    ASSERT_NE(one.flush_all(), Status::kOk);
    ASSERT_EQ(one.flush_all(), Status::kOk);
    const JournalPoint after = one.durable();
    ASSERT_EQ(one.cursor().file, before.file + 1);
    // While two asks for the old file, the truth returns.
    ASSERT_TRUE(cas16(&one.store.segment.header().durable, pack(after), pack(before)));
    answer = [&](const Call& c) {
        if (c.call == DiskCall::kOpen && c.file == before.file)
            (void)cas16(&one.store.segment.header().durable, pack(before), pack(after));
        return 0;
    };
    (void)two.write_all();
    EXPECT_EQ(one.cursor().file, after.file);
}

TEST_F(FlushTest, WhoIsLateForAFileThatWasRemovedGoesOnInTheNext) {
    Opener& one = open();
    Opener& two = open();
    const std::uint32_t file = one.durable().file;
    ASSERT_EQ(one.put("k", "1"), Status::kOk);
    ASSERT_EQ(one.flush_all(), Status::kOk);
    ASSERT_EQ(one.put("k", "2"), Status::kOk);
    bool is_stopped = false, is_failing = false;
    answer = [&](const Call& c) {
        if (c.call == DiskCall::kSyncData && c.file == file && is_failing) return EIO;
        if (c.call != DiskCall::kOpen || c.file != file || is_stopped) return 0;
        is_stopped = is_failing =
            true;  // two, about to open it: now the file fails, and checkpoints let it go
        EXPECT_NE(one.flush_all(), Status::kOk);
        is_failing = false;
        for (int i = 0; i < 3; ++i) {
            EXPECT_EQ(one.put("k", "3"), Status::kOk);
            EXPECT_EQ(make_checkpoint(one.store), Status::kOk);
        }
        return 0;
    };
    EXPECT_EQ(two.flush_all(), Status::kOk);
    EXPECT_TRUE(is_stopped);
    EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/" + journal_name(file)));
    EXPECT_EQ(two.durable().position, two.end());
}

TEST_F(FlushTest, AFileThatIsGoneAlthoughItIsInUseIsToldAtOnce) {
    Opener& one = open();
    Opener& two = open();
    ASSERT_EQ(one.put("k", "1"), Status::kOk);
    std::filesystem::remove(folder_.path() + "/" + journal_name(one.durable().file));
    int opened = 0;
    answer = [&](const Call& c) { return c.call == DiskCall::kOpen ? ++opened, 0 : 0; };
    EXPECT_EQ(two.flush_all(), Status::kNoStore);
    EXPECT_EQ(opened, 1);
}

// A file that fails before anything in it counts is left without a step of the position.
TEST_F(FlushTest, ACheckpointNamesAFileThatIsThereAlthoughAnotherOfItsPositionBeganEarlier) {
    Opener& one = open();
    Opener& two = open();
    const std::uint32_t file = one.durable().file;
    const auto fail = [&](std::uint32_t failing) {
        answer = [failing](const Call& c) {
            return c.call == DiskCall::kSyncData && c.file == failing ? EIO : 0;
        };
        EXPECT_NE(one.flush_all(), Status::kOk);
        answer = nullptr;
    };
    ASSERT_EQ(one.put("k", "1"), Status::kOk);
    ASSERT_EQ(make_checkpoint(one.store), Status::kOk);
    ASSERT_EQ(one.put("k", "2"), Status::kOk);
    fail(file);
    // A slow maker who could not make the next file begins here, in `file`.
    const JournalPoint pending = one.durable();
    CheckpointWriter slow;
    const CheckpointHead head{one.store.segment.header().store_id,
                              1,
                              {pending.position, pending.file - 1, pending.offset & ~kPendingBit},
                              peek(one.store.segment.header().position_limit.value),
                              1};
    Directory directory;
    ASSERT_EQ(Directory::open(folder_.path(), {}, &directory), Status::kOk);
    ASSERT_EQ(slow.begin(directory, head), Status::kOk);
    fail(file + 1);
    // A fast one at the same position, in a later file; a second one, and what is before goes.
    ASSERT_EQ(make_checkpoint(two.store), Status::kOk);
    ASSERT_EQ(one.durable().file, file + 2);
    ASSERT_EQ(one.put("k", "3"), Status::kOk);
    ASSERT_EQ(make_checkpoint(two.store), Status::kOk);
    EXPECT_EQ(slow.finish(one.durable()), Status::kExists);
    DirectoryListing listing;
    ASSERT_EQ(directory.list(&listing), Status::kOk);
    EXPECT_EQ(listing.journals.front(), file + 2);
    for (const Position start : listing.checkpoints) {
        CheckpointReader reader;
        ASSERT_EQ(reader.open(directory, start), Status::kOk);
        EXPECT_GE(reader.head().start.file, listing.journals.front()) << start;
    }
}

// The next file is due, and the disk has room for one only.
TEST_F(FlushTest, ACheckpointMakesTheNextFileOnce) {
    Opener& one = open();
    const std::uint32_t file = one.durable().file;
    while (one.durable().file == file) {
        ASSERT_EQ(one.put("k", std::string(400'000, 'x')), Status::kOk);
        ASSERT_EQ(one.flush_all(), Status::kOk);
    }
    int made = 0;
    answer = [&](const Call& c) {
        return c.call == DiskCall::kLink && c.file == file + 1 && ++made > 1 ? ENOSPC : 0;
    };
    EXPECT_EQ(make_checkpoint(one.store), Status::kOk);
    EXPECT_EQ(history().size(), 0u);
}

// A checkpoint that begins in a file behind which one was damaged later: nothing came since, so the next has its name.
TEST_F(FlushTest, ACheckpointReplacesOneWhoseFilesHaveAFault) {
    Opener& one = open();
    const std::uint32_t file = one.durable().file;
    while (one.durable().file == file) {
        ASSERT_EQ(one.put("k", std::string(400'000, 'x')), Status::kOk);
        ASSERT_EQ(one.flush_all(), Status::kOk);
    }
    bool is_full = true;
    answer = [&](const Call& c) {
        return is_full && c.file == file + 1 && c.call != DiskCall::kOpen ? ENOSPC : 0;
    };
    ASSERT_EQ(make_checkpoint(one.store), Status::kOk);  // at the end of `file`
    is_full = false;
    ASSERT_EQ(make_checkpoint(one.store), Status::kOk);  // the same, but the next file is there
    write_all(folder_.of(journal_name(file + 1)), "damaged");
    ASSERT_EQ(make_checkpoint(one.store), Status::kOk);
    EXPECT_EQ(history().size(), 0u);
    EXPECT_EQ(one.durable().file, file + 2);
}

TEST_F(FlushTest, ACheckpointIsDueForWhatWasWrittenNotForTheFilesLength) {
    Opener& one = open();
    for (std::uint32_t file = one.durable().file; file < 6; ++file) {
        ASSERT_EQ(one.put("k", "1"), Status::kOk);
        answer = [file](const Call& c) { return c.call == DiskCall::kSyncData && c.file == file ? EIO : 0; };
        ASSERT_NE(one.flush_all(), Status::kOk);
        answer = nullptr;
        ASSERT_EQ(one.flush_all(), Status::kOk);
    }
    ASSERT_GT(std::filesystem::file_size(folder_.of(journal_name(one.durable().file))), 8u << 20);
    ASSERT_EQ(make_checkpoint(one.store), Status::kOk);
    for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(one.put("k", "2"), Status::kOk);
        ASSERT_EQ(one.flush_all(), Status::kOk);
        ASSERT_EQ(make_checkpoint_if_due(one.store), Status::kOk);
    }
    Directory directory;
    DirectoryListing listing;
    ASSERT_EQ(Directory::open(folder_.path(), {}, &directory), Status::kOk);
    ASSERT_EQ(directory.list(&listing), Status::kOk);
    EXPECT_EQ(listing.checkpoints.size(), 1u);
}

}  // namespace

}  // namespace keystile::testing
