// Opening a durable store: the directory first, then the segment it names, or, if that is gone or of before a reboot, a
// new one made from the history on disk. docs/JOURNAL.md.
//
// U1  A segment is made privately and gets its name whole, under the exclusive lock of the directory: a recovery that
//     dies leaves nothing but a hidden file.
// U2  Each recovery is a new incarnation, and positions go on at the promised limit: no version is issued twice.
//     (TokenMonotonic)
#pragma once

#include "journal/journal.hpp"
#include "operations/store.hpp"

namespace keystile::engine {

// What a recovery found: for whoever opens, and for people.
struct Recovery {
    bool was_needed = false;
    HistoryEnd history;
};

// Statuses as open_store, and: kDirectoryInUse (another boot or mount namespace has it open), kNetworkFileSystem,
// kJournalCorrupt (recovery_out tells where), kJournal, kBusy (somebody recovers it, and does not come to an end).
Status open_durable_store(const std::string& path, const std::string& segment_folder,
                          const SegmentOptions& options, const std::string& label, Store* store_out,
                          Recovery* recovery_out);

// Is the segment that the directory names of this boot, still that file, and with this directory's name? A copy of a
// directory names the segment of what it was copied from.
bool is_reachable(const Directory& directory, const SegmentPlace& place);

// Everything of it. kInUse while it is open anywhere; with force: where its segment can be seen, all who have it open
// are told (kDestroyed). A crash inside leaves less of it, and a second call the rest.
Status destroy_durable_store(const std::string& path, bool is_forced);

// The segment that the directory names, if it is of this boot and still there: while it is, it is the store, whatever
// the files say.
Status find_segment(const Directory& directory, std::optional<SegmentPlace>* place_out);

// What is known of the segment that the directory names.
enum class SegmentSight {
    kNone,  // none of this boot, or it is gone
    kSeen,  // there: it is the store
    kUnseen,  // of this boot, on a file system that is not at its path here: another mount namespace may have it
};

// A repair that was planned. Until it is let go nobody else can open the store.
struct StoreRepair {
    Directory directory;
    CloseOnFork on_fork;  // of the directory's lock
    RepairPlan plan;
    std::optional<SegmentPlace> place;  // what the directory says
    SegmentSight segment = SegmentSight::kNone;
};
// Changes nothing. As plan_repair, and: kInUse while it is open anywhere.
Status plan_store_repair(const std::string& path, StoreRepair* repair_out);
// The segment too goes, with what it holds: it would be taken for the store still, and knows nothing of the new files.
// One that cannot be seen is no longer named: nobody attaches it again.
Status do_store_repair(StoreRepair& repair);

}  // namespace keystile::engine
