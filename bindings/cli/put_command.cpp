// keystile put
#include <fmt/format.h>

#include "commands.hpp"
#include "input.hpp"
#include "process.hpp"
#include "roots.hpp"
#include "text.hpp"
#include "write_options.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kPutExamples =
    R"(The value comes from --value, --file, or standard input. Say what it was computed from, one of:
  --version N --epoch N   a stamp from `get --stamp`: nobody's change is overwritten unseen
  --update CMD            read, run CMD, commit, again if someone was faster: the whole loop
  --create                the key was never written (or, with a claim: has version 0)
  --claim TOKEN           nobody else can write while the claim holds
  --force                 whatever is there; the last writer wins

CMD is run by /bin/sh -c with the old value on standard input and the new one expected on
its standard output. It finds KEYSTILE_KEY, KEYSTILE_STORE, KEYSTILE_VERSION, KEYSTILE_EPOCH
and KEYSTILE_FOUND (1 if there is an old value, else 0). If it exits with anything but 0,
nothing is committed (exit code 16).

Prints the new stamp: version=N epoch=N.

Examples:
  keystile put greeting --value hello --create
  keystile put config --file config.toml --version 7 --epoch 4
  keystile put counter --update 'read n; echo $((n + 1))'
  keystile put state --update 'jq -c ".done += 1"' --wait 10s
  keystile put report --claim "$token" --release < report.pdf)";

struct PutOptions : WriteOptions {
    std::optional<std::string> value;
    std::string file;
    std::string update;
    bool create = false;
};

constexpr const char* kWhatWasSeen =
    "what was the value computed from? Give --version N --epoch N (from `keystile get KEY --stamp`), or let "
    "--update CMD "
    "do the whole loop; --create if the key is new; --force to overwrite whatever is there";

std::string value_of(const PutOptions& options) {
    return options.value ? *options.value : read_input(options.file);
}

void require_sensible(const PutOptions& options) {
    const auto usage = [](const char* message) { throw Failure{ExitCode::usage, message}; };
    const bool is_update = !options.update.empty();
    const bool has_stamp = options.seen.stamp().has_value();
    if (int{has_stamp} + int{is_update} + int{options.create} + int{options.force} > 1) {
        usage("--version/--epoch, --update, --create and --force exclude one another");
    }
    if (int{options.value.has_value()} + int{!options.file.empty()} + int{is_update} > 1) {
        usage("--value, --file and --update exclude one another");
    }
    if ((options.tries || options.wait_ns) && (has_stamp || options.create)) {
        usage("--tries and --wait belong to --update, --force or --claim: a given stamp is tried once");
    }
}

std::string computed(const Globals& globals, const std::string& command, const Read& seen,
                     const Write& write) {
    Environment environment({{"KEYSTILE_STORE", globals.store},
                             {"KEYSTILE_KEY", environment_key(write.key())},
                             {"KEYSTILE_VERSION", fmt::to_string(seen.stamp.version)},
                             {"KEYSTILE_EPOCH", fmt::to_string(seen.stamp.epoch)},
                             {"KEYSTILE_FOUND", seen.is_found ? "1" : "0"},
                             {"KEYSTILE_CLAIM", write.token()}});
    Filtered result = run_filter(command, seen.value, KS_VALUE_SIZE_MAX, environment);
    const char* const reason =
        result.output.size() > KS_VALUE_SIZE_MAX ? "its output is larger than 16 MiB" : nullptr;
    if (reason == nullptr && result.wait_status == 0) return std::move(result.output);
    Json details;
    add_key(details, write.key());
    if (reason == nullptr) details["cmd_exit_code"] = exit_status_of(result.wait_status);
    throw Failure{ExitCode::aborted,
                  fmt::format("aborted: CMD {}; nothing was committed",
                              reason != nullptr ? reason : ending_text(result.wait_status)),
                  std::move(details)};
}

void put(const Globals& globals, const PutOptions& options) {
    require_sensible(options);
    require_url(globals.store);
    refuse_file_key(globals.store, key_of(globals, options.key));
    Write write(globals, options, "put");
    const auto commit = [&](ks_stamp seen, const std::string& value, ks_receipt& receipt) {
        return ks_commit(write.session(), bytes_of(write.key()), seen, bytes_of(value),
                         write.commit_options(), &receipt);
    };
    if (!options.update.empty()) {
        return write.print(write.loop().run(true, [&](const Read& seen, ks_receipt& receipt) {
            return commit(seen.stamp, computed(globals, options.update, seen, write), receipt);
        }));
    }
    const std::optional<ks_stamp> given = options.create ? ks_stamp{} : options.seen.stamp();
    if (!given && !options.force && !write.has_grant()) throw Failure{ExitCode::usage, kWhatWasSeen};
    const std::string value = value_of(options);
    if (!given) {
        return write.print(write.loop().run(false, [&](const Read& seen, ks_receipt& receipt) {
            return commit(seen.stamp, value, receipt);
        }));
    }
    ks_receipt receipt{};
    const ks_status status = commit(*given, value, receipt);
    if (status != KS_OK) throw refusal(status, write.key(), receipt, write.has_grant());
    write.print(receipt);
}

}  // namespace

void add_put_command(CLI::App& app, const Globals& globals) {
    CLI::App* const command = app.add_subcommand("put", "Commit a value computed from what was seen");
    const auto options = std::make_shared<PutOptions>();
    command->add_option("--value", options->value, "The value itself")->type_name("TEXT");
    command->add_option("--file", options->file, "The value is in this file; - is standard input")
        ->type_name("FILE");
    options->add_to(command);
    command->add_option("--update", options->update, "Compute the value by CMD from the old one")
        ->type_name("CMD");
    command->add_flag("--create", options->create, "The key was never written");
    command->footer(kPutExamples);
    command->callback([&globals, options] { put(globals, *options); });
}

}  // namespace keystile::cli
