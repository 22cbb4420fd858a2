// Insertion into the index: a slot is taken, filled, and made reachable by one CAS of a cell.
#include "slots/index.hpp"

namespace keystile::engine {

namespace {

constexpr std::uint32_t kSlotsPerChunk = kChunkBytes / sizeof(shm::Slot);
constexpr Ref kSlotUnits = sizeof(shm::Slot) / kRefUnit;
constexpr std::uint64_t kNeighbours =
    4;  // pairs tried, the home itself first: a power of two, inside one page

struct SlotGrant {
    shm::Slot* slot = nullptr;
    std::uint64_t state = 0;  // HELD(id)
};

bool try_take(Lane& lane, Ref ref, SlotGrant* grant_out, Status* status_out) noexcept {
    auto* slot = lane.segment().slot_at(ref);
    if (slot == nullptr) return false;
    std::uint64_t state = peek(slot->state);
    if (tag_of(state) != Tag::kFree) return false;
    const OwnerId id = lane.next_id();
    if (id == 0) {
        *status_out = Status::kExhausted;
        return true;
    }
    lane.hold(Holding::kSlot, ref);
    KEYSTILE_CRASH_POINT("slots.insert.before_take");
    // order[slots.take]: acq_rel. acquire: pairs with slots.give_back. release: sequence and holding are
    //   seen by a reaper that sees HELD(id). A crash before: free. After: HELD and recorded; the reaper looks
    //   the key up.
    if (!slot->state.compare_exchange_strong(state, owned(Tag::kHeld, id), memory_order_acq_rel,
                                             memory_order_relaxed)) {
        return false;
    }
    *grant_out = {slot, owned(Tag::kHeld, id)};
    return true;
}

// A slot nobody uses: the shared hint walks through the slot chunks, so slots lie densely whoever takes them.
Status take_slot_anywhere(Lane& lane, SlotGrant* grant_out) noexcept {
    Segment& segment = lane.segment();
    auto& hint = segment.header().next_slot.value;
    Status status = Status::kOk;
    bool is_whole_sweep = false;
    for (;;) {  // ends: each turn moves to a later chunk; the whole sweep happens once
        Ref ref = static_cast<Ref>(peek(hint));
        if (ref == 0) ref = segment.chunk_ref(0);
        std::uint64_t chunk = segment.chunk_of(ref);
        if (is_whole_sweep) chunk = 0;
        for (const std::uint64_t count = segment.chunk_count(); chunk < count; ++chunk) {
            if (peek(segment.chunk(chunk)->use) != fixed_use(kSlotsUse)) continue;
            const Ref first = segment.chunk_ref(chunk);
            const bool is_hinted = !is_whole_sweep && ref > first && segment.chunk_of(ref) == chunk;
            for (std::uint32_t i = is_hinted ? (ref - first) / kSlotUnits : 0; i < kSlotsPerChunk; ++i) {
                if (!try_take(lane, first + i * kSlotUnits, grant_out, &status)) continue;
                poke(hint, static_cast<std::uint64_t>(first) + (i + 1) * kSlotUnits);
                return status;
            }
        }
        std::uint64_t fresh = 0;
        const Status opened =
            is_whole_sweep ? Status::kFull : open_chunk(segment, fixed_use(kSlotsUse), &fresh);
        if (opened == Status::kOk) {
            poke(hint, static_cast<std::uint64_t>(segment.chunk_ref(fresh)));
        } else if (is_whole_sweep) {
            return opened;
        } else {
            is_whole_sweep =
                true;  // slots given back lie before the hint: look at all of them before saying full
        }
    }
}

// At home if there is room (H1).
Status take_slot(Lane& lane, std::uint64_t hash, SlotGrant* grant_out) noexcept {
    Segment& segment = lane.segment();
    const std::uint64_t pair = segment.home_pair_of(hash);
    Status status = Status::kOk;
    if (segment.has_home(pair) || segment.grow_home(pair) == Status::kOk) {
        // The neighbours in the same page are not found without the index, but else their gaps would stay.
        for (std::uint64_t near = 0; near < kNeighbours; ++near) {
            const Ref home = segment.ref_of(segment.home(pair ^ near));
            if (try_take(lane, home, grant_out, &status)) return status;
            if (try_take(lane, home + kSlotUnits, grant_out, &status)) return status;
        }
    }
    return take_slot_anywhere(lane, grant_out);
}

void give_back(SlotGrant grant) noexcept {
    // order[slots.give_back]: release. Nobody ever saw the slot; partner: the next try_take. A crash before:
    //   the reaper.
    grant.slot->state.store(with_tag(grant.state, Tag::kFree), memory_order_release);
}

Status fill_long_key(Lane& lane, KeyBytes key, std::uint64_t hash, shm::Slot* slot,
                     BlockGrant* grant_out) noexcept {
    *grant_out = allocate(lane, sizeof(shm::Block) + key.size, lane.note(Holding::kKey));
    if (grant_out->status != Status::kOk) return grant_out->status;
    auto* block = lane.segment().at<shm::Block>(grant_out->ref, sizeof(shm::Block) + key.size);
    if (block == nullptr) return Status::kCorrupt;
    poke(block->head.version, 0u);
    poke(block->head.content,
         pack(BlockContent{static_cast<std::uint32_t>(key.size), lane.id().index, BlockKind::kKey, 0}));
    poke(block->head.place, static_cast<std::uint64_t>(lane.segment().ref_of(slot)));
    copy_in(block->payload, key.data, key.size);
    poke(slot->key[0], hash);
    poke(slot->key[1], pack(KeyPlace{grant_out->ref, static_cast<std::uint32_t>(key.size)}));
    poke(slot->turn, turn_for_length(0));
    publish(block->head, grant_out->ctl);
    return Status::kOk;
}

Status take_and_fill(Lane& lane, KeyBytes key, std::uint64_t hash, SlotGrant* slot_out,
                     BlockGrant* key_out) noexcept {
    if (const Status s = take_slot(lane, hash, slot_out); s != Status::kOk) return s;
    shm::Slot& slot = *slot_out->slot;
    poke(slot.next, 0u);
    if (!key.is_inline()) {
        const Status s = fill_long_key(lane, key, hash, &slot, key_out);
        if (s != Status::kOk) give_back(*slot_out);
        return s;
    }
    const InlineKey bytes = inline_key(key);
    poke(slot.key[0], bytes.lo);
    poke(slot.key[1], bytes.hi);
    poke(slot.turn, turn_for_length(static_cast<std::uint32_t>(key.size)));
    return Status::kOk;
}

// Put a node between the cell and the slot in it, so that the two keys part on later bits.
Status split(Lane& lane, const Found& at, std::uint64_t hash_of_present) noexcept {
    const BlockGrant grant = allocate(lane, sizeof(shm::Node), lane.note(Holding::kNode));
    if (grant.status != Status::kOk) return grant.status;
    auto* node = lane.segment().at<shm::Node>(grant.ref);
    if (node == nullptr) return Status::kCorrupt;
    poke(node->head.version, hash_of_present);
    poke(node->head.content, pack(BlockContent{0, lane.id().index, BlockKind::kNode, 0}));
    poke(node->head.place, static_cast<std::uint64_t>(at.depth_bits));
    for (auto& cell : node->cell) poke(cell, 0u);
    poke(node->cell[(hash_of_present >> at.depth_bits) & (shm::kNodeCells - 1)], at.cell_word);
    publish(node->head, grant.ctl);
    std::uint64_t expected = at.cell_word;
    KEYSTILE_CRASH_POINT("slots.split.before_cas");
    // order[index.split]: acq_rel. release publishes the node; pairs with index.walk. A crash before: the
    //   node is unreachable and recorded in `holding`: freed. After: reachable by its prefix: kept.
    if (!at.cell->compare_exchange_strong(expected, pack(Cell{CellType::kNode, 0, grant.ref}),
                                          memory_order_acq_rel, memory_order_relaxed)) {
        free_exact(lane, grant.ref, with_tag(grant.ctl, Tag::kPublished));
    }
    return Status::kOk;
}

// One attempt to make the filled slot reachable where the lookup ended. kBusy: look again.
Status try_place(Lane& lane, const Found& at, std::uint64_t hash, SlotGrant grant) noexcept {
    const Ref ref = lane.segment().ref_of(grant.slot);
    KEYSTILE_CRASH_POINT("slots.insert.before_cas");
    if (at.cell_word == 0) {
        std::uint64_t expected = 0;
        // order[index.insert]: acq_rel. release publishes slot and key; pairs with index.find and index.walk.
        //   A crash before: HELD and not found: given back. After: HELD and found: placed by the reaper.
        const bool is_placed =
            at.cell->compare_exchange_strong(expected, pack(Cell{CellType::kSlot, tag_for(hash), ref}),
                                             memory_order_acq_rel, memory_order_relaxed);
        return is_placed ? Status::kOk : Status::kBusy;
    }
    StoredKey present;
    if (!read_key(lane.segment(), *at.slot, &present)) return Status::kCorrupt;
    const std::uint64_t present_hash = hash_of(present.bytes(), lane.segment().header().hash_seed);
    if (unpack_cell(at.cell_word).tag != tag_for(present_hash)) return Status::kCorrupt;
    if (present_hash != hash) {
        if (at.depth_bits >= kHashBits) return Status::kCorrupt;  // different hashes part before
        const Status s = split(lane, at, present_hash);
        return s == Status::kOk ? Status::kBusy : s;
    }
    std::uint32_t none = 0;
    // order[index.chain]: acq_rel. release publishes the slot; pairs with index.chain.find. Crash: as
    //   index.insert.
    return at.slot->next.compare_exchange_strong(none, ref, memory_order_acq_rel, memory_order_relaxed)
               ? Status::kOk
               : Status::kBusy;
}

}  // namespace

Status insert_slot(Lane& lane, KeyBytes key, std::uint64_t hash, shm::Slot** slot_out) noexcept {
    SlotGrant grant;
    BlockGrant key_grant;
    Status status = Status::kBusy;
    while (status == Status::kBusy) {  // ends: each turn somebody's insertion or split in this cell succeeded
        const Found found = walk(lane.segment(), key, hash);
        if (found.status != Status::kNotFound) {
            status = found.status;
            *slot_out = found.slot;
            break;
        }
        if (grant.slot == nullptr) {
            if (status = take_and_fill(lane, key, hash, &grant, &key_grant); status != Status::kOk)
                return status;
        }
        status = try_place(lane, found, hash, grant);
        if (status != Status::kOk) continue;
        KEYSTILE_CRASH_POINT("slots.insert.before_placed");
        // order[slots.placed]: release. Partner: the reaper's and `check`'s look at the state. A crash before
        //   it: the reaper.
        grant.slot->state.store(owned(Tag::kPublished, 0), memory_order_release);
        count(lane.segment().header().keys.value);
        *slot_out = grant.slot;
        return Status::kOk;
    }
    if (grant.slot !=
        nullptr) {  // somebody else inserted the key meanwhile, or there was no room: ours was never seen
        if (key_grant.ref != 0) free_exact(lane, key_grant.ref, with_tag(key_grant.ctl, Tag::kPublished));
        give_back(grant);
    }
    return status;
}

}  // namespace keystile::engine
