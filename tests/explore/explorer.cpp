#include "explore/explorer.hpp"

#include <chrono>
#include <random>
#include <unordered_set>

namespace keystile::explore {

namespace {

// Depth first: the last choice with a way left takes it, what came after is forgotten.
class DepthFirst : public Chooser {
public:
    void rewind() { at_ = 0; }
    void forget() { trail_.clear(); }
    bool advance() {
        while (!trail_.empty() && trail_.back().way + 1 == trail_.back().count) trail_.pop_back();
        if (trail_.empty()) return false;
        ++trail_.back().way;
        return true;
    }
    bool is_ahead() const override { return at_ == trail_.size(); }
    std::size_t choose(const Decision*, std::size_t count) override {
        if (at_ == trail_.size()) trail_.push_back({0, count});
        if (trail_[at_].count != count) std::abort();  // the same choices led to another place
        return trail_[at_++].way;
    }

private:
    struct Choice {
        std::size_t way, count;
    };
    std::vector<Choice> trail_;
    std::size_t at_ = 0;
};

// After Burckhardt et al. 2010: few changes, at places drawn beforehand over the whole length, find a bug that
// needs so many with a known probability. Which process goes on is drawn where it happens.
class Random : public Chooser {
public:
    Random(std::uint64_t seed, const Limits& limits) : random_(seed), limits_(limits) {}
    void draw(std::uint32_t steps) {
        moments_.clear();
        const int changes = limits_.preemptions + limits_.crashes;
        for (int i = 0; i < changes; ++i) moments_.push_back(below(steps + 1));
    }
    std::size_t choose(const Decision* ways, std::size_t count) override {
        if (ways[0].act != Act::kGoOn || ways[0].step == 0) return below(count);  // an end: the turn is free
        for (std::uint32_t& moment : moments_) {
            if (moment > ways[0].step) continue;
            moment = UINT32_MAX;
            return 1 + below(count - 1);
        }
        return 0;
    }

private:
    template <class Number>
    Number below(Number count) {
        return static_cast<Number>(random_() % count);
    }
    std::mt19937_64 random_;
    Limits limits_;
    std::vector<std::uint32_t> moments_;
};

class Exploration {
public:
    Exploration(const Scenario& scenario, const Plan& plan)
        : scenario_(scenario), plan_(plan), world_(scenario) {}

    void collect(std::unordered_set<std::uint64_t>* ends) { ends_ = ends; }
    void prune_less(Pruning pruning) { plan_.limits.pruning = pruning; }

    // False: something is wrong, and *finding_out says what.
    bool execute(Chooser& chooser, Finding* finding_out) {
        world_.begin();
        world_.machine().run(plan_.limits, &chooser, {}, scenario_.bodies.data());
        if (ends_ != nullptr && !world_.machine().is_known()) ends_->insert(world_.end());
        const std::string wrong = world_.judge();
        ++finding_out->schedules;
        ++finding_out->schedules_all;
        if (!world_.machine().is_known()) ++finding_out->whole;
        if (world_.machine().has_crashed()) ++finding_out->crashed;
        finding_out->steps_max = std::max<std::uint64_t>(finding_out->steps_max, world_.machine().steps());
        if (wrong.empty()) return true;
        finding_out->failure = {wrong, world_.machine().schedule()};
        return false;
    }

    void all(Finding* finding_out) {
        const bool are_states_met = plan_.limits.pruning == Pruning::kStates;
        if (are_states_met) learn();  // else that walk has learned, and is asked whether it knew all
        DepthFirst chooser;
        States states;
        world_.machine().remember(are_states_met ? &states : nullptr,
                                  [this](int process) { return world_.left_by(process); });
        do {
            chooser.rewind();
            if (!execute(chooser, finding_out)) return;
            if (finding_out->schedules_all == plan_.schedules_max) return;
            if (!world_.sharing().has_grown()) continue;
            world_.sharing().accept();
            chooser.forget();
            states.forget();
            if (ends_ != nullptr) ends_->clear();
            finding_out->schedules = finding_out->whole = finding_out->crashed = 0;
            ++finding_out->passes;
        } while (restart_or_advance(chooser, finding_out));
        finding_out->is_exhausted = true;
    }

    void some(Finding* finding_out) {
        Random chooser(plan_.seed, plan_.limits);
        for (std::uint64_t i = 0; i < plan_.random; ++i) {
            chooser.draw(static_cast<std::uint32_t>(finding_out->steps_max));
            if (!execute(chooser, finding_out)) return;
        }
    }

private:
    // A few random schedules within the bounds meet most of the places that processes share; so the walk seldom
    // has to begin again. What goes wrong in one of them, the walk finds too, and told more shortly.
    void learn() {
        constexpr int kSchedules = 2000;
        Random chooser(plan_.seed, plan_.limits);
        Finding ignored;
        for (int i = 0; i < kSchedules; ++i) {
            chooser.draw(static_cast<std::uint32_t>(ignored.steps_max));
            execute(chooser, &ignored);
        }
        world_.sharing().accept();
        if (ends_ != nullptr) ends_->clear();
    }

    static bool restart_or_advance(DepthFirst& chooser, const Finding* finding) {
        return finding->schedules == 0 || chooser.advance();
    }

    const Scenario& scenario_;
    Plan plan_;
    World world_;
    std::unordered_set<std::uint64_t>* ends_ = nullptr;
};

}  // namespace

Finding explore(const Scenario& scenario, const Plan& plan) {
    Finding finding;
    Exploration exploration(scenario, plan);
    const auto began = std::chrono::steady_clock::now();
    if (plan.random != 0) {
        exploration.some(&finding);
    } else {
        exploration.all(&finding);
    }
    finding.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    return finding;
}

Comparison compare(const Scenario& scenario, const Limits& limits, Pruning other) {
    Plan plan;
    plan.limits = limits;
    Exploration exploration(scenario, plan);
    std::unordered_set<std::uint64_t> pruned, all;
    Finding first, second;
    exploration.collect(&pruned);
    exploration.all(&first);
    exploration.prune_less(other);
    exploration.collect(&all);
    exploration.all(&second);

    Comparison comparison;
    comparison.schedules_pruned = first.schedules;
    comparison.schedules = second.schedules;
    comparison.ends_pruned = pruned.size();
    comparison.ends = all.size();
    comparison.is_sharing_known = second.passes == 1;
    for (const std::uint64_t end : all) comparison.ends_missed += pruned.contains(end) ? 0 : 1;
    return comparison;
}

std::string replay(const Scenario& scenario, const Schedule& schedule, std::FILE* trace) {
    World world(scenario);
    world.begin();
    world.trace_to(trace);
    world.machine().run(Limits{}, nullptr, schedule, scenario.bodies.data());
    return world.judge();
}

}  // namespace keystile::explore
