// The one place where this layer calls the file system.
//
// Each function is one call (a write: as many as it takes), with signals and short writes seen to, O_CLOEXEC always,
// the errno in the status. The checked build asks `checked::on_disk` before each: a test sees every byte that is
// written and every sync, and can make any of them fail, or write short, or die there. Nothing of that is in the
// shipped build.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "platform/platform.hpp"

namespace keystile::engine {

enum class DiskCall {
    kOpen,
    kCreate,
    kRead,
    kWrite,
    kSync,
    kSyncData,
    kSyncFolder,
    kMakeFolder,
    kLink,
    kRename,
    kUnlink,
    kList,
    kFileSystem
};

struct DiskStep {
    DiskCall call;
    const char* path;
    const char* to = nullptr;  // kLink, kRename
    std::uint64_t offset = 0;
    const void* data = nullptr;  // kWrite
    std::size_t bytes = 0;       // kRead, kWrite. A hook may lower it, to 1 at least: the call is short then.
    std::uint64_t magic = 0;     // kFileSystem. A hook may say what the file system is.
};

}  // namespace keystile::engine

#if defined(KEYSTILE_CHECKED)

namespace keystile::checked {

// Asked before every call. 0: go on; else the call is not made and fails with this errno.
using DiskFn = int (*)(engine::DiskStep& step);
extern DiskFn on_disk;  // nullptr: nobody asks. Set before threads start.

}  // namespace keystile::checked

#endif

namespace keystile::engine {

// An open file that knows where it lies.
class DiskFile {
public:
    DiskFile() noexcept = default;
    DiskFile(File file, std::string path) noexcept : file_(std::move(file)), path_(std::move(path)) {}

    const File& file() const noexcept { return file_; }
    const std::string& path() const noexcept { return path_; }
    bool is_open() const noexcept { return file_.is_open(); }
    void abandon() noexcept { file_.abandon(); }

private:
    File file_;
    std::string path_;
};

// Regular files only. kNoStore: there is none.
Status disk_open(const std::string& path, Access access, DiskFile* file_out) noexcept;
// kExists. The umask does not decide who shares a store.
Status disk_create(const std::string& path, mode_t mode, DiskFile* file_out) noexcept;

// *bytes_out < bytes: there the file ends.
Status disk_read(const DiskFile& file, std::uint64_t offset, void* to, std::size_t bytes,
                 std::size_t* bytes_out) noexcept;
// All of it, or a fault.
Status disk_write(const DiskFile& file, std::uint64_t offset, const void* from, std::size_t bytes) noexcept;
Status disk_sync(const DiskFile& file) noexcept;
Status disk_sync_data(const DiskFile& file) noexcept;  // and the length, but no times

Status disk_sync_folder(const std::string& path) noexcept;
Status disk_make_folder(const std::string& path, mode_t mode) noexcept;  // kExists
Status disk_share_folder(const std::string& path, mode_t mode, std::uint32_t group) noexcept;
Status disk_folder_mode(const std::string& path, mode_t* mode_out) noexcept;  // kNotAStore: it is no folder
Status disk_link(const std::string& from, const std::string& to) noexcept;    // kExists
Status disk_rename(const std::string& from, const std::string& to) noexcept;  // over what is there
Status disk_unlink(const std::string& path) noexcept;
// One file under two names?
Status disk_is_same(const std::string& path, const std::string& other, bool* is_same_out) noexcept;
Status disk_list(const std::string& path, std::vector<std::string>* names_out) noexcept;
// May other hosts write there too? Of a file system in user space (sshfs, but also many local ones) and of one that is
// passed through by a hypervisor nobody can tell: those count as local.
Status disk_is_shared(const std::string& path, bool* is_shared_out) noexcept;

}  // namespace keystile::engine
