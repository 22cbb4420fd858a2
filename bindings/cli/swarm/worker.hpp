// A worker: takes chunks until all are done, and folds each into the words' values and the notes.
//
// Any instruction may be its last, or be followed by a long stop. That is safe because a chunk is one atomic commit
// (atomic_fold.hpp). With --no-atomic, a commit for each word, because each step may be done again: a word's value
// and the notes say which chunks are in them, and a chunk counts as done only by a commit under its claim, the last
// step. A worker that lost its claim meanwhile may have folded some words for its heir; the heir finds them in.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "swarm/atomic_fold.hpp"
#include "swarm/handout.hpp"
#include "swarm/receipts.hpp"
#include "swarm/text.hpp"

namespace keystile::cli::swarm {

class Worker {
public:
    Worker(uint32_t number, const std::string& url, const Options& options, const Text& text,
           const std::vector<Chunk>& chunks, Scoreboard& board);

    void run();

private:
    std::optional<uint32_t> take_next();
    bool try_take(uint32_t chunk, uint64_t wait_ns);
    bool fold(uint32_t chunk);
    std::optional<uint64_t> fold_word_by_word(const ChunkWork& work);

    uint32_t number_;
    std::string_view text_;
    const std::vector<Chunk>& chunks_;
    const Scoreboard& board_;
    const Options& options_;
    WorkerScore& score_;
    Lane lane_;
    Ledger ledger_;
    ClaimHandout claims_;
    PlainHandout plain_;
    Handout& handout_;  // one of the two
    AtomicFold atomic_;
    Receipts receipts_;
    std::vector<bool> is_done_;  // chunks we know to be done
    uint32_t first_open_ = 0;    // all before are done
};

// The child's main: runs a worker, writes a fault to its score, returns the process's exit status.
int work(uint32_t number, const std::string& url, const Options& options, const Text& text,
         const std::vector<Chunk>& chunks, Scoreboard& board);

}  // namespace keystile::cli::swarm
