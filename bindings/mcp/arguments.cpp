#include "arguments.hpp"

#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "text.hpp"

namespace keystile::mcp {
namespace {

constexpr uint64_t kExactMax = uint64_t{1} << 53;  // a double holds each whole number up to it

[[noreturn]] void refuse(std::string_view name, std::string_view what) {
    throw InvalidArguments{fmt::format("\"{}\" {}", name, what)};
}

// 60, and 60.0, which is what clients make of it that keep numbers as doubles.
std::optional<uint64_t> whole(const Json& given) {
    if (given.is_number_unsigned()) return given.get<uint64_t>();
    if (!given.is_number_float()) return std::nullopt;
    const double number = given.get<double>();
    if (!(number >= 0 && number <= static_cast<double>(kExactMax)) || number != std::floor(number))
        return std::nullopt;
    return static_cast<uint64_t>(number);
}

}  // namespace

Arguments::Arguments(const Json* object)
    : object_(object != nullptr && object->is_null() ? nullptr : object) {
    if (object_ != nullptr && !object_->is_object())
        throw InvalidArguments{"\"arguments\" must be an object"};
}

bool Arguments::has(std::string_view name) const {
    if (object_ == nullptr) return false;
    const auto found = object_->find(name);
    return found != object_->end() && !found->is_null();
}

const Json& Arguments::take(std::string_view name) {
    if (!has(name)) refuse(name, "is missing");
    taken_.emplace(name);
    return *object_->find(name);
}

const std::string& Arguments::text(std::string_view name) {
    const Json& given = take(name);
    if (!given.is_string()) refuse(name, "must be a string");
    return given.get_ref<const std::string&>();
}

bool Arguments::flag(std::string_view name) {
    if (!has(name)) return false;
    const Json& given = take(name);
    if (!given.is_boolean()) refuse(name, "must be true or false");
    return given.get<bool>();
}

uint64_t Arguments::number(std::string_view name, uint64_t otherwise, uint64_t least, uint64_t most) {
    if (!has(name)) return otherwise;
    const std::optional<uint64_t> given = whole(take(name));
    if (!given || *given < least || *given > most) {
        refuse(name, fmt::format("must be a whole number from {} to {}", least, most));
    }
    return *given;
}

std::string Arguments::bytes(std::string_view name, std::string_view encoding) {
    const std::string& given = text(name);
    const std::string_view told = has(encoding) ? std::string_view(text(encoding)) : "text";
    if (told == "text") return given;
    if (told != "base64") refuse(encoding, "must be \"text\" or \"base64\"");
    std::optional<std::string> decoded = cli::from_base64(given);
    if (!decoded) refuse(name, "is not base64");
    return *std::move(decoded);
}

uint64_t Arguments::digits(std::string_view name) {
    const Json& given = take(name);
    if (given.is_number_unsigned()) {
        if (given.get<uint64_t>() <= kExactMax) return given.get<uint64_t>();
        refuse(name, "is a number above 2^53, which clients round: give it as a string, as you got it");
    }
    uint64_t number = 0;
    if (given.is_string()) {
        const std::string& text = given.get_ref<const std::string&>();
        const char* const end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data(), end, number);
        if (!text.empty() && stop == end && error == std::errc{}) return number;
    }
    refuse(name, "must be a string of digits, as a read returned it (\"0\" for what does not exist yet)");
}

ks_stamp Arguments::stamp() {
    const uint64_t version = digits("version");
    return {version, digits("epoch")};
}

void Arguments::end() const {
    if (object_ == nullptr) return;
    for (const auto& [name, value] : object_->items()) {
        if (taken_.contains(name) || value.is_null()) continue;
        refuse(shown(name), "is no argument of this tool");
    }
}

std::string digits_of(uint64_t number) {
    return fmt::format("{}", number);
}

}  // namespace keystile::mcp
