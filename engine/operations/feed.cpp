#include "operations/feed.hpp"

#include <algorithm>
#include <cstring>
#include <thread>

namespace keystile::engine {

namespace {

constexpr std::uint64_t kPollNs = 1'000'000;  // as a read-only watcher
constexpr int kTries = 8;                     // of a look at a directory in which others remove files
constexpr Position kAll = kPositionMax + 1;
constexpr int kEpochBits = 39;

}  // namespace

Status Feed::damaged(Damage damage) {
    damage_ = {journal_.file().path(), damage};
    return own_fault(Status::kJournalCorrupt);
}

Status Feed::open(const std::string& path, Position from) {
    DirectoryOptions options;
    options.must_exist = options.is_read_only = true;
    if (const Status s = Directory::open(path, options, &directory_); s != Status::kOk) return s;
    for (int tries = 0; tries < kTries; ++tries) {
        const Status s = find_first_file(from);
        if (s != Status::kBusy) return s;
    }
    return own_fault(Status::kBusy);
}

// The last file whose first position is not above `from`; kBusy: it went away meanwhile.
Status Feed::find_first_file(Position from) {
    DirectoryListing listing;
    if (const Status s = directory_.list(&listing); s != Status::kOk) return s;
    if (listing.journals.empty()) return own_fault(Status::kNoStore);
    for (auto it = listing.journals.rbegin(); it != listing.journals.rend(); ++it) {
        const Status s = enter(*it);
        if (s != Status::kOk) return s == Status::kNoStore ? own_fault(Status::kBusy) : s;
        oldest_ = journal_.head().end_before == 0 ? 1 : journal_.head().start;
        if (from == 0 ? *it == listing.journals.front() : oldest_ <= from) {
            from_ = std::max<Position>(from, 1);
            return Status::kOk;
        }
    }
    return own_fault(Status::kLagged);
}

Status Feed::lagged() {
    DirectoryListing listing;
    if (const Status s = directory_.list(&listing); s != Status::kOk) return s;
    JournalFile first;
    Damage damage;
    if (listing.journals.empty()) return own_fault(Status::kDestroyed);
    const Status s =
        JournalFile::open(directory_, listing.journals.front(), Access::kReadOnly, &first, &damage);
    if (s != Status::kOk) return s == Status::kNoStore ? own_fault(Status::kBusy) : s;
    oldest_ = first.head().start;
    return own_fault(Status::kLagged);
}

Status Feed::enter(std::uint32_t file) {
    JournalFile journal;
    Damage damage;
    const Status s = JournalFile::open(directory_, file, Access::kReadOnly, &journal, &damage);
    if (s == Status::kJournalCorrupt) damage_ = {directory_.path_of(journal_name(file)), damage};
    if (s != Status::kOk) return s;
    journal_ = std::move(journal);
    at_ = kJournalHeadBytes;
    end_ = sound_to_ = 0;
    bound_ = 0;  // nothing is known of this file yet
    return window_.open(journal_.file());
}

Status Feed::attach(const std::optional<SegmentPlace>& place) {
    if (!place || !is_reachable(*place)) {
        place_.reset();
        return Status::kOk;
    }
    if (place_ && *place_ == *place) return Status::kOk;
    SegmentOptions options;
    options.must_exist = options.is_read_only = true;
    const std::size_t slash = place->path.rfind('/');
    Segment segment;
    const Status s =
        Segment::open(place->path.substr(0, slash), place->path.substr(slash + 1), options, &segment);
    place_.reset();
    if (s == Status::kNoStore) return Status::kOk;
    if (s != Status::kOk) return s;
    segment_ = std::move(segment);
    place_ = place;
    return Status::kOk;
}

// N1.
Status Feed::read_bound(Bound* bound_out) {
    std::optional<SegmentPlace> place;
    Status s = directory_.read_place(&place);
    if (s == Status::kOk) s = attach(place);
    if (s != Status::kOk) return s;
    if (place_ && has_journal(segment_)) {
        const JournalPoint durable = load_durable(segment_);
        *bound_out = {durable.position, {}, false};
        if ((durable.offset & kPendingBit) == 0) bound_out->known = durable;
        return Status::kOk;
    }
    Mark mark;
    s = read_mark(directory_, &mark);
    if (s != Status::kOk && s != Status::kNotFound) return s;
    if (s == Status::kOk && mark.store_id == journal_.head().store_id)
        *bound_out = {mark.durable.position, mark.durable, false};
    bound_out->is_abandoned = !directory_.is_locked_by_other();
    if (!bound_out->is_abandoned) return Status::kOk;
    // Nobody writes. What the dead wrote may be in the kernel's memory alone.
    bound_out->position = kAll;
    return disk_sync_data(journal_.file());
}

// How much of this file may be shown now; the next one, if this one is at its end.
Status Feed::look() {
    if (!is_at_path(directory_.lock_file(), directory_.path_of("lock"))) return own_fault(Status::kDestroyed);
    Bound bound;
    if (const Status s = read_bound(&bound); s != Status::kOk) return s;
    JournalFile next;
    Damage damage;
    const std::uint32_t file = journal_.head().file;
    const Status s = JournalFile::open(directory_, file + 1, Access::kReadOnly, &next, &damage);
    if (s == Status::kJournalCorrupt) {
        damage_ = {directory_.path_of(journal_name(file + 1)), damage};
        return s;
    }
    if (s == Status::kNoStore) {  // N2
        DirectoryListing listing;
        if (const Status listed = directory_.list(&listing); listed != Status::kOk) return listed;
        if (!listing.journals.empty() && listing.journals.front() > file + 1) return lagged();
    } else if (s != Status::kOk) {
        return s;
    } else {
        if (next.head().store_id != journal_.head().store_id) return own_fault(Status::kDestroyed);
        end_ = next.head().end_before;
        bound.position = next.head().start;  // all below are on disk, and no other is in this file
        bound.known = {next.head().start, file, end_};
    }
    bound_ = bound.position;
    sound_to_ = bound.known.file == file ? bound.known.offset : 0;
    if (s == Status::kOk && at_ >= end_) return enter(file + 1);
    return window_.open(journal_.file());
}

Status Feed::copy_record(RecordReader& reader, FeedCommit* commit_out) {
    const RecordHead& record = reader.record();
    commit_out->position = record.position;
    commit_out->wall_ns = record.signature.word & ~kLabelWordsMask;
    std::memset(commit_out->label, 0, sizeof commit_out->label);
    std::memcpy(commit_out->label, record.signature.label, record.signature.bytes());
    commit_out->label[sizeof commit_out->label - 1] = '\0';
    commit_out->entries.clear();
    EntryView entry;
    Finding found = Finding::kEnd;
    while ((found = reader.next_entry(&entry)) == Finding::kOne) {
        FeedEntry& copy = commit_out->entries.emplace_back();
        copy.key.assign(reinterpret_cast<const char*>(entry.key), entry.head.key_size);
        copy.value.assign(reinterpret_cast<const char*>(entry.value), entry.head.value_size);
        copy.epoch = journal_.head().incarnation << kEpochBits | entry.head.epoch;
        copy.is_deleted = entry.is_deleted();
    }
    if (found == Finding::kFault) return reader.fault();
    return found == Finding::kEnd ? Status::kOk : damaged(reader.damage());
}

// The next record that may be shown, of what was seen by the last look.
Status Feed::read_one(FeedCommit* commit_out, bool* is_found_out) {
    while (end_ == 0 || at_ < end_) {  // bounded by the file's length
        RecordReader reader(window_, at_, journal_.seed());
        const Finding found = reader.next();
        if (found == Finding::kFault) return reader.fault();
        if (found != Finding::kOne || reader.record().position >= bound_) {
            if (at_ >= sound_to_) return Status::kOk;
            return found == Finding::kDamaged
                       ? damaged(reader.damage())
                       : damaged({at_, found == Finding::kEnd ? "records that were on disk are gone"
                                                              : "a record's position is none of its file's"});
        }
        if (reader.record().position >= from_) {
            if (const Status s = copy_record(reader, commit_out); s != Status::kOk) return s;
            from_ = commit_out->position + 1;
            *is_found_out = true;
        }
        at_ = reader.next_offset();
        if (*is_found_out) return Status::kOk;
    }
    return Status::kOk;
}

Status Feed::next(std::uint64_t timeout_ns, FeedCommit* commit_out) {
    const Deadline deadline(timeout_ns);
    bool is_found = false;
    if (bound_ != 0) {
        const std::uint64_t sound_to = sound_to_;
        sound_to_ = 0;  // the window may be of before: judged after a fresh look only
        const Status s = read_one(commit_out, &is_found);
        if (s != Status::kOk || is_found) return s;
        sound_to_ = sound_to;
    }
    for (;;) {  // bounded by the files' number, then by the caller's time
        const std::uint32_t file = journal_.head().file;
        if (const Status s = look(); s != Status::kOk) return s;
        if (journal_.head().file != file) continue;
        if (const Status s = read_one(commit_out, &is_found); s != Status::kOk || is_found) return s;
        if (end_ != 0 && at_ >= end_) continue;
        const std::uint64_t left_ns = deadline.left_ns();
        if (left_ns == 0) return Status::kTimeout;
        // tidy-allow(sleep): who only reads files and cannot write to the segment has no event that could be awaited
        std::this_thread::sleep_for(std::chrono::nanoseconds(std::min(left_ns, kPollNs)));
    }
}

}  // namespace keystile::engine
