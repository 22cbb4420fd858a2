// Files as the engine needs them: whole on creation, reserved before use, with locks that name living
// processes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>

#include "platform/status.hpp"

namespace keystile::engine {

// An open file, closed on destruction. O_CLOEXEC always.
class File {
public:
    File() noexcept = default;
    explicit File(int fd) noexcept : fd_(fd) {}
    File(File&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
    File& operator=(File&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File();

    int fd() const noexcept { return fd_; }
    bool is_open() const noexcept { return fd_ >= 0; }
    // Forget the descriptor without closing it (it was closed by the fork handler).
    void abandon() noexcept { fd_ = -1; }

private:
    int fd_ = -1;
};

enum class Access { kReadOnly, kReadWrite };

// Answers kNoStore, kPermission, kNotAStore (not a regular file), kSystem.
Status open_file(const std::string& path, Access access, File* file_out) noexcept;

// A file without a name in `folder`; it vanishes with the last descriptor unless linked.
Status create_unnamed(const std::string& folder, mode_t mode, File* file_out) noexcept;
// Give it its name: it appears whole, or (kExists) somebody else's is there already.
Status link_into_place(const File& file, const std::string& path) noexcept;

Status file_bytes(const File& file, std::uint64_t* bytes_out) noexcept;  // its length
bool has_no_name(const File& file) noexcept;  // it was removed, or another was renamed over it
Status file_bytes_on_disk(const File& file, std::uint64_t* bytes_out) noexcept;  // what it really takes
// Same file? (after a racing unlink and create the name may lead to another)
bool is_at_path(const File& file, const std::string& path) noexcept;
Status remove_file(const std::string& path) noexcept;
Status set_group(const File& file, std::uint32_t group) noexcept;
Status set_length(const File& file, std::uint64_t bytes) noexcept;
// Memory or disk for this range, now: a full file system is an error here instead of SIGBUS later.
// Idempotent.
Status allocate_range(const File& file, std::uint64_t offset, std::uint64_t bytes) noexcept;

// Open-file-description locks on one byte: they belong to this open file, stay while the process is stopped,
// and are gone when it dies, whatever the pid namespaces. Bytes need not exist.
enum class LockAnswer { kTaken, kBusy, kError };
enum class LockKind { kExclusive, kShared };
// A lock of the other kind that this open file has already is exchanged for it in one step, or kept.
LockAnswer try_lock_byte(const File& file, std::uint64_t offset,
                         LockKind kind = LockKind::kExclusive) noexcept;
LockAnswer unlock_byte(const File& file, std::uint64_t offset) noexcept;
// Does another open file hold the byte? (half a microsecond; our own lock does not count)
bool is_byte_locked_by_other(const File& file, std::uint64_t offset) noexcept;

}  // namespace keystile::engine
