// What `keystile multi` is asked for: a line each, checked before the store is opened.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "keystile.h"

namespace keystile::cli {

struct Step {
    enum class Kind { put, expect, erase, release };

    Kind kind;
    size_t line;
    std::string key;
    std::string value;             // put
    std::optional<ks_stamp> seen;  // what the key must be at; expect always has one
    std::string token;             // act under this claim; empty: without
    bool gives_back = false;       // the claim, too
};

// The word for it in what multi prints.
std::string_view name_of(Step::Kind kind);

// Throws Failure, with the line's number, at whatever ks_multi_* would refuse by its form alone.
std::vector<Step> read_steps(const std::string& file);

}  // namespace keystile::cli
