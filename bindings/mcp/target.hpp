// What a call is about: a piece of state by its key, or a file by its path. Both are keys of the one store, so claims
// and gates hold of both alike.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "arguments.hpp"
#include "file_keys.hpp"
#include "keystile.h"
#include "workspace.hpp"

namespace keystile::mcp {

struct Target {
    std::string key;   // in the store
    std::string name;  // the key or path as the caller says it
    bool is_file = false;
};

using cli::is_reserved;
using cli::kDiskPrefix;
using cli::kFilePrefix;

Target file_target(const Workspace& workspace, const std::string& path);  // in its one spelling
Target state_target(Arguments& arguments);                                // by "key"
Target any_target(const Workspace& workspace, Arguments& arguments);      // by "key" or "path"
void add_target(Json& object, const Target& target);                      // "key" or "path"
void add_named(Json& object, std::string_view store_key);                 // the same
std::optional<ks_grant> grant_of(ks_session* session, const Target& target,
                                 Arguments& arguments);  // by "claim"
ks_grant parse_grant(ks_session* session, const Target& target, const std::string& token);

}  // namespace keystile::mcp
