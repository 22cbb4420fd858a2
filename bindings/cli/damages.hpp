// What is wrong in a durable store's files, as verify, recover and repair tell it: a line each, or a JSON list.
#pragma once

#include <string>
#include <vector>

#include "options.hpp"

namespace keystile::cli {

struct Damages {
    Json list = Json::array();
    std::vector<std::string> lines;

    static void collect(void* damages, const ks_damage* damage);  // a ks_damage_fn
    void print(const Globals& globals) const;                     // the lines, unless --json
};

}  // namespace keystile::cli
