// keystile ls
#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "commands.hpp"
#include "table.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kListExamples = R"(Examples:
  keystile ls
  keystile ls jobs/ --all
  keystile ls jobs/ --json | jq -r '.keys[] | select(.owner) | .key')";

struct ListOptions {
    std::string prefix;
    bool all = false;
    bool keys_only = false;
};

struct Listed {
    std::string key;
    ks_entry facts;  // its key points nowhere: valid during the callback only
};

int collect(void* user, const ks_entry* entry) {
    auto& entries = *static_cast<std::vector<Listed>*>(user);
    entries.push_back({{static_cast<const char*>(entry->key.data), entry->key.size}, *entry});
    // The stamp of a key that was never written is zero whatever happened to it: show the claim's epoch.
    if (entry->stamp.version == 0 && entry->is_claimed != 0)
        entries.back().facts.stamp.epoch = entry->owner.epoch;
    return 0;
}

Json entry_json(const Listed& entry) {
    Json object;
    add_key(object, entry.key);
    add_stamp(object, entry.facts.stamp);
    object["size"] = entry.facts.value_size;
    if (entry.facts.is_deleted != 0) object["deleted"] = true;
    object["owner"] = entry.facts.is_claimed != 0 ? owner_json(entry.facts.owner) : Json();
    return object;
}

void print_table(const std::vector<Listed>& entries) {
    if (entries.empty()) return;
    Table table({"KEY", "VERSION", "EPOCH", "SIZE", "CLAIMED BY"}, {1, 2, 3});
    for (const auto& [key, facts] : entries) {
        const bool has_value = facts.is_deleted == 0 && facts.stamp.version != 0;
        table.add({escaped(key), fmt::to_string(facts.stamp.version), fmt::to_string(facts.stamp.epoch),
                   has_value               ? fmt::to_string(facts.value_size)
                   : facts.is_deleted != 0 ? "deleted"
                                           : "none",
                   facts.is_claimed != 0 ? owner_text(facts.owner) + ", " + lease_text(facts.owner) : ""});
    }
    table.print();
}

void list(const Globals& globals, const ListOptions& options) {
    const std::string prefix = key_of(globals, options.prefix);
    Store store = Store::inspect(globals.store);
    std::vector<Listed> entries;
    const ks_status status =
        ks_list(store.session(), bytes_of(prefix), options.all ? KS_LIST_ALL : 0u, collect, &entries);
    if (status != KS_OK) throw fault(status, globals.store);
    std::sort(entries.begin(), entries.end(), [](const Listed& a, const Listed& b) { return a.key < b.key; });

    if (globals.json) {
        Json members{{"keys", Json::array()}};
        for (const Listed& entry : entries) members["keys"].push_back(entry_json(entry));
        return print_result(globals, members, "");
    }
    if (!options.keys_only) return print_table(entries);
    for (const Listed& entry : entries) print_bytes(escaped(entry.key) + "\n");
    flush_output();
}

}  // namespace

void add_list_command(CLI::App& app, const Globals& globals) {
    CLI::App* const command = app.add_subcommand("ls", "List keys: version, epoch, size, who claims them");
    const auto options = std::make_shared<ListOptions>();
    command->add_option("PREFIX", options->prefix, "Only keys that start with it")->type_name("");
    command->add_flag("-a,--all", options->all,
                      "Also keys without a value: deleted, or claimed and never written");
    command->add_flag("-k,--keys", options->keys_only, "Only the keys, one a line, unusual bytes as \\xNN");
    command->footer(kListExamples);
    command->callback([&globals, options] { list(globals, *options); });
}

}  // namespace keystile::cli
