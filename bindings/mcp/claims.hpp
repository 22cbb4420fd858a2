// Detached claims: of whoever has the token, so they outlive the call, this process and the client's connection, and
// end by release or by their lease.
#pragma once

#include <string>

#include "keystile.h"
#include "target.hpp"
#include "tools.hpp"

namespace keystile::mcp {

inline constexpr uint64_t kLeaseSecondsDefault = 60, kLeaseSecondsMax = 86'400;
inline constexpr uint64_t kNsPerSecond = 1'000'000'000;

struct Claimed {
    ks_status status;
    ks_grant grant;
    ks_receipt receipt;
};

// KS_OK · KS_HELD (also after waiting in vain) · faults. Cancelled.
Claimed try_claim(const Workspace& workspace, const Target& target, uint64_t lease_ns, uint64_t wait_ns,
                  const Stop& stop);

std::string token_of(const ks_grant& grant);  // Fault

}  // namespace keystile::mcp
