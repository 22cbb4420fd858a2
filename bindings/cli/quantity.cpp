#include "quantity.hpp"

#include <charconv>
#include <ctime>
#include <utility>

#include <fmt/format.h>

#include "keystile.h"

namespace keystile::cli {
namespace {

using Unit = std::pair<std::string_view, uint64_t>;
constexpr uint64_t kMinute = 60 * kSecond, kHour = 60 * kMinute, kDay = 24 * kHour;
constexpr Unit kDurations[] = {{"ns", 1},      {"us", 1000}, {"ms", 1'000'000}, {"s", kSecond},
                               {"m", kMinute}, {"h", kHour}, {"d", kDay}};
constexpr Unit kSizes[] = {{"", 1},         {"B", 1},          {"K", 1u << 10},   {"M", 1u << 20},
                           {"G", 1u << 30}, {"KiB", 1u << 10}, {"MiB", 1u << 20}, {"GiB", 1u << 30}};

// "1.5h" with the units given; none if the unit is unknown or the product does not fit.
template <size_t N>
std::optional<uint64_t> parse_quantity(std::string_view text, const Unit (&units)[N]) {
    const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
    const std::string number(text.substr(0, digits));
    const char* const number_end = number.data() + number.size();
    double count = 0;
    const auto [end, error] = std::from_chars(number.data(), number_end, count, std::chars_format::fixed);
    if (digits == 0 || error != std::errc{} || end != number_end) return std::nullopt;
    const std::string_view unit = text.substr(digits);
    for (const auto& [name, factor] : units) {
        if (name != unit) continue;
        const double product = count * static_cast<double>(factor);
        if (product >= 9.0e18) return std::nullopt;  // an int64 in JSON readers
        return static_cast<uint64_t>(product);
    }
    return std::nullopt;
}

}  // namespace

std::optional<uint64_t> parse_number(std::string_view text) {
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

std::optional<uint64_t> parse_duration(std::string_view text) {
    if (text == "forever") return KS_FOREVER;
    if (text == "0") return 0;
    return parse_quantity(text, kDurations);
}

std::optional<uint64_t> parse_size(std::string_view text) {
    return parse_quantity(text, kSizes);
}

std::string duration_text(uint64_t ns) {
    if (ns == KS_FOREVER) return "forever";
    if (ns == 0) return "0s";
    if (ns < 1'000'000) return fmt::format("{}us", (ns + 999) / 1000);
    if (ns < kSecond) return fmt::format("{}ms", ns / 1'000'000);
    const uint64_t s = ns / kSecond;
    if (s < 60) {
        const uint64_t tenths = ns % kSecond / (kSecond / 10);
        return tenths == 0 ? fmt::format("{}s", s) : fmt::format("{}.{}s", s, tenths);
    }
    const auto two = [](uint64_t big, const char* big_unit, uint64_t small, const char* small_unit) {
        return small == 0 ? fmt::format("{}{}", big, big_unit)
                          : fmt::format("{}{}{:02}{}", big, big_unit, small, small_unit);
    };
    if (ns < kHour) return two(s / 60, "m", s % 60, "s");
    if (ns < kDay) return two(s / 3600, "h", s / 60 % 60, "m");
    return two(s / 86400, "d", s / 3600 % 24, "h");
}

std::string size_text(uint64_t bytes) {
    if (bytes < 1024) return fmt::format("{} B", bytes);
    double count = static_cast<double>(bytes);
    const char* unit = "";
    for (const char* next : {"KiB", "MiB", "GiB", "TiB"}) {
        if (count < 1024) break;
        count /= 1024;
        unit = next;
    }
    return fmt::format("{:.1f} {}", count, unit);
}

std::string count_text(uint64_t count, const char* noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

uint64_t now_ns() {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<uint64_t>(now.tv_sec) * kSecond + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace keystile::cli
