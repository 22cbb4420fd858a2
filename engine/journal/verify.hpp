// Reads every byte of a store's files that means something, and judges it. Changes nothing, takes no lock, runs beside
// writers.
#pragma once

#include "journal/survey.hpp"

namespace keystile::engine {

// What damage costs. The numbers are those of KS_DAMAGE_… (asserted in abi/).
enum class Cost : std::uint32_t {
    kTail =
        0,  // above what was known to be on disk: what a kill or a loss of power leaves. Nobody was told more
    kSpare = 1,  // below, but recovery does not need it: there is a newer whole checkpoint, or a second place
    kLoss = 2    // below, and needed: acknowledged commits. Recovery refuses
};

struct Problem {
    std::string path;
    Damage damage;
    Cost cost = Cost::kTail;
};

struct Verification {
    std::uint64_t checkpoints = 0, checkpoint_entries = 0;
    std::uint64_t journals = 0, records = 0, entries = 0;
    std::vector<Problem> problems;  // tails among them
    HistoryEnd recovery;            // what a recovery would come to now
    Status recovery_status = Status::kOk;
    bool is_sound() const noexcept;  // but for tails
};

// kOk, whatever was found · kNoStore · kLayout · kBusy (files came and went all the time) · the system's faults.
Status verify_history(const Directory& directory, Verification* verification_out);

}  // namespace keystile::engine
