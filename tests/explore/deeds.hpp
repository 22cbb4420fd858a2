// What simulated processes did and saw, as they were told.
#pragma once

#include "operations/operations.hpp"

namespace keystile::explore {

// A commit: it appends its letter to the value it has seen, or deletes it. Begun and never ended: in doubt, the
// caller died.
struct Deed {
    int process, key;
    char letter;
    engine::Stamp seen;
    bool is_delete = false,
         is_of_many = false;  // one of several keys committed together, under the same letter
    bool is_blind = false;    // whatever the key was by then
    bool is_ended = false;
    engine::Status status = engine::Status::kOk;
    std::uint64_t version = 0;  // the receipt's
    bool is_won() const noexcept { return is_ended && status == engine::Status::kOk; }
    bool is_in_doubt() const noexcept { return !is_ended; }
};

// A value as it was read: so many letters, the last of them.
struct Sight {
    int process, key;
    std::uint64_t version;
    std::size_t letters;
    char last;
    friend bool operator==(const Sight&, const Sight&) = default;
};

struct Claimed {
    int process, key;
    std::uint64_t epoch;
};

}  // namespace keystile::explore
