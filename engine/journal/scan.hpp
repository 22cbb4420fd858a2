// The store's history as its directory has it: what recovery replays, and what verify, log and repair look at.
//
// PrefixDurable: what is visited is a prefix of the history, in its order. Whether it ends because the history does
// (kOk), because a tail was never finished (kOk, and `cut` tells), or in damage below what was on disk
// (kJournalCorrupt, and `damage` tells), is decided from what the files say of each other:
//
//   a file that has a next one     must be sound exactly to where the next one's head says that it ends
//   the last one                   must be sound to where the mark, or a checkpoint's end, says that it was on disk
#pragma once

#include "journal/checkpoint_reader.hpp"
#include "journal/mark.hpp"

namespace keystile::engine {

inline constexpr int kLooksMax = 8;  // at a directory in which others make and remove files

// What is not kOk ends the scan.
class HistoryVisitor {
public:
    virtual Status on_checkpoint(const CheckpointHead&) noexcept { return Status::kOk; }
    virtual Status on_checkpoint_entry(const EntryView&) noexcept { return Status::kOk; }
    virtual Status on_file(const JournalHead&) noexcept { return Status::kOk; }
    virtual Status on_record(const RecordHead&, const JournalPoint& at) noexcept {
        (void)at;
        return Status::kOk;
    }
    virtual Status on_entry(const RecordHead&, const EntryView&) noexcept { return Status::kOk; }

protected:
    HistoryVisitor() = default;
    HistoryVisitor(const HistoryVisitor&) = default;
    HistoryVisitor& operator=(const HistoryVisitor&) = default;
    ~HistoryVisitor() = default;
};
// Whoever only asks for the end.
struct Blind final : HistoryVisitor {};

enum class ScanScope {
    kReplay,   // the newest whole checkpoint, then the records from its first position on
    kJournals  // every record of every file there is, and no checkpoint
};

struct FileDamage {
    std::string path;
    Damage damage;
    bool is_none() const noexcept { return damage.what == nullptr; }
};

// What a scan came to. After kJournalCorrupt the records visited are a prefix of the history still, but a checkpoint's
// entries may be of later ones than the last of them.
struct HistoryEnd {
    std::uint64_t store_id = 0;
    std::uint64_t incarnation = 0;  // the highest
    Position limit = 0;             // the highest promise: positions go on there
    std::uint32_t file = 0;         // the highest number in use
    JournalPoint end;               // behind the last record that counts, and where
    Position last = 0;              // the highest position of a commit that counts; 0: there is none
    std::uint64_t known_offset =
        0;                    // to where end.file was known to be on disk: by the mark, or a checkpoint
    Position checkpoint = 0;  // the one that was used, 0 = none
    std::uint64_t checkpoint_entries = 0, records = 0, entries = 0;
    FileDamage damage;          // kJournalCorrupt
    FileDamage cut;             // where the tail that was cut begins, if it has other bytes than zeros
    FileDamage bad_checkpoint;  // the newest that was passed over
};

// kOk · kNoStore (nothing is there yet) · kJournalCorrupt · kLayout · kBusy (files were removed under us: again) · the
// visitor's own · the system's faults. *end_out is filled in as far as it went, always.
Status scan_history(const Directory& directory, ScanScope scope, HistoryVisitor& visitor,
                    HistoryEnd* end_out) noexcept;

// For repair: as scan_history(kReplay), but from the newest whole checkpoint at or before `newest` (0: from the
// history's beginning), and as far as it goes when something behind is missing.
Status scan_prefix(const Directory& directory, Position newest, HistoryVisitor& visitor,
                   HistoryEnd* end_out) noexcept;

// Before a next file says where this one ends: it is on disk to there. What nobody knew to be is written once more, for
// a kernel that could not write a page forgets that it could not, and what a scan reads may be in memory alone.
Status secure_end(const Directory& directory, const HistoryEnd& end) noexcept;

}  // namespace keystile::engine
