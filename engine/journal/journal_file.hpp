// One journal file: made whole by the first who comes, then written at places that are settled elsewhere.
#pragma once

#include "journal/directory.hpp"

namespace keystile::engine {

// The smallest and the usual length a journal file is made with. Records may go beyond.
inline constexpr std::uint64_t kJournalBytesDefault = 64ull << 20;

struct JournalHead {
    std::uint64_t store_id = 0;
    std::uint64_t incarnation = 0;
    std::uint32_t file = 0;
    Position start = 0;  // of the first record that may lie here
    std::uint64_t end_before =
        0;  // where the file before ends: behind the last of its records that count. 0: none before
    Position limit = 0;
    std::uint64_t wall_ns = 0;
};

// What is wrong with a sound head behind that of the file before, nullptr: nothing.
const char* problem_after(const JournalHead& before, const JournalHead& head) noexcept;
// What is wrong with a sound record of that position, behind one of position `last` (0: none), in a file whose next one
// has the head `next` (nullptr: nothing is known of it). nullptr: nothing.
const char* problem_of_position(const JournalHead& head, const JournalHead* next, Position last,
                                Position position) noexcept;

// Make it, filled with zeros to `bytes`; on disk, its name too. kOk also if somebody else's is there already, whatever
// it says.
Status make_journal(const Directory& directory, const JournalHead& head, std::uint64_t bytes) noexcept;

class JournalFile {
public:
    // kNoStore: there is none. kLayout: of another version. kJournalCorrupt: the head is damaged, *damage_out tells.
    // Who opens it for writing puts its name on disk too: its maker may have died before.
    static Status open(const Directory& directory, std::uint32_t file, Access access,
                       JournalFile* journal_out, Damage* damage_out) noexcept;

    const JournalHead& head() const noexcept { return head_; }
    const DiskFile& file() const noexcept { return file_; }
    std::uint64_t seed() const noexcept { return record_seed(head_.store_id, head_.incarnation, head_.file); }

    Status write(std::uint64_t offset, const void* from, std::size_t bytes) const noexcept {
        return disk_write(file_, offset, from, bytes);
    }
    Status sync_data() const noexcept { return disk_sync_data(file_); }

private:
    DiskFile file_;
    JournalHead head_;
};

}  // namespace keystile::engine
