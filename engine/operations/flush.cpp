#include "operations/flush.hpp"

#include <algorithm>
#include <new>

#include "operations/resolve.hpp"
#include "operations/watch.hpp"
#include "operations/writer.hpp"

namespace keystile::engine {

namespace {

constexpr std::uint64_t kLeaseUs =
    20'000;  // longer than most fdatasyncs; a dead flusher costs no more than this
constexpr int kFlushTurnsMax = 1 << 16;  // each moves the cursor, or sees that another did
constexpr std::uint32_t kDurableWaiter = 1;
constexpr std::uint32_t kDurableStep = 2;

bool cas_cursor(const Segment& segment, JournalPoint from, JournalPoint to) noexcept {
    // order[flush.cursor]: full (locked). Partner: load_cursor of the next flusher. A crash before: he writes the same
    //   bytes again; after: they are there, though perhaps not on disk.
    KEYSTILE_CRASH_POINT("operations.flush.before_cursor");
    return cas16(&segment.header().cursor, pack(from), pack(to));
}

void wake_durable(const Segment& segment) noexcept {
    shm::Atomic32& turn = segment.header().durable_turn;
    // order[flush.wake]: relaxed. The locked CAS of durable came before; the waiter set his bit, locked, before his
    //   second look at durable. Partner: wait_durable. A crash just before costs a waiter one sleep.
    if ((turn.load(memory_order_relaxed) & kDurableWaiter) == 0) return;
    std::uint32_t seen = peek(turn);
    while (!turn.compare_exchange_weak(seen, (seen & ~kDurableWaiter) + kDurableStep, memory_order_release,
                                       memory_order_relaxed)) {
    }
    futex_wake_all(turn);
}

// H2: from any place of the same file, forwards.
void raise_durable(const Segment& segment, JournalPoint to) noexcept {
    for (;;) {  // lock-free: another turn only if somebody raised it
        const JournalPoint now = load_durable(segment);
        if (now.file != to.file || now.position >= to.position) return;
        // order[flush.durable]: full (locked). Partner: load_durable of those who wait and of the recycler. A crash
        //   before: it is on disk and nobody knows; the next flusher syncs again.
        KEYSTILE_CRASH_POINT("operations.flush.before_durable");
        if (!cas16(&segment.header().durable, pack(now), pack(to))) continue;
        KEYSTILE_CRASH_POINT("operations.flush.before_wake");
        return wake_durable(segment);
    }
}

// Flushing goes on in the next file, from what is on disk (H2). False: durable is another by now.
bool leave_file(const Segment& segment, JournalPoint durable) noexcept {
    // Of a file of which nothing counts the head is all.
    const std::uint64_t end = (durable.offset & kPendingBit) != 0 ? kJournalHeadBytes : durable.offset;
    // order[flush.leave]: full (locked), as flush.durable: from now on no sync of the old file counts. Partner:
    //   load_durable of every flusher. A crash after: whoever flushes next makes the new file.
    KEYSTILE_CRASH_POINT("operations.flush.before_leave");
    return cas16(&segment.header().durable, pack(durable),
                 pack(JournalPoint{durable.position, durable.file + 1, end | kPendingBit}));
}

// F4. Whatever others do meanwhile; and only this file, of which one who is late may not know that it was left.
void give_up_file(const Segment& segment, std::uint32_t failed) noexcept {
    if (failed >= kJournalFileMax) return;
    for (;;) {  // lock-free: another turn only if somebody raised durable, or left the file
        const JournalPoint now = load_durable(segment);
        if (now.file != failed || leave_file(segment, now)) return;
    }
}

JournalPoint first_of_file(const JournalPoint& durable) noexcept {
    return {durable.position, durable.file, kJournalHeadBytes};
}

// The later one of durable's place and a place in the same file.
JournalPoint not_behind(const JournalPoint& durable, const JournalPoint& place) noexcept {
    if (place.file == durable.file && place.position >= durable.position) return place;
    return (durable.offset & kPendingBit) != 0 ? first_of_file(durable) : durable;
}

// The file that durable names exists, the cursor is in it, and it is open here.
Status enter_file(Store& store, JournalPoint durable, JournalPoint cursor) noexcept {
    Writer& writer = *store.writer;
    if (cursor.file == durable.file) {
        const Status s = writer.enter(store.segment, durable.file);
        // Whoever is late may look for a file that was left, and removed since.
        const bool is_of_old = s == Status::kNoStore && load_durable(store.segment).file != durable.file;
        return is_of_old ? Status::kOk : s;
    }
    // A look at durable that was of old: the cursor's file only goes up (H1).
    if (cursor.file > durable.file) return Status::kOk;
    if (const Status s = make_file(writer.directory(), store.segment, durable, bytes_of_file(durable.file));
        s != Status::kOk)
        return s;
    cas_cursor(store.segment, cursor, first_of_file(durable));
    return Status::kOk;
}

// One operation's state when the flusher comes to it: decided, or (kBusy) not yet there, or (kConflict) gone.
Status settle_position(const Segment& segment, Position p, RingCell* cell_out) noexcept {
    for (int turns = 0; turns < kFlushTurnsMax; ++turns) {
        const RingCell cell = load_cell(segment, p);
        *cell_out = cell;
        if (cell.lap() != lap_of(segment, p))
            return cell.lap() < lap_of(segment, p) ? Status::kBusy : Status::kConflict;
        if (cell.state() == CellState::kFree) {
            skip(segment, p, cell);
        } else if (cell.state() == CellState::kReady) {
            decide(segment, p);
        } else {
            return Status::kOk;
        }
    }
    return Status::kCorrupt;
}

// Write the history from `start` up to `end`; *reached_out: how far.
Status write_from(Store& store, JournalPoint start, Position end, JournalPoint* reached_out) noexcept {
    const Segment& segment = store.segment;
    Writer& writer = *store.writer;
    writer.begin(segment, start);
    Position p = start.position;
    Status s = Status::kOk;
    for (; s == Status::kOk && p < end; ++p) {
        RingCell cell;
        s = settle_position(segment, p, &cell);
        if (s == Status::kOk && cell.state() == CellState::kCommitted) s = writer.add(store, p, cell);
        if (s != Status::kOk) break;
    }
    if (s == Status::kBusy) s = Status::kOk;  // its author waits for room: what is below is what makes it
    *reached_out = {p, start.file, 0};
    return s == Status::kOk ? writer.finish(&reached_out->offset) : s;
}

Status note_failure(const Segment& segment, Status s) noexcept {
    poke(segment.header().journal_error, static_cast<std::uint32_t>(fault_errno));
    shm::Atomic32& failures = segment.header().journal_failures;
    poke(failures, peek(failures) + 1);  // for people: one may be missing
    return s;
}

Status flush_turns(Store& store, Position end, bool is_synced) noexcept {
    const Segment& segment = store.segment;
    Writer& writer = *store.writer;
    for (int turns = 0; turns < kFlushTurnsMax; ++turns) {
        const JournalPoint durable = load_durable(segment);
        const JournalPoint cursor = load_cursor(segment);
        if (durable.position >= end || (!is_synced && cursor.position >= end && cursor.file == durable.file))
            return Status::kOk;
        if (durable.file != cursor.file || !writer.is_in(durable.file)) {
            if (const Status s = enter_file(store, durable, cursor); s != Status::kOk) return s;
            continue;
        }
        // What others wrote since is written again, to be synced through this descriptor (F3).
        const JournalPoint start = not_behind(durable, is_synced ? writer.written() : cursor);
        JournalPoint reached;
        const Status written = write_from(store, start, std::max(end, cursor.position), &reached);
        if (written == Status::kConflict) continue;  // others were faster
        if (written == Status::kCorrupt || written == Status::kMemory) return written;
        if (written != Status::kOk) {
            note_failure(segment, written);
            give_up_file(segment, durable.file);
            return written;
        }
        writer.note_written(durable, start, reached);
        if (reached.position > cursor.position) cas_cursor(segment, cursor, reached);
        if (!is_synced) return Status::kOk;
        if (reached.position <= durable.position) return Status::kOk;  // all that there is waits for room
        if (const Status s = writer.sync(); s != Status::kOk) {
            note_failure(segment, s);
            give_up_file(segment, durable.file);
            return s;
        }
        raise_durable(segment, reached);
        if (writer.is_full(reached) && reached.file < kJournalFileMax && load_durable(segment) == reached) {
            writer.mark(segment);
            if (leave_file(segment, reached)) writer.note_rolled();
        }
        if (reached.position < end) return Status::kOk;
    }
    return Status::kCorrupt;
}

}  // namespace

bool leave_lost_file(const Store& store, std::uint32_t file) noexcept {
    JournalFile journal;
    Damage damage;
    const Status s = JournalFile::open(store.writer->directory(), file, Access::kReadOnly, &journal, &damage);
    if (s != Status::kNoStore && s != Status::kJournalCorrupt) return false;
    if (load_durable(store.segment).file != file) return true;  // others left it, and it may be gone since
    note_failure(store.segment, s);
    give_up_file(store.segment, file);
    return true;
}

Status flush(Store& store, Position end, bool is_synced) noexcept {
    if (store.writer == nullptr) return Status::kOk;
    // Its files are gone; what lies at their names is not ours.
    if (store.is_destroyed()) return Status::kDestroyed;
    const std::lock_guard guard(store.writer->lock());  // tidy-allow(mutex): process-private
    return flush_turns(store, std::min(end, ring_tail(store.segment) + 1), is_synced);
}

Status wait_durable(Store& store, Position p, std::uint64_t timeout_ns) noexcept {
    const Segment& segment = store.segment;
    if (store.writer == nullptr) return Status::kOk;
    const Deadline deadline(timeout_ns);
    shm::Header& header = segment.header();
    for (;;) {  // bounded by the caller's time, or by the disk's answer
        if (load_durable(segment).position > p) return Status::kOk;
        const std::uint64_t left_ns = deadline.left_ns();
        if (left_ns == 0) return Status::kTimeout;
        const std::uint64_t now = boottime_us();
        std::uint64_t lease = peek(header.flush_lease.value);
        // order[flush.lease]: relaxed. statistic: it guards nothing, two who flush at once write the same.
        if (lease <= now && header.flush_lease.value.compare_exchange_strong(
                                lease, now + kLeaseUs, memory_order_relaxed, memory_order_relaxed)) {
            const Status s = flush(store, p + 1, true);
            poke(header.flush_lease.value, std::uint64_t{0});
            wake_durable(segment);  // also those whose commits came too late for this one
            if (s != Status::kOk) return s;
            continue;
        }
        // order[flush.bit]: acq_rel (locked), before the second look; partner: flush.wake.
        const std::uint32_t turn =
            header.durable_turn.fetch_or(kDurableWaiter, memory_order_acq_rel) | kDurableWaiter;
        if (load_durable(segment).position > p) return Status::kOk;
        const std::uint64_t lease_ns = (lease > now ? lease - now : 1) * 1000;
        futex_wait(header.durable_turn, turn, std::min({left_ns, lease_ns, kSleepNsMax}));
    }
}

}  // namespace keystile::engine
