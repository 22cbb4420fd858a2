// Reaping: what a dead participant's sessions had in flight is finished by whoever proved the death.
//
// X1  Only proven death allows it; everything else in the engine goes on without asking who lives.
// X2  Per session O(1): its line (a replaced block not freed yet) and its holdings (slot, key block, node,
//     two value blocks).
// X3  Every step is a CAS from an exact value that never returns: two reapers, or a reaper that died and
//     another, do no harm. What was copied of a record counts only if its state is unchanged after the copy.
#pragma once

#include "operations/store.hpp"

namespace keystile::engine {

// Look at up to `looks` participants and reap those that are dead. Returns how many were buried.
std::uint32_t reap_dead(Segment& segment, ParticipantId self_id, std::uint32_t looks) noexcept;

// Does the one place that may name this published block, by its own kind, name it? For the reaper and for
// `check`.
bool is_block_reachable(const Segment& segment, const shm::BlockHead& head) noexcept;

}  // namespace keystile::engine
