// Options that several commands share, and how a number or a duration is read from the command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "store.hpp"

namespace keystile::cli {

// Given before or after the command's name.
struct Globals {
    std::string store;  // --store, else KEYSTILE_STORE
    bool json = false;
    bool quiet = false;
    bool is_key_base64 = false;
};

CLI::Option* add_number(CLI::App* command, const char* name, std::optional<uint64_t>& number,
                        const char* help);
CLI::Option* add_duration(CLI::App* command, const char* name, std::optional<uint64_t>& ns, const char* help);
CLI::Option* add_size(CLI::App* command, const char* name, std::optional<uint64_t>& bytes, const char* help);

// KEY as typed; `key_of` undoes --key-base64.
void add_key_argument(CLI::App* command, std::string& key);
std::string key_of(const Globals& globals, const std::string& argument);

// --version N --epoch N, both or none.
struct StampOptions {
    std::optional<uint64_t> version;
    std::optional<uint64_t> epoch;

    void add_to(CLI::App* command, const char* help);
    std::optional<ks_stamp> stamp() const;
};

// --claim TOKEN, else KEYSTILE_CLAIM if `claim KEY -- CMD` set it for this key of this store.
struct ClaimOption {
    std::string token;

    void add_to(CLI::App* command);
    std::optional<ks_grant> grant(const Globals& globals, ks_session* session, const std::string& key) const;
};

// Output of one command, by the globals.
void print_result(const Globals& globals, const Json& members, std::string_view human_line);

}  // namespace keystile::cli
