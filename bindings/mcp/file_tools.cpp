// read_file, write_file, edit_file, list_directory, get_file_info.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
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

constexpr size_t kFirstFileBuffer = 64 * 1024;
constexpr uint64_t kEditsMax = 256;
constexpr uint64_t kEntriesDefault = 500, kEntriesMax = 5000;

Json with_path(Json outcome, const Target& target) {
    outcome["path"] = target.name;
    return outcome;
}

void add_content(Json& outcome, const File& file) {
    outcome["exists"] = file.status != KS_NOT_FOUND;
    if (file.status == KS_NOT_FOUND) {
        outcome["content"] = nullptr;
    } else {
        add_bytes(outcome, "content", file.bytes);
    }
    add_stamp(outcome, file.stamp);
}

Json foreign_edit(const Target& target, ks_stamp stamp) {
    ks_receipt receipt{};
    receipt.stamp = stamp;
    return with_path(refusal_of(KS_FOREIGN_EDIT, target.name, receipt, false), target);
}

Json read_file_tool(Call& call) {
    const Target target = file_target(call.workspace, call.arguments.text("path"));
    const bool is_adopting = call.arguments.flag("adopt");
    call.arguments.end();
    ks_files* const files = call.workspace.files();
    if (is_adopting) {
        ks_receipt receipt{};
        const ks_status status = ks_files_adopt(files, target.name.c_str(), nullptr, &receipt);
        if (status != KS_OK && status != KS_NOT_FOUND) {
            return with_path(refusal_of(status, target.name, receipt, false), target);
        }
    }
    const File file = read_file(files, target.name);
    if (file.status == KS_FOREIGN_EDIT) return foreign_edit(target, file.stamp);
    Json outcome = with_path(ok(), target);
    add_content(outcome, file);
    return outcome;
}

// What write_file and edit_file have in common.
struct Write {
    Target target;
    ks_stamp seen{};
    std::optional<ks_grant> grant;
    bool is_release = false;
};

Write read_write(Call& call) {
    Write write;
    write.target = file_target(call.workspace, call.arguments.text("path"));
    write.seen = call.arguments.stamp();
    write.grant = grant_of(call.workspace.session(), write.target, call.arguments);
    write.is_release = call.arguments.flag("release");
    if (write.is_release && !write.grant) {
        throw InvalidArguments{"\"release\" needs the \"claim\" that it gives back"};
    }
    return write;
}

Json refused_write(const Write& write, ks_status status, const ks_receipt& receipt) {
    if (status == KS_NOT_FOUND) {
        Json outcome = refusal("not_found", false, "stop",
                               fmt::format("there is no {}", cli::escaped(write.target.name)));
        add_stamp(outcome, receipt.stamp);
        return with_path(std::move(outcome), write.target);
    }
    return with_path(refusal_of(status, write.target.name, receipt, write.grant.has_value()), write.target);
}

// nullptr deletes.
Json write_back(Call& call, const Write& write, const std::string* content) {
    ks_files* const files = call.workspace.files();
    const ks_grant* const grant = write.grant ? &*write.grant : nullptr;
    const char* const path = write.target.name.c_str();
    ks_receipt receipt{};
    const ks_status status =
        content == nullptr ? ks_files_remove(files, path, write.seen, grant, &receipt)
                           : ks_files_write(files, path, bytes_of(*content), write.seen, grant, &receipt);
    if (status != KS_OK) return refused_write(write, status, receipt);
    Json outcome = with_path(ok(), write.target);
    add_stamp(outcome, receipt.stamp);
    if (write.is_release && ks_files_release(files, grant, &receipt) == KS_OK)
        add_stamp(outcome, receipt.stamp);
    return outcome;
}

void demand_size(const std::string& content) {
    if (content.size() <= KS_FILES_SIZE_MAX) return;
    throw InvalidArguments{
        fmt::format("the content has {} bytes, a file at most {}", content.size(), KS_FILES_SIZE_MAX)};
}

Json write_file_tool(Call& call) {
    Arguments& arguments = call.arguments;
    const Write write = read_write(call);
    const bool is_delete = arguments.flag("delete");
    if (is_delete == arguments.has("content"))
        throw InvalidArguments{"give \"content\", or \"delete\": true"};
    const std::string content = is_delete ? std::string() : arguments.bytes("content");
    arguments.end();
    demand_size(content);
    return write_back(call, write, is_delete ? nullptr : &content);
}

struct Edit {
    std::string old_text, new_text;
    bool is_everywhere = false;
};

std::vector<Edit> read_edits(Arguments& arguments) {
    const Json& list = arguments.take("edits");
    if (!list.is_array() || list.empty() || list.size() > kEditsMax) {
        throw InvalidArguments{fmt::format("\"edits\" is a list of 1 to {} objects", kEditsMax)};
    }
    std::vector<Edit> edits;
    for (const Json& item : list) {
        if (!item.is_object()) throw InvalidArguments{"\"edits\" is a list of objects"};
        Arguments members(&item);
        Edit edit{members.text("old_text"), members.text("new_text"), members.flag("replace_all")};
        members.end();
        if (edit.old_text.empty()) throw InvalidArguments{"\"old_text\" is empty: use write_file"};
        edits.push_back(std::move(edit));
    }
    return edits;
}

// Replaces old_text wherever it stands, and says how often; the caller judges whether that is as often as it should be.
size_t apply(const Edit& edit, std::string& content) {
    std::string edited;
    size_t count = 0, from = 0;
    for (size_t at; (at = content.find(edit.old_text, from)) != std::string::npos; ++count) {
        edited.append(content, from, at - from).append(edit.new_text);
        from = at + edit.old_text.size();
        if (edited.size() > 2 * size_t{KS_FILES_SIZE_MAX}) break;  // it is too large already: stop growing
    }
    content = edited.append(content, from, std::string::npos);
    return count;
}

Json edit_file_tool(Call& call) {
    const Write write = read_write(call);
    const std::vector<Edit> edits = read_edits(call.arguments);
    call.arguments.end();

    File file = read_file(call.workspace.files(), write.target.name);
    ks_receipt receipt{};
    receipt.stamp = file.stamp;
    if (file.status == KS_FOREIGN_EDIT) return foreign_edit(write.target, file.stamp);
    // The edits were made for what the caller read; that its epoch still stands is told by the write.
    if (file.stamp.version != write.seen.version) return refused_write(write, KS_CONFLICT, receipt);
    if (file.status == KS_NOT_FOUND) return refused_write(write, KS_NOT_FOUND, receipt);
    for (size_t i = 0; i < edits.size(); ++i) {
        const size_t count = apply(edits[i], file.bytes);
        if (count == 1 || (count > 1 && edits[i].is_everywhere)) {
            demand_size(file.bytes);
            continue;
        }
        Json outcome =
            refusal("no_match", true, "read_again",
                    fmt::format("the old_text of edit {} is in {} {} times, and should be once: nothing was "
                                "written; give more of the lines around it, or replace_all",
                                i + 1, cli::escaped(write.target.name), count));
        add_stamp(outcome, file.stamp);
        return with_path(std::move(outcome), write.target);
    }
    return write_back(call, write, &file.bytes);
}

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

// 0: the path is a folder; else why not (ENOENT, ENOTDIR: of a link, too). No link is followed, so what is looked at is
// in the root.
int errno_of_folder(const Workspace& workspace, std::string_view path) {
    constexpr int kLook = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int folder = open(workspace.root().c_str(), kLook);
    while (folder >= 0 && !path.empty()) {
        const std::string part(path.substr(0, path.find('/')));
        path.remove_prefix(std::min(path.size(), part.size() + 1));
        const int inner = openat(folder, part.c_str(), kLook);
        const int number = errno;
        close(folder);
        errno = number;
        folder = inner;
    }
    if (folder < 0) return errno;
    close(folder);
    return 0;
}

Json no_folder(int number, const std::string& path) {
    const std::string name = cli::escaped(path);
    if (number == ENOENT)
        return refusal("not_found", false, "stop", fmt::format("there is no folder {}", name));
    if (number == ENOTDIR || number == ELOOP) throw InvalidArguments{fmt::format("{} is no folder", name)};
    return refusal("fault", false, "stop", fmt::format("{}: {}", name, strerror(number)));
}

struct Level {
    std::string folder;  // "" or "a/b/"
    std::map<std::string, Json> entries;
};

int add_to_level(void* user, const ks_files_entry* entry) {
    Level& level = *static_cast<Level*>(user);
    const std::string_view path = entry->path;
    if (!path.starts_with(level.folder) || entry->state == KS_FILES_DELETED) return 0;
    const std::string_view rest = path.substr(level.folder.size());
    const size_t slash = rest.find('/');
    const std::string name(rest.substr(0, slash));
    if (slash == std::string_view::npos) {
        level.entries[name] = entry_json(*entry);
    } else {
        level.entries.try_emplace(name, Json{{"type", "directory"}});
    }
    return 0;
}

Json list_directory(Call& call) {
    Arguments& arguments = call.arguments;
    std::string given = arguments.has("path") ? arguments.text("path") : "";
    while (given.ends_with('/')) given.pop_back();
    Level level;
    if (!given.empty() && given != ".") level.folder = file_target(call.workspace, given).name;
    const std::string after = arguments.has("after") ? arguments.bytes("after", "after_encoding") : "";
    const uint64_t limit = arguments.number("limit", kEntriesDefault, 1, kEntriesMax);
    arguments.end();

    const std::string prefix = level.folder;
    if (!level.folder.empty()) level.folder += '/';
    const ks_status status =
        ks_files_status(call.workspace.files(), prefix.c_str(), KS_FILES_ALL, add_to_level, &level);
    if (status != KS_OK) throw Fault{status, given};
    if (level.entries.empty()) {
        if (const int number = errno_of_folder(call.workspace, prefix); number != 0)
            return no_folder(number, prefix);
    }
    Json outcome = ok();
    outcome["entries"] = Json::array();
    auto next = after.empty() ? level.entries.begin() : level.entries.upper_bound(after);
    for (; next != level.entries.end() && outcome["entries"].size() < limit; ++next) {
        Json entry;
        add_name(entry, "name", next->first);
        entry.update(next->second);
        outcome["entries"].push_back(std::move(entry));
    }
    outcome["has_more"] = next != level.entries.end();
    return outcome;
}

struct Info {
    std::string path;
    Json found;  // null: nothing
};

int look_for(void* user, const ks_files_entry* entry) {
    Info& info = *static_cast<Info*>(user);
    const std::string_view path = entry->path;
    if (path != info.path) {
        if (path.starts_with(info.path + '/') && entry->state != KS_FILES_DELETED && info.found.is_null()) {
            info.found = Json{{"exists", true}, {"type", "directory"}};
        }
        return 0;
    }
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
    Info info{target.name, nullptr};
    const ks_status status =
        ks_files_status(call.workspace.files(), target.name.c_str(), KS_FILES_ALL, look_for, &info);
    if (status != KS_OK) throw Fault{status, target.name};
    Json outcome = with_path(ok(), target);
    if (!info.found.is_null()) {
        outcome.update(info.found);
        return outcome;
    }
    if (errno_of_folder(call.workspace, target.name) == 0) {  // an empty one
        outcome.update(Json{{"exists", true}, {"type", "directory"}});
        return outcome;
    }
    // Nothing, or nothing that may be looked at: reading tells which, and the stamp that creates it.
    const File file = read_file(call.workspace.files(), target.name);
    outcome["exists"] = file.status == KS_OK;
    add_stamp(outcome, file.stamp);
    return outcome;
}

}  // namespace

File read_file(ks_files* files, const std::string& path) {
    File file;
    file.bytes.resize(kFirstFileBuffer);
    for (;;) {  // ends when a size holds still: files do not grow for ever (KS_FILES_SIZE_MAX)
        size_t size = 0;
        file.status =
            ks_files_read(files, path.c_str(), file.bytes.data(), file.bytes.size(), &size, &file.stamp);
        if (file.status == KS_TOO_SMALL) {
            file.bytes.resize(std::max(size, 2 * file.bytes.size()));
            continue;
        }
        if (file.status < 0 || file.status == KS_BUSY) throw Fault{file.status, path};
        file.bytes.resize(size);
        return file;
    }
}

void add_file_tools(std::vector<Tool>& tools) {
    const Json path = schema::text("The path, in its one spelling.");
    const Json whole{{"type", "integer"}, {"minimum", 0}};
    const Json content{{"type", Json::array({"string", "null"})},
                       {"description", "The whole content; null if there is no such file."}};
    const Json state = schema::text(
        "clean: on disk is what was written through Keystile. edited, missing: another program changed or "
        "removed it. "
        "untracked: Keystile does not know it yet; reading makes it known. pending: on its way to the disk.");
    tools.push_back({"read_file", "Read a file",
                     "Read a file with its stamp (version, epoch). A file that does not exist is no error: "
                     "its content is null, and "
                     "its stamp is the one that creates it. Compute the new content from what you read here, "
                     "then call write_file or "
                     "edit_file with this stamp. foreign_edit: a program that does not use Keystile changed "
                     "it; adopt true takes what "
                     "is on disk now as the newest version, and reads that.",
                     schema::object({{"path", schema::path()},
                                     {"adopt", schema::flag("True takes a foreign edit in. Default false.")}},
                                    {"path"}),
                     schema::outcome({{"path", path},
                                      {"exists", schema::flag("Is there such a file?")},
                                      {"content", content},
                                      {"encoding", schema::encoding()}}),
                     schema::writes(false, true), read_file_tool});  // it may adopt: that is a commit
    tools.push_back(
        {"write_file", "Write a file",
         "Write a whole file, or create or delete it, if it is still what you read: give the "
         "version and epoch of your "
         "last read_file. conflict: someone changed it since, and nothing was written: read_file "
         "again, make your change "
         "in what you read now, write that with its stamp. Never write content made from the old "
         "one with the new stamp: "
         "that erases the other's work. If no answer arrived (a timeout), read_file first: the "
         "write may have happened.",
         schema::object({{"path", schema::path()},
                         {"content", schema::text("The whole new content, at most 16777152 bytes.")},
                         {"encoding", schema::encoding()},
                         {"delete", schema::flag("True deletes the file instead.")},
                         {"version", schema::version()},
                         {"epoch", schema::epoch()},
                         {"claim", schema::claim_token()},
                         {"release", schema::flag("True gives the claim back after the write.")}},
                        {"path", "version", "epoch"}),
         schema::outcome({{"path", path}}), schema::writes(true, false), write_file_tool});
    const Json edit = schema::object({{"old_text", schema::text("Exactly as it stands in the file, once.")},
                                      {"new_text", schema::text("What replaces it.")},
                                      {"replace_all", schema::flag("True replaces it wherever it stands.")}},
                                     {"old_text", "new_text"});
    tools.push_back({"edit_file", "Edit a file",
                     "Replace pieces of text in a file, all or none, in the order given, if it is still what "
                     "you read: give the "
                     "version and epoch of your last read_file. conflict: someone changed it since, and "
                     "nothing was written: read_file "
                     "again, see whether the edits still make sense, and edit with the new stamp.",
                     schema::object({{"path", schema::path()},
                                     {"edits", schema::list(edit, "The replacements.", kEditsMax)},
                                     {"version", schema::version()},
                                     {"epoch", schema::epoch()},
                                     {"claim", schema::claim_token()},
                                     {"release", schema::flag("True gives the claim back after the write.")}},
                                    {"path", "edits", "version", "epoch"}),
                     schema::outcome({{"path", path}}), schema::writes(true, false), edit_file_tool});
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
         "List the files and folders in a folder, sorted by name. Folders without files are not listed. "
         "not_found: there is no such folder. If "
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
