#include "swarm/keys.hpp"

#include <fmt/format.h>

#include <charconv>

namespace keystile::cli::swarm {
namespace {

constexpr std::string_view kDone = "done by worker ";
constexpr std::string_view kTaken = "taken by worker ";
constexpr std::string_view kUntil = " until ";

// Reads a number and takes it off the text; false if there is none.
template <class Number>
bool take_number(std::string_view& text, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) {
        return false;
    }
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    return true;
}

}  // namespace

std::string word_key(std::string_view word) {
    return fmt::format("{}{}", kWordPrefix, word);
}

std::string chunk_key(uint32_t chunk) {
    return fmt::format("{}{:05}", kChunkPrefix, chunk);
}

std::optional<uint32_t> chunk_of_key(std::string_view key) {
    uint32_t chunk = 0;
    if (!key.starts_with(kChunkPrefix)) {
        return std::nullopt;
    }
    key.remove_prefix(kChunkPrefix.size());
    return take_number(key, chunk) && key.empty() ? std::optional(chunk) : std::nullopt;
}

std::string done_value(uint32_t worker, uint64_t words) {
    return fmt::format("{}{}: {} words", kDone, worker, words);
}

std::string taken_value(uint32_t worker) {
    return fmt::format("{}{}", kTaken, worker);
}

std::string taken_until_value(uint32_t worker, uint64_t deadline_ns) {
    return fmt::format("{}{}{}", taken_value(worker), kUntil, deadline_ns);
}

ChunkState parse_chunk_value(std::string_view value) {
    ChunkState state;
    if (value.starts_with(kDone)) {
        value.remove_prefix(kDone.size());
        state.is_done = take_number(value, state.worker);
    } else if (value.starts_with(kTaken)) {
        value.remove_prefix(kTaken.size());
        state.is_taken = take_number(value, state.worker);
        if (value.starts_with(kUntil)) {
            value.remove_prefix(kUntil.size());
            take_number(value, state.deadline_ns);
        }
    }
    return state;
}

}  // namespace keystile::cli::swarm
