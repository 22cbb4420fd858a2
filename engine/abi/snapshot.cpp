// The C calls of snapshots: which keys, then one cut of them, kept in memory of this process.
#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "abi/abi.hpp"
#include "abi/quarantine.hpp"

using namespace keystile::engine;
using namespace keystile::engine::abi;

namespace {

constexpr int kListingsMax = 16;  // tries to find the same keys before and after a cut

struct Taken {
    std::string key, value;
    ks_stamp stamp{};
    bool has_value = false;
};

}  // namespace

struct ks_snapshot {
    std::uint64_t magic = 0;
    std::vector<Taken> taken;         // in the order of the caller, or by key
    std::vector<std::size_t> by_key;  // indices into `taken`, ascending by key
};

namespace {

// Also in a forked child: it has its own copy of all of it.
bool is_alive(const ks_snapshot* snapshot) noexcept {
    return snapshot != nullptr && snapshot->magic == kSnapshotMagic;
}

ks_status explain_snapshot(const ks_snapshot* snapshot) noexcept {
    return explain_handle(snapshot, snapshot != nullptr ? snapshot->magic : 0, kSnapshotMagic);
}

void tell_entry(const Taken& taken, ks_snapshot_entry* entry_out) noexcept {
    if (entry_out == nullptr) return;
    *entry_out = {{taken.key.data(), taken.key.size()},
                  {taken.value.data(), taken.value.size()},
                  taken.stamp,
                  taken.has_value ? KS_OK : KS_NOT_FOUND};
}

void* room_for(void* user, std::size_t index, std::size_t bytes) noexcept {
    auto& taken = *static_cast<std::vector<Taken>*>(user);
    try {
        taken[index].value.resize(bytes);
        return taken[index].value.data();
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

// One cut of these slots into `taken`, which has a place for each.
Status take(Session& session, const std::vector<shm::Slot*>& slots, std::vector<Taken>& taken) {
    std::vector<CutKey> keys(slots.size());
    for (std::size_t i = 0; i < slots.size(); ++i) {
        keys[i].slot = slots[i];
        keys[i].value = taken[i].value.data();
        keys[i].size = taken[i].value.size();
    }
    const Status s = cut(session, keys.data(), keys.size(), room_for, &taken);
    for (std::size_t i = 0; i < keys.size(); ++i) {
        taken[i].has_value = keys[i].has_value;
        taken[i].stamp = to_c(session.store->stamp_of(keys[i].clean));
        if (!keys[i].has_value) taken[i].value.clear();
    }
    return s;
}

void sort_by_key(ks_snapshot& snapshot) {
    snapshot.by_key.resize(snapshot.taken.size());
    for (std::size_t i = 0; i < snapshot.by_key.size(); ++i) snapshot.by_key[i] = i;
    std::sort(snapshot.by_key.begin(), snapshot.by_key.end(),
              [&](std::size_t a, std::size_t b) { return snapshot.taken[a].key < snapshot.taken[b].key; });
}

// The slots of all keys that start with a prefix, ascending.
struct Listing {
    const Store* store;
    std::string_view prefix;
    std::vector<shm::Slot*> slots;
    Status status = Status::kOk;

    static bool add(void* user, shm::Slot& slot) {
        auto& self = *static_cast<Listing*>(user);
        StoredKey key;
        if (!read_key(self.store->segment, slot, &key)) {
            self.status = Status::kCorrupt;
            return true;
        }
        const std::string_view bytes(static_cast<const char*>(key.bytes().data), key.size);
        if (bytes.starts_with(self.prefix)) self.slots.push_back(&slot);
        return true;
    }
    Status run() {
        slots.clear();
        const Status walked = visit_all(store->segment, Visitor{this, add, nullptr});
        std::sort(slots.begin(), slots.end());
        return walked != Status::kOk ? walked : status;
    }
};

// The cut of a prefix: no key with it came while it was taken, so the keys are all there were.
Status take_prefix(Session& session, std::string_view prefix, ks_snapshot& snapshot) {
    Listing listing{session.store, prefix, {}};
    if (const Status s = listing.run(); s != Status::kOk) return s;
    for (int tries = 0; tries < kListingsMax; ++tries) {
        const std::vector<shm::Slot*> slots = listing.slots;
        snapshot.taken.resize(slots.size());
        if (const Status s = take(session, slots, snapshot.taken); s != Status::kOk) return s;
        if (const Status s = listing.run(); s != Status::kOk) return s;
        if (listing.slots != slots) continue;
        for (std::size_t i = 0; i < slots.size(); ++i) {
            StoredKey key;
            if (!read_key(session.store->segment, *slots[i], &key)) return Status::kCorrupt;
            snapshot.taken[i].key.assign(static_cast<const char*>(key.bytes().data), key.size);
        }
        std::erase_if(snapshot.taken, [](const Taken& taken) { return !taken.has_value; });
        std::sort(snapshot.taken.begin(), snapshot.taken.end(),
                  [](const Taken& a, const Taken& b) { return a.key < b.key; });
        return Status::kOk;
    }
    return Status::kBusy;
}

// A cut may have to ask the ring, and so writes; from a read-only store it only reads.
template <class Fill>
ks_status snapshot_of(ks_session* session, ks_snapshot** snapshot_out, Fill fill) noexcept {
    if (snapshot_out == nullptr) return fault(KS_E_ARGUMENT, "snapshot_out is NULL");
    if (!is_live(session)) return explain(session);
    const auto run = [&]() -> ks_status {
        try {
            auto snapshot = std::make_unique<ks_snapshot>();
            const Status s = fill(session->session, *snapshot);
            if (s != Status::kOk) return answer(s, "taking a snapshot");
            sort_by_key(*snapshot);
            snapshot->magic = kSnapshotMagic;
            *snapshot_out = snapshot.release();
            return KS_OK;
        } catch (const std::bad_alloc&) {
            return fault(KS_E_MEMORY, "a snapshot: out of memory");
        }
    };
    if (session->session.store->segment.is_read_only()) return run();
    if (const ks_status s = enter(session); s != KS_OK) return s;
    const Entered entered(session);
    return run();
}

}  // namespace

ks_status ks_snapshot_keys(ks_session* session, const ks_bytes* keys, size_t count,
                           ks_snapshot** snapshot_out) {
    if (keys == nullptr && count != 0) return fault(KS_E_ARGUMENT, "keys is NULL");
    for (size_t i = 0; i < count; ++i) {
        if (const ks_status s = check_key(keys[i]); s != KS_OK) return s;
    }
    return snapshot_of(session, snapshot_out, [&](Session& inside, ks_snapshot& snapshot) -> Status {
        const Store& store = *inside.store;
        std::vector<shm::Slot*> slots(count);
        snapshot.taken.resize(count);
        for (int tries = 0; tries < kListingsMax; ++tries) {
            for (size_t i = 0; i < count; ++i) {
                const KeyBytes key{keys[i].data, keys[i].size};
                const Status s = find_slot(store.segment, key, hash_of(key, store.hash_seed), &slots[i]);
                if (s == Status::kNotFound) slots[i] = nullptr;
                if (s != Status::kOk && s != Status::kNotFound) return s;
                snapshot.taken[i].key.assign(static_cast<const char*>(key.data), key.size);
            }
            if (const Status s = take(inside, slots, snapshot.taken); s != Status::kOk) return s;
            // A key that had no slot had no value; it counts only if it has none yet.
            bool is_same = true;
            for (size_t i = 0; i < count && is_same; ++i) {
                if (slots[i] != nullptr) continue;
                const KeyBytes key{keys[i].data, keys[i].size};
                shm::Slot* slot = nullptr;
                is_same = find_slot(store.segment, key, hash_of(key, store.hash_seed), &slot) != Status::kOk;
            }
            if (is_same) return Status::kOk;
        }
        return Status::kBusy;
    });
}

ks_status ks_snapshot_prefix(ks_session* session, ks_bytes prefix, ks_snapshot** snapshot_out) {
    if (const ks_status s = check_prefix(prefix); s != KS_OK) return s;
    const std::string_view bytes(static_cast<const char*>(prefix.data), prefix.size);
    return snapshot_of(session, snapshot_out, [&](Session& inside, ks_snapshot& snapshot) {
        return take_prefix(inside, bytes, snapshot);
    });
}

void ks_snapshot_close(ks_snapshot* snapshot) {
    if (!is_alive(snapshot)) return;
    *snapshot = {};
    retire(snapshot);
}

size_t ks_snapshot_size(const ks_snapshot* snapshot) {
    return is_alive(snapshot) ? snapshot->taken.size() : 0;
}

ks_status ks_snapshot_at(const ks_snapshot* snapshot, size_t index, ks_snapshot_entry* entry_out) {
    if (!is_alive(snapshot)) return explain_snapshot(snapshot);
    if (index >= snapshot->taken.size()) return fault(KS_E_ARGUMENT, "the snapshot has no such entry");
    tell_entry(snapshot->taken[index], entry_out);
    return KS_OK;
}

ks_status ks_snapshot_get(const ks_snapshot* snapshot, ks_bytes key, ks_snapshot_entry* entry_out) {
    if (!is_alive(snapshot)) return explain_snapshot(snapshot);
    if (const ks_status s = check_key(key); s != KS_OK) return s;
    const std::string_view bytes(static_cast<const char*>(key.data), key.size);
    const auto it = std::lower_bound(
        snapshot->by_key.begin(), snapshot->by_key.end(), bytes,
        [&](std::size_t index, std::string_view wanted) { return snapshot->taken[index].key < wanted; });
    if (it == snapshot->by_key.end() || snapshot->taken[*it].key != bytes) return KS_NOT_FOUND;
    const Taken& taken = snapshot->taken[*it];
    if (taken.has_value) tell_entry(taken, entry_out);
    return taken.has_value ? KS_OK : KS_NOT_FOUND;
}
