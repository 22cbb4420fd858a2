// JSON lines from a file or standard input, read strictly: what we do not understand was meant by somebody.
//
// Every mistake is a Failure that names the line. A key or value is a JSON string (its UTF-8 bytes) or {"base64": …}.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "output.hpp"

namespace keystile::cli {

// One line, an object. Its members are taken one by one; end() refuses what nobody took.
class JsonLine {
public:
    JsonLine(size_t number, std::string_view text);

    size_t number() const { return number_; }
    bool has(std::string_view name) const { return object_.contains(name); }

    std::string key(std::string_view name);    // 1 to KS_KEY_SIZE_MAX bytes
    std::string value(std::string_view name);  // up to KS_VALUE_SIZE_MAX bytes
    std::string text(std::string_view name);   // a plain JSON string
    bool flag(std::string_view name);          // false if it is not there
    std::optional<ks_stamp> stamp();           // "version" and "epoch", both or none
    void end() const;

    [[noreturn]] void fail(std::string_view what) const;

private:
    const Json& take(std::string_view name);
    std::string bytes(std::string_view name);
    uint64_t whole_number(std::string_view name);

    size_t number_;
    Json object_;
    std::set<std::string, std::less<>> taken_;
};

// A mistake in this line of the input; and a failure that this line led to.
Failure line_failure(size_t line, std::string_view what);
Failure at_line(size_t line, Failure failure);

// Calls visit for each line that is not blank. `file`: empty or "-" is standard input.
void for_each_json_line(const std::string& file, const std::function<void(JsonLine&)>& visit);

// {"base64": …} if the bytes are no text: what JsonLine reads back.
Json json_of_bytes(std::string_view bytes);

}  // namespace keystile::cli
