#include "swarm/places_value.hpp"

#include <cstring>
#include <stdexcept>

#include "swarm/varint.hpp"
#include "swarm/word_value.hpp"

namespace keystile::cli::swarm {
namespace {

struct Head {
    uint64_t count = 0;
    uint64_t last = 0;
};
constexpr size_t kHeadBytes = 16;

Head take_head(Cursor& cursor) {
    const uint64_t count = cursor.fixed();
    return {count, cursor.fixed()};
}

// Small numbers for small steps, forth (even) and back (odd).
uint64_t zigzag(uint64_t from, uint64_t to) {
    return to >= from ? (to - from) << 1 : ((from - to) << 1) - 1;
}

uint64_t step(uint64_t from, uint64_t coded) {
    return (coded & 1) == 0 ? from + (coded >> 1) : from - ((coded + 1) >> 1);
}

}  // namespace

void add_places(std::string& value, uint64_t begin, std::span<const uint32_t> offsets) {
    if (value.empty()) {
        value.assign(kHeadBytes, '\0');
    }
    Cursor cursor(value);
    Head head = take_head(cursor);
    head.count += offsets.size();
    if (value.size() < kListedBytesMax) {
        for (const uint32_t offset : offsets) {
            put_varint(value, zigzag(head.last, begin + offset));
            head.last = begin + offset;
        }
    }
    std::memcpy(value.data(), &head.count, sizeof head.count);
    std::memcpy(value.data() + sizeof head.count, &head.last, sizeof head.last);
}

std::optional<PlacesRecord> parse_places_value(std::string_view value) try {
    Cursor cursor(value);
    const Head head = take_head(cursor);
    PlacesRecord record{.count = head.count, .places = {}};
    uint64_t place = 0;
    while (!cursor.is_at_end()) {
        place = step(place, cursor.varint());
        record.places.push_back(place);
    }
    const bool is_true = place == head.last && record.places.size() <= record.count;
    return is_true ? std::optional(std::move(record)) : std::nullopt;
} catch (const std::invalid_argument&) {
    return std::nullopt;
}

}  // namespace keystile::cli::swarm
