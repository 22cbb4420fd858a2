// The text that the swarm counts, and the chunks it is handed out in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace keystile::cli::swarm {

struct Text {
    std::string bytes;               // all files, one after the other, a line end between them
    std::vector<std::string> files;  // their names, for people
};

struct Chunk {
    uint64_t begin = 0;  // offsets into Text::bytes
    uint64_t end = 0;
};

// Reads the files; none given = the text shipped with the program. Throws Failure.
Text load_text(const std::vector<std::string>& files);

// Cuts at white space, so that no word is cut. A chunk is longer than asked only if there is no white space
// in it.
std::vector<Chunk> cut_into_chunks(std::string_view text, uint64_t chunk_bytes);

// Cuts chunks again, at the begin of a word, so that none has more than `words_max` different words.
std::vector<Chunk> split_to_words(std::string_view text, const std::vector<Chunk>& chunks, size_t words_max);

}  // namespace keystile::cli::swarm
