#include "explore/explorer.hpp"

#include <chrono>
#include <random>
#include <unordered_set>

#include "explore/tracer.hpp"

namespace keystile::explore {

namespace {

// Depth first: the last choice with a way left takes it, what came after is forgotten.
class DepthFirst : public Chooser {
public:
    void rewind() {
        at_ = turn_ = 0;
        find_turn();
    }
    void forget() { trail_.clear(); }
    bool advance() {
        while (!trail_.empty() && trail_.back().way + 1 == trail_.back().count) trail_.pop_back();
        if (trail_.empty()) return false;
        ++trail_.back().way;
        return true;
    }
    bool is_ahead() const override { return at_ == trail_.size(); }
    std::uint32_t first_step() const override { return turn_ == trail_.size() ? 0 : trail_[turn_].step; }
    std::size_t choose(const Decision* ways, std::size_t count) override {
        while (at_ != trail_.size() && trail_[at_].step < ways[0].step) ++at_;  // nobody asked
        if (at_ == trail_.size()) trail_.push_back({0, count, ways[0].step});
        const Choice& choice = trail_[at_++];
        if (choice.count != count || choice.step != ways[0].step)
            std::abort();  // the same led to another place
        if (turn_ < at_) find_turn();
        return choice.way;
    }

private:
    struct Choice {
        std::size_t way, count;
        std::uint32_t step;
    };
    // The next choice that is not for way 0.
    void find_turn() {
        for (turn_ = std::max(turn_, at_); turn_ != trail_.size() && trail_[turn_].way == 0;) ++turn_;
    }

    std::vector<Choice> trail_;
    std::size_t at_ = 0, turn_ = 0;
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

    // What each execution shows goes there; what is wrong with it is left to others to say.
    void trace(std::FILE* file) {
        tracer_.emplace(world_);
        traces_ = file;
    }
    std::uint64_t traced() const { return shown_.size(); }

    // False: something is wrong, and *finding_out says what.
    bool execute(Chooser& chooser, Finding* finding_out) {
        world_.begin();
        if (tracer_) tracer_->start();
        world_.machine().run(plan_.limits, &chooser, {}, scenario_.bodies.data());
        if (tracer_) return write_trace();
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

    // With one preemption more at a time, so that what goes wrong is told with as few as it needs.
    void all(Finding* finding_out) {
        const int bound = plan_.limits.preemptions;
        // A walk that prunes less comes after one that has learned, and is asked whether that one knew all.
        const bool has_learned = plan_.limits.pruning != Pruning::kStates;
        if (!has_learned) learn();
        for (int preemptions = has_learned ? bound : 0; preemptions <= bound; ++preemptions) {
            plan_.limits.preemptions = preemptions;
            finding_out->passes = 0;
            if (!walk(finding_out)) return;
        }
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
    // Random schedules within the bounds meet most of the places that processes share; so a walk seldom has to begin
    // again. What goes wrong in one of them, the walk finds too, and told more shortly.
    void learn() {
        constexpr int kSchedules = 500;
        Random chooser(plan_.seed, plan_.limits);
        Finding ignored;
        for (int i = 0; i < kSchedules; ++i) {
            chooser.draw(static_cast<std::uint32_t>(ignored.steps_max));
            execute(chooser, &ignored);
        }
    }

    // False: something is wrong, or there were too many.
    bool walk(Finding* finding_out) {
        DepthFirst chooser;
        world_.machine().remember(plan_.limits.pruning == Pruning::kStates ? &states_ : nullptr,
                                  [this](int process) { return world_.left_by(process); });
        do {
            if (world_.sharing().has_grown() || finding_out->passes == 0) begin(chooser, finding_out);
            chooser.rewind();
            if (!execute(chooser, finding_out)) return false;
            if (finding_out->schedules_all == plan_.schedules_max) return false;
        } while (world_.sharing().has_grown() || chooser.advance());
        return true;
    }

    bool write_trace() {
        const std::string events = tracer_->stop().dump();
        if (shown_.insert(events).second)
            std::fprintf(traces_, "{\"scenario\":\"%s\",\"schedule\":\"%s\",\"events\":%s}\n",
                         scenario_.name.data(), to_text(world_.machine().schedule()).c_str(), events.c_str());
        return true;
    }

    void begin(DepthFirst& chooser, Finding* finding_out) {
        world_.sharing().accept();
        chooser.forget();
        states_.forget();
        if (ends_ != nullptr) ends_->clear();
        finding_out->schedules = finding_out->whole = finding_out->crashed = 0;
        ++finding_out->passes;
    }

    const Scenario& scenario_;
    Plan plan_;
    World world_;
    States states_;
    std::unordered_set<std::uint64_t>* ends_ = nullptr;
    std::optional<Tracer> tracer_;
    std::FILE* traces_ = nullptr;
    std::unordered_set<std::string> shown_;
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

std::uint64_t write_traces(const Scenario& scenario, const Plan& plan, std::FILE* file) {
    Exploration exploration(scenario, plan);
    exploration.prune_less(Pruning::kPlaces);  // a state that is known is not where the trace ends
    exploration.trace(file);
    Finding finding;
    exploration.all(&finding);
    return exploration.traced();
}

std::string replay(const Scenario& scenario, const Schedule& schedule, std::FILE* trace) {
    World world(scenario);
    world.begin();
    world.trace_to(trace);
    world.machine().run(Limits{}, nullptr, schedule, scenario.bodies.data());
    return world.judge();
}

}  // namespace keystile::explore
