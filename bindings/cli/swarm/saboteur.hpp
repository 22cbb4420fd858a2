// Stops and kills workers, or kills all of them at once, as planned.
//
// A stop: SIGSTOP a worker that holds a chunk, leave it frozen until somebody else took the chunk from it, then
// SIGCONT. A kill: SIGKILL, whatever the worker is doing. Each worker is stopped at most once, and one worker
// always goes on.
//
// A worker may be stopped inside its commit, at a point from which another, whom it is in the way of, brings it to
// its end. Then nothing was taken from the victim, and nobody owes it a FENCED: that stop proves nothing, and is made
// again.
//
// No deed may be missed because the workers were too fast: chunks are handed out only so far beyond the next deed
// that nobody idles as long as this process gets its share of the processor (gate()). Does it not, the workers run
// dry; then a stop hands out one chunk and has the workers go in slow motion until somebody is met holding it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "swarm/crew.hpp"
#include "swarm/deeds.hpp"
#include "swarm/lookout.hpp"
#include "swarm/scoreboard.hpp"

namespace keystile::cli::swarm {

class Saboteur {
public:
    Saboteur(Plan plan, const Options& options, uint32_t chunks, Crew& crew, Scoreboard& board,
             const Lookout& lookout);

    // Does what is due, wakes who has lost his chunk, hands out chunks up to the next deed. `is_idle`: none of the
    // chunks handed out is left to do. Call it once before the start.
    void step(bool is_idle);

    uint32_t stops_left() const { return static_cast<uint32_t>(plan_.stops.size()); }
    uint32_t kills_left() const { return static_cast<uint32_t>(plan_.kills.size()); }
    bool was_stopped(uint32_t number) const { return victims_[number].was_stopped; }
    bool was_told_fenced(uint32_t number) const;  // since it was stopped

    // What happened, a sentence each.
    const std::vector<std::string>& events() const { return events_; }

private:
    struct Victim {
        bool was_stopped = false;
        Deed deed;
        Hold hold;
        uint64_t frozen_at_ns = 0;
        uint64_t fenced_before = 0;
    };

    void look_after(uint32_t number);
    bool is_due(uint32_t due_at, bool is_idle) const;
    bool is_due(const std::vector<Deed>& deeds, bool is_idle) const {
        return !deeds.empty() && is_due(deeds.back().due_at, is_idle);
    }
    uint32_t gate() const;
    bool try_stop(const Deed& deed, bool is_idle);
    void hand_out_one();
    std::optional<uint32_t> choose_victim(const std::vector<uint32_t>& frozen, const Deed& deed);
    bool try_kill(const Deed& deed);
    bool can_kill(uint32_t number) const;
    void crash();

    Crew& crew_;
    Scoreboard& board_;
    const Lookout& lookout_;
    uint32_t chunks_;
    bool is_unguarded_;
    Plan plan_;
    std::vector<Victim> victims_;  // one per worker
    std::vector<std::string> events_;
};

}  // namespace keystile::cli::swarm
