#include "operations/writer.hpp"

#include <algorithm>
#include <vector>

namespace keystile::engine {

namespace {

constexpr std::size_t kBufferBytes = 1 << 20;
constexpr std::uint32_t kGrowingFiles = 6;

// What one key's part of a record is made of.
struct Written {
    StoredKey key;
    const shm::Block* block = nullptr;
    EntryHead head;
};

// kOk; kConflict: gone; kNotFound: this entry writes nothing; kCorrupt.
Status read_written(const Segment& segment, const OperationView& operation, std::size_t index,
                    Written* written_out) noexcept {
    OperationEntry entry;
    if (!operation.read(index, &entry)) return Status::kConflict;
    if (entry.fresh == 0) return Status::kNotFound;
    const auto* slot = segment.slot_at(entry.slot);
    written_out->block = segment.at<shm::Block>(entry.fresh);
    if (slot == nullptr || written_out->block == nullptr || !read_key(segment, *slot, &written_out->key))
        return Status::kCorrupt;
    const BlockContent content = unpack_content(peek(written_out->block->head.content));
    const bool is_readable =
        content.kind == BlockKind::kValue && content.size <= kValueBytesMax &&
        segment.at<shm::Block>(entry.fresh, sizeof(shm::Block) + content.size) != nullptr;
    if (!is_readable) return Status::kCorrupt;
    const SlotWord expected(entry.expected);
    const bool is_deleted = (content.flags & kTombstone) != 0;
    written_out->head = {written_out->key.size, content.size, expected.version(),
                         expected.epoch() + (entry.is_released ? 1 : 0),
                         (is_deleted ? static_cast<std::uint32_t>(kEntryDeleted) : 0u) |
                             (entry.is_released ? static_cast<std::uint32_t>(kEntryEpochMoved) : 0u)};
    return Status::kOk;
}

Status put_value(OutBuffer& out, const shm::Block& block, std::uint64_t bytes) noexcept {
    for (std::uint64_t done = 0; done < bytes;) {
        std::byte* to = nullptr;
        std::size_t room = 0;
        if (const Status s = out.room(&to, &room); s != Status::kOk) return s;
        const std::uint64_t piece = std::min<std::uint64_t>(room, bytes - done);
        copy_out(to, reinterpret_cast<const std::byte*>(block.payload) + done, piece);
        out.advance(piece);
        done += piece;
    }
    return Status::kOk;
}

}  // namespace

std::uint64_t bytes_of_file(std::uint32_t file) noexcept {
    if (file == 0 || file > kGrowingFiles) return kJournalBytesDefault;
    return std::min(kFirstFileBytes << (file - 1), kJournalBytesDefault);
}

Writer::Writer(Directory directory)
    : directory_(std::move(directory)),
      memory_(std::make_unique<std::byte[]>(kBufferBytes)),
      out_(memory_.get(), kBufferBytes, drain, this) {}

Status make_file(const Directory& directory, const Segment& segment, const JournalPoint& pending,
                 std::uint64_t bytes) noexcept {
    // To fill one with zeros takes a while.
    JournalFile there;
    Damage damage;
    if (JournalFile::open(directory, pending.file, Access::kReadOnly, &there, &damage) == Status::kOk)
        return directory.sync();
    const shm::Header& header = segment.header();
    const JournalHead head{header.store_id,
                           header.incarnation,
                           pending.file,
                           pending.position,
                           pending.offset & ~kPendingBit,
                           pending.position + kPositionsPromised,
                           wall_ns()};
    return make_journal(directory, head, bytes);
}

Status Writer::enter(const Segment& segment, std::uint32_t file) noexcept {
    Damage damage;
    JournalFile journal;
    if (const Status s = JournalFile::open(directory_, file, Access::kReadWrite, &journal, &damage);
        s != Status::kOk)
        return s;
    // Another store's, made where the directory of this one was removed.
    if (journal.head().store_id != segment.header().store_id) return own_fault(Status::kJournal);
    if (const Status s = file_bytes(journal.file().file(), &bytes_); s != Status::kOk) return s;
    journal_ = std::move(journal);
    written_ = {};
    // A promise counts once it is on disk, as this head is.
    shm::Atomic64& limit = segment.header().position_limit.value;
    std::uint64_t known = peek(limit);
    // order[writer.limit]: relaxed. A number that only grows; partner: publish_operation, which waits if it is too low.
    while (known < journal_.head().limit &&
           !limit.compare_exchange_weak(known, journal_.head().limit, memory_order_relaxed,
                                        memory_order_relaxed)) {
    }
    return Status::kOk;
}

bool Writer::is_there() const noexcept {
    // order[flush.copy]: acquire fence. Partner: arena.fill's release fence: was anything copied from a block that had
    //   been freed, then the ring had gone on before, and the first cell tells (F2).
    boost::atomic_thread_fence(memory_order_acquire);
    return load_cell(*segment_, at_.position).lap() == first_.lap();
}

void Writer::begin(const Segment& segment, const JournalPoint& at) noexcept {
    segment_ = &segment;
    at_ = at;
    first_ = load_cell(segment, at.position);
    offset_ = at.offset;
    out_.clear();
}

Status Writer::drain(void* user, const std::byte* data, std::size_t bytes) noexcept {
    Writer& self = *static_cast<Writer*>(user);
    if (!self.is_there()) return Status::kConflict;
    if (const Status s = self.journal_.write(self.offset_, data, bytes); s != Status::kOk) return s;
    self.offset_ += bytes;
    return Status::kOk;
}

Status Writer::add(const Store& store, Position p, RingCell cell) noexcept {
    const Segment& segment = store.segment;
    OperationView operation;
    if (!operation.open(segment, p, cell)) return Status::kConflict;
    RecordHead head{p, {}, 0, 0};
    if (!operation.read_signature(segment, &head.signature)) return Status::kConflict;
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < operation.count(); ++i) {
        Written written;
        const Status s = read_written(segment, operation, i, &written);
        if (s == Status::kNotFound) continue;
        // What cannot be true is true of nothing, or the block has gone on while it was looked at.
        if (s != Status::kOk) return is_there() && operation.is_still_there() ? s : Status::kConflict;
        ++head.entries;
        bytes += entry_bytes(written.head.key_size, written.head.value_size);
    }
    if (head.entries == 0) return Status::kOk;  // it only compared
    head.bytes = record_bytes(head.signature.label_words(), bytes);
    RecordWriter writer(out_, journal_.seed());
    Status s = writer.begin(head);
    for (std::size_t i = 0; s == Status::kOk && i < operation.count(); ++i) {
        Written written;
        s = read_written(segment, operation, i, &written);
        if (s == Status::kNotFound) {
            s = Status::kOk;
            continue;
        }
        if (s == Status::kOk) s = writer.entry(written.head, written.key.bytes().data);
        if (s == Status::kOk) s = put_value(out_, *written.block, written.head.value_size);
    }
    if (s == Status::kOk) s = writer.end();
    return s == Status::kCorrupt && !is_there() ? Status::kConflict : s;
}

Status Writer::finish(std::uint64_t* offset_out) noexcept {
    if (!is_there()) return Status::kConflict;
    if (out_.bytes() != 0) {
        if (const Status s = out_.drain(); s != Status::kOk) return s;
    }
    *offset_out = offset_;
    return Status::kOk;
}

bool Writer::is_full(const JournalPoint& at) const noexcept {
    return at.offset >= bytes_ || at.position + kPositionsPromised / 2 >= journal_.head().limit;
}

void Writer::mark(const Segment& segment) noexcept {
    const JournalPoint durable = load_durable(segment);
    if ((durable.offset & kPendingBit) != 0) return;       // the next file's head will say it
    if (peek(segment.header().is_destroyed) != 0) return;  // nor may a mark be left of nothing
    // Not needed for safety: a failure leaves an older one.
    (void)write_mark(directory_, Mark{segment.header().store_id, segment.header().incarnation, 0, durable});
}

}  // namespace keystile::engine
