#include "platform/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace keystile::engine {

namespace {

// What an errno means where a store's file was expected to be there.
Status status_of_last_error() noexcept {
    return status_of_errno(errno);
}

struct flock whole_byte(std::uint64_t offset) noexcept {
    struct flock lock{};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = static_cast<off_t>(offset);
    lock.l_len = 1;
    return lock;
}

}  // namespace

File::~File() {
    if (fd_ >= 0) ::close(fd_);
}

Status open_file(const std::string& path, Access access, File* file_out) noexcept {
    const int flags = (access == Access::kReadOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    File file(::open(path.c_str(), flags));
    if (!file.is_open()) return errno == EISDIR ? Status::kNotAStore : status_of_last_error();
    struct stat info{};
    if (::fstat(file.fd(), &info) != 0) return status_of_last_error();
    if (!S_ISREG(info.st_mode)) return Status::kNotAStore;
    *file_out = std::move(file);
    return Status::kOk;
}

Status create_unnamed(const std::string& folder, mode_t mode, File* file_out) noexcept {
    File file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
    if (!file.is_open()) return status_of_last_error();
    if (::fchmod(file.fd(), mode) != 0)
        return status_of_last_error();  // the umask does not decide who shares a store
    *file_out = std::move(file);
    return Status::kOk;
}

Status link_into_place(const File& file, const std::string& path) noexcept {
    const std::string self = "/proc/self/fd/" + std::to_string(file.fd());
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0) return Status::kOk;
    return status_of_last_error();
}

Status file_bytes(const File& file, std::uint64_t* bytes_out) noexcept {
    struct stat info{};
    if (::fstat(file.fd(), &info) != 0) return status_of_last_error();
    *bytes_out = static_cast<std::uint64_t>(info.st_size);
    return Status::kOk;
}

Status file_bytes_on_disk(const File& file, std::uint64_t* bytes_out) noexcept {
    struct stat info{};
    if (::fstat(file.fd(), &info) != 0) return status_of_last_error();
    *bytes_out = static_cast<std::uint64_t>(info.st_blocks) * 512u;
    return Status::kOk;
}

bool is_at_path(const File& file, const std::string& path) noexcept {
    struct stat mine{}, there{};
    return ::fstat(file.fd(), &mine) == 0 && ::stat(path.c_str(), &there) == 0 &&
           mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

bool has_no_name(const File& file) noexcept {
    struct stat mine{};
    return ::fstat(file.fd(), &mine) == 0 && mine.st_nlink == 0;
}

Status remove_file(const std::string& path) noexcept {
    return ::unlink(path.c_str()) == 0 ? Status::kOk : status_of_last_error();
}

Status set_group(const File& file, std::uint32_t group) noexcept {
    return ::fchown(file.fd(), static_cast<uid_t>(-1), group) == 0 ? Status::kOk : status_of_last_error();
}

Status set_length(const File& file, std::uint64_t bytes) noexcept {
    return ::ftruncate(file.fd(), static_cast<off_t>(bytes)) == 0 ? Status::kOk : status_of_last_error();
}

Status allocate_range(const File& file, std::uint64_t offset, std::uint64_t bytes) noexcept {
    for (;;) {  // ends: a signal can interrupt it only as often as signals arrive
        const int error = ::posix_fallocate(file.fd(), static_cast<off_t>(offset), static_cast<off_t>(bytes));
        if (error == 0) return Status::kOk;
        if (error != EINTR) return error == ENOMEM ? status_of_errno(ENOSPC) : status_of_errno(error);
    }
}

LockAnswer try_lock_byte(const File& file, std::uint64_t offset, LockKind kind) noexcept {
    struct flock lock = whole_byte(offset);
    if (kind == LockKind::kShared) lock.l_type = F_RDLCK;
    if (::fcntl(file.fd(), F_OFD_SETLK, &lock) == 0) return LockAnswer::kTaken;
    if (errno == EAGAIN || errno == EACCES) return LockAnswer::kBusy;
    return LockAnswer::kError;
}

LockAnswer unlock_byte(const File& file, std::uint64_t offset) noexcept {
    struct flock lock = whole_byte(offset);
    lock.l_type = F_UNLCK;
    return ::fcntl(file.fd(), F_OFD_SETLK, &lock) == 0 ? LockAnswer::kTaken : LockAnswer::kError;
}

bool is_byte_locked_by_other(const File& file, std::uint64_t offset) noexcept {
    struct flock lock = whole_byte(offset);
    // An error counts as locked: the harmless direction is to take a process for alive.
    return ::fcntl(file.fd(), F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

}  // namespace keystile::engine
