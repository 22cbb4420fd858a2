// What a worker knows of the disk. A chunk is finished when its commit is done: everybody sees it. It is acknowledged
// when the store has said that this commit is on disk: from then on the death of everybody cannot undo it, and only
// then might a worker tell the world. (In a volatile store there is nothing to know.)
#pragma once

#include <cstdint>
#include <deque>

#include "swarm/scoreboard.hpp"
#include "swarm/store.hpp"

namespace keystile::cli::swarm {

class Receipts {
public:
    Receipts(const Lane& lane, const Scoreboard& board, bool is_durable)
        : lane_(lane), board_(board), is_durable_(is_durable) {}

    // Of the commit that finished the chunk.
    void keep(uint32_t chunk, uint64_t lsn);

    // Which of them are on disk by now. Never waits.
    void look();

    // When all chunks are done: waits for the disk. Then each chunk is looked up, those of the dead too: the commit
    // that finished it is on disk, or it is not acknowledged.
    void settle();

private:
    const Lane& lane_;
    const Scoreboard& board_;
    bool is_durable_;
    std::deque<uint32_t> waiting_;  // finished and not acknowledged, in the order of their commits
};

}  // namespace keystile::cli::swarm
