// The C calls of snapshots: which keys, then one cut of them, kept in memory of this process.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <memory_resource>
#include <new>
#include <string_view>
#include <vector>

#include "abi/abi.hpp"
#include "abi/quarantine.hpp"

using namespace keystile::engine;
using namespace keystile::engine::abi;

namespace keystile::engine::abi {

constexpr int kListingsMax = 16;  // tries to find the same keys before and after a cut

// Up to so many keys are looked through one after the other, and worked on without memory from the heap.
constexpr std::size_t kFewKeys = 16;

// Small: eight keys with values of 64 bytes fit into the first piece of a snapshot's memory.
struct Taken {
    const char* key_data = nullptr;  // key and value lie in the snapshot's memory
    const char* value = nullptr;     // nullptr: none
    std::uint32_t key_size = 0, value_size = 0;
    ks_stamp stamp{};

    std::string_view key() const noexcept { return {key_data, key_size}; }
};

// What a cut needs while it is taken.
class Scratch {
public:
    std::pmr::memory_resource* memory() noexcept { return &memory_; }

private:
    alignas(std::max_align_t) std::array<std::byte, kFewKeys * (sizeof(CutKey) + 4 * sizeof(void*))> few_;
    std::pmr::monotonic_buffer_resource memory_{few_.data(), few_.size(), std::pmr::new_delete_resource()};
};
template <class T>
using ScratchVector = std::pmr::vector<T>;

}  // namespace keystile::engine::abi

// All that it holds lies in one memory, given out piece by piece and given back as a whole.
struct ks_snapshot {
    std::uint64_t magic = 0;
    std::pmr::monotonic_buffer_resource memory{std::pmr::new_delete_resource()};  // not the host's default
    std::pmr::vector<Taken> taken{&memory};  // in the order of the caller, or by key
    // Of more than kFewKeys: indices into `taken`, ascending by key.
    std::pmr::vector<std::uint32_t> by_key{&memory};

    void forget() noexcept {
        taken = std::pmr::vector<Taken>(&memory);
        by_key = std::pmr::vector<std::uint32_t>(&memory);
        memory.release();
    }

    void name(Taken& entry, ks_bytes key) {
        void* const place = memory.allocate(key.size, 1);
        std::memcpy(place, key.data, key.size);
        entry.key_data = static_cast<const char*>(place);
        entry.key_size = static_cast<std::uint32_t>(key.size);
    }
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
    *entry_out = {{taken.key_data, taken.key_size},
                  {taken.value, taken.value_size},
                  taken.stamp,
                  taken.value != nullptr ? KS_OK : KS_NOT_FOUND};
}

// Where the values of a cut go, however often it is taken. A value that grows gets twice the room at least, so what it
// leaves behind is no more than it has.
struct Rooms {
    ks_snapshot& snapshot;
    ScratchVector<std::size_t> capacities;
    ScratchVector<CutKey> keys;

    Rooms(ks_snapshot& of, std::size_t count, Scratch& scratch)
        : snapshot(of), capacities(count, scratch.memory()), keys(count, scratch.memory()) {
        static char empty;  // where a value without bytes is: nobody writes to it
        for (CutKey& key : keys) key.value = &empty;
    }

    static void* of(void* user, std::size_t index, std::size_t bytes) noexcept {
        auto& self = *static_cast<Rooms*>(user);
        std::size_t& capacity = self.capacities[index];
        if (bytes <= capacity) return self.keys[index].value;
        try {
            const std::size_t wanted = std::max(bytes, 2 * capacity);
            void* const place = self.snapshot.memory.allocate(wanted);
            capacity = wanted;
            return place;
        } catch (const std::bad_alloc&) {
            return nullptr;
        }
    }
};

// One cut of these slots into `taken`.
Status take(Session& session, const ScratchVector<shm::Slot*>& slots, Rooms& rooms) {
    for (std::size_t i = 0; i < slots.size(); ++i) rooms.keys[i].slot = slots[i];
    const Status s = cut(session, rooms.keys.data(), rooms.keys.size(), Rooms::of, &rooms);
    for (std::size_t i = 0; i < slots.size(); ++i) {
        const CutKey& key = rooms.keys[i];
        Taken& taken = rooms.snapshot.taken[i];
        taken.stamp = to_c(session.store->stamp_of(key.clean));
        taken.value = key.has_value ? static_cast<const char*>(key.value) : nullptr;
        taken.value_size = key.has_value ? static_cast<std::uint32_t>(key.size) : 0;
    }
    return s;
}

void sort_by_key(ks_snapshot& snapshot) {
    if (snapshot.taken.size() <= kFewKeys) return;
    snapshot.by_key.resize(snapshot.taken.size());
    for (std::uint32_t i = 0; i < snapshot.by_key.size(); ++i) snapshot.by_key[i] = i;
    std::sort(snapshot.by_key.begin(), snapshot.by_key.end(), [&](std::uint32_t a, std::uint32_t b) {
        return snapshot.taken[a].key() < snapshot.taken[b].key();
    });
}

// nullptr: not in the snapshot.
const Taken* find_taken(const ks_snapshot& snapshot, std::string_view key) noexcept {
    if (snapshot.by_key.empty()) {
        const auto it = std::find_if(snapshot.taken.begin(), snapshot.taken.end(),
                                     [&](const Taken& taken) { return taken.key() == key; });
        return it != snapshot.taken.end() ? &*it : nullptr;
    }
    const auto it = std::lower_bound(
        snapshot.by_key.begin(), snapshot.by_key.end(), key,
        [&](std::uint32_t index, std::string_view wanted) { return snapshot.taken[index].key() < wanted; });
    return it != snapshot.by_key.end() && snapshot.taken[*it].key() == key ? &snapshot.taken[*it] : nullptr;
}

// The slots of all keys that start with a prefix, ascending.
struct Listing {
    const Store* store;
    std::string_view prefix;
    ScratchVector<shm::Slot*> slots;
    Status status = Status::kOk;

    static bool add(void* user, shm::Slot& slot) {
        auto& self = *static_cast<Listing*>(user);
        StoredKey key;
        if (!read_key(self.store->segment, slot, &key)) {
            self.status = Status::kCorrupt;
            return true;
        }
        const std::string_view bytes(static_cast<const char*>(key.bytes().data), key.size);
        if (!bytes.starts_with(self.prefix)) return true;
        try {
            self.slots.push_back(&slot);
        } catch (const std::bad_alloc&) {  // whoever walks throws nothing
            self.status = Status::kMemory;
            return false;
        }
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
    Scratch kept;
    Listing listing{session.store, prefix, ScratchVector<shm::Slot*>(kept.memory())};
    if (const Status s = listing.run(); s != Status::kOk) return s;
    for (int tries = 0; tries < kListingsMax; ++tries) {
        Scratch scratch;
        const ScratchVector<shm::Slot*> slots(listing.slots, scratch.memory());
        snapshot.forget();  // of the last try
        snapshot.taken.resize(slots.size());
        Rooms rooms(snapshot, slots.size(), scratch);
        if (const Status s = take(session, slots, rooms); s != Status::kOk) return s;
        if (const Status s = listing.run(); s != Status::kOk) return s;
        if (listing.slots != slots) continue;
        for (std::size_t i = 0; i < slots.size(); ++i) {
            StoredKey key;
            if (!read_key(session.store->segment, *slots[i], &key)) return Status::kCorrupt;
            snapshot.name(snapshot.taken[i], {key.bytes().data, key.size});
        }
        std::erase_if(snapshot.taken, [](const Taken& taken) { return taken.value == nullptr; });
        std::sort(snapshot.taken.begin(), snapshot.taken.end(),
                  [](const Taken& a, const Taken& b) { return a.key() < b.key(); });
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
        snapshot.taken.resize(count);
        for (size_t i = 0; i < count; ++i) snapshot.name(snapshot.taken[i], keys[i]);
        Scratch scratch;
        ScratchVector<shm::Slot*> slots(count, scratch.memory());
        Rooms rooms(snapshot, count, scratch);
        for (int tries = 0; tries < kListingsMax; ++tries) {
            for (size_t i = 0; i < count; ++i) {
                const KeyBytes key{keys[i].data, keys[i].size};
                const Status s = find_slot(store.segment, key, hash_of(key, store.hash_seed), &slots[i]);
                if (s == Status::kNotFound) slots[i] = nullptr;
                if (s != Status::kOk && s != Status::kNotFound) return s;
            }
            if (const Status s = take(inside, slots, rooms); s != Status::kOk) return s;
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
    snapshot->magic = 0;
    snapshot->forget();
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
    const Taken* const taken = find_taken(*snapshot, bytes);
    if (taken == nullptr || taken->value == nullptr) return KS_NOT_FOUND;
    tell_entry(*taken, entry_out);
    return KS_OK;
}
