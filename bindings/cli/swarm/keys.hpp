// The keys of a swarm, and the value of a chunk's key: what has become of the chunk, as text for people.
//
//   word/THE WORD   see places_value.hpp, with --no-atomic word_value.hpp        notes   see notes.hpp
//   chunk/00017     "taken by worker 2", later "done by worker 2: 341 words". Who has the chunk is said by the
//                   claim on the key, not by this value; unguarded there is no claim, so the value says it:
//                   "taken by worker 2 until 8123456789", a deadline on CLOCK_BOOTTIME in ns.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace keystile::cli::swarm {

inline constexpr std::string_view kWordPrefix = "word/";
inline constexpr std::string_view kChunkPrefix = "chunk/";
inline constexpr std::string_view kNotesKey = "notes";

std::string word_key(std::string_view word);
std::string chunk_key(uint32_t chunk);
std::optional<uint32_t> chunk_of_key(std::string_view key);

struct ChunkState {
    bool is_done = false;
    bool is_taken = false;
    uint32_t worker = 0;
    uint64_t deadline_ns = 0;  // unguarded: of is_taken
};

std::string done_value(uint32_t worker, uint64_t words);
std::string taken_value(uint32_t worker);
std::string taken_until_value(uint32_t worker, uint64_t deadline_ns);
ChunkState parse_chunk_value(std::string_view value);  // anything else: neither taken nor done

}  // namespace keystile::cli::swarm
