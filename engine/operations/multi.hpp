// Committing several keys at once: all or nothing, compared at one instant. docs/RING.md, "Author".
//
// Linearization point: the mark COMMITTED of the operation's cell, by whoever sets it. Deaths: rows M1-M9 of
// docs/RECOVERY.md.
#pragma once

#include <algorithm>

#include "operations/commit.hpp"
#include "operations/resolve.hpp"

namespace keystile::engine {

enum class MultiStep : std::uint8_t { kCompare, kPut, kDelete };

// What a key's word was when it was judged good.
struct Judged {
    SlotWord word;
    std::uint64_t old_ctl = 0;
    bool is_void = false;  // there is no value
};

// One key of an operation: what is asked, and what it was told.
struct MultiKey {
    shm::Slot* slot = nullptr;
    Stamp seen;
    bool is_any_version = false;  // `seen` does not count: whatever the key is when it is looked at
    bool is_exact = false;        // kCompare: only if the word is judged.word, whoever claims the key
    MultiStep step = MultiStep::kCompare;
    bool is_releasing = false;  // with a grant
    const Grant* grant = nullptr;
    const void* data = nullptr;
    std::size_t size = 0;

    Status status = Status::kOk;  // kOk, kConflict, kFenced, kHeld, or a fault
    Receipt receipt;              // the word now; kOk of all: the new one
    // commit_multi's own
    Judged judged;
    Ref fresh = 0;  // the block it made, and its ctl
    std::uint64_t fresh_ctl = 0;
};

// Judge a key's word as a single commit would. kOk: key.judged is what an operation may expect. Else what it is told.
Status look(Session& session, MultiKey& key) noexcept;

// R9: whoever helps whoever waits comes to an end, if all take their keys in one order.
inline void sort_by_slot(MultiKey** keys, std::size_t count) noexcept {
    const auto is_before = [](const MultiKey* a, const MultiKey* b) { return a->slot < b->slot; };
    if (KEYSTILE_GUARD("multi.slot_order")) std::sort(keys, keys + count, is_before);
}

// What `keys` point at ascends by slot, each slot once, at most kMultiKeysMax. kOk: all is done. Else nothing
// is: the gravest of what the keys were told: a fault, kFenced, kConflict, kHeld. Faults: kGrant, kFull,
// kExhausted, kCorrupt, kDestroyed.
Status commit_multi(Session& session, MultiKey* const* keys, std::size_t count) noexcept;

}  // namespace keystile::engine
