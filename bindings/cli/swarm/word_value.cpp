#include "swarm/word_value.hpp"

#include <cstring>
#include <stdexcept>

#include "swarm/varint.hpp"

namespace keystile::cli::swarm {
namespace {

constexpr size_t kCountBytes = sizeof(uint64_t);

WordSection take_section(Cursor& cursor) {
    WordSection section;
    section.chunk = static_cast<uint32_t>(cursor.varint());
    section.count = cursor.varint();
    Cursor offsets(cursor.take(cursor.varint()));
    uint64_t offset = 0;
    while (!offsets.is_at_end()) {
        offset += offsets.varint();
        section.offsets.push_back(static_cast<uint32_t>(offset));
    }
    return section;
}

}  // namespace

bool has_chunk(std::string_view value, uint32_t chunk) {
    if (value.empty()) {
        return false;
    }
    Cursor cursor(value);
    cursor.fixed();
    while (!cursor.is_at_end()) {
        const uint64_t folded = cursor.varint();
        cursor.varint();
        cursor.take(cursor.varint());
        if (folded == chunk) {
            return true;
        }
    }
    return false;
}

void append_section(std::string& value, uint32_t chunk, std::span<const uint32_t> offsets) {
    if (value.empty()) {
        value.assign(kCountBytes, '\0');
    }
    Cursor cursor(value);
    const uint64_t count = cursor.fixed() + offsets.size();
    std::memcpy(value.data(), &count, kCountBytes);

    std::string listed;
    if (value.size() < kListedBytesMax) {
        uint32_t before = 0;
        for (const uint32_t offset : offsets) {
            put_varint(listed, offset - before);
            before = offset;
        }
    }
    put_varint(value, chunk);
    put_varint(value, offsets.size());
    put_varint(value, listed.size());
    value += listed;
}

std::optional<WordRecord> parse_word_value(std::string_view value) try {
    Cursor cursor(value);
    WordRecord record{.count = cursor.fixed(), .sections = {}};
    uint64_t sum = 0;
    while (!cursor.is_at_end()) {
        record.sections.push_back(take_section(cursor));
        const WordSection& section = record.sections.back();
        sum += section.count;
        if (!section.offsets.empty() && section.offsets.size() != section.count) {
            return std::nullopt;
        }
    }
    return sum == record.count ? std::optional(std::move(record)) : std::nullopt;
} catch (const std::invalid_argument&) {
    return std::nullopt;
}

}  // namespace keystile::cli::swarm
