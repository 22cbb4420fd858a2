// What a command prints: lines for people, or one JSON object a result (`--json`), success and failure
// alike.
//
// JSON: "status" is the exit code's word (exit_code.hpp). A key or value that is no text (text.hpp) is
// base64, and "key_encoding" / "encoding" say so. Versions (56 bits) and epochs (63 bits) are numbers
// and fit an int64; a reader that keeps numbers as doubles is exact up to 2^53.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "exit_code.hpp"
#include "keystile.h"

namespace keystile::cli {

using Json = nlohmann::ordered_json;

// The end of a command that did not succeed. main() prints it and exits with its code.
struct Failure {
    ExitCode code;
    std::string message;            // a sentence for people, without the program's name; empty: all is said
    Json details = Json::object();  // further members of the JSON object
};

// Both forms of one result.
void print_result(bool is_json, const Json& members, std::string_view human_line);
void print_failure(bool is_json, const Failure& failure);

// Standard output, whole or a Failure: a script must not take half a value for the value.
void print_bytes(std::string_view bytes);
void flush_output();

void add_key(Json& object, std::string_view key);
void add_value(Json& object, std::string_view value);
void add_stamp(Json& object, ks_stamp stamp);

Json owner_json(const ks_owner& owner);
std::string owner_text(const ks_owner& owner);  // who: "indexer (pid 412)", "a token's holder (detached)"
std::string lease_text(const ks_owner& owner);  // how long: "12.3s left", "lease over", "until it dies"
std::string stamp_text(ks_stamp stamp);         // "version=7 epoch=4": a shell's eval takes it

}  // namespace keystile::cli
