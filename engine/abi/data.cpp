// The C calls that read and commit.
#include "abi/abi.hpp"

namespace keystile::engine::abi {

ks_status find_or_insert(Session& session, ks_bytes key, shm::Slot** slot_out) noexcept {
    const Store& store = *session.store;
    const KeyBytes bytes{key.data, key.size};
    const std::uint64_t hash = hash_of(bytes, store.hash_seed);
    Status s = find_slot(store.segment, bytes, hash, slot_out);
    if (s == Status::kOk) [[likely]]
        return KS_OK;
    if (s == Status::kNotFound) {
        if (store.is_destroyed()) return fault(Status::kDestroyed, "creating a key");
        s = insert_slot(session.lane, bytes, hash, slot_out);
        // Full, perhaps only of what this session keeps for its next transaction. (Not of the spare value, which a
        // delete may need.)
        if (s == Status::kFull && drop_spare(session.lane, session.lane.spare_descriptor))
            s = insert_slot(session.lane, bytes, hash, slot_out);
        if (s == Status::kFull && make_room(session)) s = insert_slot(session.lane, bytes, hash, slot_out);
    }
    return s == Status::kOk ? KS_OK : fault(s, "creating a key");
}

bool make_room(Session& session) noexcept {
    Segment& segment = session.store->segment;
    const bool is_reaped = reap_dead(segment, session.store->self, kParticipantsMax) != 0;
    if (!segment.is_durable() || flush_all(*session.store) != Status::kOk) return is_reaped;
    recycle_up_to(segment, ring_tail(segment));  // by us, or by the flusher a moment ago
    return true;
}

ks_status read_commit_options(const Session& session, const ks_commit_options* options,
                              bool* is_releasing_out, bool* has_grant_out, Grant* grant_out) noexcept {
    if (options->struct_size != sizeof(ks_commit_options))
        return fault(KS_E_STRUCT_SIZE, "ks_commit_options.struct_size");
    constexpr std::uint32_t kBoth = KS_COMMIT_DURABLE | KS_COMMIT_RELAXED;
    if ((options->flags & ~(KS_COMMIT_RELEASE | kBoth)) != 0 || (options->flags & kBoth) == kBoth ||
        options->reserved != 0) {
        return fault(KS_E_ARGUMENT, "unknown or contradicting commit flags, or `reserved` is not 0");
    }
    *is_releasing_out = (options->flags & KS_COMMIT_RELEASE) != 0;
    *has_grant_out = options->grant != nullptr;
    if (options->grant != nullptr) return grant_of(session, options->grant, grant_out);
    return *is_releasing_out ? fault(KS_E_ARGUMENT, "KS_COMMIT_RELEASE without a grant") : KS_OK;
}

}  // namespace keystile::engine::abi

using namespace keystile::engine;
using namespace keystile::engine::abi;

namespace {

inline ks_status get_slot(const Store& store, const shm::Slot& slot, void* buf, size_t capacity,
                          size_t* size_out, ks_stamp* seen_out) noexcept {
    if (buf == nullptr && capacity != 0) [[unlikely]]
        return fault(KS_E_ARGUMENT, "buf is NULL, capacity is not 0");
    const ReadResult result = read_value(store.segment, slot, buf, capacity);
    if (static_cast<int>(result.status) < 0) [[unlikely]]
        return fault(result.status, "reading");
    if (size_out != nullptr) *size_out = result.size;
    if (seen_out != nullptr) {
        const bool is_written = result.word.version() != 0;
        seen_out->version = result.word.version();
        seen_out->epoch = is_written ? store.token_of(result.word.epoch()) : 0;
    }
    return static_cast<ks_status>(result.status);
}

// Apart from the hot path, into which commit() is inlined: once is enough there.
[[gnu::cold, gnu::noinline]] Status commit_after_making_room(Session& session, shm::Slot& slot,
                                                             const CommitRequest& request,
                                                             Receipt* receipt_out) noexcept {
    return make_room(session) ? commit(session, slot, request, receipt_out) : Status::kFull;
}

[[gnu::always_inline]] inline ks_status commit_slot(ks_session& handle, shm::Slot& slot,
                                                    const CommitRequest& request, std::uint32_t flags,
                                                    ks_receipt* receipt_out) noexcept {
    Session& session = handle.session;
    if (request.grant != nullptr && request.grant->slot != &slot) [[unlikely]] {
        return fault(KS_E_GRANT, "the grant is of another key");
    }
    Receipt receipt;
    Status s = commit(session, slot, request, &receipt);
    if (s == Status::kFull) [[unlikely]]
        s = commit_after_making_room(session, slot, request, &receipt);
    // A full ring is flushed.
    const ks_status status = s >= Status::kOk ? static_cast<ks_status>(s) : flush_answer(s, "committing");
    tell(*session.store, receipt.now, receipt.owner, status, receipt_out);
    if (status == KS_OK && session.store->segment.is_durable()) [[unlikely]]
        return after_commit(handle, flags, receipt.now.version());
    return status;
}

// The slot of a key given by bytes or by handle, for a call that writes.
inline ks_status slot_for(Session& session, ks_bytes key, shm::Slot** slot_out) noexcept {
    return find_or_insert(session, key, slot_out);
}
inline ks_status slot_for(Session& session, ks_key key, shm::Slot** slot_out) noexcept {
    *slot_out = slot_of(*session.store, key);
    return *slot_out != nullptr ? KS_OK : fault(KS_E_HANDLE, "the ks_key is of another store");
}

template <class Key>
[[gnu::always_inline]] inline ks_status put(ks_session* session, Key key, ks_stamp seen, ks_bytes value,
                                            bool is_delete, const ks_commit_options* options,
                                            ks_receipt* receipt_out) noexcept {
    if (const ks_status s = check_key(key); s != KS_OK) [[unlikely]]
        return s;
    if (const ks_status s = check_value(value); s != KS_OK) [[unlikely]]
        return s;
    if (const ks_status s = enter(session); s != KS_OK) [[unlikely]]
        return s;
    const Entered entered(session);
    CommitRequest request;
    Grant grant;
    if (options != nullptr) [[unlikely]] {
        bool is_releasing = false, has_grant = false;
        if (const ks_status s =
                read_commit_options(session->session, options, &is_releasing, &has_grant, &grant);
            s != KS_OK)
            return s;
        request.is_releasing = is_releasing;
        if (has_grant) request.grant = &grant;
    }
    shm::Slot* slot = nullptr;
    if (const ks_status s = slot_for(session->session, key, &slot); s != KS_OK) [[unlikely]]
        return s;
    request.seen = {seen.version, seen.epoch};
    request.data = value.data;
    request.size = value.size;
    request.is_delete = is_delete;
    return commit_slot(*session, *slot, request, options != nullptr ? options->flags : 0, receipt_out);
}

}  // namespace

ks_status ks_resolve(ks_session* session, ks_bytes key, ks_key* key_out) {
    if (const ks_status s = check_key(key); s != KS_OK) return s;
    if (key_out == nullptr) return fault(KS_E_ARGUMENT, "key_out is NULL");
    if (!is_live(session)) return explain(session);
    const Store& store = *session->session.store;
    shm::Slot* slot = nullptr;
    if (store.segment.is_read_only()) {
        const KeyBytes bytes{key.data, key.size};
        const Status s = find_slot(store.segment, bytes, hash_of(bytes, store.hash_seed), &slot);
        if (s != Status::kOk) return answer(s, "resolving a key");
    } else {
        if (const ks_status s = enter(session); s != KS_OK) return s;
        const Entered entered(session);
        if (const ks_status s = find_or_insert(session->session, key, &slot); s != KS_OK) return s;
    }
    *key_out = key_of(store, slot);
    return KS_OK;
}

ks_status ks_get(ks_session* session, ks_bytes key, void* buf, size_t capacity, size_t* size_out,
                 ks_stamp* seen_out) {
    if (const ks_status s = check_key(key); s != KS_OK) [[unlikely]]
        return s;
    if (!is_live(session)) [[unlikely]]
        return explain(session);
    const Store& store = *session->session.store;
    const KeyBytes bytes{key.data, key.size};
    shm::Slot* slot = nullptr;
    const Status s = find_slot(store.segment, bytes, hash_of(bytes, store.hash_seed), &slot);
    if (s == Status::kOk) [[likely]]
        return get_slot(store, *slot, buf, capacity, size_out, seen_out);
    if (s != Status::kNotFound) return fault(s, "finding a key");
    if (size_out != nullptr) *size_out = 0;
    if (seen_out != nullptr) *seen_out = {0, 0};
    return KS_NOT_FOUND;
}

ks_status ks_get_k(ks_session* session, ks_key key, void* buf, size_t capacity, size_t* size_out,
                   ks_stamp* seen_out) {
    if (!is_live(session)) [[unlikely]]
        return explain(session);
    const Store& store = *session->session.store;
    const shm::Slot* slot = slot_of(store, key);
    if (slot == nullptr) [[unlikely]]
        return fault(KS_E_HANDLE, "the ks_key is of another store");
    return get_slot(store, *slot, buf, capacity, size_out, seen_out);
}

ks_status ks_get_many(ks_session* session, ks_get_item* items, size_t count) {
    if (!is_live(session)) return explain(session);
    if (items == nullptr && count != 0) return fault(KS_E_ARGUMENT, "items is NULL");
    constexpr std::size_t kBatch = 32;
    ReadItem batch[kBatch];
    std::size_t places[kBatch];
    for (std::size_t next = 0; next < count;) {
        std::size_t filled = 0;
        for (; next < count && filled < kBatch; ++next) {
            ks_get_item& item = items[next];
            item.size = 0;
            item.seen = {0, 0};
            item.status = check_key(item.key);
            if (item.buf == nullptr && item.capacity != 0)
                item.status = fault(KS_E_ARGUMENT, "buf is NULL, capacity is not 0");
            if (item.status != KS_OK) continue;
            places[filled] = next;
            batch[filled++] = {{item.key.data, item.key.size}, item.buf, item.capacity, 0, {}, Status::kOk};
        }
        read_many(*session->session.store, batch, filled);
        for (std::size_t i = 0; i < filled; ++i) {
            ks_get_item& item = items[places[i]];
            item.size = batch[i].size;
            item.seen = to_c(batch[i].seen);
            item.status = answer(batch[i].status, "reading");
        }
    }
    return KS_OK;
}

ks_status ks_commit(ks_session* session, ks_bytes key, ks_stamp seen, ks_bytes value,
                    const ks_commit_options* options, ks_receipt* receipt_out) {
    return put(session, key, seen, value, false, options, receipt_out);
}
ks_status ks_commit_k(ks_session* session, ks_key key, ks_stamp seen, ks_bytes value,
                      const ks_commit_options* options, ks_receipt* receipt_out) {
    return put(session, key, seen, value, false, options, receipt_out);
}
ks_status ks_delete(ks_session* session, ks_bytes key, ks_stamp seen, const ks_commit_options* options,
                    ks_receipt* receipt_out) {
    return put(session, key, seen, {}, true, options, receipt_out);
}
ks_status ks_delete_k(ks_session* session, ks_key key, ks_stamp seen, const ks_commit_options* options,
                      ks_receipt* receipt_out) {
    return put(session, key, seen, {}, true, options, receipt_out);
}
