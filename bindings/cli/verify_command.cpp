// keystile verify
#include <fmt/format.h>

#include "commands.hpp"
#include "damages.hpp"
#include "folder_argument.hpp"
#include "quantity.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kVerifyExamples =
    R"(Reads every file of a durable store and changes nothing; may run beside writers. Each damage,
one a line, with file and offset:
  loss   below what was known to be on disk: acknowledged commits; the store cannot be recovered
  spare  below it, but recovery does not need it; `keystile compact` writes everything anew
  tail   above it: what a crash leaves. Nobody was told more, and recovery cuts it
Exit code 65 if there is any but tails.

Examples:
  keystile verify /var/lib/team
  keystile verify --json /var/lib/team | jq -r '.damages[] | .path')";

void verify(const Globals& globals, const std::string& folder) {
    const std::string url = durable_url(globals, folder);
    Damages damages;
    ks_verify_report report{};
    report.struct_size = sizeof report;
    const ks_status status = ks_verify(url.c_str(), Damages::collect, &damages, &report);
    if (status != KS_OK && report.problems == 0) throw fault(status, url);

    Json members{{"store", url},
                 {"journals", report.journals},
                 {"records", report.records},
                 {"entries", report.entries},
                 {"checkpoints", report.checkpoints},
                 {"checkpoint_entries", report.checkpoint_entries},
                 {"last_lsn", report.recovery.last_lsn},
                 {"tails", report.tails},
                 {"problems", report.problems},
                 {"damages", damages.list}};
    if (!(globals.quiet && status == KS_OK)) damages.print(globals);
    if (status == KS_OK) {
        return print_result(
            globals, members,
            fmt::format("{} is sound: {} in {}, {}, up to lsn {}", url, count_text(report.records, "commit"),
                        count_text(report.journals, "journal file"),
                        count_text(report.checkpoints, "checkpoint"), report.recovery.last_lsn));
    }
    members["code"] = ks_status_name(status);
    const bool is_refused = report.recovery.status != KS_OK;
    throw Failure{exit_code_of(status),
                  fmt::format("{}: {}{}", url, count_text(report.problems, "problem"),
                              is_refused ? "; `keystile repair` says what can be kept" : ""),
                  std::move(members)};
}

}  // namespace

void add_verify_command(CLI::App& app, const Globals& globals) {
    CLI::App* const command = app.add_subcommand("verify", "Read every file of a durable store and judge it");
    const auto folder = std::make_shared<std::string>();
    add_folder_argument(command, *folder);
    command->footer(kVerifyExamples);
    command->callback([&globals, folder] { verify(globals, *folder); });
}

}  // namespace keystile::cli
