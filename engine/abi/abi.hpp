// Inside of the C interface: what the opaque handles are, how calls enter a session, how faults are told.
//
// Exceptions and allocation stop here. A handle's memory is never reused while somebody may still hold the
// closed handle (it rests in quarantine), so that a call on it answers KS_E_HANDLE instead of crashing.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "abi/keystile.h"
#include "abi/keystile_files.h"  // IWYU pragma: export
#include "abi/quarantine.hpp"    // IWYU pragma: export
#include "operations/operations.hpp"

namespace keystile::engine::abi {

inline constexpr std::uint64_t kStoreMagic = 0x65726F7453534B00u;
inline constexpr std::uint64_t kSessionMagic = 0x737365532D534B00u;
inline constexpr std::uint64_t kMultiMagic = 0x69746C754D534B00u;
inline constexpr std::uint64_t kSnapshotMagic = 0x50616E53534B0000u;
inline constexpr std::uint64_t kFeedMagic = 0x64656546534B0000u;
inline constexpr std::uint64_t kFilesMagic = 0x656C69465F534B00u;
inline constexpr std::uint64_t kKeyMultiplier = 0x9E3779B97F4A7C15u;

// The handle is alive if its magic is this: closed handles have 0, those of before a fork an older
// generation.
inline std::uint64_t live(std::uint64_t magic) noexcept {
    return magic + fork_generation;
}

// Remember what went wrong for ks_last_error(); returns the status for the caller to return.
[[gnu::cold]] ks_status fault(ks_status status, const char* format, ...) noexcept
    __attribute__((format(printf, 2, 3)));
[[gnu::cold]] ks_status fault(Status status, const char* doing) noexcept;

// Answers go through as they are, faults are remembered.
inline ks_status answer(Status status, const char* doing) noexcept {
    if (static_cast<std::int32_t>(status) >= 0) [[likely]]
        return static_cast<ks_status>(status);
    return fault(status, doing);
}

}  // namespace keystile::engine::abi

struct ks_session {
    std::uint64_t magic = 0;
    keystile::engine::shm::Atomic32 is_entered{0};  // 1 while a writing call is in the session
    keystile::engine::Session session;
    ks_store* store = nullptr;
};

struct ks_store {
    std::uint64_t magic = 0;
    std::uint64_t serial =
        0;  // of this open, unique in the process: what a thread's default session remembers
    std::unique_ptr<keystile::engine::Store> store;
    keystile::engine::Flusher flusher;  // of a durable store; ends before `store`
    bool is_durable_by_default = false;
    std::mutex lock;  // of `sessions`. tidy-allow(mutex): process-private, at open and close only
    std::vector<ks_session*> sessions;
};

namespace keystile::engine::abi {

[[gnu::cold]] ks_status explain_handle(const void* handle, std::uint64_t magic, std::uint64_t kind) noexcept;

inline bool is_live(const ks_session* session) noexcept {
    return session != nullptr && session->magic == live(kSessionMagic);
}
inline bool is_live(const ks_store* store) noexcept {
    return store != nullptr && store->magic == live(kStoreMagic);
}

inline ks_status explain(const ks_session* session) noexcept {
    return explain_handle(session, session != nullptr ? session->magic : 0, kSessionMagic);
}
inline ks_status explain(const ks_store* store) noexcept {
    return explain_handle(store, store != nullptr ? store->magic : 0, kStoreMagic);
}

// A call that writes enters the session: one at a time, also against a signal handler that interrupts one.
inline ks_status enter(ks_session* session) noexcept {
    if (!is_live(session)) [[unlikely]]
        return explain(session);
    if (session->session.store->segment.is_read_only()) [[unlikely]] {
        return fault(KS_E_READ_ONLY, "the store was opened read-only");
    }
    if (peek(session->is_entered) != 0) [[unlikely]] {
        return fault(KS_E_SESSION_BUSY, "another call is in this session");
    }
    poke(session->is_entered, 1u);
    return KS_OK;
}

// Leaves an entered session at the end of the call.
class Entered {
public:
    explicit Entered(ks_session* session) noexcept : session_(session) {}
    ~Entered() { poke(session_->is_entered, 0u); }
    Entered(const Entered&) = delete;
    Entered& operator=(const Entered&) = delete;

private:
    ks_session* session_;
};

ks_status open_session_of(ks_store* store, ks_session** session_out) noexcept;

inline ks_key key_of(const Store& store, const shm::Slot* slot) noexcept {
    const std::uint64_t ref = store.segment.ref_of(slot);
    return {ref, (ref ^ store.handle_secret) * kKeyMultiplier};
}
// nullptr: not a handle of this store. The check is keyed, so what passes was made by key_of(), from a slot
// that was found.
inline shm::Slot* slot_of(const Store& store, ks_key key) noexcept {
    if (key.check != (key.slot ^ store.handle_secret) * kKeyMultiplier) [[unlikely]]
        return nullptr;
    return store.segment.at_checked<shm::Slot>(static_cast<Ref>(key.slot));
}

inline ks_status check_key(ks_bytes key) noexcept {
    if (key.data == nullptr && key.size != 0) [[unlikely]]
        return fault(KS_E_ARGUMENT, "the key's data is NULL");
    if (key.size == 0 || key.size > KS_KEY_SIZE_MAX) [[unlikely]] {
        return fault(KS_E_KEY_SIZE, "a key has 1 to %u bytes, not %zu", KS_KEY_SIZE_MAX, key.size);
    }
    return KS_OK;
}

inline ks_status check_key(ks_key) noexcept {
    return KS_OK;
}  // slot_of() judges it

inline ks_status check_prefix(ks_bytes prefix) noexcept {
    if (prefix.data == nullptr && prefix.size != 0) return fault(KS_E_ARGUMENT, "the prefix's data is NULL");
    if (prefix.size > KS_KEY_SIZE_MAX)
        return fault(KS_E_KEY_SIZE, "a key has at most %u bytes", KS_KEY_SIZE_MAX);
    return KS_OK;
}

inline ks_status check_value(ks_bytes value) noexcept {
    if (value.data == nullptr && value.size != 0) [[unlikely]]
        return fault(KS_E_ARGUMENT, "the value's data is NULL");
    if (value.size > KS_VALUE_SIZE_MAX) [[unlikely]] {
        return fault(KS_E_VALUE_SIZE, "a value has at most %u bytes, not %zu", KS_VALUE_SIZE_MAX, value.size);
    }
    return KS_OK;
}

// Of a recovery that ended with `status`, or would.
ks_recovery recovery_of(const HistoryEnd& end, Status status) noexcept;

inline ks_stamp to_c(Stamp stamp) noexcept {
    return {stamp.version, stamp.epoch};
}
ks_owner to_c(const Owner& owner) noexcept;
// Answers only; on a fault nothing is written.
inline void tell(const Store& store, SlotWord now, const Owner& owner, ks_status status,
                 ks_receipt* receipt_out) noexcept {
    if (receipt_out == nullptr || status < 0) return;
    const bool is_untouched = now.version() == 0 && now.epoch() == 0;
    receipt_out->stamp.version = now.version();
    receipt_out->stamp.epoch = is_untouched ? 0 : store.token_of(now.epoch());
    receipt_out->lsn = status == KS_OK && store.segment.is_durable() ? now.version() : 0;
    if (status == KS_HELD || status == KS_TIMEOUT) [[unlikely]]
        receipt_out->owner = to_c(owner);
}

// Of what flushes, or waits for it. That a journal file is gone or damaged is no fault of the store, which is in
// memory: kNoStore and kJournalCorrupt would say so.
[[gnu::cold]] ks_status flush_answer(Status s, const char* doing) noexcept;

// After a commit at p of a durable store: wait for the disk, if the flags of its options or the store's default say so.
// A fault says that it is not known to be on disk; it is committed all the same.
[[gnu::cold]] ks_status after_commit(ks_session& session, std::uint32_t flags, Position p) noexcept;

// The store is full, perhaps only of what the dead left, or of what waits for the disk. True: it is worth
// another try.
[[gnu::cold]] bool make_room(Session& session) noexcept;

// Find the key's slot, or create it.
ks_status find_or_insert(Session& session, ks_bytes key, shm::Slot** slot_out) noexcept;

// A commit's options; never NULL. KS_OK: *grant_out is set if they name one (*has_grant_out).
[[gnu::noinline]] ks_status read_commit_options(const Session& session, const ks_commit_options* options,
                                                bool* is_releasing_out, bool* has_grant_out,
                                                Grant* grant_out) noexcept;

// The ticket inside a ks_grant. KS_E_GRANT, KS_FENCED (of another incarnation).
ks_status grant_of(const Session& session, const ks_grant* grant, Grant* grant_out) noexcept;

}  // namespace keystile::engine::abi
