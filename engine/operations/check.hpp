// A scan of the whole store that judges and changes nothing. Runs beside writers: what looks wrong is looked
// at again.
#pragma once

#include "operations/store.hpp"

namespace keystile::engine {

struct CheckReport {
    std::uint64_t keys = 0, claimed = 0, deleted = 0;
    std::uint64_t blocks_live = 0, blocks_free = 0, blocks_in_flight = 0, blocks_unreaped = 0;
    std::uint64_t problems = 0;
};

// kOk or kCorrupt; each problem is told to `tell` (may be NULL) in a sentence.
Status check(const Store& store, void (*tell)(void* user, const char* text), void* user,
             CheckReport* report_out);

}  // namespace keystile::engine
