// DIR of the commands about a durable store on disk: verify, recover, repair, flushd, log.
#pragma once

#include <string>

#include "options.hpp"

namespace keystile::cli {

void add_folder_argument(CLI::App* command, std::string& folder);

// The URL of the store in DIR, or, without DIR, of --store. A volatile one is a usage error.
std::string durable_url(const Globals& globals, const std::string& folder);

}  // namespace keystile::cli
