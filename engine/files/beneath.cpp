#include "beneath.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace keystile::engine::files {

using abi::fault;

namespace {

constexpr char kTicketFolder[] = "files";
constexpr std::uint64_t kBeneath =
    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
// The kernel gives up when folders are renamed while it looks; so often somebody must be at it on purpose.
constexpr int kRacesMax = 1000;

int open_at(int folder, const char* path, int flags) noexcept {
    if ((flags & O_PATH) == 0) flags |= O_NOCTTY | O_NONBLOCK;  // a FIFO opens, and is refused
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
    how.resolve = kBeneath;
    for (int race = 0;;) {
        const long fd = ::syscall(SYS_openat2, folder, path, &how, sizeof how);
        if (fd >= 0) return static_cast<int>(fd);
        if (errno == EINTR) continue;
        if (errno != EAGAIN || ++race == kRacesMax) return -1;
    }
}

bool is_of_the_path(int error) noexcept {
    return error == ELOOP || error == EXDEV || error == ENOTDIR || error == EISDIR || error == ENAMETOOLONG ||
           error == ENXIO || error == ENODEV;
}

// As much of a path as a message shows.
struct Shown {
    char text[200];

    explicit Shown(std::string_view path) noexcept {
        const std::size_t size = std::min(path.size(), sizeof text - 1);
        std::memcpy(text, path.data(), size);
        text[size] = '\0';
    }
};

ks_status refuse_path(std::string_view path, const char* why) noexcept {
    return fault(KS_E_PATH, "'%s': %s", Shown(path).text, why);
}

// Something else than a file is there, or than a folder above it.
bool is_of_an_obstacle(int error) noexcept {
    return error == ELOOP || error == ENOTDIR || error == ENXIO || error == ENODEV;
}

const char* name_of(mode_t mode) noexcept {
    return S_ISDIR(mode)   ? "a folder"
           : S_ISLNK(mode) ? "a symbolic link"
           : S_ISREG(mode) ? "a file"
                           : "a pipe, a socket or a device";
}

// errno as a fault.
ks_status system_fault(const char* doing, std::string_view path) noexcept {
    const int error = errno;
    if (is_of_the_path(error)) {
        return refuse_path(path, error == ELOOP     ? "there is a symbolic link in it"
                                 : error == EXDEV   ? "it leaves the root, or its file system"
                                 : error == ENOTDIR ? "a part of it is no folder"
                                                    : "it is no regular file");
    }
    char what[320];
    std::snprintf(what, sizeof what, "%s '%s'", doing, Shown(path).text);
    // What the caller has in hand exists; that it is gone now is the system's word, not "no such store".
    Status status = status_of_errno(error);
    if (status == Status::kNoStore || status == Status::kExists) status = Status::kSystem;
    return fault(status, what);
}

template <class Call>
auto uninterrupted(Call call) noexcept {
    auto result = call();
    while (result < 0 && errno == EINTR) result = call();
    return result;
}

ks_status read_whole(const File& file, std::string_view path, OnDisk* disk_out) {
    OnDisk& disk = *disk_out;
    struct stat info;
    if (::fstat(file.fd(), &info) != 0) return system_fault("looking at", path);
    disk.look = {true, {}};
    if (!S_ISREG(info.st_mode)) {
        disk.obstacle = {std::string(path), name_of(info.st_mode), S_ISDIR(info.st_mode)};
        return KS_OK;
    }
    disk.mode = info.st_mode & 07777u;
    disk.size = static_cast<std::uint64_t>(info.st_size);
    disk.data.clear();
    if (disk.size > KS_FILES_SIZE_MAX) return KS_OK;
    std::size_t size = 0;
    disk.data.resize(disk.size + 1);  // one more: to see that it grows
    for (;;) {
        const ssize_t got = uninterrupted(
            [&] { return ::read(file.fd(), disk.data.data() + size, disk.data.size() - size); });
        if (got < 0) return system_fault("reading", path);
        size += static_cast<std::size_t>(got);
        if (got == 0) break;
        if (size > KS_FILES_SIZE_MAX) {
            disk.size = size;
            disk.data.clear();
            return KS_OK;
        }
        if (size == disk.data.size()) disk.data.resize(size * 2);
    }
    disk.data.resize(size);
    disk.size = size;
    disk.look.hash = hash_of(disk.data.data(), size);
    return KS_OK;
}

ks_status write_whole(const File& file, std::string_view data, std::string_view path) noexcept {
    while (!data.empty()) {
        const ssize_t put = uninterrupted([&] { return ::write(file.fd(), data.data(), data.size()); });
        if (put < 0) return system_fault("writing", path);
        data.remove_prefix(static_cast<std::size_t>(put));
    }
    return KS_OK;
}

// 0666 less the umask, which can be asked for without changing it here alone.
std::uint32_t mode_of_new_files() noexcept {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> status(std::fopen("/proc/self/status", "re"),
                                                                 std::fclose);
    char line[256];
    unsigned mask = 022;
    while (status && std::fgets(line, sizeof line, status.get()) != nullptr) {
        if (std::strncmp(line, "Umask:", 6) == 0)
            mask = static_cast<unsigned>(std::strtoul(line + 6, nullptr, 8));
    }
    return 0666u & ~mask;
}

std::string ticket_name(std::uint64_t id, std::uint64_t version, bool is_removed) {
    const std::uint64_t nonce = random_bits();
    char name[64];
    std::snprintf(name, sizeof name, "%016" PRIx64 "-%016" PRIx64 "-%016" PRIx64 "%s", id, version, nonce,
                  is_removed ? "-d" : "");
    return name;
}

bool parse_ticket(const char* name, Ticket* ticket_out) {
    std::uint64_t nonce = 0;
    int end = 0;
    const int found = std::sscanf(name, "%16" SCNx64 "-%16" SCNx64 "-%16" SCNx64 "%n", &ticket_out->id,
                                  &ticket_out->version, &nonce, &end);
    if (found != 3 || end != 50) return false;
    ticket_out->is_removed = std::strcmp(name + end, "-d") == 0;
    ticket_out->name = name;
    return ticket_out->is_removed || name[end] == '\0';
}

}  // namespace

ks_status sync_folder(const File& folder) noexcept {
    return uninterrupted([&] { return ::fsync(folder.fd()); }) == 0 ? KS_OK
                                                                    : system_fault("syncing", "a folder");
}

ks_status refuse_for(const FilePath& path, const Obstacle& obstacle) noexcept {
    const bool is_above = obstacle.part != path.text;
    return fault(KS_E_PATH, "'%s': %s%s%s is %s%s", Shown(path.text).text, is_above ? "'" : "",
                 is_above ? Shown(obstacle.part).text : "it", is_above ? "'" : "", obstacle.what,
                 is_above ? ", no folder" : "");
}

int Root::open_beneath(const char* path, int flags) const noexcept {
    return open_at(root_.fd(), path, flags);
}

ks_status Root::open(const char* path) {
    root_ = File(::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root_.is_open() && errno == ENOENT) return refuse_path(path, "there is no such folder");
    if (!root_.is_open()) return system_fault("opening", path);
    const std::unique_ptr<char, void (*)(void*)> whole(::realpath(path, nullptr), std::free);
    if (!whole) return system_fault("finding", path);
    path_ = whole.get();
    new_mode_ = mode_of_new_files();
    const File probe(open_beneath(".", O_RDONLY | O_DIRECTORY));
    if (!probe.is_open() && errno == ENOSYS) return system_fault("openat2 (Linux 5.6) of", path);
    return probe.is_open() ? KS_OK : system_fault("opening", path);
}

ks_status Root::open_tickets() {
    if (::mkdirat(root_.fd(), kOwnFolder, 0700) != 0 && errno != EEXIST)
        return system_fault("making", kOwnFolder);
    const File own(open_beneath(kOwnFolder, O_RDONLY | O_DIRECTORY));
    if (!own.is_open()) return system_fault("opening", kOwnFolder);
    if (::mkdirat(own.fd(), kTicketFolder, 0700) != 0 && errno != EEXIST)
        return system_fault("making a folder in", kOwnFolder);
    // git would add the journal, and `git stash -u` take it away under those who write to it. No matter if it fails.
    const File ignore(
        ::openat(own.fd(), ".gitignore", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (ignore.is_open()) (void)write_whole(ignore, "*\n", ".gitignore");
    tickets_ = File(open_at(own.fd(), kTicketFolder, O_RDONLY | O_DIRECTORY));
    return tickets_.is_open() ? KS_OK : system_fault("opening a folder in", kOwnFolder);
}

// The first part of the path that is not what it should be. false: none is (any more).
bool Root::find_obstacle(const FilePath& path, Obstacle* obstacle_out) const {
    const std::string& text = path.text;
    for (std::size_t end = 0; end < text.size();) {
        end = std::min(text.find('/', end + 1), text.size());
        std::string part = text.substr(0, end);
        const File at(open_beneath(part.c_str(), O_PATH | O_NOFOLLOW));  // a link itself
        struct stat info;
        if (!at.is_open() || ::fstat(at.fd(), &info) != 0) return false;
        if (end < text.size() ? S_ISDIR(info.st_mode) : S_ISREG(info.st_mode)) continue;
        *obstacle_out = {std::move(part), name_of(info.st_mode), S_ISDIR(info.st_mode)};
        return true;
    }
    return false;
}

ks_status Root::look(const FilePath& path, OnDisk* disk_out) const {
    OnDisk& disk = *disk_out;
    for (int race = 0;;) {
        disk = {};
        const File file(open_beneath(path.text.c_str(), O_RDONLY));
        if (file.is_open()) return read_whole(file, path.text, disk_out);
        const int error = errno;
        if (error == ENOENT) return KS_OK;
        if (is_of_an_obstacle(error)) {
            if (find_obstacle(path, &disk.obstacle)) {
                if (disk.obstacle.part == path.text) disk.look = kNoFile;
                return KS_OK;
            }
            if (++race < kRacesMax) continue;
        }
        errno = error;
        return system_fault("opening", path.text);
    }
}

ks_status Root::open_folder(const FilePath& path, File* folder_out) const {
    const std::string folder(path.folder());
    *folder_out = File(open_beneath(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY));
    if (folder_out->is_open()) return KS_OK;
    return errno == ENOENT || is_of_an_obstacle(errno) ? KS_NOT_FOUND : system_fault("opening", folder);
}

ks_status Root::make_folder(const FilePath& path, File* folder_out) const {
    if (const ks_status s = open_folder(path, folder_out); s != KS_NOT_FOUND) return s;
    const std::string_view folder = path.folder();
    const auto refuse = [&] {
        const int error = errno;
        Obstacle obstacle;
        if (is_of_an_obstacle(error) && find_obstacle(path, &obstacle)) return refuse_for(path, obstacle);
        errno = error;
        return system_fault("opening", folder);
    };
    File above(open_beneath(".", O_RDONLY | O_DIRECTORY));
    for (std::size_t begin = 0; begin < folder.size();) {
        if (!above.is_open()) return refuse();
        const std::size_t end = std::min(folder.find('/', begin), folder.size());
        const std::string part(folder.substr(begin, end - begin));
        if (::mkdirat(above.fd(), part.c_str(), 0777) == 0) {
            if (const ks_status s = sync_folder(above); s != KS_OK) return s;
        } else if (errno != EEXIST) {
            return system_fault("making", folder.substr(0, end));
        }
        above = File(open_at(above.fd(), part.c_str(), O_RDONLY | O_DIRECTORY));
        begin = end + 1;
    }
    *folder_out = std::move(above);
    return folder_out->is_open() ? KS_OK : refuse();
}

namespace {

// The kernel's answer to a rename from or to `leaf`, as far as it can be known before: access, the sticky bit, and what
// chattr has forbidden. errno says why not.
bool may_replace(int folder, const char* leaf) noexcept {
    if (::faccessat(folder, ".", W_OK | X_OK, AT_EACCESS) != 0) return false;
    constexpr std::uint64_t kFixed = STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND;
    struct statx above, file;
    if (::statx(folder, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &above) != 0) return false;
    if (::statx(folder, leaf, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &file) != 0) return errno == ENOENT;
    const uid_t self = ::geteuid();
    const bool is_anothers =
        (above.stx_mode & S_ISVTX) != 0 && self != 0 && self != above.stx_uid && self != file.stx_uid;
    if (!is_anothers && ((above.stx_attributes | file.stx_attributes) & kFixed) == 0) return true;
    errno = EPERM;
    return false;
}

}  // namespace

ks_status Root::check_place(const FilePath& path) const {
    struct stat tickets;
    if (::fstat(tickets_.fd(), &tickets) != 0 || tickets.st_nlink == 0) {
        errno = ENOENT;
        return system_fault("looking for the folder 'files' in", kOwnFolder);
    }
    std::string folder(path.folder());
    std::string leaf(path.leaf());
    for (;;) {
        const File at(open_beneath(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY));
        if (at.is_open()) {
            if (may_replace(at.fd(), leaf.c_str())) return KS_OK;
            return system_fault("replacing", path.text);
        }
        if (errno != ENOENT || folder.empty()) return system_fault("opening the folder of", path.text);
        const std::size_t slash = folder.rfind('/');
        leaf = folder.substr(slash == std::string::npos ? 0 : slash + 1);
        folder.resize(slash == std::string::npos ? 0 : slash);
    }
}

ks_status Root::sync_file(const FilePath& path) const {
    const File file(open_beneath(path.text.c_str(), O_RDONLY));
    const bool is_synced = file.is_open() && uninterrupted([&] { return ::fsync(file.fd()); }) == 0;
    return is_synced || errno == ENOENT ? KS_OK : system_fault("syncing", path.text);
}

namespace {

// What a new inode in the place of an old one may. It is its writer's; the group stays the old one's, a new file's in a
// folder with the set-group-id bit the folder's. Where that is not allowed the group gets what all others have, and the
// bits by which others act as owner or group stay only if both are the same and the old file had them.
ks_status give_rights(const File& file, std::uint32_t mode, const File& folder, const FilePath& path,
                      ModeOf mode_of) {
    const std::string leaf(path.leaf());
    struct stat made, old, above;
    if (::fstat(file.fd(), &made) != 0 || ::fstat(folder.fd(), &above) != 0)
        return system_fault("looking at the place of", path.text);
    const bool is_over =
        ::fstatat(folder.fd(), leaf.c_str(), &old, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(old.st_mode);
    if (is_over && mode_of == ModeOf::kFileThere) mode = old.st_mode & 07777u;
    gid_t group = made.st_gid;
    if (is_over || (above.st_mode & S_ISGID) != 0) group = is_over ? old.st_gid : above.st_gid;
    constexpr uid_t kSame = ~uid_t{0};
    const bool has_group = group == made.st_gid || ::fchown(file.fd(), kSame, group) == 0;
    if (!has_group) mode = (mode & ~070u) | (mode & 07u) << 3;
    const bool is_same = is_over && has_group && made.st_uid == old.st_uid;
    mode &= is_same ? ~06000u | (old.st_mode & 06000u) : ~06000u;
    return ::fchmod(file.fd(), mode) == 0 ? KS_OK : system_fault("giving its mode to", path.text);
}

}  // namespace

ks_status Root::make_ticket(const FilePath& path, const Stored& stored, const File& folder, ModeOf mode_of,
                            Ticket* ticket_out) const {
    *ticket_out = {ticket_name(path.id, stored.version(), false), path.id, stored.version(), false};
    const File file(::openat(tickets_.fd(), ticket_out->name.c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.is_open()) return system_fault("making a file for", path.text);
    ks_status s = write_whole(file, stored.data(), path.text);
    if (s == KS_OK) s = give_rights(file, stored.mode, folder, path, mode_of);
    if (s == KS_OK && uninterrupted([&] { return ::fsync(file.fd()); }) != 0)
        s = system_fault("syncing", path.text);
    if (s != KS_OK) remove(*ticket_out);
    return s;
}

ks_status Root::land(const Ticket& ticket, const File& folder, const FilePath& path) const {
    const std::string leaf(path.leaf());
    if (::renameat(tickets_.fd(), ticket.name.c_str(), folder.fd(), leaf.c_str()) == 0) return KS_OK;
    return errno == ENOENT ? KS_NOT_FOUND : system_fault("renaming into place", path.text);
}

ks_status Root::take(const FilePath& path, std::uint64_t version, const File& folder,
                     Ticket* ticket_out) const {
    *ticket_out = {ticket_name(path.id, version, true), path.id, version, true};
    const std::string leaf(path.leaf());
    if (::renameat(folder.fd(), leaf.c_str(), tickets_.fd(), ticket_out->name.c_str()) == 0) return KS_OK;
    return errno == ENOENT ? KS_NOT_FOUND : system_fault("removing", path.text);
}

ks_status Root::put_back(const Ticket& ticket, const FilePath& path) const {
    const std::string leaf(path.leaf());
    File folder;
    const ks_status s = open_folder(path, &folder);
    if (s == KS_OK &&
        ::renameat2(tickets_.fd(), ticket.name.c_str(), folder.fd(), leaf.c_str(), RENAME_NOREPLACE) == 0)
        return KS_OK;
    if (s == KS_OK && errno != EEXIST)
        return errno == ENOENT ? KS_OK : system_fault("putting back", path.text);
    const std::string lost = "lost-" + ticket.name;
    if (::renameat(tickets_.fd(), ticket.name.c_str(), tickets_.fd(), lost.c_str()) == 0) return KS_OK;
    return errno == ENOENT ? KS_OK : system_fault("keeping", lost);
}

ks_status Root::look_at(const Ticket& ticket, OnDisk* disk_out) const {
    *disk_out = {};
    struct stat info;
    if (::fstatat(tickets_.fd(), ticket.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? KS_OK : system_fault("looking at", ticket.name);
    if (!S_ISREG(info.st_mode)) {
        disk_out->look = kNoFile;
        return KS_OK;
    }
    const File file(open_at(tickets_.fd(), ticket.name.c_str(), O_RDONLY));
    if (!file.is_open()) return errno == ENOENT ? KS_OK : system_fault("opening", ticket.name);
    return read_whole(file, ticket.name, disk_out);
}

void Root::remove(const Ticket& ticket) const noexcept {
    ::unlinkat(tickets_.fd(), ticket.name.c_str(), 0);
}

namespace {

// An open folder's entries, on a descriptor of their own: two who list the same do not share a position.
std::unique_ptr<DIR, int (*)(DIR*)> entries_of(int folder) noexcept {
    const int fd = open_at(folder, ".", O_RDONLY | O_DIRECTORY);
    DIR* const entries = fd >= 0 ? ::fdopendir(fd) : nullptr;
    if (entries == nullptr && fd >= 0) ::close(fd);
    return {entries, ::closedir};
}

}  // namespace

ks_status Root::list_tickets(std::vector<Ticket>* tickets_out) const {
    tickets_out->clear();
    const auto entries = entries_of(tickets_.fd());
    if (!entries) return system_fault("listing a folder in", kOwnFolder);
    Ticket ticket;
    while (const dirent* entry = ::readdir(entries.get())) {
        if (parse_ticket(entry->d_name, &ticket)) tickets_out->push_back(ticket);
    }
    return KS_OK;
}

ks_status Root::list(const std::string& folder, Visit visit, void* user) const {
    const File here(open_beneath(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY));
    if (!here.is_open()) {
        if (errno == ENOENT || is_of_the_path(errno) || errno == EACCES) return KS_OK;  // nothing of ours
        return system_fault("opening", folder);
    }
    const auto entries = entries_of(here.fd());
    if (!entries) return system_fault("listing", folder);
    while (const dirent* entry = ::readdir(entries.get())) {
        const std::string_view name = entry->d_name;
        if (name == "." || name == ".." || name == kOwnFolder) continue;
        const std::string path = folder.empty() ? std::string(name) : folder + '/' + std::string(name);
        if (path.size() > KS_FILES_PATH_MAX) continue;
        struct stat info;
        if (::fstatat(here.fd(), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
        if (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)) visit(user, path, info);
    }
    return KS_OK;
}

}  // namespace keystile::engine::files
