// Bytes for people and for JSON. Keys and values are bytes of any content; text is what both can show
// as it is.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace keystile::cli {

// Valid UTF-8 without a zero byte: JSON, shells and terminals carry it unchanged.
bool is_text(std::string_view bytes);

std::string to_base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);

// For human eyes, on one line: control characters and bytes that are no UTF-8 as \xNN, a backslash
// doubled.
std::string escaped(std::string_view bytes);

}  // namespace keystile::cli
