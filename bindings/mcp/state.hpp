// Values of the store.
#pragma once

#include <string>
#include <string_view>

#include "json_rpc.hpp"
#include "keystile.h"

namespace keystile::mcp {

struct Value {
    bool is_found = false;
    std::string bytes;
    ks_stamp stamp{};  // without a value: what creates it
};

Value read_value(ks_session* session, std::string_view key);  // Fault

}  // namespace keystile::mcp
