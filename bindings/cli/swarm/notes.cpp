#include "swarm/notes.hpp"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <stdexcept>
#include <vector>

namespace keystile::cli::swarm {
namespace {

struct Notebook {
    uint64_t noted = 0;
    std::string set;
    std::vector<std::string_view> notes;
};

std::string_view line_after(std::string_view prefix, std::string_view& rest) {
    const size_t end = rest.find('\n');
    if (!rest.starts_with(prefix) || end == std::string_view::npos) {
        throw std::invalid_argument("the notes are not what a worker wrote");
    }
    const std::string_view line = rest.substr(prefix.size(), end - prefix.size());
    rest.remove_prefix(end + 1);
    return line;
}

Notebook parse(std::string_view value) {
    Notebook book;
    if (value.empty()) {
        return book;
    }
    const std::string_view noted = line_after("noted ", value);
    std::from_chars(noted.data(), noted.data() + noted.size(), book.noted);
    book.set = line_after("set ", value);
    while (!value.empty()) {
        book.notes.push_back(line_after("", value));
    }
    return book;
}

unsigned digit_value(char digit) {
    return static_cast<unsigned>(digit >= 'a' ? digit - 'a' + 10 : digit - '0') & 0xFu;
}

}  // namespace

bool add_note(std::string& value, uint32_t chunk, std::string_view note) {
    Notebook book = parse(value);
    const size_t place = chunk / 4;
    const unsigned bit = 1u << (chunk % 4);
    if (book.set.size() <= place) {
        book.set.resize(place + 1, '0');
    }
    const unsigned digit = digit_value(book.set[place]);
    if ((digit & bit) != 0) {
        return false;
    }
    book.set[place] = "0123456789abcdef"[digit | bit];

    std::string text = fmt::format("noted {}\nset {}\n", book.noted + 1, book.set);
    const size_t first = book.notes.size() < kNotesMax ? 0 : book.notes.size() - kNotesMax + 1;
    for (size_t index = first; index < book.notes.size(); ++index) {
        text += fmt::format("{}\n", book.notes[index]);
    }
    text += fmt::format("{}\n", note);
    value = std::move(text);
    return true;
}

std::optional<uint64_t> count_noted(std::string_view value) try {
    const Notebook book = parse(value);
    uint64_t bits = 0;
    for (const char digit : book.set) {
        bits += static_cast<uint64_t>(std::popcount(digit_value(digit)));
    }
    return bits == book.noted ? std::optional(bits) : std::nullopt;
} catch (const std::invalid_argument&) {
    return std::nullopt;
}

}  // namespace keystile::cli::swarm
