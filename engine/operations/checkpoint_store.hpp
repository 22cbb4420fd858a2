// Checkpoints of a store in use, by anybody, while writers run. docs/JOURNAL.md.
//
// K1  Where the replay begins is read first, and everything below it is finalised before a key is looked at: so each
//     key's entry is what the history below says of it, or newer.
// K2  The checkpoint gets its name only when everything it contains is on disk in the journal too: no entry is of a
//     commit that a loss of power undoes. (PrefixDurable)
// K3  Where it begins and ends are places on disk: never in a file that is perhaps not made yet.
// Threads: any. A death leaves a hidden file, and older checkpoints as they were.
#pragma once

#include "operations/store.hpp"

namespace keystile::engine {

// A new checkpoint, and what it replaces is gone. kOk: also where nobody could come between two of the same place.
// kBusy: what lies before it is not finished, however often it is tried; kJournal, kFull, kCorrupt, kMemory, kSystem.
Status make_checkpoint(Store& store) noexcept;

// One, if the journal that a recovery would replay has grown longer than the newest checkpoint is large.
Status make_checkpoint_if_due(Store& store) noexcept;

}  // namespace keystile::engine
