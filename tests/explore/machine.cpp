#include "explore/machine.hpp"

#include <cstdio>

namespace keystile::explore {

namespace {
Machine* the_machine = nullptr;  // the hooks are plain functions
}

Machine* machine() noexcept {
    return the_machine;
}

Machine::Machine(Memory& memory, Sharing& sharing, int processes)
    : memory_(memory), sharing_(sharing), count_(processes), outer_(the_machine) {
    process_of_.fill(-1);
    for (int i = 0; i < kProcessesMax; ++i) processes_[static_cast<std::size_t>(i)].number = i;
    the_machine = this;
}

Machine::~Machine() {
    the_machine = outer_;
}

void Machine::enter_body(void* process) {
    auto& self = *static_cast<Process*>(process);
    self.body(self.number);
    self.is_over = true;
    self.fiber.leave();
}

bool Machine::has_runnable() const noexcept {
    for (int i = 0; i < count_; ++i) {
        if (is_runnable(i)) return true;
    }
    return false;
}

void Machine::run(const Limits& limits, Chooser* chooser, const Schedule& script, const Body* bodies) {
    limits_ = limits;
    chooser_ = chooser;
    script_ = script;
    script_at_ = 0;
    taken_.clear();
    preemptions_left_ = limits.preemptions;
    crashes_left_ = limits.crashes;
    is_stuck_ = is_known_ = false;
    step_ = 0;
    for (int i = 0; i < count_; ++i) {
        Process& process = processes_[static_cast<std::size_t>(i)];
        process.stores.clear();
        process.body = bodies[i];
        process.is_over = process.is_dead = false;
        process.steps = 0;
        process.told = kToldNothing;
        process.fiber.start(enter_body, &process);
    }
    ways_count_ = 0;
    for (int i = 0; i < count_; ++i) add(i == 0 ? Act::kGoOn : Act::kSwitch, i, 0);
    next_ = decide().process;
    while (!is_stuck_ && !is_known_ && has_runnable()) {
        current_ = next_;
        current().fiber.enter();
        if (current().is_over) end_of_current();
    }
    current_ = -1;
    for (Process& process : processes_) drain(process, process.stores.count());
    is_known_ = is_known_ || (!is_stuck_ && is_met());
}

// ---- Points of decision ---------------------------------------------------------------------------------

void Machine::add(Act act, int process, std::size_t stores) noexcept {
    if (ways_count_ == kWaysMax) return;
    ways_[ways_count_++] = {step_, act, static_cast<std::uint8_t>(process),
                            static_cast<std::uint8_t>(stores)};
}

// The ways to stop here that differ: the pending stores that stay behind begin with one that matters, or there
// are none.
template <class Matters>
void Machine::add_ways(Act act, int to, Matters matters) noexcept {
    const StoreBuffer& stores = current().stores;
    for (std::size_t drained = stores.count();; --drained) {
        if (drained == stores.count() || matters(stores[drained])) add(act, to, drained);
        if (drained == 0) break;
    }
}

void Machine::add_switches(int to) noexcept {
    add_ways(Act::kSwitch, to,
             [this](const StoreBuffer::Store& s) { return is_contended(s.offset, s.bytes); });
}

void Machine::add_crashes() noexcept {
    add_ways(Act::kCrash, current_, [this](const StoreBuffer::Store& s) { return is_observed(s); });
}

// Others' pending stores to this place, which could become visible just now.
void Machine::add_late_drains(std::size_t offset, std::size_t bytes) noexcept {
    for (int i = 0; i < count_; ++i) {
        const StoreBuffer& stores = processes_[static_cast<std::size_t>(i)].stores;
        for (std::size_t at = 0; i != current_ && at < stores.count(); ++at) {
            const auto& store = stores[at];
            if (store.offset < offset + bytes && offset < store.offset + store.bytes)
                add(Act::kDrain, i, at + 1);
        }
    }
}

Decision Machine::decide() noexcept {
    if (chooser_ != nullptr) {
        is_known_ = ways_count_ > 1 && chooser_->is_ahead() && is_met();
        const std::size_t way =
            ways_count_ > 1 && !is_known_ ? chooser_->choose(ways_.data(), ways_count_) : 0;
        if (way != 0) taken_.push_back(ways_[way]);
        return ways_[way];
    }
    if (script_at_ == script_.size() || script_[script_at_].step != step_) return ways_[0];
    taken_.push_back(script_[script_at_]);
    return script_[script_at_++];
}

void Machine::count_step() noexcept {
    ++step_;
    if (++current().steps <= limits_.steps) return;
    is_stuck_ = true;
    current().fiber.leave();
}

void Machine::point(std::size_t offset, std::size_t bytes, bool is_locked) noexcept {
    count_step();
    if (chooser_ != nullptr && step_ < chooser_->first_step()) return;
    // Whether another lives matters as soon as somebody may die.
    const bool may_be_left = bytes != 0 ? is_contended(offset, bytes) : crashes_left_ != 0;
    for (;;) {
        const int self = current_;
        ways_count_ = 0;
        add(Act::kGoOn, self, 0);
        if (preemptions_left_ != 0) {
            if (bytes != 0) add_late_drains(offset, bytes);
            for (int to = 1; to < count_ && may_be_left; ++to) {
                const int other = (self + to) % count_;
                if (is_runnable(other)) add_switches(other);
            }
        }
        if (crashes_left_ != 0 && (is_locked || limits_.pruning == Pruning::kNone)) add_crashes();
        const Decision decision = decide();
        if (is_known_) current().fiber.leave();
        if (decision.act == Act::kGoOn) return;
        obey(decision);
    }
}

// A decision other than to go on, by the running process.
void Machine::obey(const Decision& decision) noexcept {
    if (trace_) {
        trace_("    " + to_text({decision}));
    }
    if (decision.act == Act::kDrain) {
        --preemptions_left_;
        drain(processes_[decision.process], decision.stores);
        return;
    }
    Process& self = current();
    drain(self, decision.stores);
    if (decision.act == Act::kCrash) {
        die();
        bury(self);
    } else {
        --preemptions_left_;
        next_ = decision.process;
    }
    self.fiber.leave();
}

// The running process has ended or died: who is next, what of its stores is visible by then, and does it die
// after all.
void Machine::end_of_current() noexcept {
    ++step_;
    ways_count_ = 0;
    for (int to = 1; to < count_; ++to) {
        const int other = (current_ + to) % count_;
        if (is_runnable(other)) add_switches(other);
    }
    if (ways_count_ == 0) add(Act::kGoOn, current_, current().stores.count());
    if (crashes_left_ != 0 && !current().is_dead) add_crashes();
    const Decision decision = decide();
    if (is_known_) return;
    if (trace_) trace_("    process " + std::to_string(current_) + " is over: " + to_text({decision}));
    drain(current(), decision.stores);
    next_ = decision.process;
    if (decision.act == Act::kCrash) die();
    bury(current());
    if (decision.act == Act::kCrash && has_runnable()) end_of_current();
}

void Machine::die() noexcept {
    --crashes_left_;
    current().stores.clear();
    current().is_dead = true;
    if (witness_ != nullptr) witness_->died(current_);
}

// ---- Who is told ----------------------------------------------------------------------------------------

void Machine::attend(Witness* witness) {
    witness_ = witness;
    memory_.on_write(nullptr);
    if (witness == nullptr) return;
    memory_.on_write([this](std::size_t offset) { witness_->changed(writer_, offset); });
}

void Machine::drain(Process& process, std::size_t stores) noexcept {
    writer_ = process.number;
    process.stores.drain(memory_, stores);
}

// ---- States ---------------------------------------------------------------------------------------------

void Machine::bury(Process& process) noexcept {
    process.is_over = true;
    if (states_ != nullptr) process.told = remains_(process.number);
}

std::uint64_t Machine::state() const noexcept {
    std::uint64_t state = memory_.fingerprint();
    for (int i = 0; i < count_; ++i) {
        const Process& process = processes_[static_cast<std::size_t>(i)];
        const unsigned number =
            static_cast<unsigned>(i) * 4 + (process.is_over ? 2 : 0) + (process.is_dead ? 1 : 0);
        state += mix(number, process.told + process.stores.count());
    }
    return mix(static_cast<Granule>(current_ + 1), state);  // to go on with it is free, so it is part of it
}

// How many may still die follows from who is dead.
bool Machine::is_met() noexcept {
    return states_ != nullptr && !states_->is_new(state(), preemptions_left_);
}

void Machine::write_line(const char* what, std::size_t offset, std::uint64_t value) {
    the_machine = nullptr;  // naming a place looks at memory too
    const std::string name = name_(offset);
    the_machine = this;
    char text[160];
    std::snprintf(text, sizeof text, "%5u  process %d  %-6s %-28s %lx", step_, current_, what, name.c_str(),
                  static_cast<unsigned long>(value));
    trace_(text);
}

}  // namespace keystile::explore
