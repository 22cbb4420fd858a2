// The C calls of transactions. A ks_multi is memory of this process: what was read, expected and asked for, until the
// commit makes an operation of it.
#include <bit>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "abi/abi.hpp"
#include "abi/quarantine.hpp"

using namespace keystile::engine;
using namespace keystile::engine::abi;

namespace keystile::engine::abi {

struct Item {
    explicit Item(shm::Slot& slot) noexcept { key.slot = &slot; }
    MultiKey key;
    bool has_seen = false;    // read or expected: the commit compares it
    bool is_written = false;  // put, deleted or released: once
    bool has_grant = false;
    Grant grant;
    std::size_t value_at = 0;  // in ks_multi::values
};

// Up to so many keys are looked through one after the other.
constexpr std::size_t kManyItems = 16;

}  // namespace keystile::engine::abi

struct ks_multi {
    std::uint64_t magic = 0;
    ks_session* session = nullptr;
    std::vector<Item> items;
    std::vector<std::uint32_t>
        places;                // of more than kManyItems: index + 1, an open hash by slot, at most half full
    std::vector<char> values;  // of the puts, one behind the other
    std::vector<MultiKey*> order;  // by slot, as the engine wants them
    ks_status spoilt = KS_OK;      // what the first refused call answered
    std::string reason;            // the sentence that told it
    std::uint32_t flags = 0;       // of its writes: KS_COMMIT_DURABLE, KS_COMMIT_RELAXED
    bool is_over = false;
    bool is_told = false;  // over, and the keys were compared: their stamps of now are known
};

namespace {

bool is_alive(const ks_multi* multi) noexcept {
    return multi != nullptr && multi->magic == live(kMultiMagic);
}

ks_status explain_multi(const ks_multi* multi) noexcept {
    return explain_handle(multi, multi != nullptr ? multi->magic : 0, kMultiMagic);
}

// The session is alive, and the transaction not over.
ks_status check_open(const ks_multi& multi) noexcept {
    if (!is_live(multi.session)) return explain(multi.session);
    return multi.is_over ? fault(KS_E_ARGUMENT, "the transaction is over: ks_multi_reset() begins another")
                         : KS_OK;
}

// Allocation must not throw out of C.
template <class Call>
ks_status guarded(Call call) noexcept {
    try {
        return call();
    } catch (const std::bad_alloc&) {
        return fault(KS_E_MEMORY, "a transaction: out of memory");
    }
}

// A call that was refused spoils the transaction: without it, what its caller wanted would be committed by half.
ks_status spoil(ks_multi& multi, ks_status s) noexcept {
    if (multi.spoilt != KS_OK) return s;
    multi.spoilt = s;
    try {
        if (s < 0) multi.reason = ks_last_error();
    } catch (const std::bad_alloc&) {
        multi.reason.clear();
    }
    return s;
}

template <class Call>
ks_status on(ks_multi* multi, Call call) noexcept {
    if (!is_alive(multi)) return explain_multi(multi);
    const ks_status s = call();
    return s < 0 || s == KS_FENCED ? spoil(*multi, s) : s;
}

// Where the slot's index is, or would be.
template <class Multi>  // const or not
auto& place_of(Multi& multi, const shm::Slot* slot) noexcept {
    const std::size_t mask = multi.places.size() - 1;
    std::size_t at = reinterpret_cast<std::uintptr_t>(slot) / sizeof(shm::Slot) * kKeyMultiplier >> 32;
    while (multi.places[at & mask] != 0 && multi.items[multi.places[at & mask] - 1].key.slot != slot) ++at;
    return multi.places[at & mask];
}

template <class Multi>
auto find_item(Multi& multi, const shm::Slot* slot) -> decltype(multi.items.data()) {
    if (!multi.places.empty()) {
        const std::uint32_t place = place_of(multi, slot);
        return place != 0 ? &multi.items[place - 1] : nullptr;
    }
    for (auto& item : multi.items) {
        if (item.key.slot == slot) return &item;
    }
    return nullptr;
}

// The slot of a key; mostly of the one that was mentioned last.
ks_status slot_for(const ks_multi& multi, ks_bytes key, shm::Slot** slot_out) noexcept {
    Session& session = multi.session->session;
    const KeyBytes bytes{key.data, key.size};
    if (!multi.items.empty() && bytes.is_inline()) {
        *slot_out = multi.items.back().key.slot;
        if (is_key_equal(session.store->segment, **slot_out, bytes, 0)) return KS_OK;
    }
    return find_or_insert(session, key, slot_out);
}

// A call about a key, which is its slot. `call` gets its item, too, nullptr if this would be its first mention: it
// makes one by item_of() after everything that may refuse it.
template <class Call>
ks_status on_key(ks_multi& multi, ks_bytes key, Call call) noexcept {
    if (const ks_status s = check_open(multi); s != KS_OK) return s;
    if (const ks_status s = check_key(key); s != KS_OK) return s;
    if (const ks_status s = enter(multi.session); s != KS_OK) return s;
    const Entered entered(multi.session);
    return guarded([&]() -> ks_status {
        shm::Slot* slot = nullptr;
        if (const ks_status s = slot_for(multi, key, &slot); s != KS_OK) return s;
        Item* const item = find_item(multi, slot);
        if (item == nullptr && multi.items.size() == KS_MULTI_KEYS_MAX) {
            return fault(KS_E_ARGUMENT, "a transaction has at most %u keys", KS_MULTI_KEYS_MAX);
        }
        return call(*slot, item);
    });
}

Item& item_of(ks_multi& multi, shm::Slot& slot, Item* found) {
    if (found != nullptr) return *found;
    const std::size_t count = multi.items.size();
    if (count == multi.items.capacity()) multi.items.reserve(2 * count + 8);
    if (count >= kManyItems && multi.places.size() < 2 * (count + 1)) {  // the last that may throw
        multi.places.assign(std::bit_ceil(4 * count), 0);
        for (std::uint32_t i = 0; i < count; ++i) place_of(multi, multi.items[i].key.slot) = i + 1;
    }
    if (count >= kManyItems) place_of(multi, &slot) = static_cast<std::uint32_t>(count + 1);
    return multi.items.emplace_back(slot);
}

// A slot's key where it lies: it never changes, so a view of shared memory is as good as a copy.
ks_status key_bytes_of(const Segment& segment, const shm::Slot& slot, ks_bytes* key_out) noexcept {
    StoredKey key;
    if (!read_key(segment, slot, &key)) return fault(Status::kCorrupt, "reading a key");
    const void* bytes = key.block.data != nullptr ? key.block.data : static_cast<const void*>(slot.key);
    *key_out = {bytes, key.size};
    return KS_OK;
}

// Put, delete, release: once a key.
struct Write {
    bool is_releasing = false;
    bool has_grant = false;
    Grant grant;
};

ks_status check_write(const ks_multi& multi, const shm::Slot& slot, const Item* item,
                      const ks_commit_options* options, Write* write_out) noexcept {
    if (item != nullptr && item->is_written)
        return fault(KS_E_ARGUMENT, "a key is written twice in one transaction");
    if (options == nullptr) return KS_OK;
    const ks_status s = read_commit_options(multi.session->session, options, &write_out->is_releasing,
                                            &write_out->has_grant, &write_out->grant);
    if (s != KS_OK) return s;
    const bool is_others = write_out->has_grant && write_out->grant.slot != &slot;
    return is_others ? fault(KS_E_GRANT, "the grant is of another key") : KS_OK;
}

void mark(Item& item, MultiStep step, const Write& write) noexcept {
    item.is_written = true;
    item.key.step = step;
    item.key.is_releasing = write.is_releasing;
    item.has_grant = write.has_grant;
    item.grant = write.grant;
}

void remember_flags(ks_multi& multi, const ks_commit_options* options) noexcept {
    if (options != nullptr) multi.flags |= options->flags & (KS_COMMIT_DURABLE | KS_COMMIT_RELAXED);
}

// A write without a value.
ks_status write_key(ks_multi& multi, ks_bytes key, MultiStep step,
                    const ks_commit_options* options) noexcept {
    return on_key(multi, key, [&](shm::Slot& slot, Item* item) -> ks_status {
        Write write;
        if (const ks_status s = check_write(multi, slot, item, options, &write); s != KS_OK) return s;
        mark(item_of(multi, slot, item), step, write);
        remember_flags(multi, options);
        return KS_OK;
    });
}

ks_status give(const void* data, std::size_t size, void* buf, std::size_t capacity,
               std::size_t* size_out) noexcept {
    if (size_out != nullptr) *size_out = size;
    if (size > capacity) return KS_TOO_SMALL;
    if (size != 0) std::memcpy(buf, data, size);
    return KS_OK;
}

// The items as the engine wants them: by slot.
void gather(ks_multi& multi) {
    multi.order.clear();
    for (Item& item : multi.items) {
        item.key.is_any_version = !item.has_seen;
        item.key.grant = item.has_grant ? &item.grant : nullptr;
        item.key.data = multi.values.data() + item.value_at;
        multi.order.push_back(&item.key);
    }
    sort_by_slot(multi.order.data(), multi.order.size());
}

ks_status tell_item(const ks_multi& multi, const Item& item, ks_multi_result* result_out) noexcept {
    const MultiKey& key = item.key;
    const Store& store = *multi.session->session.store;
    ks_bytes bytes{};
    if (const ks_status s = key_bytes_of(store.segment, *key.slot, &bytes); s != KS_OK) return s;
    ks_receipt receipt{};
    ks_status status = key.status < Status::kOk ? static_cast<ks_status>(key.status) : KS_OK;
    receipt.stamp = to_c(key.seen);
    if (multi.is_told) {
        status = static_cast<ks_status>(key.status);
        tell(store, key.receipt.now, key.receipt.owner, status, &receipt);
    }
    *result_out = {bytes, status, item.has_grant ? 1u : 0u, receipt.stamp, receipt.owner};
    return KS_OK;
}

}  // namespace

ks_status ks_multi_begin(ks_session* session, ks_multi** multi_out) {
    if (multi_out == nullptr) return fault(KS_E_ARGUMENT, "multi_out is NULL");
    if (!is_live(session)) return explain(session);
    if (session->session.store->segment.is_read_only())
        return fault(KS_E_READ_ONLY, "the store was opened with KS_OPEN_READ_ONLY");
    return guarded([&]() -> ks_status {
        auto multi = std::make_unique<ks_multi>();
        multi->session = session;
        multi->magic = live(kMultiMagic);
        *multi_out = multi.release();
        return KS_OK;
    });
}

void ks_multi_reset(ks_multi* multi) {
    if (!is_alive(multi)) return;
    multi->places.clear();
    multi->items.clear();
    multi->values.clear();
    multi->spoilt = KS_OK;
    multi->flags = 0;
    multi->is_over = multi->is_told = false;
}

void ks_multi_end(ks_multi* multi) {
    if (multi == nullptr || multi->magic == 0) return;
    *multi = {};
    retire(multi);
}

ks_status ks_multi_read(ks_multi* multi, ks_bytes key, void* buf, size_t capacity, size_t* size_out,
                        ks_stamp* seen_out) {
    return on(multi, [&]() -> ks_status {
        if (buf == nullptr && capacity != 0) return fault(KS_E_ARGUMENT, "buf is NULL, capacity is not 0");
        return on_key(*multi, key, [&](shm::Slot& slot, Item* found) -> ks_status {
            const Store& store = *multi->session->session.store;
            if (found != nullptr && found->is_written &&
                found->key.step != MultiStep::kCompare) {  // its own write
                if (seen_out != nullptr) *seen_out = to_c(found->key.seen);
                if (found->key.step == MultiStep::kPut) {
                    return give(multi->values.data() + found->value_at, found->key.size, buf, capacity,
                                size_out);
                }
                if (size_out != nullptr) *size_out = 0;
                return KS_NOT_FOUND;
            }
            const ReadResult result = read_value(store.segment, slot, buf, capacity);
            if (result.status < Status::kOk) return fault(result.status, "reading");
            const Stamp seen = store.stamp_of(result.word);
            Item& item = item_of(*multi, slot, found);
            const Stamp before = item.key.seen;
            if (item.has_seen && (before.version != seen.version || before.epoch != seen.epoch))
                return KS_CONFLICT;
            item.key.seen = seen;
            item.has_seen = true;
            if (size_out != nullptr) *size_out = result.size;
            if (seen_out != nullptr) *seen_out = to_c(seen);
            return static_cast<ks_status>(result.status);
        });
    });
}

ks_status ks_multi_expect(ks_multi* multi, ks_bytes key, ks_stamp seen) {
    return on(multi, [&] {
        return on_key(*multi, key, [&](shm::Slot& slot, Item* found) -> ks_status {
            if (found != nullptr && found->has_seen)
                return fault(KS_E_ARGUMENT, "a key has two expectations in one transaction");
            Item& item = item_of(*multi, slot, found);
            item.key.seen = {seen.version, seen.epoch};
            item.has_seen = true;
            return KS_OK;
        });
    });
}

ks_status ks_multi_put(ks_multi* multi, ks_bytes key, ks_bytes value, const ks_commit_options* options) {
    return on(multi, [&]() -> ks_status {
        if (const ks_status s = check_value(value); s != KS_OK) return s;
        return on_key(*multi, key, [&](shm::Slot& slot, Item* found) -> ks_status {
            Write write;
            if (const ks_status s = check_write(*multi, slot, found, options, &write); s != KS_OK) return s;
            const auto* bytes = static_cast<const char*>(value.data);
            const std::size_t value_at = multi->values.size();
            multi->values.insert(multi->values.end(), bytes, bytes + value.size);
            Item& item = item_of(*multi, slot, found);
            mark(item, MultiStep::kPut, write);
            item.value_at = value_at;
            item.key.size = value.size;
            remember_flags(*multi, options);
            return KS_OK;
        });
    });
}

ks_status ks_multi_delete(ks_multi* multi, ks_bytes key, const ks_commit_options* options) {
    return on(multi, [&] { return write_key(*multi, key, MultiStep::kDelete, options); });
}

ks_status ks_multi_release(ks_multi* multi, ks_bytes key, const ks_grant* grant) {
    return on(multi, [&] {
        if (grant == nullptr) return fault(KS_E_ARGUMENT, "grant is NULL");
        const ks_commit_options options{sizeof options, KS_COMMIT_RELEASE, 0, grant};
        return write_key(*multi, key, MultiStep::kCompare, &options);
    });
}

ks_status ks_multi_fault(const ks_multi* multi) {
    return is_alive(multi) ? multi->spoilt : explain_multi(multi);
}

ks_status ks_multi_commit(ks_multi* multi) {
    if (!is_alive(multi)) return explain_multi(multi);
    if (const ks_status s = check_open(*multi); s != KS_OK) return s;
    if (const ks_status s = enter(multi->session); s != KS_OK) return s;
    const Entered entered(multi->session);
    multi->is_over = true;
    if (multi->spoilt < 0) {
        return fault(multi->spoilt, "an earlier call of the transaction was refused: %s",
                     multi->reason.c_str());
    }
    if (multi->spoilt != KS_OK) return multi->spoilt;
    return guarded([&]() -> ks_status {
        gather(*multi);
        Session& session = multi->session->session;
        Status s = commit_multi(session, multi->order.data(), multi->order.size());
        if (s == Status::kFull && make_room(session))
            s = commit_multi(session, multi->order.data(), multi->order.size());
        multi->is_told = s >= Status::kOk;
        if (s != Status::kOk || !session.store->segment.is_durable())
            return s < Status::kOk ? flush_answer(s, "committing a transaction") : static_cast<ks_status>(s);
        Position p = 0;  // that of the keys it wrote, and at least that of those it compared
        for (const MultiKey* key : multi->order) p = std::max<Position>(p, key->receipt.now.version());
        return after_commit(*multi->session, multi->flags, p);
    });
}

size_t ks_multi_size(const ks_multi* multi) {
    return is_alive(multi) ? multi->items.size() : 0;
}

ks_status ks_multi_item(const ks_multi* multi, size_t index, ks_multi_result* result_out) {
    if (!is_alive(multi)) return explain_multi(multi);
    if (!is_live(multi->session)) return explain(multi->session);
    if (result_out == nullptr || index >= multi->items.size())
        return fault(KS_E_ARGUMENT, "result_out is NULL, or there is no such key");
    return tell_item(*multi, multi->items[index], result_out);
}

ks_status ks_multi_find(const ks_multi* multi, ks_bytes key, ks_multi_result* result_out) {
    if (!is_alive(multi)) return explain_multi(multi);
    if (!is_live(multi->session)) return explain(multi->session);
    if (result_out == nullptr) return fault(KS_E_ARGUMENT, "result_out is NULL");
    if (const ks_status s = check_key(key); s != KS_OK) return s;
    const Store& store = *multi->session->session.store;
    const KeyBytes bytes{key.data, key.size};
    shm::Slot* slot = nullptr;
    const Status s = find_slot(store.segment, bytes, hash_of(bytes, store.hash_seed), &slot);
    if (s != Status::kOk) return answer(s, "finding a key");
    const Item* const item = find_item(*multi, slot);
    return item != nullptr ? tell_item(*multi, *item, result_out) : KS_NOT_FOUND;
}
