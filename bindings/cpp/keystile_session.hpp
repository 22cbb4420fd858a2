// Sessions and claims: every call that reads, writes or claims keys. Part of keystile.hpp.
#pragma once

#include <keystile.h>

#include <algorithm>
#include <array>
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

#include "keystile_update.hpp"
#include "keystile_values.hpp"

namespace keystile::inline v0 {

namespace detail {

inline std::uint64_t timeout_ns(nanoseconds time) noexcept {
    if (time == forever) return KS_FOREVER;
    return time.count() > 0 ? static_cast<std::uint64_t>(time.count()) : 0;
}

// Zero means "until the owner dies", so a negative lease must not become zero: 1 ns is refused as too short.
inline std::uint64_t lease_ns(nanoseconds lease) noexcept {
    if (lease == forever || lease.count() == 0) return 0;
    return lease.count() > 0 ? static_cast<std::uint64_t>(lease.count()) : 1;
}

inline ks_commit_options commit_options(const ks_grant* grant, std::uint32_t flags) noexcept {
    ks_commit_options options{};
    options.struct_size = sizeof options;
    options.flags = flags;
    options.grant = grant;
    return options;
}

inline Receipt receipt(ks_status status, const ks_receipt& told) noexcept {
    Receipt result;
    result.status = status;
    result.stamp = told.stamp;
    result.lsn = told.lsn;
    if (status == KS_HELD || status == KS_TIMEOUT) result.owner = told.owner;
    return result;
}

// `ask(buf, capacity, size_out)` is ks_get or ks_get_k. Most values fit the first buffer; others cost a
// second look. The buffer at least doubles each time a writer outgrew it, so the loop ends at
// KS_VALUE_SIZE_MAX.
template <class Ask>
ks_status read_whole(std::string& value, Ask&& ask) {
    std::array<char, 512> first;
    std::size_t size = 0;
    ks_status status = ask(first.data(), first.size(), &size);
    if (status != KS_TOO_SMALL) {
        value.assign(first.data(), status == KS_OK ? size : 0);
        return status;
    }
    for (std::size_t capacity = first.size(); status == KS_TOO_SMALL;) {
        capacity = std::max(size, capacity * 2);
        value.resize(capacity);
        status = ask(value.data(), capacity, &size);
    }
    value.resize(status == KS_OK ? size : 0);
    return status;
}

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

// The exclusive right to write a key, held by this object: the destructor gives it back. Move-only. Made by
// Session::claim and Session::adopt; an empty one (default made, moved from, given back) answers KS_E_GRANT.
//
// The claim remembers the stamp of its last read or commit, and commits from it. Threads: as its session.
class Claim {
public:
    Claim() noexcept = default;
    Claim(Claim&& other) noexcept
        : session_(std::move(other.session_)), grant_(other.grant_), seen_(other.seen_) {}
    Claim& operator=(Claim&& other) noexcept {
        if (this != &other) {
            give_back();
            session_ = std::move(other.session_);
            grant_ = other.grant_;
            seen_ = other.seen_;
        }
        return *this;
    }
    ~Claim() { give_back(); }

    // There is a claim to give back. Whether it still stands is told by the next call (Outcome::fenced).
    [[nodiscard]] explicit operator bool() const noexcept { return session_ != nullptr; }
    [[nodiscard]] Stamp stamp() const noexcept { return seen_; }
    // The claim's fencing token, for other systems: larger than every earlier claim's of this key.
    [[nodiscard]] std::uint64_t epoch() const noexcept { return grant_.stamp.epoch; }
    [[nodiscard]] const ks_grant& grant() const noexcept { return grant_; }

    // Read the claimed key; the next commit() starts from what this saw. ok · not_found · fault.
    Read get() {
        Read read;
        if (!session_) return empty<Read>();
        ks_stamp seen{};
        read.status =
            detail::read_whole(read.value, [&](void* buf, std::size_t capacity, std::size_t* size_out) {
                return ks_get_k(session_.get(), grant_.key, buf, capacity, size_out, &seen);
            });
        read.stamp = seen;
        if (read.ok() || read.status == KS_NOT_FOUND) seen_.version = seen.version;
        return read;
    }

    // Commit under the claim and keep it. ok · fenced (the claim was taken away for good; this object is
    // empty now) · conflict (a copy of the grant committed meanwhile: get() and recompute) · fault.
    Receipt commit(Bytes value) { return commit_with(&value, 0); }
    // Commit and give the claim back, in one step. As commit(); on conflict and on a fault it is still held.
    Receipt commit_and_release(Bytes value) { return commit_with(&value, KS_COMMIT_RELEASE); }
    // Delete the key. As commit(), and not_found if it has no value.
    Receipt erase() { return commit_with(nullptr, 0); }
    Receipt erase_and_release() { return commit_with(nullptr, KS_COMMIT_RELEASE); }

    // Let the lease run this long from now (0 or forever: until the owner dies). ok · fenced · fault.
    Receipt renew(nanoseconds lease) {
        if (!session_) return empty<Receipt>();
        ks_receipt told{};
        const ks_status status = ks_renew(session_.get(), &grant_, detail::lease_ns(lease), &told);
        return settle(status, told, false);
    }

    // Give the claim back. ok (the stamp, free again) · fenced (it was not ours any more) · fault.
    Receipt release() {
        if (!session_) return empty<Receipt>();
        ks_receipt told{};
        const ks_status status = ks_release(session_.get(), &grant_, &told);
        return settle(status, told, true);
    }

    // Let go of the object without giving the claim back: it stands until its lease or its owner ends, and
    // the grant can go on in the C functions.
    ks_grant keep() noexcept {
        session_.reset();
        return grant_;
    }

    // A detached claim as text, for another process's Session::adopt. Usually followed by keep(). Throws Error
    // (KS_E_GRANT) if the claim is not a detached one.
    [[nodiscard]] std::string token() const {
        std::array<char, KS_TOKEN_SIZE> text{};
        const ks_status status = ks_grant_format(&grant_, text.data(), text.size());
        if (status != KS_OK) throw Error::last(status);
        return text.data();
    }

private:
    friend class Session;
    Claim(std::shared_ptr<ks_session> session, const ks_grant& grant) noexcept
        : session_(std::move(session)), grant_(grant), seen_(grant.stamp) {}

    template <class Kind>
    static Kind empty() {
        Kind result;
        result.status = KS_E_GRANT;
        return result;
    }

    Receipt commit_with(const Bytes* value, std::uint32_t flags) {
        if (!session_) return empty<Receipt>();
        const ks_commit_options options = detail::commit_options(&grant_, flags);
        ks_receipt told{};
        const ks_status status = value
                                     ? ks_commit_k(session_.get(), grant_.key, seen_, *value, &options, &told)
                                     : ks_delete_k(session_.get(), grant_.key, seen_, &options, &told);
        return settle(status, told, flags == KS_COMMIT_RELEASE);
    }

    Receipt settle(ks_status status, const ks_receipt& told, bool is_last) noexcept {
        if (status == KS_OK) seen_ = told.stamp;
        if (status == KS_FENCED || (status == KS_OK && is_last)) session_.reset();
        return detail::receipt(status, told);
    }

    void give_back() noexcept {
        if (session_) ks_release(session_.get(), &grant_, nullptr);
        session_.reset();
    }

    std::shared_ptr<ks_session> session_;
    ks_grant grant_{};
    Stamp seen_;
};

// ok: the claim; held, timeout: owner and the current stamp
struct [[nodiscard]] Claimed : Receipt {
    Claim claim;
};

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
                wait_for_claim(key, done, backoff.left());
            } else {
                backoff.pause();
            }
        }
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
    void wait_for_claim(const KeyRef& key, const Receipt& held, nanoseconds left) {
        constexpr nanoseconds kNextLook = std::chrono::milliseconds(20);
        const nanoseconds time = std::min({held.owner.lease_left(), left, kNextLook});
        if (time.count() > 0) (void)watch(key, held.stamp, time);
    }

    std::shared_ptr<ks_session> session_;
};

}  // namespace keystile::inline v0
