// The value of the key `notes`: one text that every worker rewrites after each chunk, as agents share a
// notebook.
//
//   noted 123                          how many chunks are noted
//   set 0f3a…                          which: a bit per chunk, four to a hexadecimal digit
//   worker 2: chunk 17, 341 words …    the last kNotesMax notes, the newest last
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace keystile::cli::swarm {

inline constexpr size_t kNotesMax = 12;

// Adds a note about a chunk. False, and nothing changed, if the chunk is noted already.
// Throws std::invalid_argument if the value is no such text.
bool add_note(std::string& value, uint32_t chunk, std::string_view note);

// How many chunks are noted; nothing if the value is no such text or its two counts differ.
std::optional<uint64_t> count_noted(std::string_view value);

}  // namespace keystile::cli::swarm
