// JSON schemas of arguments and outcomes, put together from named parts: one word means one thing in every tool.
#pragma once

#include <initializer_list>
#include <string_view>
#include <utility>

#include "json_rpc.hpp"

namespace keystile::mcp::schema {

using Property = std::pair<const char*, Json>;

Json text(const char* description);
Json flag(const char* description);
Json number(const char* description, uint64_t least, uint64_t most);
Json list(Json items, const char* description, uint64_t items_max);

// The arguments that several tools have.
Json key();
Json path();
Json version();
Json epoch();
Json encoding();
Json claim_token();
Json lease_seconds();

// An object of these properties and no others.
Json object(std::initializer_list<Property> properties, std::initializer_list<const char*> required);

// An outcome: these, beside what every outcome may have: status, message, retryable, recover, version, epoch, owner,
// lease_left_ms, code.
Json outcome(std::initializer_list<Property> properties);

// readOnlyHint, destructiveHint, idempotentHint; openWorldHint is false of all: nothing leaves the root.
Json reads();
Json writes(bool is_destructive, bool is_idempotent);

}  // namespace keystile::mcp::schema
