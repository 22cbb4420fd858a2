#include "journal/disk.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#if defined(KEYSTILE_CHECKED)

namespace keystile::checked {

DiskFn on_disk = nullptr;

}  // namespace keystile::checked

#endif

namespace keystile::engine {

namespace {

// True: make the call. False: it is to fail, with errno.
bool may(DiskStep& step) noexcept {
#if defined(KEYSTILE_CHECKED)
    if (checked::on_disk == nullptr) return true;
    const int error = checked::on_disk(step);
    errno = error;
    return error == 0;
#else
    (void)step;
    return true;
#endif
}

// Again while signals interrupt it: as often as they arrive.
template <class Call>
auto uninterrupted(Call call) noexcept {
    auto result = call();
    while (result < 0 && errno == EINTR) result = call();
    return result;
}

Status status_of(bool is_done) noexcept {
    return is_done ? Status::kOk : status_of_errno(errno);
}

// Of a call with two names at most.
template <class Call>
Status done(DiskStep step, Call call) noexcept {
    return status_of(may(step) && uninterrupted(call) == 0);
}

constexpr int kFlags = O_CLOEXEC | O_NOCTTY;

}  // namespace

Status disk_open(const std::string& path, Access access, DiskFile* file_out) noexcept {
    DiskStep step{DiskCall::kOpen, path.c_str()};
    if (!may(step)) return status_of_errno(errno);
    File file;
    if (const Status s = open_file(path, access, &file); s != Status::kOk) return s;
    *file_out = DiskFile(std::move(file), path);
    return Status::kOk;
}

Status disk_create(const std::string& path, mode_t mode, DiskFile* file_out) noexcept {
    DiskStep step{DiskCall::kCreate, path.c_str()};
    if (!may(step)) return status_of_errno(errno);
    File file(uninterrupted([&] { return ::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | kFlags, mode); }));
    if (!file.is_open() || ::fchmod(file.fd(), mode) != 0) return status_of_errno(errno);
    *file_out = DiskFile(std::move(file), path);
    return Status::kOk;
}

Status disk_read(const DiskFile& file, std::uint64_t offset, void* to, std::size_t bytes,
                 std::size_t* bytes_out) noexcept {
    std::size_t done = 0;
    while (done < bytes) {
        DiskStep step{DiskCall::kRead, file.path().c_str(), nullptr, offset + done, nullptr, bytes - done};
        if (!may(step)) return status_of_errno(errno);
        const ssize_t n = uninterrupted([&] {
            return ::pread(file.file().fd(), static_cast<std::byte*>(to) + done, step.bytes,
                           static_cast<off_t>(offset + done));
        });
        if (n < 0) return status_of_errno(errno);
        if (n == 0) break;
        done += static_cast<std::size_t>(n);
    }
    *bytes_out = done;
    return Status::kOk;
}

Status disk_write(const DiskFile& file, std::uint64_t offset, const void* from, std::size_t bytes) noexcept {
    for (std::size_t done = 0; done < bytes;) {
        const auto* data = static_cast<const std::byte*>(from) + done;
        DiskStep step{DiskCall::kWrite, file.path().c_str(), nullptr, offset + done, data, bytes - done};
        if (!may(step)) return status_of_errno(errno);
        const ssize_t n = uninterrupted(
            [&] { return ::pwrite(file.file().fd(), data, step.bytes, static_cast<off_t>(offset + done)); });
        if (n <= 0) return status_of_errno(n == 0 ? EIO : errno);
        done += static_cast<std::size_t>(n);
    }
    return Status::kOk;
}

Status disk_sync(const DiskFile& file) noexcept {
    return done({DiskCall::kSync, file.path().c_str()}, [&] { return ::fsync(file.file().fd()); });
}

Status disk_sync_data(const DiskFile& file) noexcept {
    return done({DiskCall::kSyncData, file.path().c_str()}, [&] { return ::fdatasync(file.file().fd()); });
}

Status disk_sync_folder(const std::string& path) noexcept {
    DiskStep step{DiskCall::kSyncFolder, path.c_str()};
    if (!may(step)) return status_of_errno(errno);
    const File folder(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | kFlags); }));
    return status_of(folder.is_open() && uninterrupted([&] { return ::fsync(folder.fd()); }) == 0);
}

Status disk_make_folder(const std::string& path, mode_t mode) noexcept {
    return done({DiskCall::kMakeFolder, path.c_str()}, [&] { return ::mkdir(path.c_str(), mode); });
}

Status disk_share_folder(const std::string& path, mode_t mode, std::uint32_t group) noexcept {
    // Before the mode: a change of the group takes the set-group bit away.
    return done({DiskCall::kMakeFolder, path.c_str()}, [&] {
        return ::chown(path.c_str(), static_cast<uid_t>(-1), group) == 0 ? ::chmod(path.c_str(), mode) : -1;
    });
}

Status disk_folder_mode(const std::string& path, mode_t* mode_out) noexcept {
    DiskStep step{DiskCall::kOpen, path.c_str()};
    struct stat info{};
    if (!may(step) || ::stat(path.c_str(), &info) != 0) return status_of_errno(errno);
    *mode_out = info.st_mode;
    return S_ISDIR(info.st_mode) ? Status::kOk : Status::kNotAStore;
}

Status disk_link(const std::string& from, const std::string& to) noexcept {
    return done({DiskCall::kLink, from.c_str(), to.c_str()},
                [&] { return ::link(from.c_str(), to.c_str()); });
}

Status disk_rename(const std::string& from, const std::string& to) noexcept {
    return done({DiskCall::kRename, from.c_str(), to.c_str()},
                [&] { return ::rename(from.c_str(), to.c_str()); });
}

Status disk_unlink(const std::string& path) noexcept {
    return done({DiskCall::kUnlink, path.c_str()}, [&] { return ::unlink(path.c_str()); });
}

Status disk_is_same(const std::string& path, const std::string& other, bool* is_same_out) noexcept {
    DiskStep step{DiskCall::kOpen, path.c_str()};
    struct stat one{}, two{};
    if (!may(step) || ::stat(path.c_str(), &one) != 0 || ::stat(other.c_str(), &two) != 0)
        return status_of_errno(errno);
    *is_same_out = one.st_dev == two.st_dev && one.st_ino == two.st_ino;
    return Status::kOk;
}

Status disk_list(const std::string& path, std::vector<std::string>* names_out) noexcept {
    DiskStep step{DiskCall::kList, path.c_str()};
    if (!may(step)) return status_of_errno(errno);
    struct Close {
        void operator()(DIR* folder) const noexcept { ::closedir(folder); }
    };
    const std::unique_ptr<DIR, Close> folder(::opendir(path.c_str()));  // close-on-exec by itself
    if (folder == nullptr) return status_of_errno(errno);
    names_out->clear();
    for (;;) {  // ends with the folder
        errno = 0;
        const dirent* entry = ::readdir(folder.get());
        if (entry == nullptr) return status_of(errno == 0);
        names_out->emplace_back(entry->d_name);
    }
}

Status disk_is_shared(const std::string& path, bool* is_shared_out) noexcept {
    DiskStep step{DiskCall::kFileSystem, path.c_str()};
    if (!may(step)) return status_of_errno(errno);
    struct statfs info{};
    if (uninterrupted([&] { return ::statfs(path.c_str(), &info); }) != 0) return status_of_errno(errno);
    // Where the kernel's headers have no name: their file system's own headers do.
    static constexpr std::uint64_t kShared[] = {NFS_SUPER_MAGIC,  SMB_SUPER_MAGIC,  CIFS_SUPER_MAGIC,
                                                SMB2_SUPER_MAGIC, CEPH_SUPER_MAGIC, AFS_SUPER_MAGIC,
                                                AFS_FS_MAGIC,     CODA_SUPER_MAGIC, OCFS2_SUPER_MAGIC,
                                                0x564C,       // NCP
                                                0x01161970,   // GFS2
                                                0x0BD00BD0,   // Lustre
                                                0x47504653,   // GPFS
                                                0x19830326,   // BeeGFS
                                                0x20030528,   // OrangeFS
                                                0x013111A8,   // IBRIX
                                                0xAAD7AAEA,   // PanFS
                                                0x61636673};  // ACFS
    const auto magic =
        static_cast<std::uint32_t>(step.magic != 0 ? step.magic : static_cast<std::uint64_t>(info.f_type));
    *is_shared_out = std::find(std::begin(kShared), std::end(kShared), magic) != std::end(kShared);
    return Status::kOk;
}

}  // namespace keystile::engine
