// Files of the root.
#pragma once

#include <string>

#include "keystile.h"
#include "keystile_files.h"

namespace keystile::mcp {

struct File {
    ks_status status = KS_OK;  // KS_OK · KS_NOT_FOUND · KS_FOREIGN_EDIT
    std::string bytes;
    ks_stamp stamp{};
};

File read_file(ks_files* files, const std::string& path);  // Fault

}  // namespace keystile::mcp
