// The end: what the store holds against a serial count of the same text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "swarm/store.hpp"
#include "swarm/text.hpp"

namespace keystile::cli::swarm {

struct Audit {
    uint64_t expected = 0;   // words in the text, by a serial count that knows nothing of chunks
    uint64_t found = 0;      // words counted in the store
    uint64_t lost = 0;       // over all words: how much fewer than expected
    uint64_t doubled = 0;    // over all words: how much more than expected
    uint64_t different = 0;  // different words in the text
    uint64_t misplaced = 0;  // places listed where the word does not stand
    uint64_t unlisted = 0;   // words counted without a place, because the value had grown too large
    uint64_t noted = 0;      // chunks in the notes
    uint64_t done = 0;       // chunks marked as done
    uint64_t malformed = 0;  // values that no worker can have written
    uint64_t problems = 0;   // found by ks_check

    std::vector<std::string> problem_texts;  // the first of them
};

// `is_atomic`: the words' values are as in places_value.hpp, else as in word_value.hpp.
Audit audit(const Lane& lane, const Text& text, const std::vector<Chunk>& chunks, bool is_atomic);

}  // namespace keystile::cli::swarm
