// One crew at work, from its start until all chunks are done, or until everybody is killed at once.
#pragma once

#include <string>
#include <vector>

#include "swarm/audit.hpp"
#include "swarm/crew.hpp"
#include "swarm/deeds.hpp"
#include "swarm/interrupt.hpp"
#include "swarm/lookout.hpp"
#include "swarm/saboteur.hpp"
#include "swarm/scoreboard.hpp"
#include "swarm/store.hpp"
#include "swarm/text.hpp"

namespace keystile::cli::swarm {

struct Job {
    const Options& options;
    const Text& text;
    const std::vector<Chunk>& chunks;
    const std::string& url;
    Scoreboard& board;
};

class Shift {
public:
    // The workers are forked here, so this process must not have the store open.
    Shift(const Job& job, Plan plan);

    void run(const Interrupt& interrupt);  // throws Failure

    const Crew& crew() const { return crew_; }
    const Saboteur& saboteur() const { return saboteur_; }
    Audit look_through_store() const { return audit(lane_, job_.text, job_.chunks, job_.options.is_atomic); }

private:
    void watch(const Interrupt& interrupt);
    bool is_out_of_work();
    void throw_if_ended(const Interrupt& interrupt) const;
    void watch_silence();

    Job job_;
    Crew crew_;
    Lane lane_;  // read-only, as no participant: the workers alone keep the store alive
    Lookout lookout_;
    Saboteur saboteur_;
    uint64_t silent_steps_ = 0;
    uint64_t commits_before_ = 0;
};

}  // namespace keystile::cli::swarm
