#include "swarm/deeds.hpp"

#include <algorithm>
#include <numeric>
#include <random>

namespace keystile::cli::swarm {
namespace {

// Not at the very start, when no worker has anything, and not so late that nothing is left to redo.
constexpr double kEarliest = 0.05;
constexpr double kLatest = 0.85;

uint32_t draw_moment(uint32_t chunks, std::mt19937_64& random) {
    const double share = static_cast<double>(random() >> 11) * 0x1p-53;  // 53 bits: uniform in [0, 1)
    return static_cast<uint32_t>(chunks * (kEarliest + share * (kLatest - kEarliest)));
}

std::vector<Deed> draw(uint32_t count, uint32_t workers, uint32_t chunks, std::mt19937_64& random) {
    std::vector<Deed> deeds(count);
    for (Deed& deed : deeds) {
        deed.due_at = draw_moment(chunks, random);
        deed.order.resize(workers);
        std::iota(deed.order.begin(), deed.order.end(), 0u);
        for (size_t left = deed.order.size(); left > 1; --left) {
            std::swap(deed.order[left - 1], deed.order[random() % left]);
        }
    }
    std::sort(deeds.begin(), deeds.end(), [](const Deed& a, const Deed& b) { return a.due_at > b.due_at; });
    return deeds;
}

}  // namespace

Plan make_plan(const Options& options, uint32_t chunks) {
    std::mt19937_64 random(options.seed);
    Plan plan;
    plan.stops = draw(options.stops, options.workers, chunks, random);
    plan.kills = draw(options.kills, options.workers, chunks, random);
    if (options.is_crash) {
        plan.crash_at = draw_moment(chunks, random);
    }
    return plan;
}

}  // namespace keystile::cli::swarm
