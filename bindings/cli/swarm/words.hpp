// What a word is, and the words of a piece of text.
//
// A word is a run of letters, digits and bytes of UTF-8 letters, with single ' inside (don't), in lower case
// (ASCII letters only). The UTF-8 punctuation of U+0080..U+00BF and U+2000..U+203F separates like a space. A
// run longer than kWordBytesMax counts as several words, so that no input can make a key too long.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace keystile::cli::swarm {

inline constexpr size_t kWordBytesMax = 64;

// The bytes that separate at `at`: 0 if a word may go on there.
inline size_t separator_at(std::string_view text, size_t at) {
    const auto byte = [&](size_t index) { return static_cast<unsigned char>(text[index]); };
    const unsigned char first = byte(at);
    if (first == 0xC2 && at + 1 < text.size()) {
        return 2;
    }
    if (first == 0xE2 && at + 2 < text.size() && byte(at + 1) == 0x80) {
        return 3;
    }
    const bool is_letter = first >= 0x80 || (first >= '0' && first <= '9') ||
                           (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z');
    return is_letter ? 0 : 1;
}

// Calls visit(word, offset) for each word of the text, in order. `word` is valid during the call.
template <class Visit>
void for_each_word(std::string_view text, Visit&& visit) {
    std::string word;
    size_t at = 0;
    while (at < text.size()) {
        if (const size_t separator = separator_at(text, at); separator != 0) {
            at += separator;
            continue;
        }
        const size_t begin = at;
        word.clear();
        while (at < text.size() && word.size() < kWordBytesMax) {
            const bool is_inner_quote =
                text[at] == '\'' && at + 1 < text.size() && separator_at(text, at + 1) == 0;
            if (!is_inner_quote && separator_at(text, at) != 0) {
                break;
            }
            const char c = text[at++];
            word += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        }
        visit(std::string_view(word), begin);
    }
}

struct WordPlaces {
    std::string word;
    std::vector<uint32_t> offsets;  // of each occurrence, from the begin of the chunk
};

// The distinct words of a chunk in the order in which they first stand there.
std::vector<WordPlaces> distinct_words(std::string_view chunk);

}  // namespace keystile::cli::swarm
