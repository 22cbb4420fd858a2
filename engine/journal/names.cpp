// The names of a directory's files.
#include <cinttypes>
#include <cstdio>

#include "journal/directory.hpp"

namespace keystile::engine {

namespace {

constexpr std::string_view kJournalPrefix = "journal-";
constexpr std::string_view kCheckpointPrefix = "checkpoint-";
constexpr std::size_t kJournalDigits = 6;
constexpr std::size_t kCheckpointDigits = 14;
constexpr std::size_t kNonceDigits = 16;

bool is_digits(std::string_view text) noexcept {
    return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Exactly the prefix and so many digits: each number has one name.
bool parse_name(std::string_view name, std::string_view prefix, std::size_t digits,
                std::uint64_t* number_out) noexcept {
    if (name.size() != prefix.size() + digits || name.substr(0, prefix.size()) != prefix) return false;
    std::uint64_t number = 0;
    for (const char c : name.substr(prefix.size())) {
        if (!is_digits({&c, 1})) return false;
        number = number * 16 + static_cast<std::uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *number_out = number;
    return true;
}

}  // namespace

std::string journal_name(std::uint32_t file) {
    char name[32];
    std::snprintf(name, sizeof name, "%.*s%06" PRIx32, static_cast<int>(kJournalPrefix.size()),
                  kJournalPrefix.data(), file);
    return name;
}

std::string checkpoint_name(Position start) {
    char name[32];
    std::snprintf(name, sizeof name, "%.*s%014" PRIx64, static_cast<int>(kCheckpointPrefix.size()),
                  kCheckpointPrefix.data(), start);
    return name;
}

bool parse_journal_name(std::string_view name, std::uint32_t* file_out) noexcept {
    std::uint64_t number;
    if (!parse_name(name, kJournalPrefix, kJournalDigits, &number)) return false;
    *file_out = static_cast<std::uint32_t>(number);
    return true;
}

bool parse_checkpoint_name(std::string_view name, Position* start_out) noexcept {
    return parse_name(name, kCheckpointPrefix, kCheckpointDigits, start_out);
}

std::string_view name_behind(std::string_view hidden) noexcept {
    if (hidden.size() < kNonceDigits + 3 || hidden.front() != '.') return {};
    const std::string_view nonce = hidden.substr(hidden.size() - kNonceDigits);
    if (hidden[hidden.size() - kNonceDigits - 1] != '.' || !is_digits(nonce)) return {};
    return hidden.substr(1, hidden.size() - kNonceDigits - 2);
}

}  // namespace keystile::engine
