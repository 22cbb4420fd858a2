#include <algorithm>

#include "operations/read.hpp"

namespace keystile::engine {

namespace {

constexpr std::size_t kBatch =
    32;  // in flight at once: more than the core's 12-16 outstanding misses, few enough for L1

// One stage after the other over the whole batch; each stage's prefetches are the next one's hits.
void read_batch(const Store& store, ReadItem* items, std::size_t count) noexcept {
    const Segment& segment = store.segment;
    const std::uint64_t mask = (1ull << segment.root_bits()) - 1;
    std::uint64_t hashes[kBatch];
    shm::Slot* slots[kBatch];
    for (std::size_t i = 0; i < count; ++i) {
        hashes[i] = hash_of(items[i].key, store.hash_seed);
        const std::uint64_t pair = segment.home_pair_of(hashes[i]);
        if (segment.has_home(pair)) {
            __builtin_prefetch(segment.home(pair));
            __builtin_prefetch(segment.home(pair) + 1);
        }
        __builtin_prefetch(&segment.root()[hashes[i] & mask]);
    }
    for (std::size_t i = 0; i < count; ++i) {  // where the root already names a slot, fetch its line
        const Cell cell = unpack_cell(peek(segment.root()[hashes[i] & mask]));
        if (cell.type == CellType::kEmpty) continue;
        if (const auto* line = segment.at<shm::BlockHead>(cell.ref); line != nullptr)
            __builtin_prefetch(line);
    }
    for (std::size_t i = 0; i < count; ++i) {
        items[i].status = find_slot(segment, items[i].key, hashes[i], &slots[i]);
        if (items[i].status != Status::kOk) continue;
        const SlotWord w = load_word(*slots[i]);
        if (const auto* block = segment.at<shm::Block>(w.ref()); block != nullptr) {
            __builtin_prefetch(block);
            __builtin_prefetch(block->payload);
        }
    }
    for (std::size_t i = 0; i < count; ++i) {
        ReadItem& item = items[i];
        item.size = 0;
        item.seen = {};
        if (item.status != Status::kOk) continue;
        const ReadResult result = read_value(segment, *slots[i], item.buf, item.capacity);
        item.status = result.status;
        item.size = result.size;
        item.seen = store.stamp_of(result.word);
    }
}

}  // namespace

void read_many(const Store& store, ReadItem* items, std::size_t count) noexcept {
    for (std::size_t done = 0; done < count; done += kBatch) {
        read_batch(store, items + done, std::min(kBatch, count - done));
    }
}

}  // namespace keystile::engine
