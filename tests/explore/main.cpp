// keystile_explore: the schedule explorer. engine/docs/EXPLORER.md tells how to read what it prints.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "explore/explorer.hpp"
#include "platform/crash_point.hpp"

namespace keystile::explore {

namespace {

struct Options {
    std::string scenario, replay, guard;
    bool is_replay = false, is_comparing = false;
    Plan plan;
};

[[noreturn]] void usage(int status) {
    std::fputs(
        "usage: keystile_explore [--scenario NAME] [--preemptions N] [--crashes N] [--schedules N]\n"
        "                        [--random N [--seed S]] [--guard-off NAME]\n"
        "       keystile_explore --scenario NAME --replay SCHEDULE [--guard-off NAME]\n",
        status == 0 ? stdout : stderr);
    std::exit(status);
}

Options read(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string name = argv[i];
        if (name == "--help") usage(0);
        if (name == "--compare") {
            options.is_comparing = true;
            continue;
        }
        if (i + 1 == argc) usage(2);
        const std::string value = argv[++i];
        const auto number = [&] { return std::strtoull(value.c_str(), nullptr, 10); };
        if (name == "--scenario") options.scenario = value;
        else if (name == "--replay") options.replay = value, options.is_replay = true;
        else if (name == "--guard-off") options.guard = value;
        else if (name == "--preemptions") options.plan.limits.preemptions = static_cast<int>(number());
        else if (name == "--crashes") options.plan.limits.crashes = static_cast<int>(number());
        else if (name == "--schedules") options.plan.schedules_max = number();
        else if (name == "--random") options.plan.random = number();
        else if (name == "--seed") options.plan.seed = number();
        else usage(2);
    }
    if (!options.guard.empty()) checked::guard_off = options.guard.c_str();
    return options;
}

bool report(const Scenario& scenario, const Plan& plan) {
    const Finding f = explore(scenario, plan);
    std::printf("%-24s %9lu schedules (%lu with a crash), %d preemptions, %d crashes, %lu steps, %d passes, %.2f s, %.0f/s%s\n",
                std::string(scenario.name).c_str(), f.schedules, f.crashed, plan.limits.preemptions,
                plan.limits.crashes, f.steps_max, f.passes, f.seconds,
                static_cast<double>(f.schedules_all) / f.seconds, f.is_exhausted ? ", exhausted" : "");
    if (!f.failure) return true;
    std::printf("  WRONG: %s\n  replay: --scenario %s --replay '%s'\n", f.failure->what.c_str(),
                std::string(scenario.name).c_str(), to_text(f.failure->schedule).c_str());
    return false;
}

bool report_comparison(const Scenario& scenario, const Limits& limits) {
    const Comparison c = compare(scenario, limits);
    std::printf("%-24s %8lu schedules, %6lu ends; unpruned %8lu, %6lu ends; missed %lu%s\n",
                std::string(scenario.name).c_str(), c.schedules_pruned, c.ends_pruned, c.schedules, c.ends,
                c.ends_missed, c.is_sharing_known ? "" : "; places were shared that nobody knew of");
    return c.ends_missed == 0 && c.is_sharing_known;
}

int run(int argc, char** argv) {
    const Options options = read(argc, argv);
    const Scenario* one = options.scenario.empty() ? nullptr : find_scenario(options.scenario);
    if (one == nullptr && !options.scenario.empty()) usage(2);
    if (options.is_replay) {
        const auto schedule = schedule_from(options.replay);
        if (one == nullptr || !schedule) usage(2);
        const std::string wrong = replay(*one, *schedule, stdout);
        std::printf("%s\n", wrong.empty() ? "nothing was wrong" : ("WRONG: " + wrong).c_str());
        return wrong.empty() ? 0 : 1;
    }
    bool is_good = true;
    for (const Scenario& scenario : scenarios()) {
        if (one != nullptr && one != &scenario) continue;
        if (options.is_comparing) is_good = report_comparison(scenario, options.plan.limits) && is_good;
        else is_good = report(scenario, options.plan) && is_good;
    }
    return is_good ? 0 : 1;
}

}  // namespace

}  // namespace keystile::explore

int main(int argc, char** argv) {
    return keystile::explore::run(argc, argv);
}
