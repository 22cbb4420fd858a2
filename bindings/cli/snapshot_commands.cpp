// keystile snapshot, keystile export
#include <fmt/format.h>

#include "commands.hpp"
#include "json_lines.hpp"
#include "snapshots.hpp"
#include "table.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kSnapshotForm =
    R"(All keys that start with PREFIX and have a value, sorted, as they were at one instant: what one
commit wrote together is seen together. Nobody is held up by it. Long values are cut; --json
has them whole. Exit code 15 if there are more than 1024 keys, or ever new ones, and others do
not stop writing them.

Examples:
  keystile snapshot
  keystile snapshot account/ --json | jq '[.keys[].value | tonumber] | add')";

constexpr const char* kExportForm =
    R"(The same cut as `snapshot`, as JSON lines for `import` and other programs:
  {"key":KEY,"value":VALUE}
each a string if it is UTF-8 text, else {"base64":TEXT}. Stamps are not in it: they mean
nothing in another store.

Examples:
  keystile export > backup.jsonl
  keystile export jobs/ | jq -r .key
  keystile export --store shm:one | keystile import --store shm:two)";

constexpr size_t kShownMax = 48;  // characters of a value in the table

struct SnapshotOptions {
    std::string prefix;
};

// Cut between characters: escaped() would show a half one as bytes.
std::string shown(std::string_view value) {
    if (value.size() <= kShownMax) return escaped(value);
    size_t end = kShownMax;
    while (end > kShownMax - 4 && (value[end] & 0xC0) == 0x80) --end;
    return escaped(value.substr(0, end)) + "...";
}

void snapshot(const Globals& globals, const SnapshotOptions& options) {
    const Cut cut(globals.store, key_of(globals, options.prefix), "snapshot");
    if (globals.json) {
        Json members{{"keys", Json::array()}};
        for (size_t i = 0; i < cut.size(); ++i) {
            const ks_snapshot_entry entry = cut.at(i);
            Json object;
            add_key(object, text_of(entry.key));
            add_value(object, text_of(entry.value));
            add_stamp(object, entry.stamp);
            members["keys"].push_back(std::move(object));
        }
        return print_result(globals, members, "");
    }
    if (cut.size() == 0) return;
    Table table({"KEY", "VERSION", "EPOCH", "SIZE", "VALUE"}, {1, 2, 3});
    for (size_t i = 0; i < cut.size(); ++i) {
        const ks_snapshot_entry entry = cut.at(i);
        table.add({escaped(text_of(entry.key)), fmt::to_string(entry.stamp.version),
                   fmt::to_string(entry.stamp.epoch), fmt::to_string(entry.value.size),
                   shown(text_of(entry.value))});
    }
    table.print();
}

void export_lines(const Globals& globals, const SnapshotOptions& options) {
    const Cut cut(globals.store, key_of(globals, options.prefix), "export");
    for (size_t i = 0; i < cut.size(); ++i) {
        const ks_snapshot_entry entry = cut.at(i);
        Json line;
        line["key"] = json_of_bytes(text_of(entry.key));
        line["value"] = json_of_bytes(text_of(entry.value));
        print_bytes(line.dump() + "\n");
    }
    flush_output();
}

CLI::App* add_command(CLI::App& app, const char* name, const char* help, const char* form,
                      SnapshotOptions& options) {
    CLI::App* const command = app.add_subcommand(name, help);
    command->add_option("PREFIX", options.prefix, "Only keys that start with it")->type_name("");
    command->footer(form);
    return command;
}

}  // namespace

void add_snapshot_commands(CLI::App& app, const Globals& globals) {
    const auto of_snapshot = std::make_shared<SnapshotOptions>();
    add_command(app, "snapshot", "Print keys and values as they were at one instant", kSnapshotForm,
                *of_snapshot)
        ->callback([&globals, of_snapshot] { snapshot(globals, *of_snapshot); });
    const auto of_export = std::make_shared<SnapshotOptions>();
    add_command(app, "export", "Write such a snapshot as JSON lines", kExportForm, *of_export)
        ->callback([&globals, of_export] { export_lines(globals, *of_export); });
}

}  // namespace keystile::cli
