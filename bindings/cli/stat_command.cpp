// keystile stat
#include <algorithm>
#include <cstring>
#include <vector>

#include <fmt/format.h>

#include "commands.hpp"
#include "quantity.hpp"
#include "table.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kStatExamples =
    R"(Counters count since the store was created; those of a participant, of its open sessions.

Examples:
  keystile stat --store shm:demo
  watch -n1 keystile stat
  keystile stat --json | jq .total.commits)";

struct Counter {
    const char* name;
    uint64_t ks_counters::* value;
};
constexpr Counter kCounters[] = {{"commits", &ks_counters::commits},   {"conflicts", &ks_counters::conflicts},
                                 {"fenced", &ks_counters::fenced},     {"held", &ks_counters::held},
                                 {"claims", &ks_counters::claims},     {"releases", &ks_counters::releases},
                                 {"reclaims", &ks_counters::reclaims}, {"retries", &ks_counters::retries},
                                 {"bytes", &ks_counters::bytes}};

Json counters_json(const ks_counters& counters) {
    Json object;
    for (const auto& [name, value] : kCounters) object[name] = counters.*value;
    return object;
}

std::string label_of(const ks_participant& who) {
    return {who.label, strnlen(who.label, sizeof who.label)};
}

int collect(void* user, const ks_participant* who) {
    static_cast<std::vector<ks_participant>*>(user)->push_back(*who);
    return 0;
}

Json participant_json(const ks_participant& who) {
    return Json{{"pid", who.pid},
                {"label", label_of(who)},
                {"alive", who.is_alive != 0},
                {"sessions", who.sessions},
                {"counters", counters_json(who.counters)}};
}

void print_human(const std::string& url, const ks_stats& stats,
                 const std::vector<ks_participant>& participants) {
    const auto line = [](const char* name, const std::string& text) {
        print_bytes(fmt::format("{:<13} {}\n", name, text));
    };
    line("store", url);
    line("id", fmt::format("{:016x}", stats.store_id));
    line("keys", fmt::to_string(stats.keys));
    line("memory", size_text(stats.bytes_used) + " used, at most " + size_text(stats.bytes_reserved));
    line("participants", fmt::to_string(stats.participants));
    line("sessions", fmt::to_string(stats.sessions));
    for (const auto& [name, value] : kCounters) line(name, fmt::to_string(stats.total.*value));
    if (participants.empty()) return flush_output();

    print_bytes("\n");
    Table table({"PID", "LABEL", "STATE", "SESSIONS", "COMMITS", "CONFLICTS", "FENCED", "HELD"},
                {0, 3, 4, 5, 6, 7});
    for (const ks_participant& who : participants) {
        table.add({fmt::to_string(who.pid), escaped(label_of(who)), who.is_alive != 0 ? "alive" : "dead",
                   fmt::to_string(who.sessions), fmt::to_string(who.counters.commits),
                   fmt::to_string(who.counters.conflicts), fmt::to_string(who.counters.fenced),
                   fmt::to_string(who.counters.held)});
    }
    table.print();
}

void stat(const Globals& globals) {
    Store store = Store::inspect(globals.store);
    ks_stats stats{};
    stats.struct_size = sizeof stats;
    std::vector<ks_participant> participants;
    ks_status status = ks_stat(store.get(), &stats);
    if (status == KS_OK) status = ks_participants(store.get(), collect, &participants);
    if (status != KS_OK) throw fault(status, globals.store);
    if (!globals.json) return print_human(globals.store, stats, participants);

    Json members{{"store", globals.store},
                 {"store_id", fmt::format("{:016x}", stats.store_id)},
                 {"keys", stats.keys},
                 {"bytes_reserved", stats.bytes_reserved},
                 {"bytes_used", stats.bytes_used},
                 {"sessions", stats.sessions},
                 {"total", counters_json(stats.total)},
                 {"participants", Json::array()}};
    for (const ks_participant& who : participants) members["participants"].push_back(participant_json(who));
    print_result(globals, members, "");
}

}  // namespace

void add_stat_command(CLI::App& app, const Globals& globals) {
    CLI::App* const command = app.add_subcommand("stat", "Show the store, its counters and who is attached");
    command->footer(kStatExamples);
    command->callback([&globals] { stat(globals); });
}

}  // namespace keystile::cli
