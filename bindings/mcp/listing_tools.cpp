// list_directory, get_file_info: what is there. Listing a folder looks at what lies in it and reads no content but that
// of its own files which Keystile knows (their state): it costs the same whatever else lies there, or deeper.
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "files.hpp"
#include "outcome.hpp"
#include "schema.hpp"
#include "target.hpp"
#include "text.hpp"
#include "tools.hpp"

namespace keystile::mcp {
namespace {

constexpr uint64_t kEntriesDefault = 500, kEntriesMax = 5000;

const char* state_word(uint32_t state) {
    switch (state) {
        case KS_FILES_CLEAN:
            return "clean";
        case KS_FILES_EDITED:
            return "edited";
        case KS_FILES_MISSING:
            return "missing";
        case KS_FILES_UNTRACKED:
            return "untracked";
        case KS_FILES_PENDING:
            return "pending";
        default:
            return "deleted";
    }
}

Json entry_json(const ks_files_entry& entry) {
    Json told{{"type", "file"}, {"size", entry.size}, {"state", state_word(entry.state)}};
    add_stamp(told, entry.stamp);
    told["claimed"] = entry.is_claimed != 0;
    if (entry.is_claimed != 0) add_owner(told, entry.owner);
    return told;
}

Json directory() {
    return Json{{"type", "directory"}};
}

// A folder beneath the root, or the root itself (""), whatever link is swapped in meanwhile.
class Folder {
public:
    Folder(const Workspace& workspace, const std::string& path, uint64_t flags) {
        const int root = open(workspace.root().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0) {
            errno_ = errno;
            return;
        }
        open_how how{};
        how.flags = flags | O_DIRECTORY | O_CLOEXEC;
        how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
        const char* const name = path.empty() ? "." : path.c_str();
        do {
            fd_ = static_cast<int>(syscall(SYS_openat2, root, name, &how, sizeof how));
        } while (fd_ < 0 && (errno == EINTR || errno == EAGAIN));
        errno_ = fd_ < 0 ? errno : 0;
        close(root);
    }
    ~Folder() {
        if (fd_ >= 0) close(fd_);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    bool is_open() const { return fd_ >= 0; }
    int why_not() const { return errno_; }  // ENOENT; ENOTDIR and ELOOP: something else is there
    int fd() const { return fd_; }

private:
    int fd_ = -1;
    int errno_ = 0;
};

Json no_folder(int number, const std::string& path) {
    const std::string name = cli::escaped(path);
    if (number == ENOENT)
        return refusal("not_found", false, "stop", fmt::format("there is no folder {}", name));
    if (number == ENOTDIR || number == ELOOP) throw InvalidArguments{fmt::format("{} is no folder", name)};
    return refusal("fault", false, "stop", fmt::format("{}: {}", name, strerror(number)));
}

// What a name in a folder stands for.
struct Named {
    bool is_folder = false, is_file = false;   // on disk
    uint64_t size = 0;                         // there
    bool is_known = false, has_below = false;  // in the store: itself, and as a folder
};

struct Level {
    std::string folder;  // "" or "a/b/"
    std::map<std::string, Named> names;
};

// Files and folders; links and the like are passed over, and so is the store. Returns an errno.
int add_from_disk(const Folder& folder, Level& level) {
    const int fd = fcntl(folder.fd(), F_DUPFD_CLOEXEC, 0);
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(fd >= 0 ? fdopendir(fd) : nullptr, closedir);
    if (!entries) {
        const int number = errno;
        if (fd >= 0) close(fd);
        return number;
    }
    while (const dirent* const entry = readdir(entries.get())) {
        const std::string name = entry->d_name;
        struct stat info{};
        if (name == "." || name == ".." || name == ".keystile") continue;
        if (level.folder.size() + name.size() > KS_FILES_PATH_MAX) continue;
        if (fstatat(folder.fd(), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;  // it is gone
        if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) continue;
        Named& named = level.names[name];
        named.is_folder = S_ISDIR(info.st_mode);
        named.is_file = S_ISREG(info.st_mode);
        named.size = static_cast<uint64_t>(info.st_size);
    }
    return 0;
}

int add_from_store(void* user, const ks_entry* entry) {
    Level& level = *static_cast<Level*>(user);
    const std::string_view rest = view_of(entry->key).substr(kFilePrefix.size() + level.folder.size());
    const size_t slash = rest.find('/');
    Named& named = level.names[std::string(rest.substr(0, slash))];
    (slash == std::string_view::npos ? named.is_known : named.has_below) = true;
    return 0;
}

int take_file(void* user, const ks_files_entry* entry) {
    auto& [path, told] = *static_cast<std::pair<std::string, Json>*>(user);
    if (entry->path == path && entry->state != KS_FILES_DELETED) told = entry_json(*entry);
    return 1;  // what is below it comes later
}

int take_any(void* user, const ks_files_entry*) {
    *static_cast<bool*>(user) = true;
    return 1;
}

// null: nothing is there, nor should be. A folder is one, whatever file was in its place.
Json look_at(const Workspace& workspace, const std::string& path, const Named& named) {
    ks_files* const files = workspace.files();
    if (named.is_folder) return directory();
    if (named.is_known) {
        std::pair<std::string, Json> found{path, nullptr};
        const ks_status status = ks_files_status(files, path.c_str(), KS_FILES_ALL, take_file, &found);
        if (status != KS_OK) throw Fault{status, path};
        if (!found.second.is_null()) return found.second;
    } else if (named.is_file) {
        ks_files_entry entry{};
        entry.size = named.size;
        entry.state = KS_FILES_UNTRACKED;
        return entry_json(entry);
    }
    bool is_missed = false;  // a folder with files, which another program removed
    if (named.has_below) {
        const ks_status status = ks_files_status(files, path.c_str(), 0, take_any, &is_missed);
        if (status != KS_OK) throw Fault{status, path};
    }
    return is_missed ? directory() : Json(nullptr);
}

Json list_directory(Call& call) {
    Arguments& arguments = call.arguments;
    std::string given = arguments.has("path") ? arguments.text("path") : "";
    while (given.ends_with('/')) given.pop_back();
    std::string path;
    if (!given.empty() && given != ".") path = file_target(call.workspace, given).name;
    const std::string after = arguments.has("after") ? arguments.bytes("after", "after_encoding") : "";
    const uint64_t limit = arguments.number("limit", kEntriesDefault, 1, kEntriesMax);
    arguments.end();

    Level level{path.empty() ? "" : path + '/', {}};
    const Folder folder(call.workspace, path, O_RDONLY);
    if (folder.is_open()) {
        if (const int number = add_from_disk(folder, level); number != 0) return no_folder(number, path);
    }
    const std::string keys = std::string(kFilePrefix) + level.folder;
    const ks_status status =
        ks_list(call.workspace.session(), bytes_of(keys), KS_LIST_ALL, add_from_store, &level);
    if (status != KS_OK) throw Fault{status, given};

    Json outcome = ok();
    outcome["entries"] = Json::array();
    outcome["has_more"] = false;
    bool is_there = folder.is_open();  // on disk, or by what should be in it
    for (const auto& [name, named] : level.names) {
        const bool is_before = !after.empty() && name <= after;
        if (is_before && is_there) continue;
        const Json told = look_at(call.workspace, level.folder + name, named);
        if (told.is_null()) continue;
        is_there = true;
        if (is_before) continue;
        if (outcome["entries"].size() == limit) {
            outcome["has_more"] = true;
            break;
        }
        Json entry;
        add_name(entry, "name", name);
        entry.update(told);
        outcome["entries"].push_back(std::move(entry));
    }
    return is_there ? outcome : no_folder(folder.why_not(), path);
}

struct Info {
    std::string path;
    Json found;  // null: nothing
};

int look_for(void* user, const ks_files_entry* entry) {
    Info& info = *static_cast<Info*>(user);
    if (entry->path != info.path) return 0;
    const bool is_there = entry->state != KS_FILES_DELETED && entry->state != KS_FILES_MISSING;
    info.found = Json{{"exists", is_there}};
    info.found.update(entry_json(*entry));
    info.found["mode"] = fmt::format("{:04o}", entry->mode);
    if (std::any_of(std::begin(entry->hash), std::end(entry->hash), [](uint8_t byte) { return byte != 0; })) {
        std::string hash;
        for (const uint8_t byte : entry->hash) hash += fmt::format("{:02x}", byte);
        info.found["xxh3_128"] = hash;
    }
    return 1;
}

Json get_file_info(Call& call) {
    const Target target = file_target(call.workspace, call.arguments.text("path"));
    call.arguments.end();
    Json outcome = ok();
    outcome["path"] = target.name;
    // A folder is one, whatever file was in its place.
    if (Folder(call.workspace, target.name, O_PATH).is_open()) {
        outcome["exists"] = true;
        outcome.update(directory());
        return outcome;
    }
    Info info{target.name, nullptr};
    const ks_status status =
        ks_files_status(call.workspace.files(), target.name.c_str(), KS_FILES_ALL, look_for, &info);
    if (status != KS_OK) throw Fault{status, target.name};
    if (!info.found.is_null()) {
        outcome.update(info.found);
        return outcome;
    }
    // Nothing, or nothing that may be looked at: reading tells which, and the stamp that creates it.
    const File file = read_file(call.workspace.files(), target.name);
    outcome["exists"] = file.status == KS_OK;
    add_stamp(outcome, file.stamp);
    return outcome;
}

}  // namespace

void add_listing_tools(std::vector<Tool>& tools) {
    const Json path = schema::text("The path, in its one spelling.");
    const Json whole{{"type", "integer"}, {"minimum", 0}};
    const Json state = schema::text(
        "clean: on disk is what was written through Keystile. edited, missing: another program changed or "
        "removed it. "
        "untracked: Keystile does not know it yet; reading makes it known. pending: on its way to the disk.");
    const Json entry = schema::object(
        {{"name", schema::text("In this folder.")},
         {"name_encoding", schema::text("\"base64\": a name that is no text; these tools cannot name it.")},
         {"type", schema::text("file or directory")},
         {"size", whole},
         {"state", state},
         {"version", schema::version()},
         {"epoch", schema::epoch()},
         {"claimed", schema::flag("Does someone hold a claim of it?")},
         {"owner", Json{{"type", "object"}}},
         {"lease_left_ms", whole}},
        {"name", "type"});
    tools.push_back(
        {"list_directory", "List a folder",
         "List the files and folders in a folder, sorted by name; of what is deeper nothing is "
         "read. not_found: there is no such folder. If "
         "has_more, call "
         "again with `after` = the last name. Read a file before you write it: a stamp listed here is no "
         "substitute for "
         "having seen the content.",
         schema::object({{"path", schema::text("The folder below the root; without it the root.")},
                         {"after", schema::text("Only names that come after it.")},
                         {"after_encoding", schema::text("\"base64\", if that name came so.")},
                         {"limit", schema::number("At most so many. Default 500.", 1, kEntriesMax)}},
                        {}),
         schema::outcome({{"entries", schema::list(entry, "What is in it.", kEntriesMax)},
                          {"has_more", schema::flag("There are more.")}}),
         schema::reads(), list_directory});
    tools.push_back({"get_file_info", "Look at a file",
                     "Size, stamp, state and claim of a file, without its content. Changes nothing.",
                     schema::object({{"path", schema::path()}}, {"path"}),
                     schema::outcome({{"path", path},
                                      {"exists", schema::flag("Is it there?")},
                                      {"type", schema::text("file or directory")},
                                      {"size", whole},
                                      {"state", state},
                                      {"claimed", schema::flag("Does someone hold a claim of it?")},
                                      {"mode", schema::text("Permission bits, octal.")},
                                      {"xxh3_128", schema::text("Hash of the content.")}}),
                     schema::reads(), get_file_info});
}

}  // namespace keystile::mcp
