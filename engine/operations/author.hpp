// What the author of an operation does once it is written down. docs/RING.md, "Author".
#pragma once

#include "operations/resolve.hpp"

namespace keystile::engine {

// 0. Off: the position comes before the looks that the operation rests on (R1).
inline Position reserve_early(const Segment& segment) noexcept {
    return KEYSTILE_GUARD("ring.reserve_last") ? 0 : reserve_position(segment);
}

// Into the ring, at a fresh position, or first at `reserved`. kOk: *position_out; from now on it is everybody's.
// kExhausted; kCorrupt: the ring is damaged. After these nobody has seen it.
Status publish_operation(Lane& lane, const BlockGrant& written, Position reserved,
                         Position* position_out) noexcept;

// Bring the published operation to its end. kOk: committed. kBusy: aborted. kCorrupt: the ring does not tell.
Status run_operation(Session& session, Position p) noexcept;

}  // namespace keystile::engine
