// A checkpoint, read and never trusted.
#pragma once

#include "journal/checkpoint.hpp"
#include "journal/record_reader.hpp"

namespace keystile::engine {

class CheckpointReader {
public:
    CheckpointReader() noexcept = default;
    CheckpointReader(const CheckpointReader&) = delete;  // the window looks at file_
    CheckpointReader& operator=(const CheckpointReader&) = delete;

    // The head alone. kNoStore, kLayout, kJournalCorrupt (damage() tells).
    Status open(const Directory& directory, Position start) noexcept;
    // All of it, to the end; then the entries from the first again. kJournalCorrupt, or the system's faults.
    Status check() noexcept;

    const CheckpointHead& head() const noexcept { return head_; }
    const DiskFile& file() const noexcept { return file_; }

    // kEnd: that was all, and as many as there must be; durable() is known.
    Finding next(EntryView* entry_out) noexcept;
    const JournalPoint& durable() const noexcept { return durable_; }
    const Damage& damage() const noexcept { return damage_; }
    Status fault() const noexcept { return window_.status(); }

private:
    void rewind() noexcept;
    Finding broken(const char* what) noexcept;
    Finding read_end(const EntryView& end) noexcept;

    DiskFile file_;
    FileWindow window_;
    CheckpointHead head_;
    std::uint64_t at_ = 0, entries_ = 0;
    JournalPoint durable_;
    Damage damage_;
};

}  // namespace keystile::engine
