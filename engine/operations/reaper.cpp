#include "operations/reaper.hpp"

#include "operations/resolve.hpp"

namespace keystile::engine {

namespace {

// A dead session's line and holdings, copied.
struct Remains {
    std::uint64_t old_ctl;
    Ref old_ref, slot;
    Ref holding[kHoldings];
    std::uint32_t session;
    std::uint64_t state;
};

// False: the record has a new owner meanwhile; what was copied means nothing.
bool copy_remains(const Segment& segment, std::uint32_t index, std::uint64_t state,
                  Remains* remains_out) noexcept {
    const shm::Lane& lane = segment.session(index)->lane;
    // order[reaper.line]: acquire. Partner: commit.line: old_ctl valid means that slot and old_ref are its.
    remains_out->old_ctl = lane.old_ctl.load(memory_order_acquire);
    remains_out->old_ref = peek(lane.old_ref);
    remains_out->slot = peek(lane.slot);
    for (int i = 0; i < kHoldings; ++i) remains_out->holding[i] = peek(lane.holding[i]);
    remains_out->session = index;
    remains_out->state = state;
    boost::atomic_thread_fence(
        memory_order_acquire);  // order[reaper.copy]: acquire, before the look at the state; partner: the take CAS
    return peek(lane.state) == state;
}

// Is this owner word the dead session's? Its index is also the next owner's: so the record's state once more, after
// the word was read (with acquire): unchanged, then nobody has come since.
bool is_of(const Segment& segment, std::uint64_t ctl, const Remains& dead) noexcept {
    return tag_of(ctl) != Tag::kFree && tag_of(ctl) != Tag::kFixed &&
           // off: whoever has it now (E6: it is a living author's, and not in the ring yet)
           (session_of(id_of(ctl)) == dead.session || !KEYSTILE_GUARD("reaper.of_the_dead")) &&
           (peek(segment.session(dead.session)->lane.state) == dead.state ||
            !KEYSTILE_GUARD("reaper.same_owner"));
}

// A value block made for an operation of several keys: while that is in the ring, its recycler frees it; before, its
// descriptor names it; after, it is a value like any other, and named by its word.
bool is_of_operation(const shm::BlockHead& head) noexcept {
    const BlockContent content = unpack_content(peek(head.content));
    return content.kind == BlockKind::kValue && (content.flags & kOfOperation) != 0;
}

// Is this the descriptor, or the single key's block, of an operation in the ring?
bool is_operation(const Segment& segment, const shm::BlockHead& head) noexcept {
    const Position p = peek(head.version);
    if (p == 0) return false;
    const RingCell cell = load_cell(segment, p);
    return (is_ready(segment, p, cell) || is_decided(segment, p, cell)) &&
           cell.operation() == segment.ref_of(&head);
}

// The ring first: an operation leaves it after its block came into the word.
bool is_value_reachable(const Segment& segment, const shm::BlockHead& head) noexcept {
    const bool is_alone = (unpack_content(peek(head.content)).flags & kIsOperation) != 0;
    if (is_alone && is_operation(segment, head)) return true;
    const auto* slot = segment.slot_at(static_cast<Ref>(peek(head.place)));
    return slot != nullptr && load_word(*slot).ref() == segment.ref_of(&head);
}

bool is_key_block_reachable(const Segment& segment, const shm::BlockHead& head) noexcept {
    const auto* slot = segment.slot_at(static_cast<Ref>(peek(head.place)));
    // order[reaper.key]: acquire. Partner: slots.take and slots.placed: the key is the one of that state.
    if (slot == nullptr || tag_of(slot->state.load(memory_order_acquire)) == Tag::kFree) return false;
    return inline_length_of(peek(slot->turn)) == 0 &&
           unpack_key_place(peek(slot->key[1])).ref == segment.ref_of(&head) &&
           is_slot_reachable(segment, *slot);
}

// The block that a commit of the dead session replaced, if it did: nobody else may know that it is free.
void repair_line(Segment& segment, const Remains& remains) noexcept {
    if (remains.old_ctl == 0 || remains.old_ref == 0) return;
    const auto* slot = segment.slot_at(remains.slot);
    if (slot == nullptr || segment.at<shm::BlockHead>(remains.old_ref) == nullptr) return;
    const bool is_in_place = load_word(*slot).ref() == remains.old_ref;
    if (is_in_place && KEYSTILE_GUARD("reaper.line_reachable")) return;
    KEYSTILE_CRASH_POINT("operations.reap.before_line");
    std::uint64_t ctl = remains.old_ctl;
    if (!KEYSTILE_GUARD("reaper.line_id"))  // off: whatever lives there now is freed (E4)
        ctl = peek(segment.at_checked<shm::BlockHead>(remains.old_ref)->ctl);
    if (!free_exact(segment, nullptr, remains.old_ref, ctl)) finish_free(segment, remains.old_ref);
}

// A large block's chunks carry its id, even if the block itself never came to life.
void reap_run(Segment& segment, Ref ref, const Remains& dead, bool is_of_draft) noexcept {
    const auto* head = segment.at<shm::BlockHead>(ref);
    // order[reaper.run]: acquire. Partner: arena.run.take: a later look at the session's state is later.
    const std::uint64_t use = segment.chunk(segment.chunk_of(ref))->use.load(memory_order_acquire);
    if (head == nullptr || tag_of(use) != Tag::kHeld || !is_of(segment, use, dead)) return;
    const std::uint64_t ctl = peek(head->ctl);
    const bool is_alive = id_of(ctl) == id_of(use) && tag_of(ctl) != Tag::kFree;
    const bool is_published = is_alive && tag_of(ctl) == Tag::kPublished;
    if (is_published && (is_block_reachable(segment, *head) || (is_of_operation(*head) && !is_of_draft)))
        return;
    if (is_alive) free_exact(segment, nullptr, ref, ctl);
    release_run(segment, ref, id_of(use));
}

// A block that a holding, or a draft's entry, of the dead session names: reachable, or to be freed. What it is now is
// told by the block: one that was allocated as a key may have been freed and be a value today.
void reap_block(Segment& segment, Ref ref, const Remains& dead, bool is_of_draft) noexcept {
    const auto* head = ref != 0 ? segment.at<shm::BlockHead>(ref) : nullptr;
    if (head == nullptr) return;
    if (class_at(segment, ref) == kClasses) return reap_run(segment, ref, dead, is_of_draft);
    KEYSTILE_CRASH_POINT("operations.reap.before_look");
    // order[reaper.ctl]: acquire. Partner: arena.allocate and arena.publish: the header is this id's.
    const std::uint64_t ctl = head->ctl.load(memory_order_acquire);
    if (!is_of(segment, ctl, dead)) return;
    // HELD: it was never made reachable, its header may be its predecessor's. PUBLISHED: ask the one place
    // that may name it.
    const bool is_published = tag_of(ctl) == Tag::kPublished;
    if (is_published && is_of_operation(*head) && !is_of_draft) return;
    const bool is_in_use = is_published && is_block_reachable(segment, *head);
    if (is_in_use && KEYSTILE_GUARD("reaper.reachable")) return;
    KEYSTILE_CRASH_POINT("operations.reap.before_block");
    free_exact(segment, nullptr, ref, ctl);
}

// The descriptor of an operation that its author did not live to publish, and the blocks he made for it. A published
// one is an operation like any other: whoever meets it goes on with it.
void reap_descriptor(Segment& segment, const Remains& dead) noexcept {
    const Ref ref = dead.holding[static_cast<int>(Holding::kDescriptor)];
    const auto* head = ref != 0 ? segment.at<shm::BlockHead>(ref) : nullptr;
    if (head == nullptr) return;
    // order[reaper.descriptor]: acquire. Partner: arena.allocate and arena.publish.
    const std::uint64_t ctl = head->ctl.load(memory_order_acquire);
    if (!is_of(segment, ctl, dead)) return reap_block(segment, ref, dead, false);  // perhaps half a run
    const auto* draft = segment.at<const shm::Descriptor>(ref, descriptor_bytes(0));
    const BlockContent content = unpack_content(peek(head->content));
    const std::size_t count = content.size / sizeof(shm::Entry);
    // order[reaper.draft]: acquire. Partner: draft.mark: the entries are of this life.
    const bool is_draft = draft != nullptr && draft->mark.load(memory_order_acquire) == id_of(ctl) &&
                          content.kind == BlockKind::kDescriptor && count <= kMultiKeysMax &&
                          segment.at<const shm::Descriptor>(ref, descriptor_bytes(count)) != nullptr;
    if (!is_draft || (tag_of(ctl) == Tag::kPublished && is_block_reachable(segment, *head))) {
        return reap_block(segment, ref, dead, false);
    }
    for (std::size_t i = 0; i < count; ++i) {
        const Ref fresh = peek(draft->entry[i].fresh);
        // order[reaper.draft.copy]: acquire fence (R3). Partner: arena.fill: another reaper may have been faster.
        boost::atomic_thread_fence(memory_order_acquire);
        if (peek(head->ctl) != ctl) return;
        reap_block(segment, fresh, dead, true);
    }
    reap_block(segment, ref, dead, false);
}

bool is_slot_place(const Segment& segment, Ref ref) noexcept {
    return segment.is_home(ref) || peek(segment.chunk(segment.chunk_of(ref))->use) == fixed_use(kSlotsUse);
}

void reap_slot(Segment& segment, const Remains& dead) noexcept {
    const Ref ref = dead.holding[static_cast<int>(Holding::kSlot)];
    auto* slot = ref != 0 ? segment.slot_at(ref) : nullptr;
    if (slot == nullptr || !is_slot_place(segment, ref)) return;
    // order[reaper.slot]: acquire. Partner: slots.take.
    std::uint64_t state = slot->state.load(memory_order_acquire);
    if (tag_of(state) != Tag::kHeld || !is_of(segment, state, dead)) return;
    const bool is_placed = is_slot_reachable(segment, *slot);
    KEYSTILE_CRASH_POINT("operations.reap.before_slot");
    const std::uint64_t settled = is_placed ? owned(Tag::kPublished, 0) : with_tag(state, Tag::kFree);
    // order[reaper.settle_slot]: acq_rel. From exactly the dead owner's id; partner: slots.take. A crash: the
    //   next reaper.
    const bool is_settled =
        slot->state.compare_exchange_strong(state, settled, memory_order_acq_rel, memory_order_relaxed);
    if (is_settled && is_placed) count(segment.header().keys.value);
}

void reap_session(Segment& segment, std::uint32_t index, std::uint64_t state) noexcept {
    Remains remains;
    if (!copy_remains(segment, index, state, &remains)) return;
    if (KEYSTILE_GUARD("reaper.session")) {
        repair_line(segment, remains);
        // The draft before the holdings of other kinds: an old one of those may name the draft's descriptor, which
        // must not go before the blocks that it alone names.
        reap_descriptor(segment, remains);
        // The slot before its key block: whether the slot is found is asked by the key's bytes.
        reap_slot(segment, remains);
        for (const Holding block : {Holding::kKey, Holding::kNode, Holding::kValue, Holding::kOtherValue}) {
            reap_block(segment, remains.holding[static_cast<int>(block)], remains, false);
        }
    }
    KEYSTILE_CRASH_POINT("operations.reap.before_close");
    close_session(segment, index, state);
}

void reap_participant(Segment& segment, ParticipantId dead) noexcept {
    const std::uint32_t count = segment.session_count();
    for (std::uint32_t index = 0; index < count; ++index) {
        const std::uint64_t state = session_state(segment, index);
        const SessionState session = unpack_session(state);
        if (session.is_open && session.participant == dead) reap_session(segment, index, state);
    }
    KEYSTILE_CRASH_POINT("operations.reap.before_bury");
    bury_participant(segment, dead);
}

}  // namespace

bool is_block_reachable(const Segment& segment, const shm::BlockHead& head) noexcept {
    switch (unpack_content(peek(head.content)).kind) {
        case BlockKind::kKey:
            return is_key_block_reachable(segment, head);
        case BlockKind::kNode:
            return is_node_reachable(segment, reinterpret_cast<const shm::Node&>(head));
        case BlockKind::kDescriptor:
            return is_operation(segment, head);
        default:
            return is_value_reachable(segment, head);
    }
}

std::uint32_t reap_dead(Segment& segment, ParticipantId self_id, std::uint32_t looks) noexcept {
    if (segment.is_read_only()) return 0;
    const std::uint32_t count = segment.participant_count();
    std::uint32_t buried = 0;
    for (std::uint32_t i = 0; i < count && looks != 0; ++i) {
        // From our own record on, so that many openers look at different neighbours.
        const std::uint32_t index = (self_id.index + i) % count;
        const std::uint64_t state = peek(segment.participant(index)->state);
        if (!is_alive_tag(state)) continue;
        --looks;
        const ParticipantId id{index, generation_of_participant(state)};
        if (is_participant_alive(segment, id, self_id) && KEYSTILE_GUARD("reaper.death_proven")) continue;
        reap_participant(segment, id);
        ++buried;
    }
    if (buried != 0)
        recycle_up_to(segment, ring_tail(segment));  // what the dead had in the ring holds memory
    return buried;
}

}  // namespace keystile::engine
