// What a scan will read, decided before anything is visited: which checkpoint, which files, and to where each of them
// must be sound. Private to scan_history().
#pragma once

#include "journal/scan.hpp"

namespace keystile::engine {

struct ScanPlan {
    DirectoryListing listing;
    Mark mark;  // store_id 0: there is none
    std::optional<CheckpointHead> checkpoint;
    JournalPoint checkpoint_durable;
    std::vector<JournalHead> files;  // without a gap, their heads fitting each other
    bool is_cut_short = false;       // damage in end.damage: the files behind these cannot be read

    // To where the records of files[index] must be sound, and whether they end there for sure.
    std::uint64_t sound_to(std::size_t index, bool* is_end_out) const noexcept;
};

// As scan_history(), or, if `newest` is given, as scan_prefix().
Status plan_scan(const Directory& directory, ScanScope scope, std::optional<Position> newest,
                 ScanPlan* plan_out, HistoryEnd* end_out) noexcept;

}  // namespace keystile::engine
