// Claims, and what claims, sessions and transactions share on the way to keystile.h. Part of keystile.hpp.
#pragma once

#include <keystile.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

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

}  // namespace keystile::inline v0
