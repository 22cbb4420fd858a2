#include "swarm/word_value.hpp"

#include <cstring>
#include <stdexcept>

namespace keystile::cli::swarm {
namespace {

constexpr size_t kCountBytes = sizeof(uint64_t);

void put_varint(std::string& bytes, uint64_t number) {
    for (; number >= 0x80; number >>= 7) {
        bytes += static_cast<char>(number | 0x80);
    }
    bytes += static_cast<char>(number);
}

// Walks over a value; every step is bounds-checked and throws std::invalid_argument at its end.
class Cursor {
public:
    explicit Cursor(std::string_view bytes) : bytes_(bytes) {}

    bool is_at_end() const { return bytes_.empty(); }

    uint64_t varint() {
        uint64_t number = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const auto byte = static_cast<unsigned char>(take(1)[0]);
            number |= uint64_t{byte & 0x7Fu} << shift;
            if (byte < 0x80) {
                return number;
            }
        }
        throw std::invalid_argument("a number in the value has no end");
    }

    std::string_view take(uint64_t count) {
        if (count > bytes_.size()) {
            throw std::invalid_argument("the value of a word ends too early");
        }
        const std::string_view taken = bytes_.substr(0, count);
        bytes_.remove_prefix(count);
        return taken;
    }

private:
    std::string_view bytes_;
};

uint64_t take_count(Cursor& cursor) {
    uint64_t count = 0;
    std::memcpy(&count, cursor.take(kCountBytes).data(), kCountBytes);
    return count;
}

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
    take_count(cursor);
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
    const uint64_t count = take_count(cursor) + offsets.size();
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
    WordRecord record{.count = take_count(cursor), .sections = {}};
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
