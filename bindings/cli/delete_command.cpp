// keystile del
#include "commands.hpp"
#include "roots.hpp"
#include "write_options.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kDeleteExamples =
    R"(A delete is a commit of "no value": the version goes on growing. Say what was seen, one of:
  --version N --epoch N   a stamp from `get --stamp`
  --claim TOKEN           nobody else can write while the claim holds
  --force                 whatever is there

Exit code 13 if there is no value. Prints the new stamp, which is also the one that writes
the key again.

Examples:
  keystile del jobs/17 --version 3 --epoch 0
  keystile del jobs/17 --force)";

void erase(const Globals& globals, const WriteOptions& options) {
    const std::optional<ks_stamp> given = options.seen.stamp();
    if (given && options.force)
        throw Failure{ExitCode::usage, "--version/--epoch and --force exclude one another"};
    if (given && (options.tries || options.wait_ns)) {
        throw Failure{ExitCode::usage,
                      "--tries and --wait belong to --force or --claim: a given stamp is tried once"};
    }
    require_url(globals.store);
    // By force it is the way out of a value there that is no file's.
    if (!options.force) refuse_file_key(globals.store, key_of(globals, options.key));
    Write write(globals, options, "del");
    if (!given && !options.force && !write.has_grant()) {
        throw Failure{
            ExitCode::usage,
            "which value is to go? Give --version N --epoch N (from `keystile get KEY --stamp`), or "
            "--force to delete whatever is there"};
    }
    const auto remove = [&](ks_stamp seen, ks_receipt& receipt) {
        return ks_delete(write.session(), bytes_of(write.key()), seen, write.commit_options(), &receipt);
    };
    if (!given) {
        return write.print(write.loop().run(
            false, [&](const Read& seen, ks_receipt& receipt) { return remove(seen.stamp, receipt); }));
    }
    ks_receipt receipt{};
    const ks_status status = remove(*given, receipt);
    if (status != KS_OK) throw refusal(status, write.key(), receipt, write.has_grant());
    write.print(receipt);
}

}  // namespace

void add_delete_command(CLI::App& app, const Globals& globals) {
    CLI::App* const command = app.add_subcommand("del", "Delete a key's value");
    const auto options = std::make_shared<WriteOptions>();
    options->add_to(command);
    command->footer(kDeleteExamples);
    command->callback([&globals, options] { erase(globals, *options); });
}

}  // namespace keystile::cli
