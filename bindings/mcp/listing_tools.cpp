// list_directory, get_file_info: what is there.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
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
    if (entry.state == KS_FILES_FOLDER) return Json{{"type", "directory"}};
    Json told{{"type", "file"}, {"size", entry.size}, {"state", state_word(entry.state)}};
    add_stamp(told, entry.stamp);
    told["claimed"] = entry.is_claimed != 0;
    if (entry.is_claimed != 0) add_owner(told, entry.owner);
    return told;
}

// 0: the path is a folder; else why not (ENOENT, ENOTDIR; ELOOP: a link). Whatever is swapped in meanwhile, what is
// looked at is in the root.
int errno_of_folder(const Workspace& workspace, const std::string& path) {
    const int root = open(workspace.root().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) return errno;
    open_how how{};
    how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    const char* const name = path.empty() ? "." : path.c_str();
    long folder = 0;
    do {
        folder = syscall(SYS_openat2, root, name, &how, sizeof how);
    } while (folder < 0 && (errno == EINTR || errno == EAGAIN));
    const int number = folder < 0 ? errno : 0;
    if (folder >= 0) close(static_cast<int>(folder));
    close(root);
    return number;
}

Json no_folder(int number, const std::string& path) {
    const std::string name = cli::escaped(path);
    if (number == ENOENT)
        return refusal("not_found", false, "stop", fmt::format("there is no folder {}", name));
    if (number == ENOTDIR || number == ELOOP) throw InvalidArguments{fmt::format("{} is no folder", name)};
    return refusal("fault", false, "stop", fmt::format("{}: {}", name, strerror(number)));
}

// A page of a folder's entries.
struct Page {
    size_t prefix_size;  // of "" or "a/b/"
    std::string after;
    uint64_t limit;
    bool is_any = false;  // an entry, of any page
    bool has_more = false;
    Json entries = Json::array();
};

int add_to_page(void* user, const ks_files_entry* entry) {
    Page& page = *static_cast<Page*>(user);
    if (entry->state == KS_FILES_DELETED) return 0;
    const std::string_view name = std::string_view(entry->path).substr(page.prefix_size);
    page.is_any = true;
    if (!page.after.empty() && name <= page.after) return 0;
    page.has_more = page.entries.size() == page.limit;
    if (page.has_more) return 1;
    Json told;
    add_name(told, "name", name);
    told.update(entry_json(*entry));
    page.entries.push_back(std::move(told));
    return 0;
}

Json list_directory(Call& call) {
    Arguments& arguments = call.arguments;
    std::string given = arguments.has("path") ? arguments.text("path") : "";
    while (given.ends_with('/')) given.pop_back();
    std::string path;
    if (!given.empty() && given != ".") path = file_target(call.workspace, given).name;
    Page page{path.empty() ? 0 : path.size() + 1, "", 0};
    if (arguments.has("after")) page.after = arguments.bytes("after", "after_encoding");
    page.limit = arguments.number("limit", kEntriesDefault, 1, kEntriesMax);
    arguments.end();

    const ks_status status = ks_files_status(call.workspace.files(), path.c_str(),
                                             KS_FILES_ALL | KS_FILES_LEVEL, add_to_page, &page);
    if (status != KS_OK) throw Fault{status, given};
    if (!page.is_any) {
        const int number = errno_of_folder(call.workspace, path);
        if (number != 0) return no_folder(number, path);
    }
    Json outcome = ok();
    outcome["entries"] = std::move(page.entries);
    outcome["has_more"] = page.has_more;
    return outcome;
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
    if (errno_of_folder(call.workspace, target.name) == 0) {
        outcome.update(Json{{"exists", true}, {"type", "directory"}});
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
