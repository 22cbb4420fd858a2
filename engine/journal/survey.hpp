// Every file of a store's directory, looked at each by itself, whatever is wrong with the others: what verify tells and
// repair counts. A scan (scan.hpp) ends at the first damage; this goes on behind it.
#pragma once

#include <functional>

#include "journal/scan.hpp"

namespace keystile::engine {

// The end of the file before, in the head of a file that a repair made: none ends so, so the files before it are
// never taken for its history. Only the checkpoint of that repair leads here. In files that exist: never change.
inline constexpr std::uint64_t kRepairedEnd = 1ull << 62;

struct SurveyedJournal {
    std::uint32_t file = 0;
    JournalHead head;
    Damage damage;  // of the head
    bool is_missing = false;
    bool has_head() const noexcept { return !is_missing && damage.what == nullptr; }
};

struct SurveyedCheckpoint {
    Position start = 0;
    CheckpointHead head;  // store_id 0: unreadable
    JournalPoint durable;
    std::uint64_t entries = 0;
    Damage damage;
    bool is_whole() const noexcept { return damage.what == nullptr; }
};

struct Survey {
    std::uint64_t store_id = 0;
    Mark mark;  // store_id 0: there is none, or a stranger's
    Damage mark_damage[2];
    std::vector<SurveyedCheckpoint> checkpoints;  // ascending
    std::vector<SurveyedJournal> journals;        // ascending, with those that are missing in between

    const SurveyedCheckpoint* newest_whole() const noexcept;
    // To where the records of journals[index] were on disk for sure; *is_end_out: and they end there. All of the file,
    // if something names a later one and the next one's head does not say.
    std::uint64_t durable_to(std::size_t index, bool* is_end_out) const noexcept;
    JournalPoint durable() const noexcept;  // the highest that anything says was on disk
};

// kOk, whatever is damaged · kNoStore: nothing is there · kBusy: files were removed under us · the system's faults.
Status survey(const Directory& directory, Survey* survey_out);

// What a reading of one journal file finds.
struct JournalReading {
    std::function<void(const RecordHead&, const JournalPoint&)> on_record;
    std::function<void(const RecordHead&, const EntryView&)> on_entry;
    // [from, to) is no record; what begins at `to` is one again, or nothing is.
    std::function<void(const Damage&, std::uint64_t to)> on_gap;
};
// Every sound record of journals[index] that counts. Behind damage it goes on with the next record that is sound. If
// the head is damaged, its incarnation is guessed from the files around.
Status read_journal(const Directory& directory, const Survey& survey, std::size_t index,
                    const JournalReading& reading);

}  // namespace keystile::engine
