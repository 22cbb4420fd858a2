// The commands, one function a group: each adds its subcommands to `app`. Globals outlive the app's
// callbacks.
#pragma once

#include <string>
#include <vector>

#include "options.hpp"

namespace keystile::cli {

void add_store_commands(CLI::App& app, const Globals& globals);  // create, destroy
void add_check_command(CLI::App& app, const Globals& globals);
void add_compact_command(CLI::App& app, const Globals& globals);
void add_verify_command(CLI::App& app, const Globals& globals);
void add_recover_command(CLI::App& app, const Globals& globals);
void add_repair_command(CLI::App& app, const Globals& globals);
void add_flushd_command(CLI::App& app, const Globals& globals);
void add_log_command(CLI::App& app, const Globals& globals);
void add_stat_command(CLI::App& app, const Globals& globals);
void add_get_command(CLI::App& app, const Globals& globals);
void add_list_command(CLI::App& app, const Globals& globals);
void add_watch_command(CLI::App& app, const Globals& globals);
void add_put_command(CLI::App& app, const Globals& globals);
void add_delete_command(CLI::App& app, const Globals& globals);
void add_multi_command(CLI::App& app, const Globals& globals);
void add_files_command(CLI::App& app, const Globals& globals);
void add_snapshot_commands(CLI::App& app, const Globals& globals);  // snapshot, export
void add_import_command(CLI::App& app, const Globals& globals);
void add_claim_commands(CLI::App& app, const Globals& globals);  // renew, release, reclaim
void add_mcp_command(CLI::App& app);

// `claim KEY -- CMD...`: `cmd` is what stood behind the dashes, `exit_status` what CMD left behind.
void add_claim_command(CLI::App& app, const Globals& globals, const std::vector<std::string>& cmd,
                       int& exit_status);

}  // namespace keystile::cli
