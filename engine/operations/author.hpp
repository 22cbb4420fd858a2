// What the author of an operation does once it is written down. docs/RING.md, "Author".
#pragma once

#include "operations/resolve.hpp"

namespace keystile::engine {

// 0. Off: the position comes before the looks that the operation rests on (R1).
inline Position reserve_early(const Segment& segment) noexcept {
    return KEYSTILE_GUARD("ring.reserve_last") ? 0 : reserve_position(segment);
}

// Bytes behind an operation's own for its author's label: none without a journal.
inline std::uint64_t signature_bytes(const Store& store) noexcept {
    return store.label.bytes();
}
// `body`: where the operation's own bytes end.
inline void sign_operation(const Store& store, shm::Atomic64& signature, void* body) noexcept {
    if (!has_journal(store.segment)) return;
    poke(signature, (wall_ns() & ~kLabelWordsMask) | store.label.word);
    copy_in(body, store.label.label, store.label.bytes());
}

// Into the ring, at a fresh position, or first at `reserved`. kOk: *position_out; from now on it is everybody's.
// kExhausted; kCorrupt: the ring is damaged; kJournal, kFull: it is full of what cannot be written. After these nobody
// has seen it.
Status publish_operation(Session& session, const BlockGrant& written, Position reserved,
                         Position* position_out) noexcept;

// Recycle what is next to go: mostly one's own, or what waited for it.
void recycle_behind(Segment& segment, Lane& lane) noexcept;

// Bring the published operation to its end. kOk: committed. kBusy: aborted. kCorrupt: the ring does not tell.
Status run_operation(Session& session, Position p) noexcept;

}  // namespace keystile::engine
