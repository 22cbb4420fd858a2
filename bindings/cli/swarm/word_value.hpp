// The value of a word's key in a swarm with --no-atomic: how often the word stands in the text, where, and in which
// chunks it was counted.
//
//   value    count: u64, little endian, the sum over the sections · sections, in the order of their folding
//   section  chunk: varint · occurrences: varint · bytes of the offsets: varint · the offsets, each a varint: how far
//            it lies behind the one before, the first how far behind the begin of the chunk
//
// A chunk is in the value or not: that makes folding idempotent, so a chunk may be done again after its
// worker died. A value over kListedBytesMax goes on counting without offsets (0 bytes of them), so no text
// outgrows a value.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace keystile::cli::swarm {

inline constexpr size_t kListedBytesMax =
    1024 * 1024;  // each commit copies the value: keep hot words bearable

struct WordSection {
    uint32_t chunk = 0;
    uint64_t count = 0;
    std::vector<uint32_t> offsets;  // empty if they were left out
};

struct WordRecord {
    uint64_t count = 0;
    std::vector<WordSection> sections;
};

// Throws std::invalid_argument if the bytes are no such value: a torn or foreign one.
bool has_chunk(std::string_view value, uint32_t chunk);

void append_section(std::string& value, uint32_t chunk, std::span<const uint32_t> offsets);

// Nothing if the bytes are no such value, or its sections do not add up to its count.
std::optional<WordRecord> parse_word_value(std::string_view value);

}  // namespace keystile::cli::swarm
