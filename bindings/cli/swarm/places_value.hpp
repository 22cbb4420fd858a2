// The value of a word's key in an atomic swarm: how often the word stands in the text, and where. No record of
// chunks: a chunk's words, its note and its done-mark are one commit, so none is ever counted in part, or twice.
//
//   value   count: u64, little endian · last place listed: u64 · the places, each a varint: how far from the one
//           listed before it (the first: from 0), zigzag, because chunks come in any order
//
// Places are offsets into the text. A value over kListedBytesMax goes on counting without listing.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace keystile::cli::swarm {

struct PlacesRecord {
    uint64_t count = 0;
    std::vector<uint64_t> places;  // fewer than count if some were left out
};

// The occurrences at `begin` + each of the offsets. Throws std::invalid_argument if the bytes are no such value.
void add_places(std::string& value, uint64_t begin, std::span<const uint32_t> offsets);

// Nothing if the bytes are no such value.
std::optional<PlacesRecord> parse_places_value(std::string_view value);

}  // namespace keystile::cli::swarm
