#include "operations/feed.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace keystile::engine {

namespace {

constexpr int kTries = 8;  // of a look at a directory in which others make and remove files
constexpr int kEpochBits = std::bit_width(kEpochMax);

}  // namespace

Status Feed::open_file(std::uint32_t file, JournalFile* journal_out) {
    Damage damage;
    const Status s = JournalFile::open(directory_, file, Access::kReadOnly, journal_out, &damage);
    if (s == Status::kJournalCorrupt) damage_ = {directory_.path_of(journal_name(file)), damage};
    return s;
}

// In the file that is open. If its name is gone, so is what was below it.
Status Feed::damaged(Damage damage) {
    if (!is_named()) return gone();
    damage_ = {journal_.file().path(), damage};
    return own_fault(Status::kJournalCorrupt);
}

// This file, or the next, was removed.
Status Feed::gone() {
    for (int tries = 0; tries < kTries; ++tries) {
        DirectoryListing listing;
        Status s = directory_.list(&listing);
        if (s == Status::kNoStore || (s == Status::kOk && listing.journals.empty()))
            return own_fault(Status::kDestroyed);
        JournalFile first;
        if (s == Status::kOk) s = open_file(listing.journals.front(), &first);
        if (s == Status::kNoStore) continue;
        if (s != Status::kOk) return s;
        if (first.head().store_id != journal_.head().store_id) return own_fault(Status::kDestroyed);
        oldest_ = first.head().start;
        return own_fault(Status::kLagged);
    }
    return own_fault(Status::kBusy);
}

Status Feed::open(const std::string& path, Position from) {
    DirectoryOptions options;
    options.must_exist = options.is_read_only = true;
    Status s = Directory::open(path, options, &directory_);
    if (s != Status::kOk) return s;
    for (int tries = 0; tries < kTries; ++tries) {
        s = find_first_file(from);
        if (s != Status::kBusy) break;
    }
    return s == Status::kOk && from == kFromNow ? skip_to_end() : s;
}

// The last file whose first position is not above `from`; kBusy: it went away meanwhile.
Status Feed::find_first_file(Position from) {
    DirectoryListing listing;
    if (const Status s = directory_.list(&listing); s != Status::kOk) return s;
    if (listing.journals.empty()) return own_fault(Status::kNoStore);
    if (from == kFromOldest) listing.journals.resize(1);
    from_ = from == kFromNow ? 1 : from;
    Status s = Status::kOk;
    for (auto it = listing.journals.rbegin(); it != listing.journals.rend(); ++it) {
        JournalFile journal;
        s = open_file(*it, &journal);
        if (s == Status::kJournalCorrupt && from != kFromNow) continue;  // who begins before it comes to it
        if (s != Status::kOk) return s == Status::kNoStore ? own_fault(Status::kBusy) : s;
        oldest_ = journal.head().start;
        const bool is_first_of_all = journal.head().end_before == 0;
        if (from == kFromOldest || oldest_ <= from || is_first_of_all) return enter(std::move(journal));
        s = own_fault(Status::kLagged);
    }
    return s;
}

Status Feed::skip_to_end() {
    for (int tries = 0; tries < kTries; ++tries) {
        const std::uint32_t file_before = file();
        if (const Status s = look(); s != Status::kOk) return s;
        at_ = std::max(at_, bound_);
        if (is_end_unknown_) {
            durable_end_.wait(UINT64_MAX);
        } else if (file() == file_before && !has_next_) {
            return Status::kOk;
        }
    }
    return own_fault(Status::kBusy);
}

Status Feed::enter(JournalFile journal) {
    journal_ = std::move(journal);
    has_next_ = false;
    at_ = bound_ = kJournalHeadBytes;
    return window_.open(journal_.file());
}

// A next file says where this one ends.
Status Feed::look_at_next(bool* is_there_out) {
    *is_there_out = has_next_;
    if (has_next_) return Status::kOk;
    const Status s = open_file(file() + 1, &next_);
    if (s == Status::kNoStore) return Status::kOk;
    if (s != Status::kOk) return s;
    const JournalHead& head = next_.head();
    if (head.store_id != journal_.head().store_id) return own_fault(Status::kDestroyed);
    if (const char* what = problem_after(journal_.head(), head); what != nullptr) {
        damage_ = {next_.file().path(), {0, what}};
        return own_fault(Status::kJournalCorrupt);
    }
    *is_there_out = has_next_ = true;
    bound_ = std::max(bound_, head.end_before);
    return Status::kOk;
}

// There is no next file. What is on disk of this one; *is_known_out false: it goes on behind it.
Status Feed::look_at_end(bool* is_known_out) {
    JournalPoint end;
    const Status s = durable_end_.look(directory_, &end);
    if (s == Status::kNoStore) return gone();
    if (s != Status::kOk) return s;
    const bool is_pending = (end.offset & kPendingBit) != 0;
    const std::uint32_t in_file = is_pending ? end.file - 1 : end.file;
    *is_known_out = in_file <= file();
    if (in_file == file()) bound_ = std::max(bound_, end.offset & ~kPendingBit);
    const FileDamage& behind = durable_end_.damage();
    is_end_unknown_ = end.position == 0 && behind.is_none();
    if (behind.is_none() || at_ < bound_) return Status::kOk;
    damage_ = behind;
    return own_fault(Status::kJournalCorrupt);
}

// How much of this file may be shown now; or the next one, if this one is at its end.
Status Feed::look() {
    if (!directory_.is_in_place()) return own_fault(Status::kDestroyed);
    is_end_unknown_ = false;
    for (int tries = 0; tries < kTries; ++tries) {
        bool has_next = false, is_known = false;
        Status s = look_at_next(&has_next);
        if (s == Status::kOk && has_next)
            return at_ >= bound_ ? enter(std::move(next_)) : window_.open(journal_.file());
        if (s == Status::kOk && !is_named()) return gone();
        // What is sound before a damaged head is shown before that is told.
        if (s == Status::kJournalCorrupt && look_at_end(&is_known) == Status::kOk && at_ < bound_)
            return window_.open(journal_.file());
        if (s == Status::kOk) s = look_at_end(&is_known);
        if (s != Status::kOk) return s;
        if (is_known) return window_.open(journal_.file());
    }
    if (!is_named()) return gone();
    damage_ = {directory_.path_of(journal_name(file() + 1)), {0, "it is not there, but it is written to"}};
    return own_fault(Status::kJournalCorrupt);
}

Status Feed::copy_record(RecordReader& reader, FeedCommit* commit_out) const {
    const RecordHead& record = reader.record();
    commit_out->position = record.position;
    commit_out->wall_ns = record.signature.word & ~kLabelWordsMask;
    std::memset(commit_out->label, 0, sizeof commit_out->label);
    std::memcpy(commit_out->label, record.signature.label, record.signature.bytes());
    commit_out->label[sizeof commit_out->label - 1] = '\0';
    commit_out->entries.clear();
    commit_out->bytes.clear();
    commit_out->bytes.reserve(record.bytes);  // more than all of it: nothing moves
    const auto keep = [&](const std::byte* data, std::size_t size) -> std::string_view {
        const std::size_t at = commit_out->bytes.size();
        commit_out->bytes.append(reinterpret_cast<const char*>(data), size);
        return {commit_out->bytes.data() + at, size};
    };
    EntryView entry;
    Finding found = Finding::kEnd;
    while ((found = reader.next_entry(&entry)) == Finding::kOne) {
        const EntryHead& head = entry.head;
        commit_out->entries.push_back({keep(entry.key, head.key_size), keep(entry.value, head.value_size),
                                       head.version, journal_.head().incarnation << kEpochBits | head.epoch,
                                       entry.is_deleted()});
    }
    if (found == Finding::kFault) return reader.fault();
    return found == Finding::kEnd ? Status::kOk : own_fault(Status::kJournalCorrupt);
}

// The next record that is to be shown, before the bound. (N2, N3)
Status Feed::read_one(FeedCommit* commit_out, bool* is_found_out) {
    while (at_ < bound_) {  // bounded by the file's length
        RecordReader reader(window_, at_, journal_.seed());
        const Finding found = reader.next();
        if (found == Finding::kFault) return reader.fault();
        if (found == Finding::kEnd) return damaged({at_, "records that were on disk are gone"});
        if (found == Finding::kDamaged) return damaged(reader.damage());
        const Position position = reader.record().position;
        const char* what =
            problem_of_position(journal_.head(), has_next_ ? &next_.head() : nullptr, last_, position);
        if (what == nullptr && reader.next_offset() > bound_) what = "a record goes on behind the file's end";
        if (what != nullptr) return damaged({at_, what});
        if (position >= from_) {
            const Status s = copy_record(reader, commit_out);
            if (s == Status::kJournalCorrupt) return damaged(reader.damage());
            if (s != Status::kOk) return s;
            *is_found_out = true;
        }
        last_ = position;
        at_ = reader.next_offset();
        if (*is_found_out) return Status::kOk;
    }
    return Status::kOk;
}

Status Feed::next(std::uint64_t timeout_ns, FeedCommit* commit_out) {
    const Deadline deadline(timeout_ns);
    for (;;) {  // bounded by the files' number, then by the caller's time
        bool is_found = false;
        Status s = read_one(commit_out, &is_found);
        if (s != Status::kOk) (void)window_.open(journal_.file());  // what could not be read is tried anew
        if (s != Status::kOk || is_found) return s;
        const std::uint32_t file_before = file();
        const std::uint64_t bound_before = bound_;
        if (s = look(); s != Status::kOk) return s;
        if (file() != file_before || bound_ != bound_before) continue;
        const std::uint64_t left_ns = deadline.left_ns();
        if (left_ns == 0) return Status::kTimeout;
        durable_end_.wait(left_ns);
    }
}

}  // namespace keystile::engine
