// Bringing the ring's history to disk. By anybody, at any time; docs/JOURNAL.md.
//
// F1  What lies at an offset of a journal file is a function of decided cells alone: so late, doubled and dead
//     flushers write the same bytes to the same place. (PrefixDurable)
// F2  Nothing is written that was copied from an operation which may have been recycled meanwhile.
// F3  `durable` is raised only after a good fdatasync of the file it names, by somebody who wrote, through his own
//     descriptor, everything between it and its new place: of what others wrote the kernel may have told others, once,
//     that it could not. (AckedSurvives)
// F4  A file of which a write or a sync failed is left, for good, by whoever was told; no other is.
// Threads: any; those of one process flush one after the other. A death anywhere leaves bytes that the next one writes
// again.
#pragma once

#include "operations/store.hpp"

namespace keystile::engine {

// Everything below `end` is written to the file; `is_synced`: and on disk. The tail, if `end` is beyond it.
// kOk; kJournal, kFull: the disk said no, commits go on until the ring is full; kCorrupt; kMemory.
Status flush(Store& store, Position end, bool is_synced) noexcept;
inline Status flush_all(Store& store) noexcept {
    return flush(store, ring_tail(store.segment) + 1, true);
}

// A journal file that is gone, or whose head is damaged, is left, as F4 says, and the history goes on in the next one:
// for a checkpoint, which brings what was in it to disk anew. Whoever only flushes is told. False: it is neither.
bool leave_lost_file(const Store& store, std::uint32_t file) noexcept;

// Until the commit at p is on disk. Whoever waits flushes, unless somebody is at it. kOk, kTimeout, faults as flush.
Status wait_durable(Store& store, Position p, std::uint64_t timeout_ns) noexcept;

}  // namespace keystile::engine
