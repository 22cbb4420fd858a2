// Stops and kills workers, as the options ask, at moments that the seed chooses.
//
// A stop: SIGSTOP a worker; if it holds a chunk, leave it frozen until somebody else took the chunk from it,
// then SIGCONT. A kill: SIGKILL, whatever the worker is doing. Moments are shares of the work done, not of
// time: the same seed picks the same shares and, as far as the machine lets it, the same workers. Each worker
// is stopped at most once, and one worker always runs.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "swarm/crew.hpp"
#include "swarm/lookout.hpp"
#include "swarm/scoreboard.hpp"
#include "swarm/swarm_options.hpp"

namespace keystile::cli::swarm {

class Saboteur {
public:
    Saboteur(const Options& options, uint32_t chunks, Crew& crew, Scoreboard& board, const Lookout& lookout);

    // Does what is due when this share (0..1) of the work is done, and wakes who has lost his chunk. `is_idle`:
    // none of the chunks handed out is left to do, so a stop that is due must hand out one of those kept back.
    void step(double share_done, bool is_idle);

    uint32_t stops_left() const { return static_cast<uint32_t>(stops_.size()); }
    uint32_t kills_left() const { return static_cast<uint32_t>(kills_.size()); }
    bool was_stopped(uint32_t number) const { return victims_[number].was_stopped; }
    bool was_told_fenced(uint32_t number) const;  // since it was stopped

    // What happened, a sentence each.
    const std::vector<std::string>& events() const { return events_; }

private:
    struct Deed {
        double due_at = 0;            // the share done
        std::vector<uint32_t> order;  // whom to try first
    };
    struct Victim {
        bool was_stopped = false;
        Hold hold;
        uint64_t frozen_at_ns = 0;
        uint64_t fenced_before = 0;
    };

    std::vector<Deed> plan(uint32_t count);
    bool try_stop(const Deed& deed, bool is_idle);
    void hand_out_one();
    std::optional<uint32_t> choose_victim(const std::vector<uint32_t>& eligible);
    bool try_kill(const Deed& deed);
    void look_after(uint32_t number);
    bool can_kill(uint32_t number) const;

    Crew& crew_;
    Scoreboard& board_;
    const Lookout& lookout_;
    uint32_t chunks_;
    bool is_unguarded_;
    std::mt19937_64 random_;
    std::vector<Deed> stops_;  // the next one last
    std::vector<Deed> kills_;
    std::vector<Victim> victims_;  // one per worker
    std::vector<std::string> events_;
};

}  // namespace keystile::cli::swarm
