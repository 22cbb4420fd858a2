// keystile files
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "commands.hpp"
#include "feeds.hpp"
#include "roots.hpp"
#include "table.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kFilesForm =
    R"(The plain files of a folder (--root, else KEYSTILE_ROOT, else the working directory): agents and
tools edit them, and what is written through Keystile is compared with what was seen, like keys.
Contents and stamps are kept in the durable store ROOT/.keystile; files are replaced whole, and a
crash in between is finished by the next command. What another program writes is told apart by
its content (exit code 18), until `adopt` or `restore`.

A file is the key files/PATH of the store file:ROOT/.keystile: `keystile claim` claims it.

Examples:
  keystile files status --root /srv/team
  keystile files read plan.md --stamp
  keystile files write plan.md --version 7 --epoch 4 < plan.new
  keystile files publish < changes.jsonl
  keystile files adopt plan.md)";

constexpr const char* kFilesStatusForm =
    R"(Every file at or below PREFIX, and how store and disk stand to each other:
  clean      the store's content is on disk
  edited     another program wrote it
  missing    another program removed it
  pending    committed, on its way to the disk
With --all also
  untracked  never written or read through Keystile
  deleted    deleted through it
Changes nothing.

Examples:
  keystile files status
  keystile files status src --all --json | jq -r '.files[] | select(.state == "edited").path')";

constexpr const char* kFilesWatchForm =
    R"(One line for each file that is committed from now on: when, who, put or delete, the path and its
new stamp. Files of one `publish` are several lines of one version. Not what other programs
write: `status` tells.

Examples:
  keystile files watch
  keystile files watch src --count 1)";

struct LookOptions {
    std::string prefix;
    bool all = false;
    std::optional<uint64_t> count;
};

constexpr const char* kStates[] = {"clean", "edited", "missing", "untracked", "pending", "deleted"};

struct SeenFile {
    std::string path;
    ks_files_entry entry;
};

std::vector<SeenFile> look_at(const Root& root, const LookOptions& options) {
    std::vector<SeenFile> all;
    const auto add = [](void* user, const ks_files_entry* entry) {
        static_cast<std::vector<SeenFile>*>(user)->push_back({entry->path, *entry});
        return 0;
    };
    const ks_status s =
        ks_files_status(root.get(), options.prefix.c_str(), options.all ? KS_FILES_ALL : 0, add, &all);
    if (s != KS_OK) throw fault(s, "files status");
    return all;
}

std::string hash_text(const ks_files_entry& entry) {
    std::string text;
    for (const uint8_t byte : entry.hash) text += fmt::format("{:02x}", byte);
    return text;
}

void show_files(const Globals& globals, const std::string& folder, const LookOptions& options) {
    const Root root(folder, "status", IfNew::kRefuse);
    const std::vector<SeenFile> all = look_at(root, options);
    if (globals.json) {
        Json members{{"files", Json::array()}};
        for (const auto& [path, entry] : all) {
            Json object;
            add_path(object, path);
            object["state"] = kStates[entry.state];
            add_stamp(object, entry.stamp);
            object["size"] = entry.size;
            object["hash"] = hash_text(entry);
            object["mode"] = fmt::format("{:04o}", entry.mode);
            if (entry.is_claimed != 0) object["owner"] = owner_json(entry.owner);
            members["files"].push_back(std::move(object));
        }
        return print_result(globals, members, "");
    }
    if (all.empty()) return;
    Table table({"STATE", "VERSION", "EPOCH", "SIZE", "CLAIMED BY", "PATH"}, {1, 2, 3});
    for (const auto& [path, entry] : all) {
        table.add({kStates[entry.state], fmt::to_string(entry.stamp.version),
                   fmt::to_string(entry.stamp.epoch), fmt::to_string(entry.size),
                   entry.is_claimed != 0 ? owner_text(entry.owner) : "-", escaped(path)});
    }
    table.print();
}

constexpr std::string_view kFilesPrefix = "files/";

bool is_below(std::string_view path, std::string_view prefix) {
    return prefix.empty() || path == prefix ||
           (path.starts_with(prefix) && path.size() > prefix.size() && path[prefix.size()] == '/');
}

void print_change(const Globals& globals, const ks_feed_commit& commit, const ks_feed_entry& entry,
                  std::string_view path) {
    ks_bytes data{};
    const bool is_deleted =
        entry.is_deleted != 0 || ks_files_parse(entry.value, &data, nullptr) == KS_NOT_FOUND;
    const char* const event = is_deleted ? "delete" : "put";
    const std::string label = escaped({commit.label, strnlen(commit.label, sizeof commit.label)});
    Json members{{"event", event}};
    add_path(members, path);
    add_stamp(members, entry.stamp);
    if (!is_deleted) members["size"] = data.size;
    members["time"] = time_text(commit.wall_ns);
    members["label"] = label;
    print_result(globals.json, members,
                 fmt::format("{}  {:<15} {:<6}  {}  {}", time_text(commit.wall_ns), label, event,
                             escaped(path), stamp_text(entry.stamp)));
    flush_output();
}

// As `status` reads it: "src/" and "./src" are "src", "." is everything.
std::string spelt(const Root& root, const std::string& prefix) {
    if (prefix.empty() || prefix.find_first_not_of("./") == std::string::npos) {
        // No path, and so without a key: what `status` says of it is said.
        const ks_status s = ks_files_status(
            root.get(), prefix.c_str(), 0, [](void*, const ks_files_entry*) { return 1; }, nullptr);
        if (s != KS_OK) throw fault(s, prefix);
        return "";
    }
    const std::string folder = prefix.substr(0, prefix.find_last_not_of('/') + 1);
    std::string key(kFilesPrefix.size() + KS_FILES_PATH_MAX + 1, '\0');
    size_t size = 0;
    if (const ks_status s = ks_files_key(root.get(), folder.c_str(), key.data(), key.size(), &size);
        s != KS_OK)
        throw fault(s, prefix);
    return key.substr(kFilesPrefix.size(), size - kFilesPrefix.size());
}

void watch_files(const Globals& globals, const std::string& folder, const LookOptions& options) {
    const Root root(folder, "watch", IfNew::kRefuse);
    const std::string prefix = spelt(root, options.prefix);
    const std::unique_ptr<char, void (*)(void*)> whole(realpath(folder.c_str(), nullptr), free);
    if (!whole) throw Failure{ExitCode::fault, fmt::format("{}: {}", folder, strerror(errno))};
    Feed feed(fmt::format("file:{}/.keystile", whole.get()), KS_FEED_NOW);
    for (uint64_t shown = 0; shown < options.count.value_or(UINT64_MAX);) {
        const ks_feed_commit* const commit = feed.next(KS_FOREVER);
        if (commit == nullptr) continue;
        for (size_t i = 0; i < commit->size && shown < options.count.value_or(UINT64_MAX); ++i) {
            const std::string_view key = view_of(commit->entries[i].key);
            if (!key.starts_with(kFilesPrefix) || !is_below(key.substr(kFilesPrefix.size()), prefix))
                continue;
            print_change(globals, *commit, commit->entries[i], key.substr(kFilesPrefix.size()));
            ++shown;
        }
    }
}

}  // namespace

void add_files_command(CLI::App& app, const Globals& globals) {
    CLI::App* const files = app.add_subcommand("files", "Work on the plain files of a folder");
    const auto root = std::make_shared<std::string>();
    files->add_option("--root", *root, "The folder [the working directory]")
        ->envname("KEYSTILE_ROOT")
        ->type_name("DIR");
    files->require_subcommand(1);
    files->footer(kFilesForm);

    CLI::App* const of_status = files->add_subcommand("status", "Say how store and disk stand to each other");
    const auto look_options = std::make_shared<LookOptions>();
    of_status->add_option("PREFIX", look_options->prefix, "Only files at or below it")->type_name("");
    of_status->add_flag("-a,--all", look_options->all, "Also untracked and deleted files");
    of_status->footer(kFilesStatusForm);
    of_status->callback([&globals, root, look_options] { show_files(globals, *root, *look_options); });

    CLI::App* const of_watch = files->add_subcommand("watch", "Print commits of files as they happen");
    const auto watch_options = std::make_shared<LookOptions>();
    of_watch->add_option("PREFIX", watch_options->prefix, "Only files at or below it")->type_name("");
    add_number(of_watch, "-n,--count", watch_options->count, "End after N changes");
    of_watch->footer(kFilesWatchForm);
    of_watch->callback([&globals, root, watch_options] { watch_files(globals, *root, *watch_options); });

    // The commands live as long as the app, and so does what their callbacks hold.
    files->callback([root] {});
    add_files_write_commands(*files, globals, *root);
}

}  // namespace keystile::cli
