#include "journal/repair.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "journal/journal_file.hpp"

namespace keystile::engine {

namespace {

std::string_view name_of(const EntryView& entry) noexcept {
    return {reinterpret_cast<const char*>(entry.key), entry.head.key_size};
}
std::string key_of(const EntryView& entry) {
    return std::string(name_of(entry));
}

using Versions = decltype(RepairPlan::keys);

// Which version of each key is the last after what a scan shows. The values stay where they are.
struct Replay final : HistoryVisitor {
    Status on_checkpoint_entry(const EntryView& entry) noexcept override {
        newest_entry = std::max(newest_entry, entry.head.version);
        return note(entry, entry.head.version);
    }
    Status on_entry(const RecordHead& record, const EntryView& entry) noexcept override {
        return note(entry, record.position);
    }
    Status note(const EntryView& entry, Position version) noexcept {
        if (version == 0) return Status::kOk;  // no commit's
        try {
            Position& last = keys[key_of(entry)];
            last = std::max(last, version);
            return Status::kOk;
        } catch (const std::bad_alloc&) {
            return status_of_errno(ENOMEM);
        }
    }
    Versions keys;
    Position newest_entry = 0;
};

// The same scan again, and each key's last version into a checkpoint: the first that is shown, for what a checkpoint
// saw too is told twice.
class Rewrite final : public HistoryVisitor {
public:
    Rewrite(Versions& keys, CheckpointWriter& writer) noexcept : keys_(keys), writer_(writer) {}

    Status on_checkpoint_entry(const EntryView& entry) noexcept override {
        return put(entry, entry.head.version);
    }
    Status on_entry(const RecordHead& record, const EntryView& entry) noexcept override {
        return put(entry, record.position);
    }

private:
    Status put(const EntryView& entry, Position version) noexcept {
        const auto at = keys_.find(name_of(entry));
        if (at == keys_.end() || at->second != version) return Status::kOk;
        at->second = kWritten;
        EntryHead head = entry.head;
        head.version = version;
        head.flags = entry.is_deleted() ? std::uint32_t{kEntryDeleted} : 0;
        const Status s = writer_.entry(head, entry.key);
        return s == Status::kOk ? writer_.out().put(entry.value, head.value_size) : s;
    }

    static constexpr Position kWritten = 0;  // no version
    Versions& keys_;
    CheckpointWriter& writer_;
};

class RepairPlanner {
public:
    RepairPlanner(const Directory& directory, RepairPlan& plan) : directory_(directory), plan_(plan) {}

    Status run() {
        if (const Status s = survey(directory_, &survey_); s != Status::kOk) return s;
        Blind nobody;
        HistoryEnd end;
        const Status s = scan_history(directory_, ScanScope::kReplay, nobody, &end);
        if (s != Status::kOk && s != Status::kJournalCorrupt) return s;
        plan_.is_needed = s == Status::kJournalCorrupt;
        plan_.damage = end.damage;
        if (plan_.is_needed) forget_unfinished();
        if (const Status chosen = plan_.is_needed ? choose_end() : keep_all(end); chosen != Status::kOk)
            return chosen;
        if (!plan_.is_needed && !plan_.is_unfinished) return Status::kOk;
        name_files();
        if (!plan_.is_needed) return Status::kOk;
        if (const Status counted = count_losses(); counted != Status::kOk) return counted;
        return promise();
    }

private:
    // The file of a repair that died before its checkpoint had a name: this one makes the same.
    void forget_unfinished() {
        if (survey_.journals.empty()) return;
        const SurveyedJournal& last = survey_.journals.back();
        if (last.has_head() && last.head.end_before == kRepairedEnd && !is_named(last.file))
            survey_.journals.pop_back();
    }
    bool is_named(std::uint32_t file) const {
        return std::any_of(survey_.checkpoints.begin(), survey_.checkpoints.end(),
                           [&](const auto& checkpoint) {
                               return checkpoint.head.store_id != 0 && checkpoint.head.start.file >= file;
                           });
    }

    Status keep_all(const HistoryEnd& end) {
        plan_.end = end.end;
        plan_.checkpoint = end.checkpoint;
        plan_.kept_records = end.records;
        const SurveyedCheckpoint* newest = survey_.newest_whole();
        if (newest == nullptr) return Status::kOk;
        for (const SurveyedJournal& journal : survey_.journals) {
            if (journal.file == newest->head.start.file && journal.has_head() &&
                journal.head.end_before == kRepairedEnd) {
                plan_.next = journal.head;
                plan_.is_unfinished = survey_.journals.front().file < journal.file ||
                                      survey_.checkpoints.front().start < newest->start;
            }
        }
        return Status::kOk;
    }

    // From the newest whole checkpoint on, or an older one, or the first record: what goes furthest, and is what the
    // store was at one moment. Only if none is: the newest checkpoint.
    Status choose_end() {
        std::vector<Position> bases;
        for (auto at = survey_.checkpoints.rbegin(); at != survey_.checkpoints.rend(); ++at) {
            if (at->is_whole()) bases.push_back(at->start);
        }
        bases.push_back(0);
        bool is_found = false;
        Replay mixed;
        HistoryEnd mixed_end;
        for (const Position base : bases) {
            Replay replay;
            HistoryEnd end;
            const Status s = scan_prefix(directory_, base, replay, &end);
            if (s != Status::kOk && s != Status::kJournalCorrupt) return s;
            const bool is_one_moment = replay.newest_entry < std::max<Position>(end.end.position, 1);
            if (base == bases.front() && base != 0 && !is_one_moment) {
                mixed = std::move(replay);
                mixed_end = end;
                continue;
            }
            const bool has_begun = base != 0 || end.records != 0;
            if (!is_one_moment || !has_begun || (is_found && end.end.position <= plan_.end.position))
                continue;
            is_found = true;
            keep(replay, end);
        }
        if (is_found || mixed_end.checkpoint == 0) return Status::kOk;
        keep(mixed, mixed_end);
        plan_.is_mixed = true;
        return Status::kOk;
    }
    void keep(Replay& replay, const HistoryEnd& end) {
        plan_.keys.swap(replay.keys);
        plan_.end = end.end;
        // A checkpoint's entries may be of later ones.
        plan_.last = std::min(end.last, std::max<Position>(end.end.position, 1) - 1);
        plan_.checkpoint = end.checkpoint;
        plan_.kept_records = end.records;
    }

    void lose(const std::string& key, Position position) {
        Position& last = plan_.lost_keys[key];
        last = std::max(last, position);
    }

    Status count_losses() {
        const Position first = plan_.end.position;
        plan_.known_position = survey_.durable().position;
        JournalReading reading;
        reading.on_record = [&](const RecordHead& record, const JournalPoint&) {
            if (record.position < first) return;
            ++plan_.lost_records;
            if (plan_.lost_first == 0) plan_.lost_first = record.position;
            plan_.lost_first = std::min(plan_.lost_first, record.position);
            plan_.lost_last = std::max(plan_.lost_last, record.position);
        };
        reading.on_entry = [&](const RecordHead& record, const EntryView& entry) {
            if (record.position >= first) lose(key_of(entry), record.position);
        };
        for (std::size_t i = 0; i < survey_.journals.size(); ++i) {
            reading.on_gap = [&](const Damage& damage, std::uint64_t to) {
                if (survey_.journals[i].file >= plan_.end.file) plan_.unreadable_bytes += to - damage.offset;
            };
            if (const Status s = read_journal(directory_, survey_, i, reading); s != Status::kOk) return s;
        }
        for (const SurveyedCheckpoint& checkpoint : survey_.checkpoints) {
            if (const Status s = count_in(checkpoint); s != Status::kOk) return s;
        }
        return Status::kOk;
    }
    // A checkpoint's entries of later commits than the kept ones; those of the one that is kept stay.
    Status count_in(const SurveyedCheckpoint& checkpoint) {
        if (checkpoint.start == plan_.checkpoint) return Status::kOk;
        CheckpointReader reader;
        const Status s = reader.open(directory_, checkpoint.start);
        if (s == Status::kJournalCorrupt) return Status::kOk;
        if (s != Status::kOk) return s;
        EntryView entry;
        while (reader.next(&entry) == Finding::kOne) {
            if (entry.head.version >= plan_.end.position) lose(key_of(entry), entry.head.version);
        }
        return reader.fault();
    }

    // Above everything that may have been promised. A head that cannot be read promised what its file needed.
    Status promise() {
        JournalHead& next = plan_.next;
        next.store_id = survey_.store_id != 0 ? survey_.store_id : survey_.mark.store_id;
        std::uint64_t unknown = 1;  // one that is gone without a trace
        std::uint32_t known_file = 0;
        const auto raise = [&](std::uint64_t incarnation, Position limit, std::uint32_t file) {
            next.incarnation = std::max(next.incarnation, incarnation);
            next.limit = std::max(next.limit, limit);
            next.file = std::max(next.file, file);
        };
        raise(survey_.mark.incarnation, survey_.mark.durable.position, survey_.mark.durable.file);
        for (const SurveyedCheckpoint& checkpoint : survey_.checkpoints) {
            raise(0, checkpoint.start, 0);
            if (checkpoint.head.store_id != 0)
                raise(checkpoint.head.incarnation, checkpoint.head.limit, checkpoint.head.start.file);
            if (checkpoint.is_whole()) raise(0, checkpoint.durable.position, checkpoint.durable.file);
        }
        for (const SurveyedJournal& journal : survey_.journals) {
            raise(0, 0, journal.file);
            if (!journal.has_head()) continue;
            raise(journal.head.incarnation, journal.head.limit, journal.file);
            known_file = journal.file;
        }
        std::optional<SegmentPlace> place;
        if (const Status s = directory_.read_place(&place); s != Status::kOk) return s;
        if (place && place->store_id == next.store_id) raise(place->incarnation, 0, 0);
        raise(0, std::max(plan_.lost_last, plan_.end.position), 0);
        unknown += next.file - known_file;
        if (next.file >= kJournalFileMax - 1 || unknown >= kPositionMax / kPromisePerFileMax ||
            next.limit + unknown * kPromisePerFileMax > kPositionMax)
            return own_fault(Status::kExhausted);
        next.incarnation += unknown + 1;
        if (next.incarnation >> 24 != 0) return own_fault(Status::kExhausted);
        next.limit += unknown * kPromisePerFileMax;
        next.start = next.limit;
        next.file += 1;
        next.end_before = kRepairedEnd;
        next.wall_ns = wall_ns();
        name_folder();
        return Status::kOk;
    }

    void name_folder() {
        char name[32];
        std::snprintf(name, sizeof name, "damaged-%06" PRIx32, plan_.next.file);
        plan_.folder = name;
    }

    void name_files() {
        // A mark of what was on disk before: it names lower positions than all that comes, and files that go.
        const bool has_mark = survey_.mark.store_id != 0 || survey_.mark_damage[0].what != nullptr;
        if (has_mark && (plan_.is_needed || survey_.mark.durable.position < plan_.next.start))
            plan_.aside.emplace_back("mark");
        for (const SurveyedCheckpoint& checkpoint : survey_.checkpoints) {
            if (plan_.is_needed || checkpoint.start < plan_.next.start)
                plan_.aside.push_back(checkpoint_name(checkpoint.start));
        }
        for (const SurveyedJournal& journal : survey_.journals) {
            if (!journal.is_missing && (plan_.is_needed || journal.file < plan_.next.file))
                plan_.aside.push_back(journal_name(journal.file));
        }
        if (plan_.is_unfinished) name_folder();
    }

    const Directory& directory_;
    RepairPlan& plan_;
    Survey survey_;
};

// The entries of what is kept. Before the new journal file has its name: the scan is the one that was planned.
Status rewrite(const Directory& directory, RepairPlan& plan, CheckpointWriter& writer) {
    Rewrite visitor(plan.keys, writer);
    HistoryEnd end;
    const Status s = scan_prefix(directory, plan.checkpoint, visitor, &end);
    if (s != Status::kOk && s != Status::kJournalCorrupt) return s;
    return writer.entries() == plan.keys.size() ? Status::kOk : own_fault(Status::kBusy);
}

// The history goes on from a checkpoint of what is kept.
Status replace(const Directory& directory, RepairPlan& plan) {
    const JournalHead& next = plan.next;
    const JournalPoint start{next.start, next.file, kJournalHeadBytes};
    CheckpointWriter writer;
    Status s = writer.begin(directory, {next.store_id, next.incarnation, start, next.limit, next.wall_ns});
    if (s == Status::kOk) s = rewrite(directory, plan, writer);
    // Its head alone: recovery refuses a history that it ends, until a checkpoint names it.
    if (s == Status::kOk) s = make_journal(directory, next, kJournalHeadBytes);
    if (s == Status::kOk) s = writer.finish(start);
    return s == Status::kOk ? directory.sync() : s;
}

// A second name in `folder`: its own, or with .1, .2 if another file has that, which a repair that died put there
// before somebody brought this one.
Status name_twice(const std::string& path, const std::string& folder, const std::string& name) {
    for (int n = 0;; ++n) {  // bounded by the names in the folder
        std::string to = folder;
        to.append("/").append(name);
        if (n != 0) to.append(".").append(std::to_string(n));
        Status s = disk_link(path, to);
        if (s != Status::kExists) return s;
        bool is_there = false;
        s = disk_is_same(path, to, &is_there);
        if (s != Status::kOk || is_there) return s;
    }
}

// A second name for each, and those on disk.
Status keep_aside(const Directory& directory, const RepairPlan& plan) {
    const std::string folder = directory.path_of(plan.folder);
    Status s = disk_make_folder(folder, 0700);
    if (s == Status::kExists) s = Status::kOk;
    if (s == Status::kOk) s = directory.sync();
    for (const std::string& name : plan.aside) {
        if (s == Status::kOk) s = name_twice(directory.path_of(name), folder, name);
    }
    return s == Status::kOk ? disk_sync_folder(folder) : s;
}

}  // namespace

Status plan_repair(const Directory& directory, RepairPlan* plan_out) {
    *plan_out = {};
    return RepairPlanner(directory, *plan_out).run();
}

Status do_repair(const Directory& directory, RepairPlan plan) {
    if (!plan.is_needed && !plan.is_unfinished) return Status::kOk;
    Status s = keep_aside(directory, plan);
    if (s == Status::kOk && plan.is_needed) s = replace(directory, plan);
    // From here on recovery takes the new one.
    for (const std::string& name : plan.aside) {
        if (s == Status::kOk) s = disk_unlink(directory.path_of(name));
        if (s == Status::kNoStore) s = Status::kOk;
    }
    return s == Status::kOk ? directory.sync() : s;
}

}  // namespace keystile::engine
