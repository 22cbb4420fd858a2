// The C calls of transactions. A ks_multi is memory of this process: what was read, expected and asked for, until the
// commit makes an operation of it.
#include <cstring>
#include <new>
#include <unordered_map>
#include <vector>

#include "abi/abi.hpp"

using namespace keystile::engine;
using namespace keystile::engine::abi;

namespace {

struct Item {
    MultiKey key;
    bool has_seen = false;    // read or expected: the commit compares it
    bool is_written = false;  // put, deleted or released: once
    bool has_grant = false;
    Grant grant;
    std::size_t value_at = 0;  // in ks_multi::values
};

// From so many keys on, they are looked up in a map instead of one after the other.
constexpr std::size_t kManyItems = 16;

}  // namespace

struct ks_multi {
    std::uint64_t magic = 0;
    ks_session* session = nullptr;
    std::vector<Item> items;
    std::unordered_map<const shm::Slot*, std::size_t> places;  // of the items from kManyItems on
    std::vector<char> values;                                  // of the puts, one behind the other
    std::vector<MultiKey*> order;                              // by slot, as the engine wants them
    bool is_over = false;
};

namespace {

ks_status explain_multi(const ks_multi* multi) noexcept {
    return explain_handle(multi, multi != nullptr ? multi->magic : 0, kMultiMagic);
}

// The transaction and its session are alive, and it is not over.
ks_status check_multi(ks_multi* multi) noexcept {
    if (multi == nullptr || multi->magic != live(kMultiMagic)) return explain_multi(multi);
    if (!is_live(multi->session)) return explain(multi->session);
    return multi->is_over ? fault(KS_E_ARGUMENT, "the transaction is over: ks_multi_reset() begins another")
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

Item* find_item(ks_multi& multi, const shm::Slot* slot) {
    for (std::size_t i = 0; i < multi.items.size() && i < kManyItems; ++i) {
        if (multi.items[i].key.slot == slot) return &multi.items[i];
    }
    const auto it = multi.items.size() > kManyItems ? multi.places.find(slot) : multi.places.end();
    return it != multi.places.end() ? &multi.items[it->second] : nullptr;
}

// The key's item, made when the key is first mentioned: a key is its slot. The caller has entered the session.
ks_status item_for(ks_multi& multi, ks_bytes key, Item** item_out) {
    shm::Slot* slot = nullptr;
    if (const ks_status s = find_or_insert(multi.session->session, key, &slot); s != KS_OK) return s;
    *item_out = find_item(multi, slot);
    if (*item_out != nullptr) return KS_OK;
    const std::size_t count = multi.items.size();
    if (count == KS_MULTI_KEYS_MAX) {
        return fault(KS_E_ARGUMENT, "a transaction has at most %u keys", KS_MULTI_KEYS_MAX);
    }
    multi.items.reserve(count + 1 > multi.items.capacity() ? 2 * count + 8 : 0);
    if (count >= kManyItems) multi.places.emplace(slot, count);
    *item_out = &multi.items.emplace_back();
    (*item_out)->key.slot = slot;
    return KS_OK;
}

// Begin a call: handles, key, session, item.
template <class Call>
ks_status with_item(ks_multi* multi, ks_bytes key, Call call) noexcept {
    if (const ks_status s = check_multi(multi); s != KS_OK) return s;
    if (const ks_status s = check_key(key); s != KS_OK) return s;
    if (const ks_status s = enter(multi->session); s != KS_OK) return s;
    const Entered entered(multi->session);
    return guarded([&]() -> ks_status {
        Item* item = nullptr;
        if (const ks_status s = item_for(*multi, key, &item); s != KS_OK) return s;
        return call(*item);
    });
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
ks_status write_item(ks_multi* multi, Item& item, MultiStep step, const ks_commit_options* options) noexcept {
    if (item.is_written) return fault(KS_E_ARGUMENT, "a key is written twice in one transaction");
    bool is_releasing = false, has_grant = false;
    Grant grant;
    if (options != nullptr) {
        const ks_status s =
            read_commit_options(multi->session->session, options, &is_releasing, &has_grant, &grant);
        if (s != KS_OK) return s;
        if (has_grant && grant.slot != item.key.slot) return fault(KS_E_GRANT, "the grant is of another key");
    }
    item.is_written = true;
    item.key.step = step;
    item.key.is_releasing = is_releasing;
    item.has_grant = has_grant;
    item.grant = grant;
    return KS_OK;
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
    if (multi == nullptr || multi->magic != live(kMultiMagic)) return;
    if (multi->items.size() > kManyItems) multi->places.clear();
    multi->items.clear();
    multi->values.clear();
    multi->is_over = false;
}

void ks_multi_end(ks_multi* multi) {
    if (multi == nullptr || multi->magic == 0) return;
    multi->magic = 0;
    delete multi;
}

ks_status ks_multi_read(ks_multi* multi, ks_bytes key, void* buf, size_t capacity, size_t* size_out,
                        ks_stamp* seen_out) {
    if (buf == nullptr && capacity != 0) return fault(KS_E_ARGUMENT, "buf is NULL, capacity is not 0");
    return with_item(multi, key, [&](Item& item) -> ks_status {
        const Store& store = *multi->session->session.store;
        if (item.is_written && item.key.step != MultiStep::kCompare) {  // its own write
            if (seen_out != nullptr) *seen_out = to_c(item.key.seen);
            if (item.key.step == MultiStep::kPut)
                return give(multi->values.data() + item.value_at, item.key.size, buf, capacity, size_out);
            if (size_out != nullptr) *size_out = 0;
            return KS_NOT_FOUND;
        }
        const ReadResult result = read_value(store.segment, *item.key.slot, buf, capacity);
        if (result.status < Status::kOk) return fault(result.status, "reading");
        const Stamp seen = store.stamp_of(result.word);
        const Stamp before = item.key.seen;
        if (item.has_seen && (before.version != seen.version || before.epoch != seen.epoch))
            return KS_CONFLICT;
        item.key.seen = seen;
        item.has_seen = true;
        if (size_out != nullptr) *size_out = result.size;
        if (seen_out != nullptr) *seen_out = to_c(seen);
        return static_cast<ks_status>(result.status);
    });
}

ks_status ks_multi_expect(ks_multi* multi, ks_bytes key, ks_stamp seen) {
    return with_item(multi, key, [&](Item& item) -> ks_status {
        if (item.has_seen) return fault(KS_E_ARGUMENT, "a key has two expectations in one transaction");
        item.key.seen = {seen.version, seen.epoch};
        item.has_seen = true;
        return KS_OK;
    });
}

ks_status ks_multi_put(ks_multi* multi, ks_bytes key, ks_bytes value, const ks_commit_options* options) {
    if (value.data == nullptr && value.size != 0) return fault(KS_E_ARGUMENT, "the value's data is NULL");
    if (value.size > KS_VALUE_SIZE_MAX) {
        return fault(KS_E_VALUE_SIZE, "a value has at most %u bytes, not %zu", KS_VALUE_SIZE_MAX, value.size);
    }
    return with_item(multi, key, [&](Item& item) -> ks_status {
        const auto* bytes = static_cast<const char*>(value.data);
        const std::size_t value_at = multi->values.size();
        multi->values.insert(multi->values.end(), bytes,
                             bytes + value.size);  // may throw: before anything is marked
        const ks_status s = write_item(multi, item, MultiStep::kPut, options);
        if (s != KS_OK) {
            multi->values.resize(value_at);
            return s;
        }
        item.value_at = value_at;
        item.key.size = value.size;
        return KS_OK;
    });
}

ks_status ks_multi_delete(ks_multi* multi, ks_bytes key, const ks_commit_options* options) {
    return with_item(multi, key,
                     [&](Item& item) { return write_item(multi, item, MultiStep::kDelete, options); });
}

ks_status ks_multi_release(ks_multi* multi, ks_bytes key, const ks_grant* grant) {
    if (grant == nullptr) return fault(KS_E_ARGUMENT, "grant is NULL");
    const ks_commit_options options{sizeof options, KS_COMMIT_RELEASE, 0, grant};
    return with_item(multi, key,
                     [&](Item& item) { return write_item(multi, item, MultiStep::kCompare, &options); });
}

ks_status ks_multi_commit(ks_multi* multi) {
    if (const ks_status s = check_multi(multi); s != KS_OK) return s;
    if (const ks_status s = enter(multi->session); s != KS_OK) return s;
    const Entered entered(multi->session);
    return guarded([&]() -> ks_status {
        gather(*multi);
        Session& session = multi->session->session;
        multi->is_over = true;
        Status s = commit_multi(session, multi->order.data(), multi->order.size());
        if (s == Status::kFull &&
            reap_dead(session.store->segment, session.store->self, kParticipantsMax) != 0)
            s = commit_multi(session, multi->order.data(), multi->order.size());
        return answer(s, "committing a transaction");
    });
}

size_t ks_multi_size(const ks_multi* multi) {
    return multi != nullptr && multi->magic == live(kMultiMagic) ? multi->items.size() : 0;
}

ks_status ks_multi_item(const ks_multi* multi, size_t index, ks_multi_result* result_out) {
    if (multi == nullptr || multi->magic != live(kMultiMagic)) return explain_multi(multi);
    if (!is_live(multi->session)) return explain(multi->session);
    if (result_out == nullptr || index >= multi->items.size())
        return fault(KS_E_ARGUMENT, "result_out is NULL, or there is no such key");
    const MultiKey& key = multi->items[index].key;
    const Store& store = *multi->session->session.store;
    *result_out = {};
    if (const ks_status s = key_bytes_of(store.segment, *key.slot, &result_out->key); s != KS_OK) return s;
    if (!multi->is_over) {
        result_out->stamp = to_c(key.seen);
        return KS_OK;
    }
    result_out->status = static_cast<ks_status>(key.status);
    ks_receipt receipt{};
    tell(store, key.receipt.now, key.receipt.owner, result_out->status, &receipt);
    result_out->stamp = receipt.stamp;
    result_out->owner = receipt.owner;
    return KS_OK;
}
