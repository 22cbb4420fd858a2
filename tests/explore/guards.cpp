#include "explore/guards.hpp"

#include <algorithm>
#include <cstdio>
#include <set>
#include <string>

#include "explore/explorer.hpp"
#include "support/points.hpp"

namespace keystile::explore {

namespace {

// What goes when the guard is off: a rule of the ring (R, docs/RING.md), or what stands against an error of an earlier
// draft of the design (E). And the scenario that finds that it is gone; a second one in a durable store.
struct Row {
    const char *rule, *what, *guard, *scenario, *durable;
};

// clang-format off: a table
constexpr Row kRows[] = {
    {"R1", "reserve after reads",      "ring.reserve_last",        nullptr,              "durable_overwrite"},
    {"R2", "mark, then overwrite",     "ring.ensure",              nullptr,              "durable_commit_commit"},
    {"R3", "ctl again after a copy",   "ring.descriptor_there",    "multi_twice",        "durable_multi_twice"},
    {"R4", "finalise, then recycle",   "recycle.finalise_first",   "multi_multi",        "durable_multi_multi"},
    {"R5", "readers look again",       "read.revalidate",          "commit_read",        "durable_read"},
    {"R6", "late install undone",      "resolve.restore_exactly",  "multi_multi",        "durable_multi_multi"},
    {"R7", "outcome before the cell",  "recycle.outcome_first",    "multi_multi",        "durable_multi_multi"},
    {"R8", "exact identity (E3)",      "recycle.exact_id",         "multi_multi",        "durable_multi_multi"},
    {"R9", "entries in one order",     "multi.slot_order",         "multi_multi",        "durable_multi_multi"},
    {"E1", "no `ensure` if volatile",  "ring.ensure_durable_only", "multi_multi",        nullptr},
    {"E2", "PUBLISHED, then CAS",      "commit.publish_first",     "commit_commit",      nullptr},
    {"E3", "the id is read early",     "commit.early_id",          "commit_commit_reap", nullptr},
    {"E4", "the line has the id",      "reaper.line_id",           "commit_two",         nullptr},
    {"E4", "the word confirms the id", "commit.old_id",            "commit_commit",      "durable_commit_commit"},
    {"E5", "the line's order",         "commit.line_order",        "commit_commit",      nullptr},
    {"E6", "only the dead's blocks",   "reaper.of_the_dead",       "commit_commit_reap", "durable_commit_commit_reap"},
    {"E6", "nor their successor's",    "reaper.same_owner",        "commit_reap_open",   nullptr},
    {"E7", "a record's epoch grows",   "claim.record_grows",       "claim_claim",        nullptr},
    {"E7", "word before record",       "claim.word_first",         "claim_claim",        nullptr},
    {"E7", "record matches word",      "claim.record_matches",     "renew_reclaim",      nullptr},
    {"E8", "reclaimer marks first",    "claim.mark",               "renew_reclaim",      nullptr},
    {"E8", "mark stops renewal",       "claim.mark_stops_renewal", "renew_reclaim",      nullptr},
    {"E9", "a stamp is no ticket",     "claim.ticket",             "claim_forger",       nullptr},
    {"",   "a moved epoch fences",     "commit.epoch",             "commit_reclaim",     "durable_reclaim"},
    {"",   "only the dead are reaped", "reaper.death_proven",      "commit_reap",        "durable_reap"},
    {"",   "the dead are reaped",      "reaper.session",           "commit_reap",        "durable_reap"},
    {"",   "what is used stays",       "reaper.reachable",         "commit_reap",        "durable_reap"},
    {"",   "a line, once it moved",    "reaper.line_reachable",    "commit_reap",        nullptr},
};
// clang-format on

// One guard off, one scenario: false if nothing goes wrong.
bool is_found(const Row& row, const char* name) {
    if (name == nullptr) return true;
    const Scenario* const scenario = find_scenario(name);
    if (scenario == nullptr) {
        std::printf("%s: there is no scenario %s\n", row.guard, name);
        return false;
    }
    const Plan plan;
    testing::switch_off(row.guard);
    const Finding finding = explore(*scenario, plan);
    testing::switch_off("");
    std::printf("%-2s  %-24s %-25s %-26s %6lu  ", row.rule, row.what, row.guard, name, finding.schedules_all);
    if (finding.failure) {
        std::printf("'%s': %s\n", to_text(finding.failure->schedule).c_str(), finding.failure->what.c_str());
    } else {
        std::printf("NOT FOUND: exhausted, and nothing was wrong\n");
    }
    std::fflush(stdout);
    return finding.failure.has_value();
}

}  // namespace

bool run_guards() {
    std::printf("%-2s  %-24s %-25s %-26s %6s  %s\n", "", "without", "guard off", "found by", "after",
                "schedules: what goes wrong");
    bool is_good = true;
    std::set<std::string> asked;
    for (const Row& row : kRows) {
        asked.insert(row.guard);
        for (const char* const name : {row.scenario, row.durable}) is_good = is_found(row, name) && is_good;
    }
    for (const std::string& guard : testing::guards_of_engine()) {
        if (guard.starts_with("files.")) continue;  // of what goes on in folders: tests/plain/crash_test.cpp
        if (asked.erase(guard) != 0) continue;
        std::printf("%s has no row in tests/explore/guards.cpp\n", guard.c_str());
        is_good = false;
    }
    for (const std::string& guard : asked) std::printf("%s is no guard of the engine\n", guard.c_str());
    return is_good && asked.empty();
}

}  // namespace keystile::explore
