// A consistent cut: what given keys had at one instant, copied out. Writes no shared memory in its first, usual way.
//
// N1  Two collects of (word, what it stands for) with nothing changed between them: at every instant between the two,
//     each key had just that. (No word returns, W3; a decision, once seen, stays.)
// N2  If writers keep changing them, a compare-only operation of all the keys decides it: committed, they were together
//     at its mark. At most kMultiKeysMax keys, and not in a read-only store.
#pragma once

#include "operations/multi.hpp"
#include "operations/read.hpp"

namespace keystile::engine {

// One key of a cut. The caller gives the slot; slot == nullptr: a key that has none, and so no value.
struct CutKey {
    shm::Slot* slot = nullptr;
    SlotWord found;         // the raw word of the last collect
    SlotWord clean;         // what it stood for
    void* value = nullptr;  // of `size` bytes, by `room`
    std::size_t size = 0;
    bool has_value = false;
};

// Where a value of so many bytes goes; nullptr: out of memory. Called again for the same key if it grew.
using RoomFn = void* (*)(void* user, std::size_t index, std::size_t bytes);

// kOk; kBusy: they kept changing; kMemory, kCorrupt. Throws std::bad_alloc.
Status cut(Session& session, CutKey* keys, std::size_t count, RoomFn room, void* user);

}  // namespace keystile::engine
