// keystile get
#include <unistd.h>

#include <fmt/format.h>

#include "commands.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kGetExamples =
    R"(The value goes to standard output as it is; on a terminal a line end is added if it has
none. --stamp writes one line `version=N epoch=N` to standard error (a terminal always gets
it), also when the key has no value: that stamp creates it.

Examples:
  keystile get config/limits
  keystile get config/limits --json
  value=$(keystile get counter --stamp 2>stamp) && . ./stamp
  keystile put counter --value $((value + 1)) --version $version --epoch $epoch)";

struct GetOptions {
    std::string key;
    bool wants_stamp = false;
};

void get(const Globals& globals, const GetOptions& options) {
    const std::string key = key_of(globals, options.key);
    Store store = Store::inspect(globals.store);
    const Read seen = read_value(store.session(), key);

    if (!seen.is_found) {
        Json details;
        add_key(details, key);
        add_stamp(details, seen.stamp);
        // Standard error carries the stamp line alone then: the caller evaluates it.
        const bool wants_stamp_line = options.wants_stamp && !globals.json;
        if (wants_stamp_line) fmt::print(stderr, "{}\n", stamp_text(seen.stamp));
        throw Failure{ExitCode::not_found,
                      wants_stamp_line ? "" : fmt::format("not found: {} has no value", escaped(key)),
                      std::move(details)};
    }
    if (globals.json) {
        Json members;
        add_key(members, key);
        add_value(members, seen.value);
        add_stamp(members, seen.stamp);
        return print_result(globals, members, "");
    }
    print_bytes(seen.value);
    const bool is_terminal = isatty(STDOUT_FILENO) != 0;
    if (is_terminal && !seen.value.ends_with('\n')) print_bytes("\n");
    flush_output();
    const bool shows_stamp =
        options.wants_stamp || (is_terminal && isatty(STDERR_FILENO) != 0 && !globals.quiet);
    if (shows_stamp) fmt::print(stderr, "{}\n", stamp_text(seen.stamp));
}

}  // namespace

void add_get_command(CLI::App& app, const Globals& globals) {
    CLI::App* const command = app.add_subcommand("get", "Print a key's value");
    const auto options = std::make_shared<GetOptions>();
    add_key_argument(command, options->key);
    command->add_flag("--stamp", options->wants_stamp, "Print `version=N epoch=N` to standard error");
    command->footer(kGetExamples);
    command->callback([&globals, options] { get(globals, *options); });
}

}  // namespace keystile::cli
