// The arguments of a tool's call, read strictly: what we do not understand was meant by somebody.
//
// Versions (56 bits) and epochs (63 bits) are written as strings of digits: a client that keeps numbers as doubles, as
// most do, loses the end of one above 2^53, and a stamp that is nearly right is wrong. Numbers are taken up to 2^53,
// where they are still what the server said.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "json_rpc.hpp"
#include "keystile.h"

namespace keystile::mcp {

// Thrown; what the model should mend is in the sentence.
struct InvalidArguments {
    std::string message;
};

class Arguments {
public:
    explicit Arguments(const Json* object);  // nullptr: none were given

    bool has(std::string_view name) const;    // and it is not null
    const Json& take(std::string_view name);  // it must be there
    const std::string& text(std::string_view name);
    bool flag(std::string_view name);  // false if it is not there
    uint64_t number(std::string_view name, uint64_t otherwise, uint64_t least, uint64_t most);
    // Of a text, or of base64 if the argument `encoding` says so.
    std::string bytes(std::string_view name, std::string_view encoding = "encoding");
    ks_stamp stamp();  // "version" and "epoch"
    void end() const;  // refuses what nobody took

private:
    uint64_t digits(std::string_view name);

    const Json* object_;
    std::set<std::string, std::less<>> taken_;
};

std::string digits_of(uint64_t number);

}  // namespace keystile::mcp
