// Who works on which chunk: the supervisor's side. Sees what the store says, as any process can.
#pragma once

#include <cstdint>
#include <vector>

#include "swarm/crew.hpp"
#include "swarm/store.hpp"

namespace keystile::cli::swarm {

// A worker's hold on a chunk: its name in the chunk's value and, guarded, its claim, named by the epoch. The claim
// alone would not do: a worker may have been stopped inside ks_claim, before it could know that the claim is its own;
// if it is taken away then, nobody owes that worker a FENCED.
struct Hold {
    uint32_t chunk = 0;
    uint32_t worker = 0;
    uint64_t epoch = 0;
};

class Lookout {
public:
    Lookout(const Lane& lane, const Crew& crew, bool is_unguarded)
        : lane_(lane), crew_(crew), is_unguarded_(is_unguarded) {}

    // Who holds what. Of a running worker it may be past by the time of the answer.
    std::vector<Hold> holds() const;

    // The claim was taken away, or given back; unguarded: another worker, or the done mark, stands in the chunk.
    bool is_over(const Hold& hold) const;

    // The hold ended because its owner's own commit finished the chunk.
    bool is_finished(const Hold& hold) const;

    bool is_untouched(uint32_t chunk) const;  // nobody has ever taken it

    // How many of the chunks before `end` are marked as done. Asks the store only about those not known as done.
    uint32_t count_done(uint32_t end);

private:
    const Lane& lane_;
    const Crew& crew_;
    bool is_unguarded_;
    std::vector<bool> known_done_;
};

}  // namespace keystile::cli::swarm
