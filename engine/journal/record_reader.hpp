// Records, read and never trusted: lengths are clamped before they are followed, and nothing of a record is told before
// its checksum and every bound in it are seen to be right.
#pragma once

#include "journal/file_window.hpp"
#include "journal/record_writer.hpp"

namespace keystile::engine {

struct EntryView {
    EntryHead head;
    const std::byte* key = nullptr;
    const std::byte* value = nullptr;
    bool is_deleted() const noexcept { return (head.flags & kEntryDeleted) != 0; }
};

// The head of the entry at `offset`, at or before `end`, seen to be possible: the entry ends at or before `end`. Of key
// size 0 only where a checkpoint ends. kOne, kDamaged, kFault.
Finding read_entry_head(FileWindow& window, std::uint64_t offset, std::uint64_t end, EntryHead* head_out,
                        Damage* damage_out) noexcept;
// The whole of it. False: the window has a fault.
bool view_entry(FileWindow& window, std::uint64_t offset, const EntryHead& head,
                EntryView* entry_out) noexcept;

class RecordReader {
public:
    RecordReader(FileWindow& window, std::uint64_t offset, std::uint64_t seed) noexcept
        : window_(window), at_(offset), next_(offset), seed_(seed) {}

    // kOne: record() is whole and true; next_entry() gives its entries.
    Finding next() noexcept;
    const RecordHead& record() const noexcept { return record_; }
    std::uint64_t offset() const noexcept { return at_; }         // of record()
    std::uint64_t next_offset() const noexcept { return next_; }  // where what is sound ends

    // Each of the record's entries in turn, valid until the next call; kEnd behind the last.
    Finding next_entry(EntryView* entry_out) noexcept;

    const Damage& damage() const noexcept { return damage_; }
    Status fault() const noexcept { return window_.status(); }

private:
    Finding read_head() noexcept;
    Finding check_sum() noexcept;
    Finding check_entries() noexcept;
    Finding broken(std::uint64_t offset, const char* what) noexcept;

    FileWindow& window_;
    std::uint64_t at_, next_;
    std::uint64_t seed_;
    RecordHead record_;
    std::uint64_t entry_at_ = 0;
    std::uint32_t entries_left_ = 0;
    Damage damage_;
};

}  // namespace keystile::engine
