// Committing one key, the direct path of a volatile store.
//
//   judge the word -> remember the old block's id -> look at the word again -> new block: allocate, fill, publish
//   -> session line -> cas16 of the slot word -> free the old block by that id -> wake
//
// Linearization point: the cas16. ExactlyOneWinner and NoLostUpdate: it expects exactly the word that was judged, and no
// value of the word returns (W3). NoStaleApply: epoch and version are in that same word. Lock-free: a lost CAS means that
// somebody's commit, claim or release won. Deaths: rows D1-D6 of docs/RECOVERY.md.
#pragma once

#include "operations/claims.hpp"

namespace keystile::engine {

struct CommitRequest {
    Stamp seen;
    const void* data = nullptr;
    std::size_t size = 0;
    bool is_delete = false;
    bool is_releasing = false;   // with a grant: the epoch moves in the same step
    const Grant* grant = nullptr;
};

// kOk, kConflict, kFenced, kHeld; kNotFound (delete of nothing); kGrant, kFull, kExhausted, kCorrupt, kDestroyed.
Status commit(Session& session, shm::Slot& slot, const CommitRequest& request, Receipt* receipt_out) noexcept;

}  // namespace keystile::engine
