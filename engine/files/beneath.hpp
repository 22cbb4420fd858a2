// The root's files, reached by nothing but openat2 beneath the root: no link, no "..", no other file system, whatever
// is swapped in meanwhile. And the folder .keystile/files with the files on their way to the disk ("tickets").
//
// A ticket's name is ID-VERSION-NONCE (hexadecimal; ID of the path), with "-d" behind it what a deletion took from its
// place. A version lands by the rename of its ticket, so whoever removes a ticket keeps it from ever landing.
//
// Faults are told here (ks_last_error). EINTR is retried.
#pragma once

#include <sys/stat.h>

#include <string>
#include <vector>

#include "abi/abi.hpp"
#include "content.hpp"
#include "path.hpp"

namespace keystile::engine::files {

// What another program has put where a file should be, or a folder of its path. Not followed, never removed but where
// somebody asks for his file back, and then no folder.
struct Obstacle {
    std::string part;            // where: the path, or its beginning
    const char* what = nullptr;  // in words; nullptr: nothing is in the way
    bool is_folder = false;

    explicit operator bool() const noexcept { return what != nullptr; }
};

// What lies at a path.
struct OnDisk {
    Look look;  // of a file too large for us, and of what is no file: there, hash zero
    Obstacle obstacle;
    std::uint64_t size = 0;
    std::uint32_t mode = 0;  // permission bits
    std::vector<char> data;

    bool has_file() const noexcept { return look.is_there && !obstacle; }
    // Where there should be no file, whatever else is there will do.
    bool is(const Look& wanted) const noexcept { return wanted.is_there ? look == wanted : !has_file(); }
};

struct Ticket {
    std::string name;
    std::uint64_t id = 0;
    std::uint64_t version = 0;
    bool is_removed = false;  // "-d"
};

enum class ModeOf { kVersion, kFileThere };  // kFileThere: the version's, where no file is there

class Root {
public:
    // KS_E_PATH (no folder) · KS_E_SYSTEM (no openat2) · system faults.
    ks_status open(const char* path);
    // Its own folder with the tickets; made if need be.
    ks_status open_tickets();
    const std::string& path() const noexcept { return path_; }  // absolute, without links
    std::uint32_t new_mode() const noexcept { return new_mode_; }

    // What is there now, whole (unless it is being written). KS_OK, also if nothing is, or something else. Throws.
    ks_status look(const FilePath& path, OnDisk* disk_out) const;
    // A file of the path may be renamed to its place and away from it: the folder, or the first one above it that
    // exists, is a folder that we may write, and what is there may be replaced. And there is a place for tickets.
    ks_status check_place(const FilePath& path) const;
    // The folder of a file. KS_NOT_FOUND: there is none, or something else.
    ks_status open_folder(const FilePath& path, File* folder_out) const;
    // The same, made and on disk.
    ks_status make_folder(const FilePath& path, File* folder_out) const;
    // What the file has is on disk.
    ks_status sync_file(const FilePath& path) const;

    // Write a ticket, whole and on disk, for a place in `folder`. Throws.
    ks_status make_ticket(const FilePath& path, const Stored& stored, const File& folder, ModeOf mode_of,
                          Ticket* ticket_out) const;
    // KS_NOT_FOUND: the ticket was taken away.
    ks_status land(const Ticket& ticket, const File& folder, const FilePath& path) const;
    // The opposite: from its place into a ticket "-d". KS_NOT_FOUND: nothing was there.
    ks_status take(const FilePath& path, std::uint64_t version, const File& folder, Ticket* ticket_out) const;
    // Back to its place. Where something is there, or no folder any more, it is kept among the tickets as "lost-...".
    ks_status put_back(const Ticket& ticket, const FilePath& path) const;
    ks_status look_at(const Ticket& ticket, OnDisk* disk_out) const;  // KS_OK, also of what is no file
    void remove(const Ticket& ticket) const noexcept;                 // gone is gone
    ks_status list_tickets(std::vector<Ticket>* tickets_out) const;

    using Visit = void (*)(void* user, const std::string& path, const struct stat& info);
    // Every regular file and every folder in `folder` (a path, or ""), what is deeper not. Nothing, if it is no folder.
    ks_status list(const std::string& folder, Visit visit, void* user) const;

private:
    int open_beneath(const char* path, int flags) const noexcept;
    bool find_obstacle(const FilePath& path, Obstacle* obstacle_out) const;

    std::string path_;
    File root_;
    File tickets_;
    std::uint32_t new_mode_ = 0644;
};

ks_status sync_folder(const File& folder) noexcept;
// KS_E_PATH: says what stands in the path's way.
ks_status refuse_for(const FilePath& path, const Obstacle& obstacle) noexcept;

}  // namespace keystile::engine::files
