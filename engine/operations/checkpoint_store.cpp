#include "operations/checkpoint_store.hpp"

#include <algorithm>
#include <cerrno>
#include <new>
#include <vector>

#include "operations/flush.hpp"
#include "operations/read.hpp"
#include "operations/resolve.hpp"
#include "operations/writer.hpp"

namespace keystile::engine {

namespace {

constexpr int kFinaliseTries = 64;                      // of what others may keep undone for a moment
constexpr std::uint64_t kJournalBytesMin = 8ull << 20;  // shorter ones are replayed in no time

// K3, and in a file that can be read: so a checkpoint mends a store whose files are damaged, whichever they are. A file
// that is perhaps not made yet is made; if it cannot be: the end of the one before, where the same history goes on.
Status place_on_disk(const Store& store, JournalPoint* place_out) {
    const Directory& directory = store.writer->directory();
    for (int tries = 0; tries < kFinaliseTries; ++tries) {
        const JournalPoint durable = load_durable(store.segment);
        const bool is_pending = (durable.offset & kPendingBit) != 0;
        *place_out = {durable.position, durable.file, is_pending ? kJournalHeadBytes : durable.offset};
        const Status made = is_pending
                                ? make_file(directory, store.segment, durable, bytes_of_file(durable.file))
                                : Status::kOk;
        if (made != Status::kOk) {
            *place_out = {durable.position, durable.file - 1, durable.offset & ~kPendingBit};
            return are_files_sound(directory, durable.file - 1, durable.file - 1) ? Status::kOk : made;
        }
        if (!leave_lost_file(store, durable.file)) return Status::kOk;
    }
    return own_fault(Status::kBusy);
}

// K1: everything below p is decided, finalised and recycled.
Status finalise_below(Segment& segment, Position p) noexcept {
    for (int tries = 0; tries < kFinaliseTries; ++tries) {
        if (ring_head(segment) + 1 >= p) return Status::kOk;
        recycle_up_to(segment, p - 1);
    }
    return own_fault(Status::kBusy);
}

class Walk {
public:
    Walk(const Store& store, CheckpointWriter& writer) noexcept : store_(store), writer_(writer) {}

    Status run() noexcept {
        const Status s = visit_all(store_.segment, Visitor{this, visit, nullptr});
        return status_ != Status::kOk ? status_ : s;
    }

private:
    static bool visit(void* user, shm::Slot& slot) noexcept {
        Walk& self = *static_cast<Walk*>(user);
        try {
            self.status_ = self.write(slot);
        } catch (const std::bad_alloc&) {
            self.status_ = status_of_errno(ENOMEM);
        }
        return self.status_ == Status::kOk;
    }

    Status write(const shm::Slot& slot) {
        StoredKey key;
        if (!read_key(store_.segment, slot, &key)) return Status::kCorrupt;
        ReadResult read = read_slow(store_.segment, slot, value_.data(), value_.size());
        while (read.status == Status::kTooSmall) {  // bounded: values have a largest size
            value_.resize(read.size);
            read = read_slow(store_.segment, slot, value_.data(), value_.size());
        }
        const bool is_deleted = read.status == Status::kNotFound;
        if (read.status != Status::kOk && !is_deleted) return read.status;
        if (read.word.version() == 0) return Status::kOk;  // never written
        const EntryHead head{key.size, is_deleted ? 0 : read.size, read.word.version(), read.word.epoch(),
                             is_deleted ? static_cast<std::uint32_t>(kEntryDeleted) : 0u};
        const Status s = writer_.entry(head, key.bytes().data);
        return s == Status::kOk && head.value_size != 0 ? writer_.out().put(value_.data(), head.value_size)
                                                        : s;
    }

    const Store& store_;
    CheckpointWriter& writer_;
    std::vector<std::byte> value_;
    Status status_ = Status::kOk;
};

Status write_checkpoint(Store& store) {
    Segment& segment = store.segment;
    const Directory& directory = store.writer->directory();
    JournalPoint start;
    Status s = place_on_disk(store, &start);
    if (s == Status::kOk) s = finalise_below(segment, start.position);
    if (s != Status::kOk) return s;

    const shm::Header& header = segment.header();
    CheckpointWriter writer;
    s = writer.begin(directory, {header.store_id, header.incarnation, start,
                                 peek(header.position_limit.value), wall_ns()});
    if (s == Status::kOk) s = Walk(store, writer).run();
    KEYSTILE_CRASH_POINT("operations.checkpoint.before_gate");
    // K2. Behind all that was seen, which was decided before.
    const Position end = ring_tail(segment) + 1;
    if (s == Status::kOk) s = flush(store, end, true);
    if (s != Status::kOk) return s;
    JournalPoint durable;
    s = place_on_disk(store, &durable);
    if (s != Status::kOk) return s;
    if (durable.file < start.file) durable = start;  // the next file is not made: nothing came meanwhile
    if (durable.position < end) return own_fault(Status::kBusy);
    s = writer.finish(durable);
    // Others were faster: as good, but they may have died before they removed anything.
    return s == Status::kOk || s == Status::kExists ? remove_superseded(directory) : s;
}

// How much a recovery would replay, and how large the checkpoint is that it would begin with.
struct Lengths {
    std::uint64_t journal = 0, checkpoint = 0;
};

// Of a journal file that is full. Not there any more: nobody has to replay it.
std::uint64_t length_of(const Directory& directory, std::uint32_t file) {
    DiskFile journal;
    std::uint64_t bytes = 0;
    const Status s = disk_open(directory.path_of(journal_name(file)), Access::kReadOnly, &journal);
    return s == Status::kOk && file_bytes(journal.file(), &bytes) == Status::kOk ? bytes : 0;
}

Status measure(const Store& store, Lengths* lengths_out) {
    const Directory& directory = store.writer->directory();
    DirectoryListing listing;
    if (const Status s = directory.list(&listing); s != Status::kOk) return s;
    JournalPoint start{0, 0, kJournalHeadBytes};
    if (!listing.checkpoints.empty()) {
        CheckpointReader newest;
        const Status s = newest.open(directory, listing.checkpoints.back());
        if (s == Status::kOk) {
            start = newest.head().start;
            if (file_bytes(newest.file().file(), &lengths_out->checkpoint) != Status::kOk)
                return Status::kSystem;
        } else if (s != Status::kNoStore && s != Status::kJournalCorrupt) {
            return s;
        }
    }
    const JournalPoint durable = load_durable(store.segment);
    for (const std::uint32_t file : listing.journals) {
        if (file < start.file) continue;
        const bool is_in_use = file == durable.file && (durable.offset & kPendingBit) == 0;
        const std::uint64_t from = file == start.file ? start.offset : kJournalHeadBytes;
        const std::uint64_t to = is_in_use             ? durable.offset
                                 : file < durable.file ? length_of(directory, file)
                                                       : kJournalHeadBytes;
        lengths_out->journal += to > from ? to - from : 0;
    }
    return Status::kOk;
}

}  // namespace

Status make_checkpoint(Store& store) noexcept {
    if (store.writer == nullptr) return Status::kOk;
    if (store.is_destroyed()) return Status::kDestroyed;
    try {
        return write_checkpoint(store);
    } catch (const std::bad_alloc&) {
        return status_of_errno(ENOMEM);
    }
}

Status make_checkpoint_if_due(Store& store) noexcept {
    if (store.writer == nullptr) return Status::kOk;
    try {
        Lengths lengths;
        const Status s = measure(store, &lengths);
        const bool is_due = lengths.journal > std::max(kJournalBytesMin, lengths.checkpoint);
        return s == Status::kOk && is_due ? write_checkpoint(store) : s;
    } catch (const std::bad_alloc&) {
        return status_of_errno(ENOMEM);
    }
}

}  // namespace keystile::engine
