// Read, compute, commit, again if someone else was faster: the loop behind --update, --force and --claim.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "store.hpp"

namespace keystile::cli {

inline constexpr uint64_t kTriesDefault = 1000;
inline constexpr uint64_t kLatestNs = 1'000'000;      // so much later than the lease it is surely over
inline constexpr uint64_t kLivenessNs = 200'000'000;  // an owner's death wakes nobody: look this often

struct WriteLoop {
    ks_session* session;
    std::string key;
    const ks_grant* grant = nullptr;     // commit under this claim
    uint64_t tries_max = kTriesDefault;  // lost to others, then it is ExitCode::busy
    uint64_t wait_ns = 0;                // for someone else's claim to end; 0: ExitCode::held at once

    // One commit of what was computed from `seen`; its status and receipt.
    using Commit = std::function<ks_status(const Read& seen, ks_receipt& receipt)>;

    // `needs_value`: the commit looks at seen.value. Returns on KS_OK; anything else is a Failure.
    ks_receipt run(bool needs_value, const Commit& commit) const;

private:
    // Returns when the claim `epoch` is over, its dead owner or run out lease reclaimed; held or
    // timeout otherwise.
    void await_free(uint64_t epoch, uint64_t deadline_ns) const;
};

}  // namespace keystile::cli
