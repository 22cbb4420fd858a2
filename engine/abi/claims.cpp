// The C calls around claims, and watching.
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "abi/abi.hpp"

namespace keystile::engine::abi {

namespace {

constexpr std::uint64_t kEpochMask = kEpochMax;

}  // namespace

ks_owner to_c(const Owner& owner) noexcept {
    ks_owner out{};
    out.lease_left_ns = owner.lease_left_ns;
    out.epoch = owner.epoch;
    out.pid = owner.pid;
    out.detached = owner.is_detached ? 1 : 0;
    static_assert(KS_LABEL_SIZE == kLabelBytes);
    std::memcpy(out.label, owner.label, kLabelBytes);
    return out;
}

ks_status grant_of(const Session& session, const ks_grant* grant, Grant* grant_out) noexcept {
    if (grant == nullptr) return fault(KS_E_ARGUMENT, "grant is NULL");
    shm::Slot* slot = slot_of(*session.store, grant->key);
    if (slot == nullptr) return fault(KS_E_GRANT, "the grant is of another store, or no grant");
    *grant_out = {slot, grant->stamp.epoch & kEpochMask, static_cast<std::uint32_t>(grant->owner & 0xFFFFu),
                  static_cast<std::uint32_t>(grant->owner >> 16) & 0xFFFFFFu};
    if ((grant->owner >> 40) != 0) return fault(KS_E_GRANT, "no grant");
    const std::uint64_t incarnation = grant->stamp.epoch & ~kEpochMask;
    if (incarnation > session.store->token_base) return fault(KS_E_GRANT, "the grant's epoch never was");
    // Of an earlier incarnation of the store: nobody's claim survived its rebuild.
    return incarnation == session.store->token_base ? KS_OK : KS_FENCED;
}

}  // namespace keystile::engine::abi

using namespace keystile::engine;
using namespace keystile::engine::abi;

namespace {

constexpr uint64_t kLeaseMinNs = 1'000'000;
constexpr char kTokenFormat[] = "ks1-%" PRIx64 "-%06" PRIx32;

ks_status check_lease(uint64_t lease_ns, bool is_detached) noexcept {
    if (lease_ns == 0 && !is_detached) return KS_OK;
    if (lease_ns == 0) return fault(KS_E_ARGUMENT, "a detached claim needs a lease: no death ends it");
    if (lease_ns < kLeaseMinNs || lease_ns > KS_LEASE_NS_MAX) {
        return fault(KS_E_ARGUMENT, "a lease is 1 ms to 1 year, or 0 for \"until the owner dies\"");
    }
    return KS_OK;
}

ks_status read_claim_options(const ks_claim_options* options, ClaimRequest* request_out) noexcept {
    if (options == nullptr) return KS_OK;
    if (options->struct_size != sizeof(ks_claim_options))
        return fault(KS_E_STRUCT_SIZE, "ks_claim_options.struct_size");
    if ((options->flags & ~KS_CLAIM_DETACHED) != 0 || options->reserved != 0) {
        return fault(KS_E_ARGUMENT, "unknown claim flag, or `reserved` is not 0");
    }
    request_out->is_detached = (options->flags & KS_CLAIM_DETACHED) != 0;
    request_out->lease_ns = options->lease_ns;
    request_out->wait_ns = options->wait_ns;
    return check_lease(options->lease_ns, request_out->is_detached);
}

ks_status claim_slot(Session& session, shm::Slot& slot, const ClaimRequest& request, ks_grant* grant_out,
                     ks_receipt* receipt_out) noexcept {
    Grant grant;
    Receipt receipt;
    const ks_status status = answer(claim(session, slot, request, &grant, &receipt), "claiming");
    tell(*session.store, receipt.now, receipt.owner, status, receipt_out);
    if (status != KS_OK) return status;
    grant_out->key = key_of(*session.store, &slot);
    grant_out->stamp = {receipt.now.version(), session.store->token_of(receipt.now.epoch())};
    grant_out->owner = grant.session | (static_cast<uint64_t>(grant.generation) << 16);
    return KS_OK;
}

ks_status find_only(ks_session* session, ks_bytes key, shm::Slot** slot_out) noexcept {
    if (const ks_status s = check_key(key); s != KS_OK) return s;
    if (!is_live(session)) return explain(session);
    const Store& store = *session->session.store;
    const KeyBytes bytes{key.data, key.size};
    return answer(find_slot(store.segment, bytes, hash_of(bytes, store.hash_seed), slot_out),
                  "finding a key");
}

ks_status watch_slot(ks_session* session, shm::Slot& slot, ks_stamp seen, uint64_t timeout_ns,
                     ks_stamp* now_out) noexcept {
    Stamp now;
    const Status s = watch(*session->session.store, slot, {seen.version, seen.epoch}, timeout_ns, &now);
    const ks_status status = answer(s, "watching");
    if (status >= 0 && now_out != nullptr) *now_out = to_c(now);
    return status;
}

// Read-only, and the key has no slot, which is as good as an untouched one.
ks_status watch_absent(ks_session* session, ks_bytes key, ks_stamp seen, uint64_t timeout_ns,
                       ks_stamp* now_out) noexcept {
    const Deadline deadline(timeout_ns);
    const bool is_untouched = seen.version == 0 && seen.epoch == 0;
    shm::Slot* slot = nullptr;
    const Status s =
        wait_for_slot(*session->session.store, {key.data, key.size}, is_untouched ? timeout_ns : 0, &slot);
    if (s == Status::kOk) return watch_slot(session, *slot, seen, deadline.left_ns(), now_out);
    if (s != Status::kTimeout) return answer(s, "watching");
    if (now_out != nullptr) *now_out = {0, 0};
    return is_untouched ? KS_TIMEOUT : KS_OK;
}

}  // namespace

ks_status ks_claim(ks_session* session, ks_bytes key, const ks_claim_options* options, ks_grant* grant_out,
                   ks_receipt* receipt_out) {
    if (const ks_status s = check_key(key); s != KS_OK) return s;
    if (grant_out == nullptr) return fault(KS_E_ARGUMENT, "grant_out is NULL");
    ClaimRequest request;
    if (const ks_status s = read_claim_options(options, &request); s != KS_OK) return s;
    if (const ks_status s = enter(session); s != KS_OK) return s;
    const Entered entered(session);
    shm::Slot* slot = nullptr;
    if (const ks_status s = find_or_insert(session->session, key, &slot); s != KS_OK) return s;
    return claim_slot(session->session, *slot, request, grant_out, receipt_out);
}

ks_status ks_claim_k(ks_session* session, ks_key key, const ks_claim_options* options, ks_grant* grant_out,
                     ks_receipt* receipt_out) {
    if (grant_out == nullptr) return fault(KS_E_ARGUMENT, "grant_out is NULL");
    ClaimRequest request;
    if (const ks_status s = read_claim_options(options, &request); s != KS_OK) return s;
    if (const ks_status s = enter(session); s != KS_OK) return s;
    const Entered entered(session);
    shm::Slot* slot = slot_of(*session->session.store, key);
    if (slot == nullptr) return fault(KS_E_HANDLE, "the ks_key is of another store");
    return claim_slot(session->session, *slot, request, grant_out, receipt_out);
}

ks_status ks_renew(ks_session* session, const ks_grant* grant, uint64_t lease_ns, ks_receipt* receipt_out) {
    if (const ks_status s = enter(session); s != KS_OK) return s;
    const Entered entered(session);
    Grant ticket;
    if (const ks_status s = grant_of(session->session, grant, &ticket); s != KS_OK) return s;
    if (const ks_status s = check_lease(lease_ns, ticket.is_detached()); s != KS_OK) return s;
    Receipt receipt;
    const ks_status status = answer(renew(session->session, ticket, lease_ns, &receipt), "renewing");
    tell(*session->session.store, receipt.now, receipt.owner, status, receipt_out);
    return status;
}

ks_status ks_release(ks_session* session, const ks_grant* grant, ks_receipt* receipt_out) {
    if (const ks_status s = enter(session); s != KS_OK) return s;
    const Entered entered(session);
    Grant ticket;
    if (const ks_status s = grant_of(session->session, grant, &ticket); s != KS_OK) return s;
    Receipt receipt;
    const ks_status status = answer(release(session->session, ticket, &receipt), "releasing");
    tell(*session->session.store, receipt.now, receipt.owner, status, receipt_out);
    return status;
}

ks_status ks_reclaim(ks_session* session, ks_bytes key, uint64_t epoch, uint32_t flags,
                     ks_receipt* receipt_out) {
    if ((flags & ~KS_RECLAIM_LIVE) != 0) return fault(KS_E_ARGUMENT, "unknown reclaim flag");
    if ((epoch & 1u) == 0) return fault(KS_E_ARGUMENT, "an even epoch names no claim");
    shm::Slot* slot = nullptr;
    if (const ks_status s = find_only(session, key, &slot); s != KS_OK) return s;
    if (const ks_status s = enter(session); s != KS_OK) return s;
    const Entered entered(session);
    const std::uint64_t bare = epoch & kEpochMax;
    Receipt receipt;
    // Of an earlier incarnation: over. An epoch of 0 never is a claim's, so nothing is touched.
    const bool is_ours = epoch == session->session.store->token_of(bare);
    const Status s =
        reclaim(session->session, *slot, is_ours ? bare : 0, (flags & KS_RECLAIM_LIVE) != 0, &receipt);
    const ks_status status = answer(s, "reclaiming");
    tell(*session->session.store, receipt.now, receipt.owner, status, receipt_out);
    return status;
}

ks_status ks_grant_format(const ks_grant* grant, char* buf, size_t capacity) {
    if (grant == nullptr || (buf == nullptr && capacity != 0))
        return fault(KS_E_ARGUMENT, "grant or buf is NULL");
    if ((grant->owner & 0xFFFFu) != kDetached) return fault(KS_E_GRANT, "only a detached claim has a token");
    const auto nonce = static_cast<uint32_t>(grant->owner >> 16) & 0xFFFFFFu;
    const int bytes = std::snprintf(buf, capacity, kTokenFormat, grant->stamp.epoch, nonce);
    return bytes >= 0 && static_cast<size_t>(bytes) < capacity ? KS_OK : KS_TOO_SMALL;
}

ks_status ks_grant_parse(ks_session* session, ks_bytes key, const char* token, ks_grant* grant_out) {
    if (token == nullptr || grant_out == nullptr) return fault(KS_E_ARGUMENT, "token or grant_out is NULL");
    uint64_t epoch = 0;
    uint32_t nonce = 0;
    char again[KS_TOKEN_SIZE] = "";
    // Exactly what format writes: anything else in the text, and it is no token.
    const bool is_token =
        std::sscanf(token, "ks1-%" SCNx64 "-%" SCNx32, &epoch, &nonce) == 2 && nonce <= 0xFFFFFFu &&
        std::snprintf(again, sizeof again, kTokenFormat, epoch, nonce) > 0 && std::strcmp(again, token) == 0;
    if (!is_token || (epoch & 1u) == 0) return fault(KS_E_GRANT, "'%.60s' is not a claim's token", token);
    shm::Slot* slot = nullptr;
    if (const ks_status s = find_only(session, key, &slot); s != KS_OK) return s;
    *grant_out = {
        key_of(*session->session.store, slot), {0, epoch}, kDetached | (static_cast<uint64_t>(nonce) << 16)};
    return KS_OK;
}

ks_status ks_watch(ks_session* session, ks_bytes key, ks_stamp seen, uint64_t timeout_ns, ks_stamp* now_out) {
    if (const ks_status s = check_key(key); s != KS_OK) return s;
    ks_key handle;
    const ks_status resolved = ks_resolve(session, key, &handle);
    if (resolved == KS_NOT_FOUND) return watch_absent(session, key, seen, timeout_ns, now_out);
    return resolved == KS_OK ? ks_watch_k(session, handle, seen, timeout_ns, now_out) : resolved;
}

ks_status ks_watch_k(ks_session* session, ks_key key, ks_stamp seen, uint64_t timeout_ns, ks_stamp* now_out) {
    if (!is_live(session)) return explain(session);
    shm::Slot* slot = slot_of(*session->session.store, key);
    if (slot == nullptr) return fault(KS_E_HANDLE, "the ks_key is of another store");
    return watch_slot(session, *slot, seen, timeout_ns, now_out);
}
