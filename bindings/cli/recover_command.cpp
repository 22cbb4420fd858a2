// keystile recover
#include <fmt/format.h>

#include "commands.hpp"
#include "damages.hpp"
#include "folder_argument.hpp"
#include "quantity.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kRecoverExamples =
    R"(After a reboot, or when a store's segment is gone, whoever opens the store first makes a new
one from the files. This does it now, and says what was found: nobody has to wait for it later.
With --dry-run it says what would be found, reads every file and changes nothing; it may run
beside writers. Exit code 65 if the files are damaged below what was on disk: recovery refuses.

Examples:
  keystile recover --dry-run /var/lib/team
  keystile recover /var/lib/team
  keystile recover --json /var/lib/team | jq .last_lsn)";

Json recovery_members(const std::string& url, const ks_recovery& recovery) {
    Json members{{"store", url},
                 {"needed", recovery.is_needed != 0},
                 {"incarnation", recovery.incarnation},
                 {"checkpoint_lsn", recovery.checkpoint_lsn},
                 {"checkpoint_entries", recovery.checkpoint_entries},
                 {"records", recovery.records},
                 {"entries", recovery.entries},
                 {"last_lsn", recovery.last_lsn},
                 {"end_file", fmt::format("journal-{:06x}", recovery.end_file)},
                 {"end_offset", recovery.end_offset},
                 {"cut", nullptr}};
    if (recovery.cut != nullptr) members["cut"] = recovery.cut;
    return members;
}

std::string found_text(const ks_recovery& recovery) {
    const std::string base =
        recovery.checkpoint_lsn == 0
            ? "no checkpoint"
            : fmt::format("a checkpoint of {}, from {} on", count_text(recovery.checkpoint_entries, "key"),
                          recovery.checkpoint_lsn);
    std::string text =
        fmt::format("{}, {} (entries: {}), up to lsn {} (journal-{:06x}, offset {}), incarnation {}", base,
                    count_text(recovery.records, "commit"), recovery.entries, recovery.last_lsn,
                    recovery.end_file, recovery.end_offset, recovery.incarnation);
    if (recovery.cut != nullptr) text += fmt::format("; cut behind that: {}", recovery.cut);
    return text;
}

void look_at_recovery(const Globals& globals, const std::string& url) {
    Damages damages;
    ks_verify_report report{};
    report.struct_size = sizeof report;
    const ks_status status = ks_verify(url.c_str(), Damages::collect, &damages, &report);
    if (status != KS_OK && report.problems == 0) throw fault(status, url);
    const ks_recovery& recovery = report.recovery;
    Json members = recovery_members(url, recovery);
    members["dry_run"] = true;
    members["journals"] = report.journals;
    members["checkpoints"] = report.checkpoints;
    members["damages"] = damages.list;
    if (!globals.quiet) damages.print(globals);
    const std::string files = fmt::format("{}, {}", count_text(report.journals, "journal file"),
                                          count_text(report.checkpoints, "checkpoint"));
    if (recovery.status != KS_OK) {
        members["code"] = ks_status_name(recovery.status);
        throw Failure{exit_code_of(recovery.status),
                      fmt::format("{}: recovery refuses: {}: {}; `keystile repair` says what can be kept",
                                  url, files, found_text(recovery)),
                      std::move(members)};
    }
    print_result(
        globals, members,
        fmt::format("{}: {}: {}: {}", url,
                    recovery.is_needed != 0 ? "would be recovered" : "is in memory; without its segment",
                    files, found_text(recovery)));
}

void recover(const Globals& globals, const std::string& url) {
    ks_recovery recovery{};
    recovery.struct_size = sizeof recovery;
    ks_open_options options{};
    options.struct_size = sizeof options;
    options.flags = KS_OPEN_MUST_EXIST | KS_OPEN_NO_FLUSHER;
    options.label = "keystile recover";
    options.recovery_out = &recovery;
    const Store store(url, options);
    if (recovery.is_needed == 0) {
        return print_result(globals, Json{{"store", url}, {"needed", false}},
                            fmt::format("{} needs no recovery: it is in memory", url));
    }
    print_result(globals, recovery_members(url, recovery),
                 fmt::format("{} is recovered: {}", url, found_text(recovery)));
}

}  // namespace

void add_recover_command(CLI::App& app, const Globals& globals) {
    CLI::App* const command =
        app.add_subcommand("recover", "Make a durable store ready, and say what was found on disk");
    const auto folder = std::make_shared<std::string>();
    const auto is_dry = std::make_shared<bool>(false);
    add_folder_argument(command, *folder);
    command->add_flag("--dry-run", *is_dry, "Change nothing, only say what would be found");
    command->footer(kRecoverExamples);
    command->callback([&globals, folder, is_dry] {
        const std::string url = durable_url(globals, *folder);
        *is_dry ? look_at_recovery(globals, url) : recover(globals, url);
    });
}

}  // namespace keystile::cli
