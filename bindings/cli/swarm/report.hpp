// What a run comes to, as a table for people or one JSON object for programs.
#pragma once

#include <string>
#include <string_view>

#include "swarm/run.hpp"

namespace keystile::cli::swarm {

std::string table_of(const Options& options, const Text& text, const Outcome& outcome);
std::string json_of(const Options& options, const Outcome& outcome, std::string_view status);

}  // namespace keystile::cli::swarm
