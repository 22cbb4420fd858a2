#include "options.hpp"

#include <cstdlib>

#include <fmt/format.h>

#include "quantity.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

using Parse = std::optional<uint64_t> (*)(std::string_view);

CLI::Option* add_quantity(CLI::App* command, const char* name, std::optional<uint64_t>& target,
                          const char* help, Parse parse, const char* type, const char* examples) {
    const std::function<void(const std::string&)> take = [&target, parse, name,
                                                          examples](const std::string& text) {
        target = parse(text);
        if (target) return;
        throw CLI::ValidationError(fmt::format("{}: '{}' is not {}", name, escaped(text), examples));
    };
    return command->add_option_function<std::string>(name, take, help)->type_name(type);
}

std::string_view environment(const char* name) {
    const char* value = getenv(name);
    return value == nullptr ? "" : value;
}

}  // namespace

CLI::Option* add_number(CLI::App* command, const char* name, std::optional<uint64_t>& number,
                        const char* help) {
    return add_quantity(command, name, number, help, parse_number, "N", "a whole number");
}

CLI::Option* add_duration(CLI::App* command, const char* name, std::optional<uint64_t>& ns,
                          const char* help) {
    return add_quantity(command, name, ns, help, parse_duration, "DURATION",
                        "a duration like 500ms, 30s, 5m, 1h or forever");
}

CLI::Option* add_size(CLI::App* command, const char* name, std::optional<uint64_t>& bytes, const char* help) {
    return add_quantity(command, name, bytes, help, parse_size, "SIZE", "a size like 65536, 64M or 8G");
}

void add_key_argument(CLI::App* command, std::string& key) {
    command->add_option("KEY", key, "The key: 1 to 1024 bytes")->required()->type_name("");
}

std::string key_of(const Globals& globals, const std::string& argument) {
    if (!globals.is_key_base64) return argument;
    if (const std::optional<std::string> bytes = from_base64(argument)) return *bytes;
    throw Failure{ExitCode::usage, fmt::format("--key-base64: '{}' is not base64", escaped(argument))};
}

void StampOptions::add_to(CLI::App* command, const char* help) {
    CLI::Option* const version_option = add_number(command, "--version", version, help);
    CLI::Option* const epoch_option = add_number(command, "--epoch", epoch, "Its epoch, printed beside it");
    version_option->needs(epoch_option);
    epoch_option->needs(version_option);
}

std::optional<ks_stamp> StampOptions::stamp() const {
    if (!version || !epoch) return std::nullopt;
    return ks_stamp{*version, *epoch};
}

void ClaimOption::add_to(CLI::App* command) {
    command->add_option("--claim", token, "Act under the claim of this token (from `keystile claim`)")
        ->type_name("TOKEN");
}

std::optional<ks_grant> ClaimOption::grant(const Globals& globals, ks_session* session,
                                           const std::string& key) const {
    std::string used = token;
    if (used.empty() && environment("KEYSTILE_KEY") == key &&
        environment("KEYSTILE_STORE") == globals.store) {
        used = environment("KEYSTILE_CLAIM");
    }
    if (used.empty()) return std::nullopt;
    ks_grant grant{};
    const ks_status status = ks_grant_parse(session, bytes_of(key), used.c_str(), &grant);
    if (status == KS_NOT_FOUND) {
        Json details;
        add_key(details, key);
        throw Failure{ExitCode::not_found,
                      fmt::format("not found: there is no key {}, so no claim of it either", escaped(key)),
                      std::move(details)};
    }
    if (status != KS_OK) throw fault(status, fmt::format("--claim {} for {}", escaped(used), escaped(key)));
    return grant;
}

void print_result(const Globals& globals, const Json& members, std::string_view human_line) {
    print_result(globals.json, members, globals.quiet ? std::string_view{} : human_line);
}

}  // namespace keystile::cli
