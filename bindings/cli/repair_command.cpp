// keystile repair
#include <fmt/format.h>

#include "commands.hpp"
#include "damages.hpp"
#include "folder_argument.hpp"
#include "quantity.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kRepairExamples =
    R"(For a durable store that recovery refuses: cuts its history behind the last sound commit. Says
first what is kept and what is lost, and changes nothing without --yes. Nothing is deleted: the
files that are replaced go into the folder damaged-NNNNNN in the store's.

Refused (exit code 12) while anybody has the store open; and while its segment is still in
memory, for that is newer than the files: `keystile compact` writes all of it to new files and
loses nothing. --drop-segment gives it up. Exit code 65 if a repair is needed and was not done.

Examples:
  keystile verify /var/lib/team              which file, where, and what it costs
  keystile repair /var/lib/team              what would be lost
  keystile repair /var/lib/team --yes
  keystile repair /var/lib/team --json | jq -r '.lost_keys[] | .key')";

constexpr size_t kKeysShown = 20;  // --json has all

struct RepairOptions {
    std::string folder;
    bool is_wanted = false;
    bool drops_segment = false;
};

struct Losses {
    Damages damages;
    Json keys = Json::array();
    std::vector<std::string> lines;  // of the first keys
};

void collect_damage(void* user, const ks_damage* damage) {
    Damages::collect(&static_cast<Losses*>(user)->damages, damage);
}

void collect_key(void* user, const ks_lost_key* lost) {
    auto& losses = *static_cast<Losses*>(user);
    const std::string key(static_cast<const char*>(lost->key.data), lost->key.size);
    Json entry;
    add_key(entry, key);
    entry["last_lsn"] = lost->last_lsn;
    losses.keys.push_back(std::move(entry));
    if (losses.lines.size() < kKeysShown)
        losses.lines.push_back(fmt::format("lost: {}, last commit {}", escaped(key), lost->last_lsn));
}

const char* need_name(uint32_t need) {
    switch (need) {
        case KS_REPAIR_NOT_NEEDED:
            return "not_needed";
        case KS_REPAIR_UNFINISHED:
            return "unfinished";
        default:
            return "needed";
    }
}

Json repair_members(const std::string& url, const ks_repair_report& report, const Losses& losses) {
    Json members{{"store", url}, {"need", need_name(report.need)}, {"done", report.is_done != 0}};
    if (report.need == KS_REPAIR_NOT_NEEDED) return members;
    members.update(Json{{"files", report.files}, {"folder", report.folder}});
    if (report.need == KS_REPAIR_UNFINISHED) return members;
    members.update(Json{{"damages", losses.damages.list},
                        {"kept_keys", report.kept_keys},
                        {"kept_last_lsn", report.kept_last_lsn},
                        {"mixed", report.is_mixed != 0},
                        {"lost_commits", report.lost_commits},
                        {"lost_first_lsn", report.lost_first_lsn},
                        {"lost_last_lsn", report.lost_last_lsn},
                        {"lost_keys", losses.keys},
                        {"unreadable_bytes", report.unreadable_bytes},
                        {"unreadable_lsn", report.unreadable_lsn}});
    return members;
}

void print_losses(const Globals& globals, const ks_repair_report& report, const Losses& losses) {
    if (globals.json || globals.quiet) return;
    std::vector<std::string> lines = losses.damages.lines;
    lines.push_back(fmt::format(
        "kept: {}, all commits up to {}{}", count_text(report.kept_keys, "key"), report.kept_last_lsn,
        report.is_mixed != 0 ? "; and later values of some keys, not of one moment" : ""));
    lines.push_back(report.lost_commits == 0
                        ? "lost: no commit that can be read"
                        : fmt::format("lost: {} of {}, {} to {}", count_text(report.lost_commits, "commit"),
                                      count_text(report.lost_keys, "key"), report.lost_first_lsn,
                                      report.lost_last_lsn));
    lines.insert(lines.end(), losses.lines.begin(), losses.lines.end());
    if (report.lost_keys > losses.lines.size()) {
        lines.push_back(fmt::format("lost: {} more; --json tells all",
                                    count_text(report.lost_keys - losses.lines.size(), "key")));
    }
    if (report.unreadable_bytes != 0) {
        lines.push_back(
            fmt::format("unreadable: {} bytes, in which more commits may be", report.unreadable_bytes));
    }
    lines.push_back(fmt::format("aside: {}, into {}", count_text(report.files, "file"), report.folder));
    for (const std::string& line : lines) print_bytes(line + "\n");
    flush_output();
}

Failure refused(ks_status status, const std::string& url) {
    Failure failure = fault(status, url);
    if (status == KS_E_SEGMENT_LEFT)
        failure.message += fmt::format("; keystile compact --store {}, or give it up by --drop-segment", url);
    return failure;
}

void repair(const Globals& globals, const RepairOptions& options) {
    const std::string url = durable_url(globals, options.folder);
    uint32_t flags = options.is_wanted ? KS_REPAIR_DO : 0u;
    if (options.drops_segment) flags |= KS_REPAIR_DROP_SEGMENT;
    Losses losses;
    ks_repair_report report{};
    report.struct_size = sizeof report;
    const ks_status status = ks_repair(url.c_str(), flags, collect_damage, collect_key, &losses, &report);
    if (status != KS_OK) throw refused(status, url);

    Json members = repair_members(url, report, losses);
    if (report.need == KS_REPAIR_NOT_NEEDED)
        return print_result(globals, members, fmt::format("{} needs no repair", url));
    if (report.need == KS_REPAIR_NEEDED) print_losses(globals, report, losses);
    if (report.is_done != 0) {
        return print_result(globals, members,
                            fmt::format("{} is repaired; {} set aside, into {}", url,
                                        count_text(report.files, "file"), report.folder));
    }
    if (report.need == KS_REPAIR_UNFINISHED) {
        return print_result(globals, members,
                            fmt::format("{} is repaired but for {}; --yes sets aside what is old", url,
                                        count_text(report.files, "old file")));
    }
    throw Failure{ExitCode::unusable,
                  fmt::format("{} needs a repair; nothing was changed, --yes does it", url),
                  std::move(members)};
}

}  // namespace

void add_repair_command(CLI::App& app, const Globals& globals) {
    CLI::App* const command =
        app.add_subcommand("repair", "Cut a damaged durable store behind its last sound commit");
    const auto options = std::make_shared<RepairOptions>();
    add_folder_argument(command, options->folder);
    command->add_flag("--yes", options->is_wanted, "Do it; without it only what would be lost is told");
    command->add_flag("--drop-segment", options->drops_segment,
                      "Give up the segment in memory and the commits that only it has");
    command->footer(kRepairExamples);
    command->callback([&globals, options] { repair(globals, *options); });
}

}  // namespace keystile::cli
