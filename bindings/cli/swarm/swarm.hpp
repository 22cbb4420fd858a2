// The command `keystile swarm`: worker processes that count a text together in one store, some stopped or
// killed on the way, and a serial count that shows what was lost. See swarm_options.hpp for what it takes.
#pragma once

#include <CLI/CLI.hpp>

#include "exit_code.hpp"

namespace keystile::cli {

void add_swarm_command(CLI::App& app, ExitCode& exit_code);

}  // namespace keystile::cli
