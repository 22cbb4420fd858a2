// keystile log
#include <cstring>

#include <fmt/format.h>

#include "commands.hpp"
#include "feeds.hpp"
#include "folder_argument.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kExamples =
    R"(The history of a durable store, in order, one line a key: when (by the committer's clock), who,
what, the key and the stamp after it. A commit of several keys gives several lines of one
version. The version is the commit's lsn, its place in the history: --from takes one. Shown is
what is on disk, of a store in use or not, and as far as checkpoints have left it. Reads files
only. Exit code 17 if what --from or --follow asks for was replaced by a checkpoint.

Examples:
  keystile log /var/lib/team
  keystile log /var/lib/team --prefix jobs/ --follow
  keystile log /var/lib/team --from $((last + 1)) --json | jq -c '[.lsn, .entries[].key]')";

struct LogOptions {
    std::string folder;
    std::string key;
    std::string prefix;
    std::optional<uint64_t> from;
    std::optional<uint64_t> count;
    bool follow = false;
    bool wants_value = false;
};

bool is_chosen(std::string_view key, const std::string& wanted, const std::string& prefix) {
    return (wanted.empty() || key == wanted) && key.starts_with(prefix);
}

Json entry_json(const ks_feed_entry& entry, bool wants_value) {
    Json object{{"event", event_of(entry)}};
    add_key(object, view_of(entry.key));
    add_stamp(object, entry.stamp);
    object["version_before"] = entry.version_before;
    object["size"] = entry.value.size;
    if (wants_value && entry.is_deleted == 0) add_value(object, view_of(entry.value));
    return object;
}

std::string entry_line(const ks_feed_commit& commit, const ks_feed_entry& entry, bool wants_value) {
    const bool shows_value = wants_value && entry.is_deleted == 0;
    return fmt::format("{}  {:<15} {:<6}  {}  {}{}{}", time_text(commit.wall_ns), escaped(commit.label),
                       event_of(entry), escaped(view_of(entry.key)), stamp_text(entry.stamp),
                       shows_value ? "  " : "", shows_value ? escaped(view_of(entry.value)) : "");
}

// False: nothing of it was asked for.
bool print_commit(const Globals& globals, const LogOptions& options, const ks_feed_commit& commit) {
    const std::string key = key_of(globals, options.key), prefix = key_of(globals, options.prefix);
    Json entries = Json::array();
    std::string lines;
    bool is_any = false;
    for (size_t i = 0; i < commit.size; ++i) {
        const ks_feed_entry& entry = commit.entries[i];
        if (!is_chosen(view_of(entry.key), key, prefix)) continue;
        if (globals.json) {
            entries.push_back(entry_json(entry, options.wants_value));
        } else {
            lines += (is_any ? "\n" : "") + entry_line(commit, entry, options.wants_value);
        }
        is_any = true;
    }
    if (!is_any) return false;
    Json members{{"lsn", commit.lsn},
                 {"time", time_text(commit.wall_ns)},
                 {"wall_ns", commit.wall_ns},
                 {"label", escaped({commit.label, strnlen(commit.label, sizeof commit.label)})}};
    members["entries"] = std::move(entries);
    print_result(globals.json, members, lines);  // --quiet too: it was asked for
    return true;
}

void log(const Globals& globals, const LogOptions& options) {
    Feed feed(durable_url(globals, options.folder), options.from.value_or(0));
    const uint64_t wait_ns = options.follow ? KS_FOREVER : 0;
    for (uint64_t shown = 0; shown < options.count.value_or(UINT64_MAX);) {
        const ks_feed_commit* const commit = feed.next(wait_ns);
        if (commit == nullptr) return;
        if (print_commit(globals, options, *commit)) ++shown;
    }
}

}  // namespace

void add_log_command(CLI::App& app, const Globals& globals) {
    CLI::App* const command = app.add_subcommand("log", "Print the history of a durable store");
    const auto options = std::make_shared<LogOptions>();
    add_folder_argument(command, options->folder);
    command->add_option("--key", options->key, "Only commits of this key")->type_name("KEY");
    command->add_option("--prefix", options->prefix, "Only keys that start with it")->type_name("PREFIX");
    add_number(command, "--from", options->from, "From this lsn on [the oldest there is]");
    command->add_flag("-f,--follow", options->follow, "Go on with what is committed from now on");
    add_number(command, "-n,--count", options->count, "End after N commits");
    command->add_flag("--value", options->wants_value, "Print the values, too");
    command->footer(kExamples);
    command->callback([&globals, options] { log(globals, *options); });
}

}  // namespace keystile::cli
