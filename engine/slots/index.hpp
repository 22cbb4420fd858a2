// Key -> slot: an insert-only hash trie (after Feldman, LaBorde, Dechev 2013), wait-free to look up.
//
// root[2^r] cells, then nodes of 16. A cell is 64 bits {type : 2, tag : 30 (the hash's high bits), ref : 32}
// and only goes EMPTY -> SLOT -> NODE (which then holds the slot).
// I1  Two inserters of one key meet in one cell: a key has one slot, for ever.
// I2  Nothing is ever removed or moved: what a lookup found stays found; a stale view is an earlier true
//     view.
// H1  A new key's slot is taken at one of the two places its hash names (its home), if one is free, else
//     anywhere. The homes are a shortcut: the trie says whether a key has a slot, a placed slot at home says
//     it sooner.
// I3  Keys with equal 64-bit hashes chain through shm::Slot::next, 0 -> ref, at the tail.
// Threads and processes: any. A death inside an insertion leaves a slot, key block or node HELD: rows I1-I4
// of RECOVERY.md.
#pragma once

#include "slots/slot.hpp"

namespace keystile::engine {

enum class CellType : std::uint64_t { kEmpty = 0, kSlot = 1, kNode = 2 };
struct Cell {
    CellType type = CellType::kEmpty;
    std::uint32_t tag = 0;
    Ref ref = 0;
};
constexpr std::uint32_t tag_for(std::uint64_t hash) noexcept {
    return static_cast<std::uint32_t>(hash >> 34);
}
constexpr std::uint64_t pack(Cell c) noexcept {
    return static_cast<std::uint64_t>(c.type) | (static_cast<std::uint64_t>(c.tag) << 2) |
           (static_cast<std::uint64_t>(c.ref) << 32);
}
constexpr Cell unpack_cell(std::uint64_t word) noexcept {
    return {static_cast<CellType>(word & 3u), static_cast<std::uint32_t>(word >> 2) & 0x3FFFFFFFu,
            static_cast<Ref>(word >> 32)};
}

inline constexpr std::uint32_t kNodeBits = 4;
inline constexpr std::uint32_t kHashBits = 64;

// Where a lookup ended.
struct Found {
    Status status = Status::kNotFound;  // kOk, kNotFound, kCorrupt
    shm::Slot* slot =
        nullptr;  // kOk: the key's. kNotFound with a full cell: the last slot of the chain or cell
    shm::Atomic64* cell = nullptr;  // the last cell looked at …
    std::uint64_t cell_word = 0;    // … and what was in it
    std::uint32_t depth_bits = 0;   // hash bits that led to it
};

Found walk(const Segment& segment, KeyBytes key, std::uint64_t hash) noexcept;

// A placed slot is the one slot of its key (I1), wherever one comes across it.
inline bool is_placed(const shm::Slot& slot) noexcept {
    // order[index.placed]: acquire. Partner: slots.placed and the reaper's settling: the key is complete and
    //   for ever.
    return slot.state.load(memory_order_acquire) == owned(Tag::kPublished, 0);
}

// kOk, kNotFound or kCorrupt. First the key's two home lines, one memory access for most keys; then the root
// cell, then walk().
inline Status find_slot(const Segment& segment, KeyBytes key, std::uint64_t hash,
                        shm::Slot** slot_out) noexcept {
    const std::uint64_t pair = segment.home_pair_of(hash);
    if (segment.has_home(pair)) [[likely]] {
        shm::Slot* home = segment.home(pair);
        __builtin_prefetch(home + 1);
        if (is_placed(home[0]) && is_key_equal(segment, home[0], key, hash)) [[likely]] {
            *slot_out = &home[0];
            return Status::kOk;
        }
        if (is_placed(home[1]) && is_key_equal(segment, home[1], key, hash)) {
            *slot_out = &home[1];
            return Status::kOk;
        }
    }
    const std::uint64_t mask = (1ull << segment.root_bits()) - 1;
    // order[index.find]: acquire. Partner: the inserter's CAS of the cell: slot and key are written before
    //   it. A crash of the inserter just after that CAS leaves a slot that is found all the same.
    const Cell cell = unpack_cell(segment.root()[hash & mask].load(memory_order_acquire));
    if (cell.type == CellType::kSlot && cell.tag == tag_for(hash)) [[likely]] {
        auto* slot = segment.slot_at(cell.ref);
        if (slot != nullptr && is_key_equal(segment, *slot, key, hash)) [[likely]] {
            *slot_out = slot;
            return Status::kOk;
        }
    }
    const Found found = walk(segment, key, hash);
    *slot_out = found.slot;
    return found.status;
}

// Find or create. kFull, kExhausted, kCorrupt.
Status insert_slot(Lane& lane, KeyBytes key, std::uint64_t hash, shm::Slot** slot_out) noexcept;

// Is this slot in use for its key? What the reaper asks about a slot that a dead session held.
bool is_slot_reachable(const Segment& segment, const shm::Slot& slot) noexcept;
// Is this node the child of the cell that its prefix leads to?
bool is_node_reachable(const Segment& segment, const shm::Node& node) noexcept;

// Every slot, in the order of the cells; each that exists throughout exactly once. `visit` returns false to
// stop. kOk or kCorrupt (what can be reached in spite of it was visited). visit_node may be empty.
struct Visitor {
    void* user = nullptr;
    bool (*visit_slot)(void* user, shm::Slot& slot) = nullptr;
    void (*visit_node)(void* user, shm::Node& node) = nullptr;
};
Status visit_all(const Segment& segment, const Visitor& visitor) noexcept;

}  // namespace keystile::engine
