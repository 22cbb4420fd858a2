// The exhausted counts at two preemptions, or as many as stand behind them. A changed one must be explained in the
// commit that writes it here.
#include "explore/scenario.hpp"

namespace keystile::explore {

namespace {

// clang-format off: one to a line
constexpr Pin kPins[] = {
    {"commit_commit", 274, 5534},
    {"commit_two", 420, 13275},
    {"commit_read", 316, 5299},
    {"insert_insert", 724, 11134},
    {"insert_collide", 1958, 80942},
    {"insert_long", 1776, 41924},
    {"delete_commit", 301, 5071},
    {"claim_commit_reclaim", 374, 6574},
    {"claim_claim", 143, 792},
    {"commit_reclaim", 1067, 15552},
    {"release_reclaim", 167, 2529},
    {"renew_reclaim", 232, 3397},
    {"claim_forger", 473, 8053},
    {"commit_reap", 392, 18843},
    {"commit_reap_reap", 6, 64763},
    {"commit_commit_reap", 5524, 387888},
    {"multi_multi", 401, 36416, 1},
    {"multi_direct", 203, 12917, 1},
    {"multi_snapshot", 124, 2105, 1},
    {"multi_read", 89, 1367, 1},
    {"multi_claim", 154, 6780, 1},
    {"multi_reap", 419, 39600, 1},
};
// clang-format on

}  // namespace

const Pin* find_pin(std::string_view scenario) {
    for (const Pin& pin : kPins) {
        if (pin.scenario == scenario) return &pin;
    }
    return nullptr;
}

}  // namespace keystile::explore
