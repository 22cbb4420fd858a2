// A checkpoint, written: under a hidden name, then linked to its own, so that what has its name is whole.
//
// Of two who make one of the same position at a time both are right, and the first to finish counts: the other's may
// begin in an earlier file (one that failed before anything in it counted), and that may be gone by now. A death leaves
// a hidden file, which remove_superseded() or the next recovery takes away.
#pragma once

#include <memory>

#include "journal/journal_file.hpp"
#include "journal/record_writer.hpp"

namespace keystile::engine {

struct CheckpointHead {
    std::uint64_t store_id = 0;
    std::uint64_t incarnation = 0;
    JournalPoint
        start;  // of the first commit that may be missing, and where its record will be: replay begins here
    Position limit = 0;
    std::uint64_t wall_ns = 0;
};

class CheckpointWriter {
public:
    CheckpointWriter() noexcept = default;
    CheckpointWriter(const CheckpointWriter&) = delete;
    CheckpointWriter& operator=(const CheckpointWriter&) = delete;
    ~CheckpointWriter();  // an unfinished one is removed

    Status begin(const Directory& directory, const CheckpointHead& head) noexcept;
    // Then the value through out(), all of value_size.
    Status entry(const EntryHead& head, const void* key) noexcept;
    OutBuffer& out() noexcept { return *out_; }
    // On disk, and then the name; that is on disk before anything goes that it replaces. `durable`: on disk now, and
    // of all that the entries contain nothing is at or above it. kExists: there is a usable one of this position, or
    // there are later ones. One that is damaged, or from which the journal files up to durable's have a fault, is
    // replaced.
    Status finish(const JournalPoint& durable);

    std::uint64_t entries() const noexcept { return entries_; }
    std::uint64_t bytes() const noexcept { return offset_; }

private:
    static Status drain(void* user, const std::byte* data, std::size_t bytes) noexcept;
    Status put(const EntryHead& head, const void* key) noexcept;
    Status end_entry() noexcept;
    Status name_it(std::uint32_t last_file);

    const Directory* directory_ = nullptr;
    DiskFile file_;
    std::unique_ptr<std::byte[]> memory_;
    std::unique_ptr<OutBuffer> out_;
    CheckpointHead head_;
    std::uint64_t offset_ = 0, entries_ = 0, entry_bytes_ = 0;
    bool is_finished_ = false;
};

// Are the heads of these journal files sound, one behind the other, and none missing?
bool are_files_sound(const Directory& directory, std::uint32_t first, std::uint32_t last);

// What no recovery needs any more: all checkpoints but the two newest whose heads are good, the journal files before
// the older one's, and hidden files whose makers come too late.
Status remove_superseded(const Directory& directory) noexcept;

}  // namespace keystile::engine
