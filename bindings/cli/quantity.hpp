// Durations, sizes and numbers as people write them: 500ms, 30s, 5m, 1h, forever; 64M, 1G.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace keystile::cli {

inline constexpr uint64_t kMillisecond = 1'000'000, kSecond = 1'000 * kMillisecond;  // in ns

// Decimal digits only, no sign, no overflow.
std::optional<uint64_t> parse_number(std::string_view text);

// Nanoseconds; KS_FOREVER for "forever". A number without a unit is refused, except 0.
std::optional<uint64_t> parse_duration(std::string_view text);

// Bytes; units K, M, G are powers of 1024.
std::optional<uint64_t> parse_size(std::string_view text);

// Two significant units at most: "450ms", "12.3s", "2m05s", "1h20m", "3d04h".
std::string duration_text(uint64_t ns);
std::string size_text(uint64_t bytes);
std::string count_text(uint64_t count, const char* noun);  // "1 commit", "2 commits"

uint64_t now_ns();  // CLOCK_BOOTTIME, as leases count

}  // namespace keystile::cli
