// read_file, write_file, edit_file.
#include <algorithm>
#include <optional>
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

Json read_file_tool(Call& call) {
    const Target target = file_target(call.workspace, call.arguments.text("path"));
    const bool is_adopting = call.arguments.flag("adopt");
    const std::optional<ks_grant> grant = grant_of(call.workspace.session(), target, call.arguments);
    call.arguments.end();
    if (grant && !is_adopting)
        throw InvalidArguments{"\"claim\" is for \"adopt\": who only reads needs none"};
    ks_files* const files = call.workspace.files();
    ks_receipt receipt{};
    if (is_adopting) {
        const ks_status status =
            ks_files_adopt(files, target.name.c_str(), grant ? &*grant : nullptr, &receipt);
        if (status != KS_OK && status != KS_NOT_FOUND) {
            return with_path(refusal_of(status, target.name, receipt, grant.has_value()), target);
        }
    }
    const File file = read_file(files, target.name);
    if (file.status == KS_FOREIGN_EDIT) {
        receipt.stamp = file.stamp;
        return with_path(refusal_of(KS_FOREIGN_EDIT, target.name, receipt, grant.has_value()), target);
    }
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

// "" if the edit can be made. Once is once: in "\n\n\n" there are two places for "\n\n", though they overlap.
std::string why_not(const Edit& edit, const std::string& content) {
    const size_t first = content.find(edit.old_text);
    if (first == std::string::npos) return "is not in";
    const bool is_ambiguous =
        !edit.is_everywhere && content.find(edit.old_text, first + 1) != std::string::npos;
    return is_ambiguous ? "stands in more than one place of" : "";
}

// Replaces old_text wherever it stands, from the left.
void apply(const Edit& edit, std::string& content) {
    std::string edited;
    size_t from = 0;
    for (size_t at; (at = content.find(edit.old_text, from)) != std::string::npos;) {
        edited.append(content, from, at - from).append(edit.new_text);
        from = at + edit.old_text.size();
        if (edited.size() > 2 * size_t{KS_FILES_SIZE_MAX}) break;  // it is too large already: stop growing
    }
    content = edited.append(content, from, std::string::npos);
}

Json edit_file_tool(Call& call) {
    const Write write = read_write(call);
    const std::vector<Edit> edits = read_edits(call.arguments);
    call.arguments.end();

    File file = read_file(call.workspace.files(), write.target.name);
    ks_receipt receipt{};
    receipt.stamp = file.stamp;
    if (file.status == KS_FOREIGN_EDIT) return refused_write(write, KS_FOREIGN_EDIT, receipt);
    // The edits were made for what the caller read; that its epoch still stands is told by the write.
    if (file.stamp.version != write.seen.version) return refused_write(write, KS_CONFLICT, receipt);
    if (file.status == KS_NOT_FOUND) return refused_write(write, KS_NOT_FOUND, receipt);
    for (size_t i = 0; i < edits.size(); ++i) {
        const std::string why = why_not(edits[i], file.bytes);
        if (why.empty()) {
            apply(edits[i], file.bytes);
            demand_size(file.bytes);
            continue;
        }
        Json outcome =
            refusal("no_match", true, "read_again",
                    fmt::format("the old_text of edit {} {} {}, and should be in it once: nothing was "
                                "written; give more of the lines around it, or replace_all",
                                i + 1, why, cli::escaped(write.target.name)));
        add_stamp(outcome, file.stamp);
        return with_path(std::move(outcome), write.target);
    }
    return write_back(call, write, &file.bytes);
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
    const Json content{{"type", Json::array({"string", "null"})},
                       {"description", "The whole content; null if there is no such file."}};
    tools.push_back(
        {"read_file", "Read a file",
         "Read a file with its stamp (version, epoch). A file that does not exist is no error: "
         "its content is null, and "
         "its stamp is the one that creates it. Compute the new content from what you read here, "
         "then call write_file or "
         "edit_file with this stamp. foreign_edit: a program that does not use Keystile changed "
         "it; adopt true takes what "
         "is on disk now as the newest version, and reads that.",
         schema::object({{"path", schema::path()},
                         {"adopt", schema::flag("True takes a foreign edit in. Default false.")},
                         {"claim", schema::text("With adopt: your token, if you hold its claim.")}},
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
}

}  // namespace keystile::mcp
