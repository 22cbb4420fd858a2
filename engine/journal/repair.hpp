// A store that recovery refuses, made one that it takes: the history is cut behind its last sound record, and what it
// was until there becomes a checkpoint of its own. docs/JOURNAL.md.
//
// R1  Nothing is deleted: every file gets a second name in the folder damaged-NNNNNN, on disk, before the first goes.
// R2  Until the checkpoint has its name, recovery refuses the store; from then on it takes the repaired one. So whoever
//     dies in between leaves what a second repair does again, from the same files to the same end.
// R3  Positions go on above, and incarnations behind, all that any file of the directory may have promised, unreadable
//     and missing ones included. (TokenMonotonic)
#pragma once

#include <map>

#include "journal/survey.hpp"

namespace keystile::engine {

// More than one file's promise can be above the one before (operations/writer.hpp: asserted in recover.cpp).
inline constexpr Position kPromisePerFileMax = Position{1} << 34;

struct RepairPlan {
    bool is_needed = false;      // recovery refuses the store
    bool is_unfinished = false;  // a repair is done, but what it replaced has its names still
    FileDamage damage;           // why recovery refuses
    JournalPoint end;            // behind the last record that is kept
    Position last = 0;           // the last commit before that; 0: there is none
    Position checkpoint = 0;     // what the kept history begins with; 0: with its first record
    // Entries of that checkpoint are of later commits than the last that is kept: no older one was whole.
    bool is_mixed = false;
    std::uint64_t kept_records = 0;
    std::map<std::string, Position, std::less<>> keys;  // that are kept, and the version of each

    // What goes, as far as it can be read.
    std::uint64_t lost_records = 0;
    Position lost_first = 0, lost_last = 0;  // readable ones
    Position known_position = 0;  // all below were on disk; what is in between and not readable is lost too
    std::uint64_t unreadable_bytes = 0;
    std::map<std::string, Position> lost_keys;  // and the last lost commit of each

    JournalHead next;                // of the file that the history goes on in
    std::vector<std::string> aside;  // names of the files that are replaced
    std::string folder;              // where they go, in the directory
};

// Changes nothing. kOk · kNoStore · kLayout · kExhausted · kBusy · the system's faults.
Status plan_repair(const Directory& directory, RepairPlan* plan_out);
// Under the directory's exclusive lock since it was planned. kBusy: the files are not those that the plan saw.
Status do_repair(const Directory& directory, RepairPlan plan);

}  // namespace keystile::engine
