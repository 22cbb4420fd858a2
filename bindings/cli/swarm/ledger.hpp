// Read a value, compute a new one, write it: the one thing the workers do, with and without the engine's
// guard.
//
// Guarded: the commit names what was read, so a value that changed meanwhile is read and computed again.
// Unguarded: the value is written over whatever is there by then, as a plain read-then-write does; what
// others wrote meanwhile is lost.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "swarm/scoreboard.hpp"
#include "swarm/store.hpp"
#include "swarm/swarm_options.hpp"

namespace keystile::cli::swarm {

class Ledger {
public:
    Ledger(const Lane& lane, WorkerScore& score, const Options& options)
        : lane_(lane), score_(score), options_(options) {}

    // `recompute` changes the value in place and answers true, or false if there is nothing to write.
    void update(std::string_view key, const std::function<bool(std::string&)>& recompute);

    // Writes over whatever is there. The commit's lsn.
    uint64_t overwrite(std::string_view key, std::string_view value);

    // One ks_commit: timed (CLOCK_MONOTONIC around the call, whatever it answers), and counted if it was
    // done.
    ks_status commit(std::string_view key, ks_stamp seen, std::string_view value,
                     const ks_commit_options* options, ks_receipt& receipt_out);

private:
    bool try_commit(std::string_view key, ks_stamp seen, std::string_view value);

    const Lane& lane_;
    WorkerScore& score_;
    const Options& options_;
    std::string value_;
};

}  // namespace keystile::cli::swarm
