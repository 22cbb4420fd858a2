#include "explore/guards.hpp"

#include <algorithm>
#include <cstdio>
#include <string>

#include "explore/explorer.hpp"
#include "support/points.hpp"

namespace keystile::explore {

namespace {

constexpr int kSmall = 2;  // processes; a larger scenario is asked only about what the small ones do not find

// The errors of earlier drafts, by the guard that stands against each.
struct Error {
    const char *guard, *name;
};
constexpr Error kErrors[] = {
    {"commit.publish_first", "E2"}, {"commit.early_id", "E3"},      {"commit.old_id", "E4"},
    {"reaper.line_id", "E4"},       {"commit.line_order", "E5"},    {"claim.record_grows", "E7"},
    {"claim.word_first", "E7"},     {"claim.record_matches", "E7"}, {"claim.mark", "E8"},
    {"claim.ticket", "E9"},
};

// Guards of the ring that need more preemptions, or a third process, than is exhausted here: the scenario that needs
// each is directed, in tests/crash/guard_test.cpp.
constexpr std::string_view kDirected[] = {"recycle.exact_id", "ring.descriptor_there", "reaper.same_owner",
                                          "multi.slot_order"};

bool is_directed(const std::string& guard) {
    return std::find(std::begin(kDirected), std::end(kDirected), guard) != std::end(kDirected);
}

// The ring's guards are asked of the ring's scenarios, the others of the others.
bool is_of_ring(std::string_view name) {
    return name.starts_with("multi_") || name.starts_with("recycle.") || name.starts_with("resolve.");
}

const char* error_of(const std::string& guard) {
    for (const Error& error : kErrors) {
        if (guard == error.guard) return error.name;
    }
    return "";
}

struct Row {
    std::string first;  // the scenario that needs the fewest schedules, and its schedule
    std::uint64_t fewest = UINT64_MAX;
};

void try_cell(const Scenario& scenario, Row* row) {
    const Finding finding = explore(scenario, Plan{});
    std::printf(" %8s", finding.failure ? std::to_string(finding.schedules_all).c_str() : "-");
    std::fflush(stdout);
    if (!finding.failure || finding.schedules_all >= row->fewest) return;
    row->fewest = finding.schedules_all;
    row->first = std::string(scenario.name) + " '" + to_text(finding.failure->schedule) +
                 "': " + finding.failure->what;
}

}  // namespace

bool run_guards() {
    std::printf("Schedules until the missing guard is found; - exhausted without; . not asked. Columns:\n");
    int column = 0;
    for (const Scenario& scenario : scenarios()) {
        if (find_pin(scenario.name) != nullptr)
            std::printf("  %2d %s\n", ++column, std::string(scenario.name).c_str());
    }
    std::printf("%-28s", "guard off");
    for (int i = 1; i <= column; ++i) std::printf(" %8d", i);
    std::printf("\n");

    bool are_all_found = true;
    for (const std::string& guard : testing::guards_of_engine()) {
        if (is_directed(guard)) {
            std::printf("%-28s directed: tests/crash/guard_test.cpp\n", guard.c_str());
            continue;
        }
        testing::switch_off(guard);
        std::printf("%-25s %-2s", guard.c_str(), error_of(guard));
        Row row;
        for (const Scenario& scenario : scenarios()) {
            if (find_pin(scenario.name) == nullptr) continue;
            if ((scenario.processes > kSmall && !row.first.empty()) ||
                is_of_ring(scenario.name) != is_of_ring(guard)) {
                std::printf(" %8s", ".");
            } else {
                try_cell(scenario, &row);
            }
        }
        testing::switch_off("");
        std::printf("\n    %s\n", row.first.empty() ? "FOUND BY NONE" : row.first.c_str());
        are_all_found = are_all_found && !row.first.empty();
    }
    return are_all_found;
}

}  // namespace keystile::explore
