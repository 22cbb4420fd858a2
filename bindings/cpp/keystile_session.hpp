// Sessions: every call that reads, writes or claims keys. Part of keystile.hpp.
#pragma once

#include <keystile.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "keystile_claim.hpp"
#include "keystile_snapshot.hpp"
#include "keystile_transaction.hpp"
#include "keystile_update.hpp"
#include "keystile_values.hpp"

namespace keystile::inline v0 {

namespace detail {

// Runs a callback inside a C function: an exception is kept, ends the walk, and is thrown again outside.
class Guarded {
public:
    // fn() may return void (go on) or bool (false: stop). Answers what the C callback returns.
    template <class Fn, class... Arguments>
    int call(Fn& fn, Arguments&&... arguments) noexcept {
        try {
            if constexpr (std::is_void_v<std::invoke_result_t<Fn&, Arguments...>>) {
                std::invoke(fn, std::forward<Arguments>(arguments)...);
                return 0;
            } else {
                return std::invoke(fn, std::forward<Arguments>(arguments)...) ? 0 : 1;
            }
        } catch (...) {
            thrown_ = std::current_exception();
            return 1;
        }
    }
    void rethrow() {
        if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    }

private:
    std::exception_ptr thrown_;
};

}  // namespace detail

// One thread's lane in a store; move-only. It keeps the store open. Calls on a moved-from one answer KS_E_ARGUMENT.
class Session {
public:
    Session() noexcept = default;
    Session(Session&&) noexcept = default;
    Session& operator=(Session&&) noexcept = default;
    ~Session() = default;

    [[nodiscard]] ks_session* native() const noexcept { return session_.get(); }
    [[nodiscard]] explicit operator bool() const noexcept { return session_ != nullptr; }

    // Look a key up once, use it often. ok · not_found (read-only store) · fault.
    Resolved resolve(Bytes name) {
        Resolved result;
        result.status = ks_resolve(native(), name, &result.key.handle_);
        if (result) result.key.name_ = name.text();
        return result;
    }

    // Read value and stamp, consistent with each other. ok · not_found · fault.
    Read get(KeyRef key) {
        Read read;
        get(key, read);
        return read;
    }

    // The same into an old Read, whose memory is used again.
    ks_status get(KeyRef key, Read& read) {
        ks_stamp seen{};
        read.status =
            detail::read_whole(read.value, [&](void* buf, std::size_t capacity, std::size_t* size_out) {
                return get_raw(key, buf, capacity, size_out, &seen);
            });
        read.stamp = seen;
        return read.status;
    }

    // Read into the caller's memory; allocates nothing. ok · too_small · not_found · fault.
    ReadInto get_into(KeyRef key, std::span<std::byte> buf) {
        ReadInto read;
        ks_stamp seen{};
        read.status = get_raw(key, buf.data(), buf.size(), &read.size, &seen);
        read.stamp = seen;
        return read;
    }

    // Read many keys with their memory accesses interleaved: faster than one by one, and not a cut across keys.
    // ok (look at each Read) · fault of the whole call.
    template <class Name>
    ReadMany get_many(std::span<Name> keys) {
        constexpr std::size_t kRoom = 256;  // larger values are read one by one after it
        std::string room(keys.size() * kRoom, '\0');
        std::vector<ks_get_item> items(keys.size());
        for (std::size_t i = 0; i < keys.size(); ++i) {
            items[i].key = Bytes(keys[i]);
            items[i].buf = room.data() + i * kRoom;
            items[i].capacity = kRoom;
        }
        ReadMany result;
        result.status = ks_get_many(native(), items.data(), items.size());
        if (!result) return result;
        result.reads.resize(items.size());
        for (std::size_t i = 0; i < items.size(); ++i) {
            Read& read = result.reads[i];
            read.status = items[i].status;
            read.stamp = items[i].seen;
            if (read) read.value.assign(static_cast<const char*>(items[i].buf), items[i].size);
            if (read.status == KS_TOO_SMALL) get(Bytes(keys[i]), read);
        }
        return result;
    }
    ReadMany get_many(std::initializer_list<std::string_view> keys) { return get_many(std::span(keys)); }

    // Call fn(const Entry&) for every key that starts with prefix, in no order; fn may return false to stop.
    // With `all` also keys without a value (deleted, or claimed and never written). ok · fault.
    template <class Fn>
    Result list(Bytes prefix, Fn&& fn, bool all = false) {
        struct Walk {
            std::remove_reference_t<Fn>& fn;
            detail::Guarded guarded;
        } walk{fn, {}};
        const auto step = [](void* user, const ks_entry* entry) -> int {
            Walk& on = *static_cast<Walk*>(user);
            const Entry told{Bytes(entry->key.data, entry->key.size).text(), entry->stamp, entry->value_size,
                             entry->is_deleted != 0,
                             entry->is_claimed ? std::optional<Owner>(entry->owner) : std::nullopt};
            return on.guarded.call(on.fn, told);
        };
        const ks_status status = ks_list(native(), prefix, all ? KS_LIST_ALL : 0u, step, &walk);
        walk.guarded.rethrow();
        return {status};
    }

    // Commit a value that was computed from what `seen` names; Stamp{} creates the key.
    // ok · conflict · held · fenced · fault. Nothing was changed unless it is ok.
    Receipt commit(KeyRef key, Stamp seen, Bytes value) {
        ks_receipt told{};
        const ks_status status = key.handle()
                                     ? ks_commit_k(native(), *key.handle(), seen, value, nullptr, &told)
                                     : ks_commit(native(), key.name(), seen, value, nullptr, &told);
        return detail::receipt(status, told);
    }

    // Delete: a commit of "no value". As commit(), and not_found if there is no value and `seen` says so.
    Receipt erase(KeyRef key, Stamp seen) {
        ks_receipt told{};
        const ks_status status = key.handle() ? ks_delete_k(native(), *key.handle(), seen, nullptr, &told)
                                              : ks_delete(native(), key.name(), seen, nullptr, &told);
        return detail::receipt(status, told);
    }

    // Read, recompute, commit, until it wins: nothing that others wrote is lost.
    //
    // fn gets the value as std::string_view or std::span<const std::byte> (a missing key reads as empty), as
    // std::optional<std::string_view> (a missing one is nullopt), or as const Read&; write the parameter's
    // type out. It returns the new value (text or bytes), an optional of it (nullopt: leave the key alone),
    // keystile::keep, keystile::erase, or a keystile::Edit. It is called once per try, so it should only
    // compute. What it throws passes through, and nothing was changed.
    //
    // Goes on after conflict and fenced at once, after the third loss with random pauses of at most
    // backoff_max; after held when the claim ends. So it waits for ever on a key that this very thread
    // claimed: commit through the Claim instead. ok · busy (tries_max) · timeout (time_max; both with the
    // current stamp, and the owner if a claim was in the way) · fault.
    template <class Fn>
    Updated update(KeyRef key, Fn&& fn, const RetryOptions& options = {}) {
        detail::Backoff backoff(options);
        Updated done;
        Read read;
        for (;;) {
            ++done.tries;
            if (get(key, read) < 0) return finish(done, read.status, read.stamp);
            auto&& returned = detail::recompute(fn, read);
            const detail::Plan plan = detail::plan(returned);
            if (!plan.value && !plan.is_erase) return finish(done, KS_OK, read.stamp);

            static_cast<Receipt&>(done) =
                plan.is_erase ? erase(key, read.stamp) : commit(key, read.stamp, *plan.value);
            if (done.status == KS_NOT_FOUND) return finish(done, KS_OK, read.stamp);  // erased already
            done.is_changed = done.ok();
            if (done.ok() || done.is_fault()) return done;

            if (const ks_status stop = backoff.lost(done.tries); stop != KS_OK)
                return finish(done, stop, done.stamp);
            if (done.status == KS_HELD) {
                wait_for_claim(key, done.stamp, done.owner, backoff.left());
            } else {
                backoff.pause();
            }
        }
    }

    // Begin a transaction, to commit by hand. Throws Error.
    [[nodiscard]] Transaction transaction() {
        TransactionBegun begun = try_transaction();
        begun.throw_if_fault();
        return std::move(begun.transaction);
    }
    // The same without an exception.
    TransactionBegun try_transaction() {
        TransactionBegun begun;
        ks_multi* raw = nullptr;
        begun.status = ks_multi_begin(native(), &raw);
        if (begun) begun.transaction = Transaction(session_, raw);
        return begun;
    }

    // Read, recompute and commit many keys, until it wins: all of fn's writes are done at one instant, at which all
    // that it read was true.
    //
    // fn gets a Transaction&, reads and writes through it, and does not commit. It may return bool: false calls it
    // off, nothing is written and nothing compared. It is called once per try, so it should only compute, and it
    // may see keys that do not fit together, in a try that cannot win. What it throws passes through, and nothing
    // was changed.
    //
    // Goes on as update() does, also after fenced, unless a claim that fn wrote under was taken away. ok · fenced
    // (such a claim) · busy (tries_max) · timeout (time_max; all three with the keys that were in the way) · fault.
    template <class Fn>
    Transacted transact(Fn&& fn, const RetryOptions& options = {}) {
        detail::Backoff backoff(options);
        Transacted done;
        TransactionBegun begun = try_transaction();
        done.status = begun.status;
        if (!begun) return done;
        for (;; begun.transaction.reset()) {
            ++done.tries;
            if constexpr (std::is_void_v<std::invoke_result_t<Fn&, Transaction&>>) {
                std::invoke(fn, begun.transaction);
            } else if (!std::invoke(fn, begun.transaction)) {
                done.status = begun.transaction.fault().status;
                done.moved.clear();
                return done;
            }
            static_cast<Committed&>(done) = begun.transaction.commit();
            done.is_committed = done.ok();
            const bool is_refused = done.is_fault() || !begun.transaction.fault();
            if (done.ok() || is_refused || done.has_lost_a_claim()) return done;

            if (const ks_status stop = backoff.lost(done.tries); stop != KS_OK) {
                done.status = stop;
                return done;
            }
            const auto held = std::find_if(done.moved.begin(), done.moved.end(),
                                           [](const KeyResult& told) { return told.status == KS_HELD; });
            if (held != done.moved.end()) {
                wait_for_claim(held->key, held->stamp, held->owner, backoff.left());
            } else {
                backoff.pause();
            }
        }
    }

    // The values that all keys starting with prefix had at one instant, sorted by key. ok · busy (others kept changing
    // or adding too many of them: ask again) · fault.
    SnapshotTaken snapshot(Bytes prefix = {}) {
        ks_snapshot* raw = nullptr;
        const ks_status status = ks_snapshot_prefix(native(), prefix, &raw);
        return taken(status, raw);
    }
    // The same of given keys, in their order, those without a value too.
    template <class Name>
    SnapshotTaken snapshot_of(std::span<Name> keys) {
        std::vector<ks_bytes> names(keys.size());
        std::transform(keys.begin(), keys.end(), names.begin(), [](const Name& key) { return Bytes(key); });
        ks_snapshot* raw = nullptr;
        const ks_status status = ks_snapshot_keys(native(), names.data(), names.size(), &raw);
        return taken(status, raw);
    }
    SnapshotTaken snapshot_of(std::initializer_list<std::string_view> keys) {
        return snapshot_of(std::span(keys));
    }

    // Claim the exclusive right to write a key. ok · held (wait is 0) · timeout · fault.
    Claimed claim(KeyRef key, const ClaimOptions& wanted = {}) {
        ks_claim_options options{};
        options.struct_size = sizeof options;
        options.flags = wanted.is_detached ? KS_CLAIM_DETACHED : 0u;
        options.lease_ns = detail::lease_ns(wanted.lease);
        options.wait_ns = detail::timeout_ns(wanted.wait);
        ks_grant grant{};
        ks_receipt told{};
        const ks_status status = key.handle() ? ks_claim_k(native(), *key.handle(), &options, &grant, &told)
                                              : ks_claim(native(), key.name(), &options, &grant, &told);
        return claimed(status, told, grant);
    }

    // Go on with a detached claim that another process handed over as a token. ok · not_found (no such key) ·
    // fault (KS_E_GRANT: no token). Whether the claim still stands is told by its first use. get() before you
    // commit(): a token carries no version.
    Claimed adopt(Bytes key, const std::string& token) {
        ks_grant grant{};
        const ks_status status = ks_grant_parse(native(), key, token.c_str(), &grant);
        return claimed(status, {}, grant);
    }

    // Take the claim that `epoch` names (Owner::epoch) from its owner, whose commits are fenced from now on. With
    // `even_live` also from one that lives and whose lease runs.
    // ok · fenced (that claim is over already) · held (alive) · not_found · fault.
    Receipt reclaim(Bytes key, std::uint64_t epoch, bool even_live = false) {
        ks_receipt told{};
        const ks_status status = ks_reclaim(native(), key, epoch, even_live ? KS_RECLAIM_LIVE : 0u, &told);
        return detail::receipt(status, told);
    }

    // Wait until the key's stamp is not `seen` any more. ok (the stamp now) · timeout · fault.
    Watched watch(KeyRef key, Stamp seen, nanoseconds timeout = forever) {
        Watched result;
        ks_stamp now{};
        const std::uint64_t timeout_ns = detail::timeout_ns(timeout);
        result.status = key.handle() ? ks_watch_k(native(), *key.handle(), seen, timeout_ns, &now)
                                     : ks_watch(native(), key.name(), seen, timeout_ns, &now);
        result.stamp = now;
        return result;
    }

private:
    friend class Store;
    explicit Session(std::shared_ptr<ks_session> session) noexcept : session_(std::move(session)) {}

    ks_status get_raw(const KeyRef& key, void* buf, std::size_t capacity, std::size_t* size_out,
                      ks_stamp* seen_out) {
        return key.handle() ? ks_get_k(native(), *key.handle(), buf, capacity, size_out, seen_out)
                            : ks_get(native(), key.name(), buf, capacity, size_out, seen_out);
    }

    static Updated finish(Updated& done, ks_status status, Stamp stamp) {
        done.status = status;
        done.stamp = stamp;
        return done;
    }

    Claimed claimed(ks_status status, const ks_receipt& told, const ks_grant& grant) {
        Claimed result;
        static_cast<Receipt&>(result) = detail::receipt(status, told);
        if (status == KS_OK) {
            result.stamp = grant.stamp;
            result.claim = Claim(session_, grant);
        }
        return result;
    }

    // Until the claim's end, its lease's end, or the next look at whether its owner lives: a dead owner wakes
    // nobody.
    void wait_for_claim(const KeyRef& key, Stamp claimed, const Owner& owner, nanoseconds left) {
        constexpr nanoseconds kNextLook = std::chrono::milliseconds(20);
        const nanoseconds time = std::min({owner.lease_left(), left, kNextLook});
        if (time.count() > 0) (void)watch(key, claimed, time);
    }

    SnapshotTaken taken(ks_status status, ks_snapshot* raw) {
        SnapshotTaken result;
        result.status = status;
        if (result) result.snapshot = Snapshot(raw);
        return result;
    }

    std::shared_ptr<ks_session> session_;
};

}  // namespace keystile::inline v0
