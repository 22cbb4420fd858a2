#include "journal/checkpoint.hpp"

#include <algorithm>
#include <new>

#include "journal/checkpoint_reader.hpp"

namespace keystile::engine {

namespace {

constexpr std::size_t kBufferBytes = 1 << 20;

}  // namespace

CheckpointWriter::~CheckpointWriter() {
    if (file_.is_open() && !is_finished_) disk_unlink(file_.path());
}

Status CheckpointWriter::drain(void* user, const std::byte* data, std::size_t bytes) noexcept {
    auto& self = *static_cast<CheckpointWriter*>(user);
    const Status s = disk_write(self.file_, self.offset_, data, bytes);
    if (s == Status::kOk) self.offset_ += bytes;
    return s;
}

Status CheckpointWriter::begin(const Directory& directory, const CheckpointHead& head) noexcept {
    directory_ = &directory;
    head_ = head;
    memory_.reset(new (std::nothrow) std::byte[kBufferBytes]);
    if (memory_ == nullptr) return status_of_errno(ENOMEM);
    out_ = std::make_unique<OutBuffer>(memory_.get(), kBufferBytes, &drain, this);
    if (const Status s = directory.create_hidden(checkpoint_name(head.start.position), &file_);
        s != Status::kOk)
        return s;
    const disk::CheckpointHead bytes{kCheckpointMagic,    head.store_id,   head.incarnation,
                                     head.start.position, head.start.file, head.start.offset,
                                     head.limit,          head.wall_ns,    0};
    out_->begin_unit(0);
    const Status s = out_->put(&bytes, offsetof(disk::CheckpointHead, checksum));
    return s == Status::kOk ? out_->end_unit() : s;
}

// The entry before has its value now.
Status CheckpointWriter::end_entry() noexcept {
    if (entry_bytes_ == 0) return Status::kOk;
    if (const Status s = out_->pad(); s != Status::kOk) return s;
    if (out_->unit_bytes() != entry_bytes_) return own_fault(Status::kCorrupt);
    return out_->end_unit();
}

Status CheckpointWriter::put(const EntryHead& head, const void* key) noexcept {
    if (const Status s = end_entry(); s != Status::kOk) return s;
    entry_bytes_ = engine::entry_bytes(head.key_size, head.value_size);
    out_->begin_unit(checkpoint_seed(head_.store_id, head_.start.position));
    return put_entry(*out_, head, key);
}

Status CheckpointWriter::entry(const EntryHead& head, const void* key) noexcept {
    ++entries_;
    return put(head, key);
}

Status CheckpointWriter::finish(const JournalPoint& durable) {
    if (durable.position < head_.start.position || durable.file < head_.start.file)
        return own_fault(Status::kCorrupt);
    const std::uint64_t words[] = {durable.position, durable.file, durable.offset};
    Status s = put({.value_size = sizeof words, .version = entries_}, nullptr);
    if (s == Status::kOk) s = out_->put(words, sizeof words);
    if (s == Status::kOk) s = end_entry();
    if (s == Status::kOk) s = out_->drain();
    if (s == Status::kOk) s = disk_sync(file_);
    if (s != Status::kOk) return s;
    return name_it(durable.file);
}

// The first of a name stays, but not one with which no recovery can begin.
Status CheckpointWriter::name_it(std::uint32_t last_file) {
    const std::string name = checkpoint_name(head_.start.position);
    CheckpointReader there;
    Status s = there.open(*directory_, head_.start.position);
    if (s == Status::kOk) s = there.check();
    const bool is_damaged = s == Status::kJournalCorrupt;
    const bool is_unusable =
        is_damaged || (s == Status::kOk && !are_files_sound(*directory_, there.head().start.file, last_file));
    if (s != Status::kOk && s != Status::kNoStore && !is_damaged) return s;
    if (is_unusable && is_at_path(there.file().file(), there.file().path())) {
        // Between that look and this somebody else may have replaced it: then by one as sound as this.
        s = disk_rename(file_.path(), directory_->path_of(name));
        is_finished_ = s == Status::kOk;
        return s == Status::kNoStore ? own_fault(Status::kExists) : s;
    }
    is_finished_ = true;
    return directory_->link_hidden(file_, name);
}

bool are_files_sound(const Directory& directory, std::uint32_t first, std::uint32_t last) {
    JournalHead before;
    for (std::uint32_t file = first; file <= last; ++file) {
        JournalFile journal;
        Damage damage;
        if (JournalFile::open(directory, file, Access::kReadOnly, &journal, &damage) != Status::kOk)
            return false;
        if (file != first && problem_after(before, journal.head()) != nullptr) return false;
        before = journal.head();
    }
    return true;
}

namespace {

// The two that a recovery may need: newest first, by their heads. A damaged one counts as none, and stays until there
// are two good ones above it.
struct Kept {
    int count = 0;
    CheckpointHead oldest;
};

Status find_kept(const Directory& directory, const std::vector<Position>& checkpoints,
                 Kept* kept_out) noexcept {
    for (std::size_t i = checkpoints.size(); i > 0 && kept_out->count < 2; --i) {
        CheckpointReader reader;
        const Status s = reader.open(directory, checkpoints[i - 1]);
        if (s == Status::kOk) {
            ++kept_out->count;
            kept_out->oldest = reader.head();
        } else if (s != Status::kJournalCorrupt && s != Status::kNoStore && s != Status::kSystem) {
            return s;
        }
    }
    return Status::kOk;
}

// Does the one who makes it come too late?
bool is_overtaken(std::string_view hidden, const DirectoryListing& listing, const Kept& kept) noexcept {
    const std::string_view name = name_behind(hidden);
    std::uint32_t file;
    Position start;
    if (parse_journal_name(name, &file)) {
        return file < kept.oldest.start.file ||
               std::binary_search(listing.journals.begin(), listing.journals.end(), file);
    }
    return parse_checkpoint_name(name, &start) && start < kept.oldest.start.position;
}

}  // namespace

Status remove_superseded(const Directory& directory) noexcept {
    DirectoryListing listing;
    Kept kept;
    // Whoever made the checkpoints that are relied on here, they have their names on disk. The list comes first: one
    // that got its name after the sync may lose it with the power.
    Status s = directory.list(&listing);
    if (s == Status::kOk) s = directory.sync();
    if (s == Status::kOk) s = find_kept(directory, listing.checkpoints, &kept);
    if (s != Status::kOk || kept.count < 2) return s;

    const auto remove = [&](const std::string& name) {
        const Status removed = disk_unlink(directory.path_of(name));
        return removed == Status::kNoStore ? Status::kOk : removed;  // gone: others do the same
    };
    for (const Position start : listing.checkpoints) {
        if (s == Status::kOk && start < kept.oldest.start.position) s = remove(checkpoint_name(start));
    }
    for (const std::string& hidden : listing.half_made) {
        if (s == Status::kOk && is_overtaken(hidden, listing, kept)) s = remove(hidden);
    }
    // Ascending, and each gone for good before the next goes: what is left has no gap, wherever we die and whenever the
    // power goes.
    for (const std::uint32_t file : listing.journals) {
        if (s != Status::kOk || file >= kept.oldest.start.file) break;
        s = remove(journal_name(file));
        if (s == Status::kOk) s = directory.sync();
    }
    return s;
}

}  // namespace keystile::engine
