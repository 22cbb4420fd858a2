// keystile compact
#include <fmt/format.h>

#include "commands.hpp"
#include "store.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kCompactExamples =
    R"(Writes every key of a durable store into a checkpoint, beside writers, and removes the journal
files that no recovery needs any more. The two newest checkpoints are kept, and the journal from
the older one on. A store that is in use does this by itself from time to time.

Examples:
  keystile compact --store file:/var/lib/team)";

void compact(const Globals& globals) {
    if (!globals.store.starts_with("file:")) {
        throw Failure{ExitCode::usage,
                      fmt::format("{} has no journal: only file: stores have one", globals.store)};
    }
    Store store = Store::attach(globals.store, "compact");
    if (const ks_status status = ks_checkpoint(store.get()); status != KS_OK)
        throw fault(status, globals.store);
    print_result(globals, Json{{"store", globals.store}},
                 fmt::format("{}: a checkpoint was made", globals.store));
}

}  // namespace

void add_compact_command(CLI::App& app, const Globals& globals) {
    CLI::App* const command =
        app.add_subcommand("compact", "Write a checkpoint of a durable store and drop the journal before it");
    command->footer(kCompactExamples);
    command->callback([&globals] { compact(globals); });
}

}  // namespace keystile::cli
