// keystile: the command line over keystile.h.
#include <algorithm>
#include <iostream>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "commands.hpp"
#include "help.hpp"
#include "process.hpp"
#include "swarm/swarm.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kFooter = R"(A first tour:
  export KEYSTILE_STORE=shm:demo
  keystile create
  keystile put greeting --value hello --create
  keystile get greeting --json
  keystile put greeting --update 'tr a-z A-Z'
  keystile claim greeting --lease 1m -- sh -c 'keystile put "$KEYSTILE_KEY" --value mine'
  keystile ls
  keystile destroy

Exit codes: 0 ok, 10 conflict, 11 fenced, 12 held, 13 not found, 14 timeout, 15 busy,
            16 CMD failed, 17 lagged, 18 foreign edit, 64 usage, 65 store unusable,
            66 no such store, 70 fault.

`keystile COMMAND --help` says more, with examples; `man keystile` all of it.)";

struct CommandLine {
    std::vector<std::string> words;  // without the program's name
    std::vector<std::string> cmd;    // behind the dashes of `claim KEY -- CMD...`
    bool has_dashes = false;
    std::string command;  // the first word that is no option; empty if there is none
};

CommandLine split(int argc, char** argv) {
    CommandLine line;
    line.words.assign(argv + 1, argv + argc);
    for (size_t i = 0; i < line.words.size() && line.command.empty(); ++i) {
        if (line.words[i] == "--store") {
            ++i;
        } else if (!line.words[i].starts_with('-')) {
            line.command = line.words[i];
        }
    }
    if (line.command == "help" || line.command == "version") {  // as people type them
        line.words.erase(std::find(line.words.begin(), line.words.end(), line.command));
        line.words.push_back("--" + std::exchange(line.command, ""));
    }
    // CMD's words are not ours to read: the parser would take [a,b] for a list, for one.
    const auto dashes = std::find(line.words.begin(), line.words.end(), "--");
    if (line.command == "claim" && dashes != line.words.end()) {
        line.has_dashes = true;
        line.cmd.assign(dashes + 1, line.words.end());
        line.words.erase(dashes, line.words.end());
    }
    // The parser takes `--value=` for an option without its value; scripts write it for --value="$empty".
    for (size_t i = 0; i < line.words.size(); ++i) {
        if (line.words[i] == "--") break;
        if (line.words[i] != "--value=") continue;
        line.words[i] = "--value";
        line.words.insert(line.words.begin() + static_cast<std::ptrdiff_t>(i) + 1, "");
    }
    return line;
}

void add_globals(CLI::App& app, Globals& globals) {
    app.add_option("--store", globals.store, "The store, e.g. shm:demo; or set KEYSTILE_STORE")
        ->envname("KEYSTILE_STORE")
        ->type_name("URL");
    app.add_flag("--json", globals.json, "One JSON object a result, failures too");
    app.add_flag("-q,--quiet", globals.quiet, "Print nothing but what was asked for");
    app.add_flag("--key-base64", globals.is_key_base64,
                 "KEY and PREFIX are base64: for keys no shell can type");
    app.set_version_flag("-V,--version", "keystile " KEYSTILE_VERSION)
        ->description("Print the version of the program");
}

// Who gives these to commands of a folder means something that would not happen.
void refuse_unused(const CommandLine& line) {
    if (line.command != "files" && line.command != "mcp") return;
    for (const std::string& word : line.words) {
        if (word == "--") return;
        const bool is_store = word == "--store" || word.starts_with("--store=");
        if (!is_store && word != "--key-base64") continue;
        throw Failure{ExitCode::usage,
                      fmt::format("{}: {} has no meaning here: {}", line.command, word,
                                  is_store ? "the store lies in the folder of --root" : "a path is itself")};
    }
}

Failure usage_failure(const CLI::App& app, const CommandLine& line, const CLI::ParseError& error) {
    const auto chosen = app.get_subcommands();
    if (chosen.empty() && !line.command.empty()) {
        return {ExitCode::usage,
                fmt::format("there is no command '{}'; see keystile --help", escaped(line.command))};
    }
    std::string name = chosen.empty() ? "" : chosen.front()->get_name();
    if (name == "files") {
        const auto of_files = chosen.front()->get_subcommands();
        const auto left = app.remaining(true);
        if (!of_files.empty()) {
            name += " " + of_files.front()->get_name();
        } else if (!left.empty() && !left.front().starts_with('-')) {
            return {ExitCode::usage, fmt::format("files: there is no command '{}'; see keystile files --help",
                                                 escaped(left.front()))};
        }
    }
    std::string message = name.empty() ? error.what() : fmt::format("{}: {}", name, error.what());
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError)) {
        if (name == "put") message += " (the value goes behind --value, or into standard input)";
        if (name == "claim") message += " (a command to run goes behind --)";
        const bool is_url =
            message.find(": shm:") != std::string::npos || message.find(": file:") != std::string::npos;
        if (is_url) message += " (a store goes behind --store)";
    }
    return {ExitCode::usage,
            fmt::format("{}; see keystile {}--help", escaped(message), name.empty() ? "" : name + " ")};
}

int run(const CommandLine& line) {
    CLI::App app{
        "keystile: processes on one host share keys; of all writers of one version exactly one wins.",
        "keystile"};
    app.formatter(std::make_shared<HelpFormatter>());
    app.footer(kFooter);
    app.set_help_flag("-h,--help", "Print this help, or that of the command before it");
    app.require_subcommand(1);
    app.fallthrough();
    Globals globals;
    add_globals(app, globals);
    int exit_status = 0;
    ExitCode exit_code = ExitCode::ok;
    add_store_commands(app, globals);
    add_get_command(app, globals);
    add_put_command(app, globals);
    add_delete_command(app, globals);
    add_multi_command(app, globals);
    add_files_command(app, globals);
    add_snapshot_commands(app, globals);
    add_import_command(app, globals);
    add_claim_command(app, globals, line.cmd, exit_status);
    add_claim_commands(app, globals);
    add_watch_command(app, globals);
    add_list_command(app, globals);
    add_stat_command(app, globals);
    add_check_command(app, globals);
    add_compact_command(app, globals);
    add_verify_command(app, globals);
    add_recover_command(app, globals);
    add_repair_command(app, globals);
    add_flushd_command(app, globals);
    add_log_command(app, globals);
    add_mcp_command(app);
    add_swarm_command(app, exit_code);
    for (CLI::App* const command : app.get_subcommands({})) command->group("Commands");

    if (line.has_dashes && line.cmd.empty()) {
        throw Failure{ExitCode::usage, "claim KEY -- CMD: there is no CMD behind the dashes"};
    }
    refuse_unused(line);
    if (line.words.empty()) {
        std::cerr << app.help();
        return static_cast<int>(ExitCode::usage);
    }
    try {
        // The parser wants the words from the last to the first.
        app.parse(std::vector<std::string>(line.words.rbegin(), line.words.rend()));
    } catch (const CLI::Success& success) {  // --help, --version
        return app.exit(success);
    } catch (const CLI::ParseError& error) {
        throw usage_failure(app, line, error);
    }
    return exit_code == ExitCode::ok ? exit_status : static_cast<int>(exit_code);
}

int run_and_tell(const CommandLine& line) {
    const auto fail = [&line](const Failure& failure) {
        const bool is_json = std::find(line.words.begin(), line.words.end(), "--json") != line.words.end();
        try {
            print_failure(is_json, failure);
        } catch (const Failure&) {
            return static_cast<int>(
                failure.code);  // standard output is gone: the exit code is all that is left
        }
        return static_cast<int>(failure.code);
    };
    try {
        return run(line);
    } catch (const Failure& failure) {
        return fail(failure);
    } catch (const std::exception& error) {
        return fail({ExitCode::fault, error.what()});
    }
}

}  // namespace
}  // namespace keystile::cli

int main(int argc, char** argv) {
    using namespace keystile::cli;
    ignore_file_size_signal();
    try {
        return run_and_tell(split(argc, argv));
    } catch (...) {  // no memory even to tell what happened
        return static_cast<int>(ExitCode::fault);
    }
}
