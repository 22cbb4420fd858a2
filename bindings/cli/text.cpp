#include "text.hpp"

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

namespace keystile::cli {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

unsigned char byte_at(std::string_view bytes, size_t index) {
    return static_cast<unsigned char>(bytes[index]);
}

// Bytes of the UTF-8 character at `index`; 0 if there is none (overlong forms and surrogates are none).
size_t character_size(std::string_view bytes, size_t index) {
    const unsigned char lead = byte_at(bytes, index);
    if (lead < 0x80) return 1;
    const size_t size = lead >= 0xC2 && lead < 0xE0   ? 2
                        : lead >= 0xE0 && lead < 0xF0 ? 3
                        : lead >= 0xF0 && lead < 0xF5 ? 4
                                                      : 0;
    if (size == 0 || index + size > bytes.size()) return 0;
    for (size_t i = 1; i < size; ++i) {
        if ((byte_at(bytes, index + i) & 0xC0) != 0x80) return 0;
    }
    const unsigned char second = byte_at(bytes, index + 1);
    const bool is_overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
    const bool is_outside = (lead == 0xED && second >= 0xA0) || (lead == 0xF4 && second >= 0x90);
    return is_overlong || is_outside ? 0 : size;
}

}  // namespace

bool is_text(std::string_view bytes) {
    for (size_t i = 0; i < bytes.size();) {
        const size_t size = character_size(bytes, i);
        if (size == 0 || bytes[i] == '\0') return false;
        i += size;
    }
    return true;
}

std::string to_base64(std::string_view bytes) {
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.size(); i += 3) {
        const size_t count = std::min<size_t>(3, bytes.size() - i);
        uint32_t group = 0;
        for (size_t j = 0; j < 3; ++j) group = group << 8 | (j < count ? byte_at(bytes, i + j) : 0u);
        for (size_t j = 0; j < 4; ++j) text += j <= count ? kAlphabet[group >> (18 - 6 * j) & 63] : '=';
    }
    return text;
}

std::optional<std::string> from_base64(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
    text.remove_suffix(padding);
    std::string bytes;
    uint32_t group = 0;
    int bits = 0;
    for (const char letter : text) {
        const size_t digit = kAlphabet.find(letter);
        if (digit == std::string_view::npos) return std::nullopt;
        group = (group << 6 | static_cast<uint32_t>(digit)) & 0xFFFFFF;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes += static_cast<char>(group >> bits & 0xFF);
        }
    }
    if ((group & ((1u << bits) - 1)) != 0) return std::nullopt;  // one text, one meaning
    return bytes;
}

std::string escaped(std::string_view bytes) {
    std::string text;
    for (size_t i = 0; i < bytes.size();) {
        const size_t size = character_size(bytes, i);
        const unsigned char lead = byte_at(bytes, i);
        const bool is_c1_control = size == 2 && lead == 0xC2 && byte_at(bytes, i + 1) < 0xA0;
        if (size == 0 || lead < 0x20 || lead == 0x7F) {
            text += fmt::format("\\x{:02x}", lead);
            i += 1;
        } else if (is_c1_control) {
            text += fmt::format("\\x{:02x}\\x{:02x}", lead, byte_at(bytes, i + 1));
            i += size;
        } else {
            if (lead == '\\') text += '\\';
            text += bytes.substr(i, size);
            i += size;
        }
    }
    return text;
}

}  // namespace keystile::cli
