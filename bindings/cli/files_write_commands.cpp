// keystile files read, write, rm, publish, adopt, restore
#include <unistd.h>

#include <fmt/format.h>

#include "commands.hpp"
#include "input.hpp"
#include "json_lines.hpp"
#include "roots.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kReadForm =
    R"(The content goes to standard output as it is; --stamp writes one line `version=N epoch=N` to
standard error, also if there is no file (exit code 13): that stamp creates it. A file that was
never written through Keystile is taken into the store as it is.

Examples:
  keystile files read plan.md
  keystile files read plan.md --stamp 2>stamp >plan.old)";

constexpr const char* kWriteForm =
    R"(The content comes from --value, --file, or standard input. Say what it was computed from:
--version N --epoch N (from `read --stamp`), --create (there never was one), or --force
(whatever is there now; another program's edit is refused all the same). A refused write
leaves no byte on disk. Prints the new stamp.

Examples:
  keystile files write plan.md --version 7 --epoch 4 < plan.new
  keystile files write notes/new.md --value 'first' --create)";

constexpr const char* kRemoveForm =
    R"(As `write`: the file goes only if it is what was seen.

Examples:
  keystile files rm plan.md --version 7 --epoch 4)";

constexpr const char* kPublishForm =
    R"(Many files in one step, all or none: JSON lines from standard input or --file,
  {"path":PATH,"value":TEXT}            or {"base64":...} for TEXT: the file's new content
  {"path":PATH,"file":FILE}             the new content is in FILE; with --file one may be -
  {"path":PATH,"remove":true}           the file goes
  {"path":PATH}                         nobody has changed it
each with the "version" and "epoch" that were seen, or "create":true (there never was one), or
"force":true (whatever is there now). After a crash in the middle the next command puts the
rest on disk.

Examples:
  keystile files publish < changes.jsonl)";

constexpr const char* kAdoptForm =
    R"(What another program wrote (or removed) becomes the next version. A folder or a link in the
file's place, or a file in its folder's, makes it a removal. Prints the new stamp.

Examples:
  keystile files adopt plan.md)";

constexpr const char* kRestoreForm =
    R"(The store's content goes back on disk, over whatever is there but a folder. The stamp stays.

Examples:
  keystile files restore plan.md)";

struct PathOptions {
    std::string path;
    std::string claim;
    StampOptions seen;
    std::optional<std::string> value;
    std::string file;
    bool create = false;
    bool force = false;
    bool wants_stamp = false;
};

void print_file_stamp(const Globals& globals, const std::string& path, ks_stamp stamp) {
    Json members;
    add_path(members, path);
    add_stamp(members, stamp);
    print_result(globals, members, stamp_text(stamp));
}

void read_file(const Globals& globals, const std::string& folder, const PathOptions& options) {
    const Root root(folder, "read", IfNew::kMake);
    const Read seen = root.read(options.path);
    if (!globals.json && options.wants_stamp) fmt::print(stderr, "{}\n", stamp_text(seen.stamp));
    if (!seen.is_found) {
        ks_receipt receipt{};
        Failure failure = path_refusal(KS_NOT_FOUND, options.path, receipt, false);
        add_stamp(failure.details, seen.stamp);
        if (!globals.json && options.wants_stamp) failure.message.clear();
        throw failure;
    }
    if (globals.json) {
        Json members;
        add_path(members, options.path);
        add_value(members, seen.value);
        add_stamp(members, seen.stamp);
        return print_result(globals, members, "");
    }
    print_bytes(seen.value);
    flush_output();
}

ks_stamp seen_by(const Root& root, const PathOptions& options) {
    const std::optional<ks_stamp> given = options.create ? ks_stamp{} : options.seen.stamp();
    if (int{given.has_value()} + int{options.force} + int{options.create && options.seen.stamp()} != 1) {
        throw Failure{ExitCode::usage,
                      "what was it computed from? Give --version N --epoch N (from `keystile files read PATH "
                      "--stamp`), "
                      "or --create, or --force: one of them"};
    }
    return given ? *given : root.stamp(options.path);
}

void change_file(const Globals& globals, const std::string& folder, const PathOptions& options,
                 bool is_removing) {
    std::string content;
    if (options.value && !options.file.empty())
        throw Failure{ExitCode::usage, "--value and --file exclude one another"};
    const Root root(folder, is_removing ? "rm" : "write", IfNew::kMake);
    const ks_stamp seen = seen_by(root, options);
    if (!is_removing) content = options.value ? *options.value : read_input(options.file);
    const std::optional<ks_grant> grant = root.grant(options.path, options.claim);
    const ks_grant* const under = grant ? &*grant : nullptr;
    ks_receipt receipt{};
    const ks_status s = is_removing ? ks_files_remove(root.get(), options.path.c_str(), seen, under, &receipt)
                                    : ks_files_write(root.get(), options.path.c_str(), bytes_of(content),
                                                     seen, under, &receipt);
    if (s != KS_OK) throw path_refusal(s, options.path, receipt, grant.has_value());
    print_file_stamp(globals, options.path, receipt.stamp);
}

struct FileStep {
    std::string path;
    std::string content;
    ks_files_change change{};
};

// Standard input is good for one reader: of all that is in it, nothing would be left for the lines or the next file.
std::string content_of_file(JsonLine& line, bool& is_input_taken) {
    const std::string file = line.text("file");
    if (file.empty()) line.fail("\"file\" is empty: it names the file that has the content");
    if (file == "-" && is_input_taken) {
        line.fail(
            "\"file\": \"-\" is standard input, which is read already: for these lines, or in one before");
    }
    is_input_taken = is_input_taken || file == "-";
    try {
        return read_input(file);
    } catch (const Failure& failure) {
        throw at_line(line.number(), failure);
    }
}

enum class Does { kWrite, kRemove, kExpect };

ks_stamp seen_by(const Root& root, JsonLine& line, const std::string& path, Does does) {
    const std::optional<ks_stamp> stamp = line.stamp();
    const bool is_new = line.flag("create"), is_forced = line.flag("force");
    if (does == Does::kExpect && (!stamp || is_new || is_forced))
        line.fail("what is expected? \"version\" and \"epoch\", or one of value, file and remove");
    if (int{stamp.has_value()} + int{is_new} + int{is_forced} != 1 || (is_new && does == Does::kRemove)) {
        line.fail(
            "what was it computed from? \"version\" and \"epoch\" (from `keystile files read PATH --stamp`), "
            "\"create\":true or \"force\":true: one of them");
    }
    if (is_new) return {};
    return stamp ? *stamp : root.stamp(path);
}

std::vector<FileStep> read_file_steps(const std::string& file, const Root& root) {
    std::vector<FileStep> steps;
    bool is_input_taken = is_standard_input(file);
    for_each_json_line(file, [&](JsonLine& line) {
        FileStep step;
        step.path = line.text("path");
        if (step.path.find('\0') != std::string::npos) line.fail("\"path\": a path has no zero character");
        const bool has_value = line.has("value"), has_file = line.has("file");
        const bool is_removing = line.flag("remove");
        if (int{has_value} + int{has_file} + int{is_removing} > 1)
            line.fail("value, file and remove exclude one another");
        if (has_value) step.content = line.value("value");
        if (has_file) step.content = content_of_file(line, is_input_taken);
        const Does does = has_value || has_file ? Does::kWrite : is_removing ? Does::kRemove : Does::kExpect;
        step.change.seen = seen_by(root, line, step.path, does);
        line.end();
        if (does == Does::kRemove) step.change.flags = KS_FILES_REMOVE;
        if (does == Does::kExpect) step.change.flags = KS_FILES_EXPECT;
        steps.push_back(std::move(step));
    });
    return steps;
}

void publish_files(const Globals& globals, const std::string& folder, const PathOptions& options) {
    const Root root(folder, "publish", IfNew::kMake);
    std::vector<FileStep> steps = read_file_steps(options.file, root);
    std::vector<ks_files_change> changes;
    for (FileStep& step : steps) {
        step.change.path = step.path.c_str();
        step.change.data = bytes_of(step.content);
        changes.push_back(step.change);
    }
    if (changes.empty()) return print_result(globals, Json{{"files", Json::array()}}, "");
    const ks_status s = ks_files_publish(root.get(), changes.data(), changes.size(), nullptr);
    Json list = Json::array();
    std::string lines;
    for (const ks_files_change& told : changes) {
        if (s > 0 && told.status == KS_OK) continue;  // not what stood in the way
        Json object;
        add_path(object, told.path);
        if (told.status != KS_OK) object["status"] = name_of(exit_code_of(told.status));
        add_stamp(object, told.stamp);
        if (told.status == KS_HELD) object["owner"] = owner_json(told.owner);
        list.push_back(std::move(object));
        if (s > 0) {
            ks_receipt receipt{};
            receipt.stamp = told.stamp;
            receipt.owner = told.owner;
            lines += "\n  " + path_refusal(told.status, told.path, receipt, false).message;
        } else {
            lines += fmt::format("{}{}  {}", lines.empty() ? "" : "\n", escaped(told.path),
                                 stamp_text(told.stamp));
        }
    }
    if (s < 0) {
        Failure failure = fault(s, "publish");
        if (!is_stamp(changes.front().stamp)) throw failure;
        failure.message = fmt::format("committed, not on disk yet: {}:\n{}", failure.message, lines);
        failure.details["files"] = std::move(list);
        throw failure;
    }
    if (s != KS_OK)
        throw Failure{exit_code_of(s), "nothing was published:" + lines, Json{{"files", std::move(list)}}};
    print_result(globals, Json{{"files", std::move(list)}}, lines);
}

void settle_file(const Globals& globals, const std::string& folder, const PathOptions& options,
                 bool is_adopting) {
    const Root root(folder, is_adopting ? "adopt" : "restore", is_adopting ? IfNew::kMake : IfNew::kRefuse);
    const std::optional<ks_grant> grant = root.grant(options.path, options.claim);
    ks_receipt receipt{};
    const ks_status s =
        is_adopting ? ks_files_adopt(root.get(), options.path.c_str(), grant ? &*grant : nullptr, &receipt)
                    : ks_files_restore(root.get(), options.path.c_str(), &receipt);
    if (s != KS_OK) throw path_refusal(s, options.path, receipt, grant.has_value());
    print_file_stamp(globals, options.path, receipt.stamp);
}

void add_claim(CLI::App* command, PathOptions& options) {
    command->add_option("--claim", options.claim, "Act under the claim of this token")->type_name("TOKEN");
}

}  // namespace

void add_files_write_commands(CLI::App& files, const Globals& globals, const std::string& root) {
    const auto add = [&files](const char* name, const char* help, const char* form) {
        auto options = std::make_shared<PathOptions>();
        CLI::App* const command = files.add_subcommand(name, help);
        command->footer(form);
        return std::pair{command, options};
    };
    const auto add_path_argument = [](CLI::App* command, PathOptions& options) {
        command->add_option("PATH", options.path, "The file, from the root on")->required()->type_name("");
    };
    {
        const auto [command, options] = add("read", "Print a file's content", kReadForm);
        add_path_argument(command, *options);
        command->add_flag("--stamp", options->wants_stamp, "Print `version=N epoch=N` to standard error");
        command->callback([&globals, &root, options = options] { read_file(globals, root, *options); });
    }
    for (const bool is_removing : {false, true}) {
        const auto [command, options] = is_removing
                                            ? add("rm", "Delete a file as it was seen", kRemoveForm)
                                            : add("write", "Replace a file as it was seen", kWriteForm);
        add_path_argument(command, *options);
        options->seen.add_to(command, "The version that was seen");
        command->add_flag("--force", options->force, "Whatever is there now");
        add_claim(command, *options);
        if (!is_removing) {
            command->add_flag("--create", options->create, "There never was such a file");
            command->add_option("--value", options->value, "The content itself")->type_name("TEXT");
            command->add_option("--file", options->file, "The content is in this file; - is standard input")
                ->type_name("FILE");
        }
        command->callback([&globals, &root, options = options, is_removing] {
            change_file(globals, root, *options, is_removing);
        });
    }
    {
        const auto [command, options] = add("publish", "Change many files in one step", kPublishForm);
        command->add_option("--file", options->file, "Read the lines from this file")->type_name("FILE");
        command->callback([&globals, &root, options = options] { publish_files(globals, root, *options); });
    }
    for (const bool is_adopting : {true, false}) {
        const auto [command, options] =
            is_adopting ? add("adopt", "Take another program's edit as the next version", kAdoptForm)
                        : add("restore", "Put the store's content back on disk", kRestoreForm);
        add_path_argument(command, *options);
        if (is_adopting) add_claim(command, *options);
        command->callback([&globals, &root, options = options, is_adopting] {
            settle_file(globals, root, *options, is_adopting);
        });
    }
}

}  // namespace keystile::cli
