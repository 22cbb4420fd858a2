#include "operations/checkpoint_store.hpp"

#include <algorithm>
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
JournalPoint place_on_disk(const Store& store) noexcept {
    for (int tries = 0;; ++tries) {
        const JournalPoint durable = load_durable(store.segment);
        const bool is_pending = (durable.offset & kPendingBit) != 0;
        if (is_pending && make_file(store.writer->directory(), store.segment, durable) != Status::kOk)
            return {durable.position, durable.file - 1, durable.offset & ~kPendingBit};
        if (tries < kFinaliseTries && leave_lost_file(store, durable.file)) continue;
        return {durable.position, durable.file, is_pending ? kJournalHeadBytes : durable.offset};
    }
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

}  // namespace

Status make_checkpoint(Store& store) noexcept {
    if (store.writer == nullptr) return Status::kOk;
    Segment& segment = store.segment;
    const Directory& directory = store.writer->directory();
    const JournalPoint start = place_on_disk(store);
    if (const Status s = finalise_below(segment, start.position); s != Status::kOk) return s;

    const shm::Header& header = segment.header();
    CheckpointWriter writer;
    Status s = writer.begin(directory, {header.store_id, header.incarnation, start,
                                        peek(header.position_limit.value), wall_ns()});
    if (s == Status::kOk) s = Walk(store, writer).run();
    KEYSTILE_CRASH_POINT("operations.checkpoint.before_gate");
    // K2. Behind all that was seen, which was decided before.
    const Position end = ring_tail(segment) + 1;
    if (s == Status::kOk) s = flush(store, end, true);
    if (s != Status::kOk) return s;
    const JournalPoint durable = place_on_disk(store);
    if (durable.position < end) return own_fault(Status::kBusy);
    s = remove_unusable(directory, start.position);
    if (s == Status::kOk) s = writer.finish(durable);
    // Others were faster: as good, but they may have died before they removed anything.
    return s == Status::kOk || s == Status::kExists ? remove_superseded(directory) : s;
}

Status make_checkpoint_if_due(Store& store) noexcept {
    if (store.writer == nullptr) return Status::kOk;
    const Directory& directory = store.writer->directory();
    DirectoryListing listing;
    if (const Status s = directory.list(&listing); s != Status::kOk) return s;
    std::uint32_t first = 0;
    std::uint64_t checkpoint_bytes = 0;
    if (!listing.checkpoints.empty()) {
        CheckpointReader newest;
        const Status s = newest.open(directory, listing.checkpoints.back());
        if (s == Status::kOk) {
            first = newest.head().start.file;
            if (file_bytes(newest.file().file(), &checkpoint_bytes) != Status::kOk) return Status::kSystem;
        } else if (s != Status::kNoStore && s != Status::kJournalCorrupt) {
            return s;
        }
    }
    std::uint64_t journal_bytes = 0;
    for (const std::uint32_t file : listing.journals) {
        if (file >= first) journal_bytes += bytes_of_file(file);
    }
    return journal_bytes > std::max(kJournalBytesMin, checkpoint_bytes) ? make_checkpoint(store)
                                                                        : Status::kOk;
}

}  // namespace keystile::engine
