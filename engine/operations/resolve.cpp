#include "operations/resolve.hpp"

namespace keystile::engine {

namespace {

// How deep helping nests before it starts over from the bottom; each turn decides an operation all the same.
constexpr int kDepthMax = 32;
// Each turn decides an operation or finds another in its way. So many without an end: words or cells are damaged, and
// wait for each other.
constexpr int kResolveTurnsMax = 1 << 12;
constexpr int kDecidesMax = 16;  // after so many times so many turns it is damage

struct Frame {
    Position p;
    std::size_t next;  // the entries before it have our INTENT
};

Status move_on(const Segment& segment, shm::Slot& slot, SlotWord word) noexcept;

// What stands in the slot's way: the position of an undecided operation, or 0: look again.
Position clear_intent(const Segment& segment, shm::Slot& slot, SlotWord word, Status* status_out) noexcept {
    const Position other = word.version();
    if (is_ready(segment, other, load_cell(segment, other))) return other;
    *status_out = move_on(segment, slot, word);
    return 0;
}

// As advance_operation, for the block of a single key.
Position advance_single(const Segment& segment, Position p, RingCell cell,
                        const OperationView& operation) noexcept {
    OperationEntry entry;
    if (!operation.read(0, &entry)) return 0;
    auto* slot = segment.slot_at(entry.slot);
    CellState state = CellState::kAborted;
    while (slot != nullptr) {  // lock-free: another turn only if the word moved
        const SlotWord word = load_word(*slot);
        if (word.is_intent()) {
            Status s = Status::kOk;
            const Position other = clear_intent(segment, *slot, word, &s);
            if (other != 0 || s != Status::kOk) return other;
            continue;
        }
        const bool is_installed = word.version() == p;
        if (is_installed) state = CellState::kCommitted;
        if (is_installed || word != SlotWord(entry.expected)) break;
        ensure(segment, word);
        KEYSTILE_CRASH_POINT("operations.decide.before_single");
        // order[operations.single]: full (locked). release: the block, which its author published before the cell;
        //   pairs with load_word. From exactly the word that was judged, which never returns: so a late one misses. A
        //   crash before: anybody goes on from the cell; after: the version tells that it is done.
        if (cas_word(*slot, word, final_word(segment, p, entry, CellState::kCommitted))) wake(*slot);
    }
    KEYSTILE_CRASH_POINT("operations.decide.before_single_mark");
    cas_cell(segment, p, cell, cell.with(state));
    return 0;
}

// Install intents from frame->next on, and decide. 0: the operation is decided (by us or another), or over. Else the
// position of an undecided operation that stands in the way.
Position advance_operation(const Segment& segment, Frame* frame) noexcept {
    const Position p = frame->p;
    const RingCell cell = load_cell(segment, p);
    OperationView operation;
    if (!is_ready(segment, p, cell) || !operation.open(segment, p, cell)) return 0;
    if (operation.is_single()) return advance_single(segment, p, cell, operation);
    while (frame->next < operation.count()) {
        OperationEntry entry;
        if (!operation.read(frame->next, &entry)) return 0;
        auto* slot = segment.slot_at(entry.slot);
        const SlotWord expected(entry.expected);
        const SlotWord word = slot != nullptr ? load_word(*slot) : SlotWord();
        if (word.is_intent() && word.version() == p) {
            ++frame->next;
        } else if (word.is_intent()) {
            Status s = Status::kOk;
            const Position other = clear_intent(segment, *slot, word, &s);
            if (other != 0 || s != Status::kOk) return other;
        } else if (slot == nullptr || word != expected) {
            KEYSTILE_CRASH_POINT("operations.decide.before_abort");
            cas_cell(segment, p, cell, cell.with(CellState::kAborted));
            return 0;
        } else {
            if (load_cell(segment, p) != cell)
                return 0;  // decided: an intent now would only have to be undone
            if (install_intent(segment, p, *slot, expected)) ++frame->next;
        }
    }
    mark_committed(segment, p, cell);
    return 0;
}

// An INTENT of an operation that is over (R6): back to what it was, the version from the block it names.
Status clean_of_late(const Segment& segment, const shm::Slot& slot, SlotWord word,
                     SlotWord* clean_out) noexcept {
    std::uint64_t version = 0;
    if (word.ref() != 0) {
        const auto* head = segment.at<shm::BlockHead>(word.ref());
        if (head == nullptr) return load_word(slot) == word ? Status::kCorrupt : Status::kBusy;
        version = KEYSTILE_GUARD("resolve.restore_exactly") ? peek(head->version) : word.version();
        // order[operations.restore]: acquire fence. Partner: arena.fill: the header is this life's if the word still
        //   names the block below.
        boost::atomic_thread_fence(memory_order_acquire);
    }
    if (load_word(slot) != word) return Status::kBusy;
    *clean_out = SlotWord(version, word.epoch(), word.ref());
    return Status::kOk;
}

// What the INTENT `word` becomes, or stands for. is_final_out: the operation is decided or over, so the word may be
// moved on to it.
Status look_through(const Segment& segment, const shm::Slot& slot, SlotWord word, SlotWord* clean_out,
                    bool* is_final_out) noexcept {
    const Position p = word.version();
    const RingCell cell = load_cell(segment, p);
    *is_final_out = !is_ready(segment, p, cell);
    OperationView operation;
    if (is_decided(segment, p, cell) && operation.open(segment, p, cell)) {
        OperationEntry entry;
        bool is_there = false;
        if (operation.find(segment.ref_of(&slot), &entry, &is_there)) {
            if (!is_there) return load_word(slot) == word ? Status::kCorrupt : Status::kBusy;
            *clean_out = final_word(segment, p, entry, cell.state());
            return Status::kOk;
        }
    }
    // Not decided, or over: the old value. (A cell that was never filled names no operation: then the word is damaged.)
    const bool is_unfilled = is_in_lap(segment, p, cell) &&
                             (cell.state() == CellState::kFree || cell.state() == CellState::kSkipped);
    if (p == 0 || cell.lap() < lap_of(segment, p) || is_unfilled) {
        return load_word(slot) == word ? Status::kCorrupt : Status::kBusy;
    }
    return clean_of_late(segment, slot, word, clean_out);
}

// The INTENT `word` of an operation that is decided, or over, gives way. kOk: look at the slot again. kCorrupt.
Status move_on(const Segment& segment, shm::Slot& slot, SlotWord word) noexcept {
    SlotWord clean;
    bool is_final = false;
    const Status s = look_through(segment, slot, word, &clean, &is_final);
    if (s == Status::kBusy || (s == Status::kOk && !is_final)) return Status::kOk;
    if (s != Status::kOk) return s;
    KEYSTILE_CRASH_POINT("operations.settle.before_cas");
    // order[operations.settle]: full (locked), as operations.finalise. Partner: load_word of everybody.
    if (cas_word(slot, word, clean)) wake(slot);
    return Status::kOk;
}

}  // namespace

void mark_installer(const Segment& segment, SlotWord word) noexcept {
    const Position p = word.version();
    const RingCell cell = p != 0 ? load_cell(segment, p) : RingCell();
    if (p == 0 || !is_ready(segment, p, cell) || !KEYSTILE_GUARD("ring.ensure")) return;
    KEYSTILE_CRASH_POINT("operations.ensure.before_mark");
    // order: full (locked), ring.cas_cell. A crash before or after it: the next who overwrites does it, or has it done.
    cas_cell(segment, p, cell, cell.with(CellState::kCommitted));
}

void decide(const Segment& segment, Position p) noexcept {
    Frame stack[kDepthMax];
    int depth = 1;
    stack[0] = {p, 0};
    // Lock-free: each turn takes an operation further, or to its end.
    for (int turns = 0; depth != 0 && turns < kResolveTurnsMax; ++turns) {
        const Position blocker = advance_operation(segment, &stack[depth - 1]);
        if (blocker == 0) {
            --depth;
            continue;
        }
        if (depth == kDepthMax) depth = 1;  // forget the ones between: they are found again
        stack[depth++] = {blocker, 0};
    }
}

bool finalise(const Segment& segment, Position p, RingCell decided) noexcept {
    OperationView operation;
    if (!operation.open(segment, p, decided)) return false;
    for (std::size_t i = 0; i < operation.count(); ++i) {
        OperationEntry entry;
        if (!operation.read(i, &entry)) return false;
        auto* slot = segment.slot_at(entry.slot);
        if (slot == nullptr) continue;
        if (operation
                .is_single()) {  // installed already; the wake once more, for one who was killed before his
            wake(*slot);
            continue;
        }
        const SlotWord intent = intent_word(p, SlotWord(entry.expected));
        if (load_word(*slot) != intent) continue;
        finalise_word(*slot, intent, final_word(segment, p, entry, decided.state()));
    }
    return true;
}

Status settle(const Segment& segment, shm::Slot& slot, SlotWord word) noexcept {
    const Position p = word.version();
    for (int tries = 0; is_ready(segment, p, load_cell(segment, p)); ++tries) {
        // Nobody can: its descriptor is none, or what stands in its way is damaged.
        if (tries == kDecidesMax) return Status::kCorrupt;
        decide(segment, p);
    }
    return move_on(segment, slot, word);
}

Status settle_until_clean(const Segment& segment, shm::Slot& slot, SlotWord* word_out) noexcept {
    while (word_out->is_intent()) {  // lock-free: another turn only if an operation was settled
        if (const Status s = settle(segment, slot, *word_out); s != Status::kOk) return s;
        *word_out = load_word(slot);
    }
    return Status::kOk;
}

Status see_through(const Segment& segment, const shm::Slot& slot, SlotWord word,
                   SlotWord* clean_out) noexcept {
    bool is_final = false;
    return look_through(segment, slot, word, clean_out, &is_final);
}

}  // namespace keystile::engine
