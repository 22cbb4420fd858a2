#include <algorithm>

#include "operations/find_many.hpp"
#include "operations/read.hpp"

namespace keystile::engine {

namespace {

void read_batch(const Store& store, ReadItem* items, std::size_t count) noexcept {
    KeyBytes keys[kBatch];
    for (std::size_t i = 0; i < count; ++i) keys[i] = items[i].key;
    FoundSlots found;
    find_many(store, keys, count, found);
    for (std::size_t i = 0; i < count; ++i) {
        ReadItem& item = items[i];
        item.status = found.statuses[i];
        item.size = 0;
        item.seen = {};
        if (item.status != Status::kOk) continue;
        const ReadResult result = read_value(store.segment, *found.slots[i], item.buf, item.capacity);
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
