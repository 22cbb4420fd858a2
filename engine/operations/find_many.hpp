// The slots of many keys at once, stage by stage over the whole batch: each stage's prefetches are the next one's hits.
#pragma once

#include "operations/store.hpp"

namespace keystile::engine {

// In flight at once: more than the core's 12-16 outstanding misses, few enough for L1.
inline constexpr std::size_t kBatch = 32;

struct FoundSlots {
    std::uint64_t hashes[kBatch];
    shm::Slot* slots[kBatch];
    Status statuses[kBatch];  // as find_slot's; the value's block of a slot that was found is on its way
};

inline void find_many(const Store& store, const KeyBytes* keys, std::size_t count,
                      FoundSlots& found_out) noexcept {
    const Segment& segment = store.segment;
    const std::uint64_t mask = (1ull << segment.root_bits()) - 1;
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t hash = found_out.hashes[i] = hash_of(keys[i], store.hash_seed);
        const std::uint64_t pair = segment.home_pair_of(hash);
        if (segment.has_home(pair)) {
            __builtin_prefetch(segment.home(pair));
            __builtin_prefetch(segment.home(pair) + 1);
        }
        __builtin_prefetch(&segment.root()[hash & mask]);
    }
    for (std::size_t i = 0; i < count; ++i) {  // where the root already names a slot, fetch its line
        const Cell cell = unpack_cell(peek(segment.root()[found_out.hashes[i] & mask]));
        if (cell.type == CellType::kEmpty) continue;
        if (const auto* line = segment.at<shm::BlockHead>(cell.ref); line != nullptr)
            __builtin_prefetch(line);
    }
    for (std::size_t i = 0; i < count; ++i) {
        found_out.statuses[i] = find_slot(segment, keys[i], found_out.hashes[i], &found_out.slots[i]);
        if (found_out.statuses[i] != Status::kOk) continue;
        const SlotWord w = load_word(*found_out.slots[i]);
        if (const auto* block = segment.at<shm::Block>(w.ref()); block != nullptr) {
            __builtin_prefetch(block);
            __builtin_prefetch(block->payload);
        }
    }
}

}  // namespace keystile::engine
