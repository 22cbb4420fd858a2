#include "operations/snapshot.hpp"

#include <algorithm>
#include <vector>

namespace keystile::engine {

namespace {

constexpr int kCollectsMax = 16;       // tries before the ring is asked, or kBusy
constexpr int kDecisionsMax = 10'000;  // operations that may be lost to single commits after that

// Copy one key's value as it is now. kOk, kMemory, kCorrupt.
Status collect(const Segment& segment, std::size_t index, CutKey& key, RoomFn room, void* user) noexcept {
    if (key.slot == nullptr) return Status::kOk;
    for (;;) {  // lock-free: another turn only if the word moved, or the value grew
        const SlotWord found = load_word(*key.slot);
        SlotWord clean = found;
        if (found.is_intent()) {
            const Status s = see_through(segment, *key.slot, found, &clean);
            if (s == Status::kBusy) continue;
            if (s != Status::kOk) return s;
        }
        key.found = found;
        key.clean = clean;
        const ReadResult read = read_clean(segment, *key.slot, found, clean, key.value, key.size);
        if (read.status == Status::kBusy) continue;
        if (read.status == Status::kTooSmall || (read.status == Status::kOk && key.size != read.size)) {
            key.value = room(user, index, read.size);
            if (key.value == nullptr) return Status::kMemory;
            key.size = read.size;
            continue;
        }
        key.has_value = read.status == Status::kOk;
        return read.status == Status::kNotFound ? Status::kOk : read.status;
    }
}

// Does the key stand for the same as when it was collected?
bool is_same(const Segment& segment, const CutKey& key) noexcept {
    if (key.slot == nullptr) return true;
    const SlotWord found = load_word(*key.slot);
    if (found != key.found) return false;
    if (!found.is_intent()) return true;
    SlotWord clean;
    return see_through(segment, *key.slot, found, &clean) == Status::kOk && clean == key.clean;
}

// Let the ring say whether what was collected was true together. kOk; kBusy: something has moved; faults.
Status decide_cut(Session& session, CutKey* keys, std::size_t count) {
    std::vector<MultiKey> multi(count);
    std::vector<MultiKey*> order;
    for (std::size_t i = 0; i < count; ++i) {
        if (keys[i].slot == nullptr) continue;
        multi[i].slot = keys[i].slot;
        multi[i].is_exact = true;
        multi[i].judged.word = keys[i].clean;
        order.push_back(&multi[i]);
    }
    const auto is_twice = [](const MultiKey* a, const MultiKey* b) { return a->slot == b->slot; };
    sort_by_slot(order.data(), order.size());
    order.erase(std::unique(order.begin(), order.end(), is_twice), order.end());
    const Status s = commit_multi(session, order.data(), order.size());
    return s == Status::kConflict ? Status::kBusy : s;
}

}  // namespace

Status cut(Session& session, CutKey* keys, std::size_t count, RoomFn room, void* user) {
    const Segment& segment = session.store->segment;
    const bool may_decide = count <= kMultiKeysMax && !segment.is_read_only();
    for (std::size_t i = 0; i < count; ++i) {
        if (const Status s = collect(segment, i, keys[i], room, user); s != Status::kOk) return s;
    }
    for (int tries = 0; tries < kCollectsMax + (may_decide ? kDecisionsMax : 0); ++tries) {
        // order[cut.verify]: acquire fence. Every copy comes before the first of these looks; partner: arena.fill.
        boost::atomic_thread_fence(memory_order_acquire);
        bool is_changed = false;
        for (std::size_t i = 0; i < count; ++i) {
            if (is_same(segment, keys[i])) continue;
            is_changed = true;
            if (const Status s = collect(segment, i, keys[i], room, user); s != Status::kOk) return s;
        }
        if (!is_changed) return Status::kOk;
        if (tries < kCollectsMax) continue;
        const Status s = decide_cut(session, keys, count);
        if (s != Status::kBusy) return s;
    }
    return Status::kBusy;
}

}  // namespace keystile::engine
