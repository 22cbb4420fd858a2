#include "journal/journal_file.hpp"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

namespace keystile::engine {

namespace {

constexpr std::size_t kFillBytes = 1 << 20;

disk::JournalHead bytes_of(const JournalHead& head) noexcept {
    disk::JournalHead bytes{kJournalMagic,   head.store_id, head.incarnation, head.file, head.start,
                            head.end_before, head.limit,    head.wall_ns,     0};
    bytes.checksum = XXH3_64bits(&bytes, offsetof(disk::JournalHead, checksum));
    return bytes;
}

// Zeros that are really there: writing over them and syncing takes about half the time of appending, for the file
// system has no block to find and no length to note (bench: sync/filled, sync/appended).
Status fill(const DiskFile& file, std::uint64_t from, std::uint64_t to) noexcept {
    const std::size_t step = std::min<std::uint64_t>(kFillBytes, to - from);
    const std::unique_ptr<std::byte[]> zeros(new (std::nothrow) std::byte[step]());
    if (zeros == nullptr) return status_of_errno(ENOMEM);
    for (std::uint64_t at = from; at < to; at += step) {
        const Status s = disk_write(file, at, zeros.get(), std::min<std::uint64_t>(step, to - at));
        if (s != Status::kOk) return s;
    }
    return Status::kOk;
}

const char* problem_of(const disk::JournalHead& head, std::uint32_t file) noexcept {
    if (head.magic != kJournalMagic) return "no journal file begins so";
    if (head.checksum != XXH3_64bits(&head, offsetof(disk::JournalHead, checksum)))
        return "the checksum of its head is wrong";
    if (head.file != file) return "its head is of another file";
    if (head.incarnation == 0 || head.incarnation >> 24 != 0) return "its head's incarnation is impossible";
    if (head.start == 0 || head.limit > kPositionMax || head.start > head.limit)
        return "its head's positions are impossible";
    if (head.end_before % 8 != 0 || (head.end_before != 0 && head.end_before < kJournalHeadBytes))
        return "its head's end of the file before is impossible";
    return nullptr;
}

}  // namespace

const char* problem_after(const JournalHead& before, const JournalHead& head) noexcept {
    if (head.end_before == 0) return "its head says that no file is before it";
    return head.incarnation < before.incarnation || head.start < before.start || head.limit < before.limit
               ? "its head is older than the file before"
               : nullptr;
}

const char* problem_of_position(const JournalHead& head, const JournalHead* next, Position last,
                                Position position) noexcept {
    if (position <= last) return "a record's position is not above the one before";
    if (position < head.start || position >= head.limit) return "a record's position is none of its file's";
    return next != nullptr && position >= next->start ? "a record's position is one of the next file's"
                                                      : nullptr;
}

Status make_journal(const Directory& directory, const JournalHead& head, std::uint64_t bytes) noexcept {
    DiskFile file;
    const std::string name = journal_name(head.file);
    const disk::JournalHead first = bytes_of(head);
    Status s = directory.create_hidden(name, &file);
    if (s != Status::kOk) return s;
    s = disk_write(file, 0, &first, sizeof first);
    if (s == Status::kOk) s = fill(file, sizeof first, std::max(bytes, kJournalHeadBytes));
    if (s == Status::kOk) s = disk_sync(file);
    if (s == Status::kOk) {
        s = directory.link_hidden(file, name);
    } else {
        const int error = fault_errno;
        disk_unlink(file.path());
        fault_errno = error;
    }
    if (s == Status::kExists) s = Status::kOk;
    // Its limit and its incarnation are promises: whoever relies on them need not be the one who writes to it.
    return s == Status::kOk ? directory.sync() : s;
}

Status JournalFile::open(const Directory& directory, std::uint32_t file, Access access,
                         JournalFile* journal_out, Damage* damage_out) noexcept {
    JournalFile journal;
    disk::JournalHead head{};
    std::size_t bytes = 0;
    Status s = disk_open(directory.path_of(journal_name(file)), access, &journal.file_);
    if (s == Status::kOk) s = disk_read(journal.file_, 0, &head, sizeof head, &bytes);
    if (s != Status::kOk) return s;
    if (bytes == sizeof head && head.magic != kJournalMagic &&
        ((head.magic ^ kJournalMagic) & kAnyVersion) == 0)
        return own_fault(Status::kLayout);
    const char* what = bytes == sizeof head ? problem_of(head, file) : "its head is cut off";
    if (what != nullptr) {
        *damage_out = {0, what};
        return own_fault(Status::kJournalCorrupt);
    }
    journal.head_ = {head.store_id,   head.incarnation, file,        head.start,
                     head.end_before, head.limit,       head.wall_ns};
    if (access == Access::kReadWrite) {
        if (s = directory.sync(); s != Status::kOk) return s;
    }
    *journal_out = std::move(journal);
    return Status::kOk;
}

}  // namespace keystile::engine
