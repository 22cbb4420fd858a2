// One store, a few simulated processes attached to it, and what each of them was told.
//
// Built once a scenario and put back to its beginning before each execution: shared memory by undoing what was
// written, the processes' private sides by copying their sessions back.
//
// Each commit appends a letter to the value that it has seen. So a value names its whole history.
#pragma once

#include <array>
#include <cstdio>
#include <string>
#include <string_view>
#include <unordered_set>

#include "explore/deeds.hpp"
#include "explore/keys.hpp"
#include "explore/machine.hpp"
#include "operations/operations.hpp"

namespace keystile::explore {

inline constexpr std::size_t kValueBytes = 24;

// As abi/data.cpp does it.
engine::Status find_or_insert(engine::Session& session, std::string_view name,
                              engine::shm::Slot** slot_out) noexcept;

class History;
class Tracer;
struct Scenario;

class World {
public:
    explicit World(const Scenario& scenario);
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    ~World();

    Machine& machine() noexcept { return *machine_; }
    const Sharing& sharing() const noexcept { return sharing_; }
    Sharing& sharing() noexcept { return sharing_; }

    // Back to where the scenario starts.
    void begin();
    // After the execution: survivors close, the dead are reaped; what is wrong then, or "".
    std::string judge();

    // Before judge(): a number for how the execution ended, as far as anybody can tell: the observed places of
    // memory, and what the living were told.
    std::uint64_t end() const;

    // All that a process that is over leaves behind in private, as a number: what it was told, the notes, and, if it
    // lives, what it has yet to give back.
    std::uint64_t left_by(int process) const noexcept;

    // For bodies and judges. Process kObserver never dies and acts outside of the execution only.
    static constexpr int kObserver = kProcessesMax;
    engine::Store& store(int process) noexcept { return stores_.at(static_cast<std::size_t>(process)); }
    engine::Session& session(int process) noexcept { return sessions_.at(static_cast<std::size_t>(process)); }
    engine::shm::Slot& slot(int process, int key) noexcept;
    int processes() const noexcept;
    engine::SessionId session_at_start(int process) const noexcept {
        return sessions_at_start_.at(static_cast<std::size_t>(process)).lane.id();
    }
    Tracer* tracer = nullptr;  // of this world's executions, if somebody wants to know
    // Each access of the next execution, for people.
    void trace_to(std::FILE* trace);
    // The first thing that was wrong stays.
    void fail(const std::string& what) noexcept;
    // The simulated clock of the scenario.
    void set_clock(std::uint64_t us) noexcept { now_us_ = us; }

    // May a commit that has seen the one be told the other?
    bool may_follow(std::uint64_t version, std::uint64_t seen) const noexcept {
        return is_durable() ? version > seen : version == seen + 1;
    }
    bool is_durable() const noexcept { return stores_[kObserver].segment.is_durable(); }

    std::array<Deed, 32> deeds;
    std::size_t deed_count = 0;
    std::array<Sight, 64> sights;
    std::size_t sight_count = 0;
    std::array<Claimed, 16> claims;
    std::size_t claim_count = 0;
    std::array<bool, kKeys> is_made{};     // somebody set about to make the key
    std::array<std::uint64_t, 8> notes{};  // of the scenario's own
    std::array<engine::Grant, 2> grants;   // from prepare()

private:
    std::uint64_t told_to(int process) const noexcept;
    void attach(int process);
    void judge_deeds(int key);
    bool are_sights_right(int key, const History& history) const;
    void judge_made(int key);
    void judge_many();
    void judge_claims();
    void judge_living();
    void judge_store();

    const Scenario& scenario_;
    std::string file_;
    std::array<engine::Store, kProcessesMax + 1> stores_;
    std::array<engine::Session, kProcessesMax + 1> sessions_, sessions_at_start_;
    std::array<engine::Ref, kKeys> slots_{};
    std::array<std::uint64_t, kKeys> versions_{};  // when the scenario starts
    std::array<std::string, kKeys> texts_;
    Memory memory_;
    Sharing sharing_;
    std::unique_ptr<Machine> machine_;
    std::size_t claims_at_start_ = 0;
    std::uint64_t now_us_ = 1'000'000'000;
    std::unordered_set<std::uint64_t> clean_;  // fingerprints of memories that `check` found whole
    std::string wrong_;
};

// The world that explores now.
World& world() noexcept;

}  // namespace keystile::explore
