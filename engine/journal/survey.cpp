#include "journal/survey.hpp"

#include <algorithm>
#include <cstring>

#include "journal/missing.hpp"

namespace keystile::engine {

namespace {

constexpr int kMarkTries = 8;
constexpr std::uint64_t kUnknownEnd = kRepairedEnd;  // no file is as long

Status look_at_mark(const Directory& directory, Survey& survey) noexcept {
    Status s = read_mark(directory, &survey.mark);
    if (s == Status::kNotFound) s = Status::kOk;
    if (s != Status::kOk) return s;
    for (std::uint64_t place = 0; place < std::size(survey.mark_damage); ++place) {
        Damage& damage = survey.mark_damage[place];
        int tries = 0;  // a writer may be in the middle of it
        do {
            if (s = check_mark_place(directory, place, &damage); s != Status::kOk) return s;
        } while (damage.what != nullptr && ++tries < kMarkTries);
    }
    return Status::kOk;
}

Status look_at_checkpoint(const Directory& directory, Position start,
                          SurveyedCheckpoint* found_out) noexcept {
    CheckpointReader reader;
    found_out->start = start;
    Status s = reader.open(directory, start);
    if (s == Status::kOk) found_out->head = reader.head();
    EntryView entry;
    Finding found = Finding::kEnd;
    while (s == Status::kOk && (found = reader.next(&entry)) == Finding::kOne) ++found_out->entries;
    if (s == Status::kOk && found == Finding::kEnd) found_out->durable = reader.durable();
    if (s == Status::kOk && found == Finding::kFault) return reader.fault();
    if (s == Status::kJournalCorrupt || found == Finding::kDamaged) {
        found_out->damage = reader.damage();
        s = Status::kOk;
    }
    return s;
}

SurveyedJournal missing(std::uint32_t file, const char* what) noexcept {
    SurveyedJournal journal;
    journal.file = file;
    journal.damage = {0, what};
    journal.is_missing = true;
    return journal;
}

Status look_at_journals(const Directory& directory, const std::vector<std::uint32_t>& numbers,
                        Survey& survey) {
    std::optional<JournalHead> before;  // the nearest sound one
    for (const std::uint32_t number : numbers) {
        // One that is missing stands for all of a gap: their number may be anything.
        if (!survey.journals.empty() && survey.journals.back().file + 1 != number) {
            survey.journals.push_back(missing(survey.journals.back().file + 1, kLaterOneIsThere));
        }
        SurveyedJournal found;
        found.file = number;
        JournalFile journal;
        const Status s = JournalFile::open(directory, number, Access::kReadOnly, &journal, &found.damage);
        if (s == Status::kNoStore) return own_fault(Status::kBusy);
        if (s != Status::kOk && s != Status::kJournalCorrupt) return s;
        if (s == Status::kOk) {
            found.head = journal.head();
            if (survey.store_id != 0 && found.head.store_id != survey.store_id) {
                found.damage.what = "its head is of another store";
            } else if (before) {
                found.damage.what = problem_after(*before, found.head);
            }
        }
        survey.journals.push_back(found);
        if (!found.has_head()) continue;
        survey.store_id = found.head.store_id;
        before = found.head;
    }
    return Status::kOk;
}

// The file that a mark or a checkpoint names, and that is not in the list.
void add_missing(Survey& survey, std::uint32_t file, const char* what) {
    const bool is_there = std::any_of(survey.journals.begin(), survey.journals.end(),
                                      [&](const SurveyedJournal& at) { return at.file >= file; });
    if (!is_there) survey.journals.push_back(missing(file, what));
}

}  // namespace

const SurveyedCheckpoint* Survey::newest_whole() const noexcept {
    for (auto at = checkpoints.rbegin(); at != checkpoints.rend(); ++at) {
        if (at->is_whole()) return &*at;
    }
    return nullptr;
}

JournalPoint Survey::durable() const noexcept {
    JournalPoint highest = mark.durable;
    const auto raise = [&](const JournalPoint& point) {
        if (std::pair(point.file, point.offset) > std::pair(highest.file, highest.offset)) highest = point;
    };
    for (const SurveyedCheckpoint& checkpoint : checkpoints) {
        if (checkpoint.is_whole()) raise(checkpoint.durable);
    }
    for (const SurveyedJournal& journal : journals) {
        if (journal.has_head()) raise({journal.head.start, journal.file, kJournalHeadBytes});
    }
    return highest;
}

std::uint64_t Survey::durable_to(std::size_t index, bool* is_end_out) const noexcept {
    *is_end_out = false;
    if (index + 1 < journals.size()) {
        const SurveyedJournal& next = journals[index + 1];
        if (!next.has_head() || next.head.end_before == kRepairedEnd) return kUnknownEnd;
        *is_end_out = true;
        return next.head.end_before;
    }
    const JournalPoint known = durable();
    return known.file == journals[index].file ? known.offset : 0;
}

Status survey(const Directory& directory, Survey* survey_out) {
    *survey_out = {};
    Survey& found = *survey_out;
    DirectoryListing listing;
    // The mark first: what it names is there when the list is made.
    Status s = look_at_mark(directory, found);
    if (s == Status::kOk) s = directory.list(&listing);
    if (s != Status::kOk) return s;
    if (listing.journals.empty() && listing.checkpoints.empty() && found.mark.store_id == 0)
        return own_fault(Status::kNoStore);
    for (const Position start : listing.checkpoints) {
        SurveyedCheckpoint checkpoint;
        s = look_at_checkpoint(directory, start, &checkpoint);
        if (s == Status::kNoStore) return own_fault(Status::kBusy);
        if (s != Status::kOk) return s;
        if (checkpoint.is_whole()) found.store_id = checkpoint.head.store_id;
        found.checkpoints.push_back(checkpoint);
    }
    if (s = look_at_journals(directory, listing.journals, found); s != Status::kOk) return s;
    if (found.store_id != 0 && found.mark.store_id != found.store_id) found.mark = {};
    if (found.mark.store_id != 0) add_missing(found, found.mark.durable.file, kMarkNamesIt);
    if (const SurveyedCheckpoint* newest = found.newest_whole(); newest != nullptr) {
        add_missing(found, newest->head.start.file, kCheckpointNamesIt);
        add_missing(found, newest->durable.file, kCheckpointNamesIt);
    }
    return Status::kOk;
}

namespace {

// The next offset behind `from` at which a sound record begins, or `end`.
Status find_record(FileWindow& window, std::uint64_t from, std::uint64_t end, std::uint64_t seed,
                   std::uint64_t* offset_out) noexcept {
    for (std::uint64_t at = from; at + sizeof(disk::RecordHead) <= end; at += 8) {
        const std::byte* bytes = window.at(at, sizeof kRecordMagic);
        if (bytes == nullptr) break;
        if (std::memcmp(bytes, &kRecordMagic, sizeof kRecordMagic) != 0) continue;
        RecordReader reader(window, at, seed);
        if (reader.next() != Finding::kOne) continue;
        *offset_out = at;
        return Status::kOk;
    }
    *offset_out = end;
    return window.status();
}

class Reading {
public:
    Reading(FileWindow& window, const JournalHead& head, std::uint64_t seed, const JournalReading& reading,
            std::uint64_t end)
        : window_(window), head_(head), seed_(seed), reading_(reading), end_(end) {}

    // `needed`: to there, zeros are a gap too.
    Status run(std::uint64_t needed) {
        std::uint64_t at = kJournalHeadBytes;
        while (at < end_) {  // bounded by the file's length
            RecordReader reader(window_, at, seed_);
            const Finding found = reader.next();
            if (found == Finding::kFault) return reader.fault();
            Damage damage = found == Finding::kDamaged ? reader.damage() : Damage{at, nullptr};
            if (found == Finding::kOne) {
                damage.what = problem_of(reader);
                if (damage.what == nullptr) {
                    if (const Status s = visit(reader, at); s != Status::kOk) return s;
                    at = reader.next_offset();
                    continue;
                }
            }
            if (found == Finding::kEnd) {
                if (at >= needed) return Status::kOk;
                damage.what = "records that were on disk are gone";
            }
            std::uint64_t next = 0;
            if (const Status s = find_record(window_, at + 8, end_, seed_, &next); s != Status::kOk) return s;
            reading_.on_gap({at, damage.what}, next);
            at = next;
        }
        if (at < needed) reading_.on_gap({at, "records that were on disk are gone"}, needed);
        return Status::kOk;
    }

private:
    const char* problem_of(const RecordReader& reader) const noexcept {
        if (const char* what = problem_of_position(head_, nullptr, last_, reader.record().position);
            what != nullptr)
            return what;
        return reader.next_offset() > end_ ? "a record goes on behind the file's end" : nullptr;
    }

    Status visit(RecordReader& reader, std::uint64_t at) {
        last_ = reader.record().position;
        reading_.on_record(reader.record(), {last_, head_.file, at});
        EntryView entry;
        Finding found = Finding::kEnd;
        while ((found = reader.next_entry(&entry)) == Finding::kOne)
            reading_.on_entry(reader.record(), entry);
        return found == Finding::kFault ? reader.fault() : Status::kOk;
    }

    FileWindow& window_;
    const JournalHead& head_;
    std::uint64_t seed_;
    const JournalReading& reading_;
    std::uint64_t end_;
    Position last_ = 0;
};

// Of a file whose head is damaged: the incarnation under which a record of it is sound.
JournalHead guess_head(const Survey& survey, std::size_t index, FileWindow& window) noexcept {
    JournalHead head;
    head.store_id = survey.store_id;
    head.file = survey.journals[index].file;
    head.limit = kPositionMax;
    std::uint64_t highest = survey.mark.incarnation;
    for (const SurveyedJournal& journal : survey.journals) {
        if (journal.has_head()) highest = std::max(highest, journal.head.incarnation);
    }
    constexpr std::uint64_t kGuesses = 64;
    highest += 1;
    for (std::uint64_t i = 0; i < std::min(kGuesses, highest); ++i) {
        head.incarnation = highest - i;
        RecordReader reader(window, kJournalHeadBytes,
                            record_seed(head.store_id, head.incarnation, head.file));
        if (reader.next() == Finding::kOne) break;
    }
    return head;
}

}  // namespace

Status read_journal(const Directory& directory, const Survey& survey, std::size_t index,
                    const JournalReading& reading) {
    const SurveyedJournal& journal = survey.journals[index];
    if (journal.is_missing) return Status::kOk;
    DiskFile file;
    FileWindow window;
    Status s = disk_open(directory.path_of(journal_name(journal.file)), Access::kReadOnly, &file);
    if (s == Status::kNoStore) return own_fault(Status::kBusy);
    if (s == Status::kOk) s = window.open(file);
    if (s != Status::kOk) return s;
    const JournalHead head = journal.has_head() ? journal.head : guess_head(survey, index, window);
    bool is_end = false;
    const std::uint64_t durable = survey.durable_to(index, &is_end);
    const std::uint64_t end = is_end ? std::min(durable, window.bytes()) : window.bytes();
    return Reading(window, head, record_seed(head.store_id, head.incarnation, head.file), reading, end)
        .run(durable == kUnknownEnd ? 0 : durable);
}

}  // namespace keystile::engine
