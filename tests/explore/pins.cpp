// The exhausted counts at two preemptions, or as many as stand behind them: those scenarios take minutes at two. A
// changed one must be explained in the commit that writes it here.
#include "explore/scenario.hpp"

namespace keystile::explore {

namespace {

// clang-format off: one to a line
constexpr Pin kPins[] = {
    {"commit_commit", 274, 1774},
    {"commit_two", 420, 2846},
    {"commit_read", 316, 1068},
    {"insert_insert", 710, 5314},
    {"insert_collide", 1958, 18782},
    {"insert_long", 1719, 18716},
    {"delete_commit", 301, 1629},
    {"claim_commit_reclaim", 374, 2128},
    {"claim_claim", 143, 469},
    {"commit_reclaim", 1067, 4802},
    {"release_reclaim", 167, 779},
    {"renew_reclaim", 232, 967},
    {"claim_forger", 473, 1738},
    {"commit_reap", 392, 6338},
    {"multi_multi", 26873, 278005},
    {"multi_direct", 4700, 33071},
    {"multi_snapshot", 672, 3829},
    {"multi_read", 209, 1323},
    {"multi_claim", 1334, 8040},
    {"multi_reap", 29830, 340888},
    {"multi_twice", 313, 29439, 1},
    {"durable_commit_commit", 16736, 54902},
    {"durable_commit_two", 33632, 182030},
    {"durable_overwrite", 12637, 50327},
    {"durable_read", 656, 1610},
    {"durable_insert", 8668, 43055},
    {"durable_delete", 17007, 50192},
    {"durable_claim_commit", 15416, 47162},
    {"durable_reclaim", 15589, 51374},
    {"durable_reap", 16905, 68613},
    {"durable_multi_multi", 33893, 286832},
    {"durable_multi_commit", 49507, 301101},
    {"durable_multi_twice", 387, 35318, 1},
    {"durable_snapshot", 861, 4127},
    {"durable_multi_reap", 42121, 414396},
    {"commit_reap_reap", 6, 26113},
    {"commit_reap_open", 1903, 188515},
    {"commit_commit_reap", 3821, 293338},
    {"durable_commit_commit_reap", 1569, 170438, 1},
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
