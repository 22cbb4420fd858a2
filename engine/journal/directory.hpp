// A durable store's directory: made, locked, listed; and the file `lock`, which says in which segment the store lies.
//
// O1  Every participant holds a shared lock on `lock`; whoever recovers holds it exclusively. So under the exclusive
//     lock nobody else writes here, and what is half made is nobody's.
// O2  The files' mode and group are the directory's own.
#pragma once

#include <optional>
#include <string_view>

#include "journal/disk.hpp"
#include "journal/format.hpp"

namespace keystile::engine {

struct DirectoryOptions {
    bool must_exist = false;
    bool is_read_only = false;  // changes nothing; may hold the shared lock
    // Of a new one: 0700, or 2770 and this group.
    std::uint32_t group = 0;
    bool has_group = false;
};

// Where the store lies while it is open.
struct SegmentPlace {
    std::uint64_t store_id = 0;
    std::uint64_t incarnation = 0;
    std::uint64_t boot_id[2] = {0, 0};
    std::uint64_t device = 0, inode = 0;
    std::string path;
    friend bool operator==(const SegmentPlace&, const SegmentPlace&) = default;
};

// What is there, ascending.
struct DirectoryListing {
    std::vector<std::uint32_t> journals;
    std::vector<Position> checkpoints;
    std::vector<std::string> half_made;
};

class Directory {
public:
    // kNoStore, kNetworkFileSystem, kPermission, kFull, kNotAStore (a file), kSystem.
    static Status open(const std::string& path, const DirectoryOptions& options,
                       Directory* directory_out) noexcept;

    const std::string& path() const noexcept { return path_; }
    std::string path_of(const std::string& name) const { return path_ + "/" + name; }
    mode_t file_mode() const noexcept { return file_mode_; }
    bool is_read_only() const noexcept { return is_read_only_; }

    // One attempt. kBusy: the lock is held otherwise. From one kind to the other in one step: a lock that is not got
    // leaves the one that is held.
    Status try_lock(LockKind kind) noexcept;
    Status unlock() noexcept;
    bool is_locked_by_other() const noexcept;  // in whatever way
    // False: it was removed or moved since it was opened, or another store's is at its path.
    bool is_in_place() const noexcept;
    // Of the open file that carries the lock: for close_on_fork().
    const File& lock_file() const noexcept { return lock_.file(); }
    void abandon_lock() noexcept { lock_.abandon(); }  // it was closed by the fork handler

    // What `lock` says: nothing if it is empty or was not written to its end.
    Status read_place(std::optional<SegmentPlace>* place_out) const noexcept;
    Status write_place(const SegmentPlace& place) const noexcept;  // under the exclusive lock

    Status list(DirectoryListing* listing_out) const noexcept;
    Status sync() const noexcept { return disk_sync_folder(path_); }
    Status remove_half_made() const noexcept;  // under the exclusive lock

    // A new file under a hidden name that nobody else has; it gets the name `name`, or nobody's.
    Status create_hidden(const std::string& name, DiskFile* file_out) const noexcept;
    // Give it its name, unless somebody was faster (kExists); the hidden one is gone. Not on disk before sync().
    Status link_hidden(const DiskFile& file, const std::string& name) const noexcept;

private:
    std::string path_;
    DiskFile lock_;
    mode_t file_mode_ = 0;
    bool is_read_only_ = false;
};

// "journal-00002a", "checkpoint-00000000000010".
std::string journal_name(std::uint32_t file);
std::string checkpoint_name(Position start);
bool parse_journal_name(std::string_view name, std::uint32_t* file_out) noexcept;
bool parse_checkpoint_name(std::string_view name, Position* start_out) noexcept;
// ".NAME.16 digits" -> "NAME"; empty: not a hidden file's.
std::string_view name_behind(std::string_view hidden) noexcept;

}  // namespace keystile::engine
