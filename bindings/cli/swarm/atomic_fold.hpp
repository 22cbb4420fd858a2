// A chunk as one commit: its words, its note, its done-mark and the end of its claim, all or nothing.
//
// Any instruction may be the worker's last: before the commit nothing of the chunk is in the store, after it all is.
// So whoever takes over simply does it again, and no value has to say which chunks are in it. Every other worker
// writes the same hot words and notes meanwhile; who comes second reads and computes the whole chunk again.
#pragma once

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "swarm/handout.hpp"
#include "swarm/words.hpp"

namespace keystile::cli::swarm {

// Keys of a chunk's commit that are no words: the notes and the chunk's own key.
inline constexpr size_t kKeysBesideWords = 2;

struct ChunkWork {
    uint32_t chunk;
    uint64_t begin;  // offset into the text
    const std::vector<WordPlaces>& words;
    uint64_t count;  // of all its words
    std::string note;
};

class AtomicFold {
public:
    AtomicFold(const HandoutContext& context, const Scoreboard& board, const Options& options);

    // Tries until it is done: the commit's place in a durable store's history. Nothing: the claim was taken away, and
    // nothing was written.
    std::optional<uint64_t> fold(const ChunkWork& work, ClaimHandout& claim);

private:
    struct End {
        void operator()(ks_multi* multi) const { ks_multi_end(multi); }
    };

    bool fill(const ChunkWork& work, ClaimHandout& claim);
    bool read(std::string_view key);
    void put(std::string_view key, std::string_view value, const ks_commit_options* options);
    ks_status commit();
    ks_multi_result told_of_claim() const;
    void await_held() const;
    void pause(uint32_t losses);

    HandoutContext context_;
    const Scoreboard& board_;
    const Options& options_;
    std::unique_ptr<ks_multi, End> multi_;
    std::string buffer_;  // what read() reads into: grows to the largest value
    std::string value_;
    std::minstd_rand random_;
    bool is_ours_ = false;  // as far as we know
};

}  // namespace keystile::cli::swarm
