#include "slots/index.hpp"

namespace keystile::engine {

namespace {

constexpr int kChainMax =
    64;  // equal 64-bit hashes of different keys: two would be a wonder, more is a damaged chain

// Along the chain of equal hashes: the key's slot, or the last one.
Status walk_chain(const Segment& segment, KeyBytes key, std::uint64_t hash, Found* found) noexcept {
    for (int i = 0; i < kChainMax; ++i) {
        if (is_key_equal(segment, *found->slot, key, hash)) return Status::kOk;
        // order[index.chain.find]: acquire. Partner: insert's CAS of next: the slot it names is complete.
        const Ref next = found->slot->next.load(memory_order_acquire);
        if (next == 0) return Status::kNotFound;
        auto* slot = segment.slot_at(next);
        if (slot == nullptr) return Status::kCorrupt;
        found->slot = slot;
    }
    return Status::kCorrupt;
}

}  // namespace

Found walk(const Segment& segment, KeyBytes key, std::uint64_t hash) noexcept {
    Found found;
    found.cell = &segment.root()[hash & ((1ull << segment.root_bits()) - 1)];
    found.depth_bits = segment.root_bits();
    for (;;) {  // ends: each turn consumes kNodeBits of the 64, or returns
        // order[index.walk]: acquire. Partner: insert's CAS of the cell (slot or node behind it is complete).
        found.cell_word = found.cell->load(memory_order_acquire);
        const Cell cell = unpack_cell(found.cell_word);
        if (found.cell_word == 0) return found;
        if (cell.type == CellType::kSlot) {
            found.slot = segment.slot_at(cell.ref);
            found.status = found.slot == nullptr       ? Status::kCorrupt
                           : cell.tag == tag_for(hash) ? walk_chain(segment, key, hash, &found)
                                                       : Status::kNotFound;
            return found;
        }
        auto* node = cell.type == CellType::kNode ? segment.at<shm::Node>(cell.ref) : nullptr;
        if (node == nullptr || found.depth_bits >= kHashBits) {
            found.status = Status::kCorrupt;
            return found;
        }
        found.cell = &node->cell[(hash >> found.depth_bits) & (shm::kNodeCells - 1)];
        found.depth_bits += kNodeBits;
    }
}

bool is_slot_reachable(const Segment& segment, const shm::Slot& slot) noexcept {
    StoredKey key;
    if (!read_key(segment, slot, &key)) return false;
    const Found found = walk(segment, key.bytes(), hash_of(key.bytes(), segment.header().hash_seed));
    return found.status == Status::kOk && found.slot == &slot;
}

bool is_node_reachable(const Segment& segment, const shm::Node& node) noexcept {
    const std::uint64_t prefix = peek(node.head.version);
    const auto depth_bits = static_cast<std::uint32_t>(peek(node.head.place));
    shm::Atomic64* cell = &segment.root()[prefix & ((1ull << segment.root_bits()) - 1)];
    for (std::uint32_t bits = segment.root_bits(); bits <= depth_bits && bits < kHashBits;
         bits += kNodeBits) {
        // order[index.reach]: acquire. Partner: insert's CAS of the cell.
        const Cell seen = unpack_cell(cell->load(memory_order_acquire));
        const auto* child = seen.type == CellType::kNode ? segment.at<shm::Node>(seen.ref) : nullptr;
        if (child == nullptr) return false;
        if (child == &node) return bits == depth_bits;
        cell = const_cast<shm::Atomic64*>(&child->cell[(prefix >> bits) & (shm::kNodeCells - 1)]);
    }
    return false;
}

Status visit_all(const Segment& segment, const Visitor& visitor) noexcept {
    struct Level {
        shm::Atomic64* cells;
        std::uint64_t next, count;
        std::uint64_t prefix;  // the hash bits that lead here …
        std::uint32_t depth;   // … and how many
    };
    Level stack[1 + kHashBits / kNodeBits] = {{segment.root(), 0, 1ull << segment.root_bits(), 0, 0}};
    int top = 0;
    Status status = Status::kOk;
    while (top >= 0) {
        Level& level = stack[top];
        if (level.next == level.count) {
            --top;
            continue;
        }
        // order[index.visit]: acquire. Partner: insert's CAS of the cell. Read once: a cell is either its
        //   slot or its node.
        const Cell cell = unpack_cell(level.cells[level.next].load(memory_order_acquire));
        const std::uint64_t prefix = level.prefix | (level.next << level.depth);
        const std::uint32_t depth = level.depth == 0 ? segment.root_bits() : level.depth + kNodeBits;
        ++level.next;
        if (cell.type == CellType::kEmpty) continue;
        if (cell.type == CellType::kNode) {
            auto* node = segment.at<shm::Node>(cell.ref);
            // A node says where it belongs; so even damaged cells cannot make a loop of the tree.
            if (node == nullptr || depth >= kHashBits || peek(node->head.place) != depth ||
                ((peek(node->head.version) ^ prefix) & ((1ull << depth) - 1)) != 0) {
                status = Status::kCorrupt;
                continue;
            }
            if (visitor.visit_node != nullptr) visitor.visit_node(visitor.user, *node);
            stack[++top] = {node->cell, 0, shm::kNodeCells, prefix, depth};
            continue;
        }
        Ref ref = cell.type == CellType::kSlot ? cell.ref : 0;
        for (int i = 0; i <= kChainMax; ++i) {
            auto* slot = segment.slot_at(ref);
            if (slot == nullptr || i == kChainMax) {
                status = Status::kCorrupt;
                break;
            }
            if (!visitor.visit_slot(visitor.user, *slot)) return status;
            // order[index.visit.chain]: acquire. Partner: insert's CAS of next.
            ref = slot->next.load(memory_order_acquire);
            if (ref == 0) break;
        }
    }
    return status;
}

}  // namespace keystile::engine
