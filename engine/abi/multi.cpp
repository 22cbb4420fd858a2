// The C calls of transactions. A ks_multi is memory of this process: what was read, expected and asked for, until the
// commit makes an operation of it.
#include <algorithm>
#include <cstring>
#include <deque>
#include <new>
#include <string>
#include <unordered_map>
#include <vector>

#include "abi/abi.hpp"

using namespace keystile::engine;
using namespace keystile::engine::abi;

namespace {

struct Item {
    std::string key;
    shm::Slot* slot = nullptr;
    Stamp seen;
    bool has_seen = false;   // read or expected: the commit compares it
    bool is_written = false;  // put, deleted or released: once
    MultiStep step = MultiStep::kCompare;
    bool is_releasing = false, has_grant = false;
    Grant grant;
    std::string value;
    Status status = Status::kOk;
    Receipt now{};
};

}  // namespace

struct ks_multi {
    std::uint64_t magic = 0;
    ks_session* session = nullptr;
    std::deque<Item> items;  // a deque: keys handed out by ks_multi_item() stay where they are
    std::unordered_map<std::string_view, std::size_t> places;
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
    return multi->is_over ? fault(KS_E_ARGUMENT, "the transaction is over: ks_multi_reset() begins another") : KS_OK;
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

// The key's item, made when the key is first mentioned. The caller has entered the session.
ks_status item_for(ks_multi& multi, ks_bytes key, Item** item_out) {
    const std::string_view bytes(static_cast<const char*>(key.data), key.size);
    if (const auto it = multi.places.find(bytes); it != multi.places.end()) {
        *item_out = &multi.items[it->second];
        return KS_OK;
    }
    if (multi.items.size() == KS_MULTI_KEYS_MAX) {
        return fault(KS_E_ARGUMENT, "a transaction has at most %u keys", KS_MULTI_KEYS_MAX);
    }
    shm::Slot* slot = nullptr;
    if (const ks_status s = find_or_insert(multi.session->session, key, &slot); s != KS_OK) return s;
    Item& item = multi.items.emplace_back();
    try {
        item.key = bytes;
        multi.places.emplace(item.key, multi.items.size() - 1);
    } catch (...) {
        multi.items.pop_back();
        throw;
    }
    item.slot = slot;
    *item_out = &item;
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

// Put, delete, release: once a key.
ks_status write_item(ks_multi* multi, Item& item, MultiStep step, const ks_commit_options* options) noexcept {
    if (item.is_written) return fault(KS_E_ARGUMENT, "a key is written twice in one transaction");
    bool is_releasing = false, has_grant = false;
    Grant grant;
    if (options != nullptr) {
        const ks_status s =
            read_commit_options(multi->session->session, options, &is_releasing, &has_grant, &grant);
        if (s != KS_OK) return s;
        if (has_grant && grant.slot != item.slot) return fault(KS_E_GRANT, "the grant is of another key");
    }
    item.is_written = true;
    item.step = step;
    item.is_releasing = is_releasing;
    item.has_grant = has_grant;
    item.grant = grant;
    return KS_OK;
}

ks_status give(const void* data, std::size_t size, void* buf, std::size_t capacity, std::size_t* size_out) noexcept {
    if (size_out != nullptr) *size_out = size;
    if (size > capacity) return KS_TOO_SMALL;
    if (size != 0) std::memcpy(buf, data, size);
    return KS_OK;
}

// The items as the engine wants them: by slot. order[i] = which item the i-th key is.
void gather(ks_multi& multi, std::vector<MultiKey>& keys, std::vector<std::size_t>& order) {
    order.resize(multi.items.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return multi.items[a].slot < multi.items[b].slot; });
    keys.resize(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        const Item& item = multi.items[order[i]];
        MultiKey& key = keys[i];
        key.slot = item.slot;
        key.seen = item.seen;
        key.is_any_version = !item.has_seen;
        key.step = item.step;
        key.is_releasing = item.is_releasing;
        key.grant = item.has_grant ? &item.grant : nullptr;
        key.data = item.value.data();
        key.size = item.value.size();
    }
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
    multi->places.clear();
    multi->items.clear();
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
        if (item.is_written && item.step != MultiStep::kCompare) {  // its own write
            if (seen_out != nullptr) *seen_out = to_c(item.seen);
            if (item.step == MultiStep::kPut)
                return give(item.value.data(), item.value.size(), buf, capacity, size_out);
            if (size_out != nullptr) *size_out = 0;
            return KS_NOT_FOUND;
        }
        const ReadResult result = read_value(store.segment, *item.slot, buf, capacity);
        if (result.status < Status::kOk) return fault(result.status, "reading");
        const Stamp seen = store.stamp_of(result.word);
        if (item.has_seen && (item.seen.version != seen.version || item.seen.epoch != seen.epoch)) return KS_CONFLICT;
        item.seen = seen;
        item.has_seen = true;
        if (size_out != nullptr) *size_out = result.size;
        if (seen_out != nullptr) *seen_out = to_c(seen);
        return static_cast<ks_status>(result.status);
    });
}

ks_status ks_multi_expect(ks_multi* multi, ks_bytes key, ks_stamp seen) {
    return with_item(multi, key, [&](Item& item) -> ks_status {
        if (item.has_seen) return fault(KS_E_ARGUMENT, "a key has two expectations in one transaction");
        item.seen = {seen.version, seen.epoch};
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
        if (!item.is_written) item.value.assign(static_cast<const char*>(value.data), value.size);
        return write_item(multi, item, MultiStep::kPut, options);
    });
}

ks_status ks_multi_delete(ks_multi* multi, ks_bytes key, const ks_commit_options* options) {
    return with_item(multi, key, [&](Item& item) { return write_item(multi, item, MultiStep::kDelete, options); });
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
        std::vector<MultiKey> keys;
        std::vector<std::size_t> order;
        gather(*multi, keys, order);
        Session& session = multi->session->session;
        multi->is_over = true;
        Status s = commit_multi(session, keys.data(), keys.size());
        if (s == Status::kFull && reap_dead(session.store->segment, session.store->self, kParticipantsMax) != 0)
            s = commit_multi(session, keys.data(), keys.size());
        for (std::size_t i = 0; i < order.size(); ++i) {
            multi->items[order[i]].status = keys[i].status;
            multi->items[order[i]].now = keys[i].receipt;
        }
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
    const Item& item = multi->items[index];
    *result_out = {};
    result_out->key = {item.key.data(), item.key.size()};
    if (!multi->is_over) {
        result_out->stamp = to_c(item.seen);
        return KS_OK;
    }
    result_out->status = static_cast<ks_status>(item.status);
    ks_receipt receipt{};
    tell(*multi->session->session.store, item.now.now, item.now.owner, result_out->status, &receipt);
    result_out->stamp = receipt.stamp;
    result_out->owner = receipt.owner;
    return KS_OK;
}
