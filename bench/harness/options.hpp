// What the harness is asked to do.
#pragma once

#include <string>
#include <vector>

#include "rig/work.hpp"

namespace keystile::bench {

struct Options {
    unsigned processes = 2;
    Distribution distribution = Distribution::kZipf;
    Op op = Op::kCommit;
    std::uint32_t keys = kManyKeys;
    std::size_t value_bytes = kValueBytes;
    std::vector<std::string> engines{"keystile", "mutex", "seqlock"};
    double seconds = 2;  // of each engine
    bool is_json = false;
};

}  // namespace keystile::bench
