// The exhausted counts at two preemptions. A changed one must be explained in the
// commit that writes it here.
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
    {"commit_reap", 392, 4030},
    {"multi_multi", 97681, 742695},
    {"multi_direct", 11648, 61997},
    {"multi_snapshot", 4704, 8387},
    {"multi_read", 1489, 2798},
    {"multi_claim", 4372, 15717},
    {"multi_reap", 102488, 695119},
    {"commit_reap_reap", 6, 26113},
    {"commit_commit_reap", 3821, 99860},
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
