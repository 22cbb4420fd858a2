// keystile_explore: the schedule explorer. engine/docs/EXPLORER.md tells how to read what it prints.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "explore/explorer.hpp"
#include "explore/guards.hpp"
#include "explore/litmus.hpp"
#include "support/points.hpp"

namespace keystile::explore {

namespace {

enum class Mode { kExplore, kReplay, kCompare, kGuards, kLitmus, kTraces };

struct Options {
    Mode mode = Mode::kExplore;
    bool is_pinned = false;
    Pruning other = Pruning::kNone;      // what to compare with
    const Scenario* scenario = nullptr;  // NULL: all, or those of a kind of store
    std::optional<bool> is_durable;
    Schedule schedule;
    Plan plan;
};

constexpr char kUsage[] =
    R"(usage: keystile_explore [SCENARIOS] [BOUNDS] [--pinned]        all schedules; --pinned: as many as are written
       keystile_explore [SCENARIOS] [BOUNDS] --random N [--seed S]
       keystile_explore --scenario NAME --replay SCHEDULE     one schedule, access by access
       keystile_explore [SCENARIOS] [BOUNDS] --compare        with and without pruning; --compare-states: by states
       keystile_explore --scenario NAME [BOUNDS] --traces     what all schedules show, for specs/run.py
       keystile_explore --guards                              each guard of the engine off: who finds it
       keystile_explore --litmus                              the machine against x86-TSO
SCENARIOS: --scenario NAME, --volatile, --durable (all)    any mode: --guard-off NAME
BOUNDS: --preemptions N (2)  --crashes N (1)  --schedules N (no bound)
)";

[[noreturn]] void usage(int status) {
    std::fputs(kUsage, status == 0 ? stdout : stderr);
    std::exit(status);
}

class Arguments {
public:
    Arguments(int argc, char** argv) : at_(argv + 1), end_(argv + argc) {}
    bool is_at_end() const { return at_ == end_; }
    std::string next() {
        if (is_at_end()) usage(2);
        return *at_++;
    }
    std::uint64_t number() {
        const std::string text = next();
        char* end = nullptr;
        const std::uint64_t value = std::strtoull(text.c_str(), &end, 10);
        if (text.empty() || *end != '\0') usage(2);
        return value;
    }

private:
    char** at_;
    char** end_;
};

Options read(Arguments arguments) {
    Options options;
    while (!arguments.is_at_end()) {
        const std::string name = arguments.next();
        if (name == "--help") usage(0);
        if (name == "--guards") {
            options.mode = Mode::kGuards;
        } else if (name == "--litmus") {
            options.mode = Mode::kLitmus;
        } else if (name == "--compare" || name == "--compare-states") {
            options.mode = Mode::kCompare;
            options.other = name == "--compare" ? Pruning::kNone : Pruning::kPlaces;
        } else if (name == "--traces") {
            options.mode = Mode::kTraces;
        } else if (name == "--pinned") {
            options.is_pinned = true;
        } else if (name == "--scenario") {
            options.scenario = find_scenario(arguments.next());
            if (options.scenario == nullptr) usage(2);
        } else if (name == "--volatile" || name == "--durable") {
            options.is_durable = name == "--durable";
        } else if (name == "--replay") {
            const auto schedule = schedule_from(arguments.next());
            if (!schedule) usage(2);
            options.schedule = *schedule;
            options.mode = Mode::kReplay;
        } else if (name == "--guard-off") {
            testing::switch_off(arguments.next());
        } else if (name == "--preemptions") {
            options.plan.limits.preemptions = static_cast<int>(arguments.number());
        } else if (name == "--crashes") {
            options.plan.limits.crashes = static_cast<int>(arguments.number());
        } else if (name == "--schedules") {
            options.plan.schedules_max = arguments.number();
        } else if (name == "--random") {
            options.plan.random = arguments.number();
        } else if (name == "--seed") {
            options.plan.seed = arguments.number();
        } else {
            usage(2);
        }
    }
    return options;
}

bool report(const Scenario& scenario, const Options& options) {
    const Plan& plan = options.plan;
    const Finding f = explore(scenario, plan);
    std::printf(
        "%-22s %8lu schedules (%lu whole), %8lu with a crash; bounds: %d preemptions, %d crashes; %s; "
        "%lu steps at most, %d passes, %.1f s, %.0f/s\n",
        scenario.name.data(), f.schedules, f.whole, f.crashed, plan.limits.preemptions, plan.limits.crashes,
        f.is_exhausted     ? "exhausted"
        : plan.random != 0 ? ("random, seed " + std::to_string(plan.seed)).c_str()
                           : "NOT exhausted",
        f.steps_max, f.passes, f.seconds, static_cast<double>(f.schedules_all) / f.seconds);
    if (f.failure) {
        std::printf("  WRONG: %s\n  keystile_explore --scenario %s --replay '%s'\n", f.failure->what.c_str(),
                    scenario.name.data(), to_text(f.failure->schedule).c_str());
        return false;
    }
    if (!options.is_pinned) return true;
    const Pin* const pin = find_pin(scenario.name);
    const std::uint64_t pinned = pin == nullptr             ? 0
                                 : plan.limits.crashes == 0 ? pin->without_crash
                                                            : pin->with_one_crash;
    if (f.schedules == pinned) return true;
    std::printf(
        "  CHANGED: %lu schedules are written in pins.cpp. Find out why, then write the new number.\n",
        pinned);
    return false;
}

bool report_comparison(const Scenario& scenario, const Options& options) {
    const Comparison c = compare(scenario, options.plan.limits, options.other);
    std::printf("%-22s %8lu schedules, %6lu ends; unpruned %8lu, %6lu ends; missed %lu%s\n",
                scenario.name.data(), c.schedules_pruned, c.ends_pruned, c.schedules, c.ends, c.ends_missed,
                c.is_sharing_known ? "" : "; places were shared that nobody knew of");
    return c.ends_missed == 0 && c.is_sharing_known;
}

bool report_replay(const Options& options) {
    if (options.scenario == nullptr) usage(2);
    const std::string wrong = replay(*options.scenario, options.schedule, stdout);
    std::printf("%s\n", wrong.empty() ? "nothing was wrong" : ("WRONG: " + wrong).c_str());
    return wrong.empty();
}

bool report_traces(const Options& options) {
    if (options.scenario == nullptr) usage(2);
    return write_traces(*options.scenario, options.plan, stdout) != 0;
}

// With less pruning the long scenarios take minutes, three processes hours.
bool is_too_large(const Scenario& scenario, const Options& options) {
    if (options.mode != Mode::kCompare) return false;
    const Pin& pin = *find_pin(scenario.name);
    const bool is_near = options.other != Pruning::kNone && options.plan.limits.preemptions < 2;
    if (is_near) return pin.preemptions < 2;
    constexpr std::uint64_t kSchedulesMax = 20'000;
    return scenario.processes > 2 || pin.with_one_crash > kSchedulesMax;
}

bool report_one(const Scenario& scenario, const Options& options) {
    const bool is_right =
        options.mode == Mode::kCompare ? report_comparison(scenario, options) : report(scenario, options);
    std::fflush(stdout);
    return is_right;
}

// Those whose counts are pinned, up to the bound of their pin. Random schedules: all.
bool report_all(const Options& options) {
    bool is_good = true;
    for (const Scenario& scenario : scenarios()) {
        if (options.is_durable.value_or(scenario.is_durable) != scenario.is_durable) continue;
        const Pin* const pin = find_pin(scenario.name);
        Options fitting = options;
        if (options.plan.random == 0) {
            if (pin == nullptr || is_too_large(scenario, options)) continue;
            int& preemptions = fitting.plan.limits.preemptions;
            preemptions = std::min(preemptions, pin->preemptions);
        }
        is_good = report_one(scenario, fitting) && is_good;
    }
    return is_good;
}

bool run(const Options& options) {
    switch (options.mode) {
        case Mode::kGuards:
            return run_guards();
        case Mode::kLitmus:
            return run_litmus_tests();
        case Mode::kTraces:
            return report_traces(options);
        case Mode::kReplay:
            return report_replay(options);
        default:
            return options.scenario != nullptr ? report_one(*options.scenario, options) : report_all(options);
    }
}

}  // namespace

}  // namespace keystile::explore

int main(int argc, char** argv) {
    return keystile::explore::run(keystile::explore::read({argc, argv})) ? 0 : 1;
}
