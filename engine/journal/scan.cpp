#include "journal/scan.hpp"

#include <algorithm>

#include "journal/scan_plan.hpp"

namespace keystile::engine {

namespace {

class Scan {
public:
    Scan(const Directory& directory, HistoryVisitor& visitor, const ScanPlan& plan, HistoryEnd& end) noexcept
        : directory_(directory), visitor_(visitor), plan_(plan), end_(end) {}

    Status run() noexcept {
        if (plan_.checkpoint) {
            last_ = plan_.checkpoint->start.position - 1;
            if (const Status s = visit_checkpoint(); s != Status::kOk) return s;
        }
        for (std::size_t i = 0; i < plan_.files.size(); ++i) {
            if (const Status s = visit_file(i); s != Status::kOk) return s;
        }
        return plan_.is_cut_short ? own_fault(Status::kJournalCorrupt) : Status::kOk;
    }

private:
    Status damaged(const std::string& path, Damage damage) noexcept {
        end_.damage = {path, damage};
        return own_fault(Status::kJournalCorrupt);
    }

    Status visit_checkpoint() noexcept {
        if (!plan_.checkpoint) return Status::kOk;
        CheckpointReader reader;
        Status s = reader.open(directory_, plan_.checkpoint->start.position);
        if (s == Status::kNoStore) return own_fault(Status::kBusy);
        if (s == Status::kJournalCorrupt) return damaged(reader.file().path(), reader.damage());
        if (s == Status::kOk) s = visitor_.on_checkpoint(reader.head());
        while (s == Status::kOk) {
            EntryView entry;
            switch (reader.next(&entry)) {
                case Finding::kOne:
                    ++end_.checkpoint_entries;
                    end_.last = std::max(end_.last, entry.head.version);
                    s = visitor_.on_checkpoint_entry(entry);
                    break;
                case Finding::kEnd:
                    return Status::kOk;
                case Finding::kDamaged:
                    return damaged(reader.file().path(), reader.damage());
                case Finding::kFault:
                    return reader.fault();
            }
        }
        return s;
    }

    Status visit_file(std::size_t index) noexcept {
        const JournalHead& head = plan_.files[index];
        JournalFile journal;
        FileWindow window;
        Damage damage;
        Status s = JournalFile::open(directory_, head.file, Access::kReadOnly, &journal, &damage);
        if (s == Status::kNoStore) return own_fault(Status::kBusy);
        if (s == Status::kJournalCorrupt) return damaged(directory_.path_of(journal_name(head.file)), damage);
        if (s == Status::kOk) s = window.open(journal.file());
        if (s == Status::kOk) s = visitor_.on_file(head);
        if (s != Status::kOk) return s;

        bool is_end = false;
        const std::uint64_t sound_to = plan_.sound_to(index, &is_end);
        const std::uint64_t begin =
            index == 0 && plan_.checkpoint ? plan_.checkpoint->start.offset : kJournalHeadBytes;
        if (!is_end) end_.known_offset = sound_to;
        RecordReader reader(window, begin, journal.seed());
        end_.end = {std::max(last_ + 1, head.start), head.file, begin};
        while (!is_end || reader.next_offset() < sound_to) {  // bounded by the file's length
            const Finding found = reader.next();
            if (found == Finding::kFault) return reader.fault();
            damage = found == Finding::kDamaged ? reader.damage()
                                                : Damage{reader.offset(), problem_of(found, reader, index)};
            if (damage.what == nullptr && is_end && reader.next_offset() > sound_to)
                damage.what = "a record goes on behind the file's end";
            if (found == Finding::kEnd && reader.offset() < sound_to)
                damage.what = "records that were on disk are gone";
            if (damage.what != nullptr && reader.offset() < sound_to)
                return damaged(journal.file().path(), damage);
            if (damage.what != nullptr) end_.cut = {journal.file().path(), damage};
            if (damage.what != nullptr || found == Finding::kEnd) return Status::kOk;
            if (s = visit_record(reader); s != Status::kOk) return s;
        }
        return begin <= sound_to ? Status::kOk
                                 : damaged(journal.file().path(), {begin, "replay begins behind its end"});
    }

    // What is wrong with a record that is sound in itself.
    const char* problem_of(Finding found, const RecordReader& reader, std::size_t index) const noexcept {
        if (found != Finding::kOne) return nullptr;
        const JournalHead* const next = index + 1 < plan_.files.size() ? &plan_.files[index + 1] : nullptr;
        return problem_of_position(plan_.files[index], next, last_, reader.record().position);
    }

    Status visit_record(RecordReader& reader) noexcept {
        const RecordHead& record = reader.record();
        last_ = record.position;
        Status s = visitor_.on_record(record, {record.position, end_.end.file, reader.offset()});
        EntryView entry;
        Finding found = Finding::kEnd;
        while (s == Status::kOk && (found = reader.next_entry(&entry)) == Finding::kOne) {
            ++end_.entries;
            s = visitor_.on_entry(record, entry);
        }
        if (s == Status::kOk && found == Finding::kDamaged)
            s = damaged(directory_.path_of(journal_name(end_.end.file)), reader.damage());
        if (s == Status::kOk && found == Finding::kFault) s = reader.fault();
        if (s != Status::kOk) return s;
        ++end_.records;
        end_.last = std::max(end_.last, record.position);
        end_.end.position = record.position + 1;
        end_.end.offset = reader.next_offset();
        return Status::kOk;
    }

    const Directory& directory_;
    HistoryVisitor& visitor_;
    const ScanPlan& plan_;
    HistoryEnd& end_;
    Position last_ = 0;
};

}  // namespace

Status scan_history(const Directory& directory, ScanScope scope, HistoryVisitor& visitor,
                    HistoryEnd* end_out) noexcept {
    ScanPlan plan;
    const Status s = plan_scan(directory, scope, std::nullopt, &plan, end_out);
    return s == Status::kOk ? Scan(directory, visitor, plan, *end_out).run() : s;
}

Status scan_prefix(const Directory& directory, Position newest, HistoryVisitor& visitor,
                   HistoryEnd* end_out) noexcept {
    ScanPlan plan;
    const Status s = plan_scan(directory, ScanScope::kReplay, newest, &plan, end_out);
    return s == Status::kOk ? Scan(directory, visitor, plan, *end_out).run() : s;
}

Status secure_end(const Directory& directory, const HistoryEnd& end) noexcept {
    constexpr std::uint64_t kPieceBytes = 1 << 20;
    JournalFile journal;
    FileWindow window;
    Damage damage;
    Status s = JournalFile::open(directory, end.end.file, Access::kReadWrite, &journal, &damage);
    if (s == Status::kOk) s = window.open(journal.file());
    for (std::uint64_t at = std::max(end.known_offset, kJournalHeadBytes);
         s == Status::kOk && at < end.end.offset;) {
        const std::uint64_t bytes = std::min(kPieceBytes, end.end.offset - at);
        const std::byte* piece = window.at(at, bytes);
        if (piece == nullptr)
            return window.status() != Status::kOk ? window.status() : own_fault(Status::kJournalCorrupt);
        s = journal.write(at, piece, bytes);
        at += bytes;
    }
    return s == Status::kOk ? journal.sync_data() : s;
}

}  // namespace keystile::engine
