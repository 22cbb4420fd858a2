// Bytes that a command writes: from a file or standard input, whole.
#pragma once

#include <string>

namespace keystile::cli {

bool is_standard_input(const std::string& file);  // empty or "-"

// `file`: or standard input. More than KS_VALUE_SIZE_MAX bytes, or what cannot be read: a Failure.
std::string read_input(const std::string& file);

}  // namespace keystile::cli
