#include "operations/recover.hpp"

#include <array>
#include <cstring>

#include "operations/commit.hpp"
#include "operations/find_many.hpp"
#include "operations/writer.hpp"

namespace keystile::engine {

namespace {

// A file's promise begins at most at the one before, rounded up to a lap.
static_assert(kPromisePerFileMax >= 2 * kPositionsPromised);

// Puts what the history says into a store that nobody else sees. Small entries are kept until there are some, for most
// of the time goes by waiting for memory, and many can be waited for at once.
class Rebuild final : public HistoryVisitor {
public:
    explicit Rebuild(Session& session) noexcept : session_(session) {}

    Status on_checkpoint_entry(const EntryView& entry) noexcept override {
        return add(entry, entry.head.version);
    }
    Status on_entry(const RecordHead& record, const EntryView& entry) noexcept override {
        return add(entry, record.position);
    }

    // What is kept, in its order. To be called when all is told.
    Status put_kept() noexcept {
        KeyBytes keys[kBatch];
        for (std::size_t i = 0; i < count_; ++i) keys[i] = key_of(kept_[i].entry);
        FoundSlots found;
        find_many(*session_.store, keys, count_, found);
        Status s = Status::kOk;
        for (std::size_t i = 0; s == Status::kOk && i < count_; ++i) {
            s = found.statuses[i];
            if (s == Status::kNotFound)
                s = insert_slot(session_.lane, keys[i], found.hashes[i], &found.slots[i]);
            if (s == Status::kOk) s = put(*found.slots[i], kept_[i].entry, kept_[i].version);
        }
        count_ = 0;
        return s;
    }

private:
    static constexpr std::size_t kSmallBytes = 256;

    struct Kept {
        EntryView entry;  // its bytes are the ones below
        std::uint64_t version;
        std::byte bytes[kSmallBytes];
    };

    static KeyBytes key_of(const EntryView& entry) noexcept { return {entry.key, entry.head.key_size}; }

    Status add(const EntryView& entry, std::uint64_t version) noexcept {
        const std::size_t bytes = std::size_t{entry.head.key_size} + entry.head.value_size;
        Kept& kept = kept_[count_++];
        kept.entry = entry;
        kept.version = version;
        if (bytes > kSmallBytes) return put_kept();  // while its bytes are there
        std::memcpy(kept.bytes, entry.key, entry.head.key_size);
        std::memcpy(kept.bytes + entry.head.key_size, entry.value, entry.head.value_size);
        kept.entry.key = kept.bytes;
        kept.entry.value = kept.bytes + entry.head.key_size;
        return count_ == kBatch ? put_kept() : Status::kOk;
    }

    // If it is newer than what is there: what a checkpoint saw too is told twice.
    Status put(shm::Slot& slot, const EntryView& entry, std::uint64_t version) noexcept {
        Lane& lane = session_.lane;
        const SlotWord word = load_word(slot);
        if (word.version() >= version) return Status::kOk;
        if (version > kVersionMax || entry.head.epoch > kEpochMax - 1) return Status::kJournalCorrupt;

        const std::uint64_t bytes = sizeof(shm::Block) + entry.head.value_size;
        const bool is_in_place = word.ref() != 0 && is_of_class(word.ref(), bytes);
        BlockGrant grant{word.ref(), Status::kOk, 0};
        if (!is_in_place) grant = allocate_value(lane, bytes);
        if (grant.status == Status::kFull) grant = allocate_larger_value(lane, bytes, word.version() == 0);
        if (grant.status != Status::kOk) return grant.status;
        shm::Block* block = fill_value(lane, grant.ref, slot, version, entry.value, entry.head.value_size,
                                       entry.is_deleted() ? kTombstone : 0);
        if (block == nullptr) return Status::kCorrupt;
        if (!is_in_place) publish(block->head, grant.ctl);
        // No claim outlives an incarnation: up to even.
        const std::uint64_t epoch = entry.head.epoch + (entry.head.epoch & 1u);
        cas_word(slot, word, SlotWord(version, epoch, grant.ref));
        if (!is_in_place && word.ref() != 0)
            free_exact(lane, word.ref(), peek(lane.segment().at_checked<shm::BlockHead>(word.ref())->ctl));
        return Status::kOk;
    }

    // The block of the key's older value serves again as it is, for nobody has seen it.
    bool is_of_class(Ref ref, std::uint64_t bytes) const noexcept {
        return bytes <= kClassBytesMax && class_at(session_.lane.segment(), ref) == class_of(bytes);
    }

    Session& session_;
    std::size_t count_ = 0;
    std::array<Kept, kBatch> kept_;
};

// The history goes on behind what was promised, in a file of its own.
Status begin_history(const Directory& directory, Segment& segment, const HistoryEnd& end) noexcept {
    shm::Header& header = segment.header();
    if (end.incarnation >= kIncarnationMax || end.file >= kJournalFileMax)
        return own_fault(Status::kExhausted);
    if (end.store_id != 0) header.store_id = end.store_id;
    header.incarnation = end.incarnation + 1;
    segment.start_ring(round_up(end.limit, segment.ring_cells()));
    const JournalPoint pending{ring_tail(segment) + 1, end.file + 1, end.end.offset | kPendingBit};
    const JournalPoint first{pending.position, pending.file, kJournalHeadBytes};
    poke(header.position_limit.value, pending.position + kPositionsPromised);
    // order[recover.begin]: full (locked), and nobody else is here yet; partner: whoever opens the segment by its name.
    cas16(&header.cursor, {}, pack(first));
    cas16(&header.durable, {}, pack(first));
    return make_file(directory, segment, pending, kFirstFileBytes);
}

}  // namespace

Status make_segment(const Directory& directory, const std::string& folder, const std::string& file,
                    const SegmentOptions& options, HistoryEnd* end_out) {
    SegmentOptions making = options;
    making.must_exist = false;
    making.must_create = true;
    making.is_durable = true;
    making.ring_bits = kRingBitsMax;
    const std::string hidden = "." + file + ".making";
    remove_file(folder + "/" + hidden);  // of a recovery that died
    Store store;
    Status s = open_store(folder, hidden, making, "recovery", &store);
    if (s != Status::kOk) return s;
    Session session;
    s = open_session(store, &session);
    if (s == Status::kOk) {
        Rebuild rebuild(session);
        s = scan_history(directory, ScanScope::kReplay, rebuild, end_out);
        if (s == Status::kOk) s = rebuild.put_kept();
        if (s == Status::kNoStore) {
            s = Status::kOk;  // a new one
        } else if (s == Status::kOk) {
            s = secure_end(directory, *end_out);
        }
        close_session(session);
    }
    if (s == Status::kOk) s = begin_history(directory, store.segment, *end_out);
    close_store(store);
    if (s == Status::kOk) s = disk_rename(folder + "/" + hidden, folder + "/" + file);
    if (s != Status::kOk) remove_file(folder + "/" + hidden);
    return s;
}

}  // namespace keystile::engine
