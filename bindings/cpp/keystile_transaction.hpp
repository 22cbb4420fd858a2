// Many keys in one commit: made by Session::transaction, or for the length of a function by Session::transact. Part
// of keystile.hpp.
#pragma once

#include <keystile.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "keystile_claim.hpp"
#include "keystile_values.hpp"

namespace keystile::inline v0 {

// What one key of a transaction was told at the commit.
struct [[nodiscard]] KeyResult : Result {
    std::string key;
    Stamp stamp;             // the key's at the commit; before it, or if that was a fault: the one expected
    bool has_claim = false;  // written or released under one: fenced says then that it is lost
    Owner owner;             // held only
};

// ok · fenced · conflict · held: the worst that its keys were told, in this order · fault. Unless it is ok, nothing
// was written.
struct [[nodiscard]] Committed : Result {
    std::vector<KeyResult> moved;  // the keys that stood in the way; empty if it is ok, or a fault

    // What was told about this key; nullptr if it was not in the way.
    [[nodiscard]] const KeyResult* find(Bytes key) const noexcept {
        const auto is_it = [&](const KeyResult& told) { return told.key == key.text(); };
        const auto found = std::find_if(moved.begin(), moved.end(), is_it);
        return found == moved.end() ? nullptr : &*found;
    }

    // A claim that the transaction acts under was taken away: no later try can win.
    [[nodiscard]] bool has_lost_a_claim() const noexcept {
        const auto is_lost = [](const KeyResult& told) { return told.status == KS_FENCED && told.has_claim; };
        return std::any_of(moved.begin(), moved.end(), is_lost);
    }
};

struct [[nodiscard]] Transacted : Committed {
    bool is_committed = false;  // ok and false: the function called it off
    std::uint64_t tries = 0;    // how often it was called
};

// Keys that are read, compared and written in one step, or not at all. Move-only; thrown away uncommitted it changes
// nothing. It keeps its session open. An empty one (default made, moved from) answers KS_E_ARGUMENT.
//
// The calls that add to it give the transaction itself, to go on with: nothing of them is an answer to branch on, and
// one that is refused spoils it. commit() answers the first refusal and writes nothing then, so no call can be left out
// unnoticed; fault() says it at once. Keys are bytes here, a resolved one has its name().
class Transaction {
public:
    Transaction() noexcept = default;
    Transaction(Transaction&& other) noexcept = default;
    Transaction& operator=(Transaction&& other) noexcept {
        multi_.reset();  // before its session
        session_ = std::move(other.session_);
        multi_ = std::move(other.multi_);
        return *this;
    }
    ~Transaction() = default;

    // Read a key: the commit will find it unchanged, or be a conflict. What this transaction put is what it reads.
    // ok · not_found · conflict (read before, and moved since: the commit can only lose) · fault.
    Read read(Bytes key) {
        Read result;
        ks_stamp seen{};
        result.status =
            detail::read_whole(result.value, [&](void* buf, std::size_t capacity, std::size_t* size_out) {
                return ks_multi_read(multi_.get(), key, buf, capacity, size_out, &seen);
            });
        result.stamp = seen;
        return result;
    }

    // Compare a key, with a stamp of any age, without writing it.
    Transaction& expect(Bytes key, Stamp seen) {
        ks_multi_expect(multi_.get(), key, seen);
        return *this;
    }

    // Write a key. It must be unchanged from what was read or expected here; if neither was, from now.
    Transaction& put(Bytes key, Bytes value) {
        ks_multi_put(multi_.get(), key, value, nullptr);
        return *this;
    }
    // Delete a key, in the same sense. One without a value is only compared.
    Transaction& erase(Bytes key) {
        ks_multi_delete(multi_.get(), key, nullptr);
        return *this;
    }

    // The same under a claim of that key, and with the claim's end in the same step. The Claim object does not learn
    // of it: after ok, get() before its next commit(), and keep() (or forget) one that was released here.
    Transaction& put(Bytes key, Bytes value, const Claim& claim) { return put_with(key, value, claim, 0); }
    Transaction& put_and_release(Bytes key, Bytes value, const Claim& claim) {
        return put_with(key, value, claim, KS_COMMIT_RELEASE);
    }
    Transaction& erase(Bytes key, const Claim& claim) { return erase_with(key, claim, 0); }
    Transaction& erase_and_release(Bytes key, const Claim& claim) {
        return erase_with(key, claim, KS_COMMIT_RELEASE);
    }
    // Give a claim back and leave the value.
    Transaction& release(Bytes key, const Claim& claim) {
        ks_multi_release(multi_.get(), key, &grant_of(claim));
        return *this;
    }

    // What the first of the calls above that was refused answered, or ok.
    [[nodiscard]] Result fault() const noexcept { return {ks_multi_fault(multi_.get())}; }

    // All of it, or nothing. Without writes: whether what was read was true together at one instant. Then the
    // transaction is over: reset() begins the next one.
    Committed commit() {
        Committed done;
        done.status = ks_multi_commit(multi_.get());
        if (done.ok() || done.is_fault()) return done;
        for (std::size_t i = 0; i < size(); ++i) {
            KeyResult told = result(i);
            if (!told.ok()) done.moved.push_back(std::move(told));
        }
        return done;
    }

    // Forget all of it and begin anew, in the same memory.
    void reset() noexcept { ks_multi_reset(multi_.get()); }

    // Its keys in the order of their first mention, and after the commit what each was told: the new stamp, for one.
    // By key: not_found, if it is not in it.
    [[nodiscard]] std::size_t size() const noexcept { return ks_multi_size(multi_.get()); }
    [[nodiscard]] KeyResult result(std::size_t index) const {
        ks_multi_result told{};
        const ks_status status = ks_multi_item(multi_.get(), index, &told);
        return of_key(status, told);
    }
    [[nodiscard]] KeyResult result(Bytes key) const {
        ks_multi_result told{};
        const ks_status status = ks_multi_find(multi_.get(), key, &told);
        return of_key(status, told);
    }

    [[nodiscard]] ks_multi* native() const noexcept { return multi_.get(); }
    [[nodiscard]] explicit operator bool() const noexcept { return multi_ != nullptr; }

private:
    friend class Session;
    struct End {
        void operator()(ks_multi* multi) const noexcept { ks_multi_end(multi); }
    };

    Transaction(std::shared_ptr<ks_session> session, ks_multi* multi) noexcept
        : session_(std::move(session)), multi_(multi) {}

    // Of an empty claim: one that no key has, so that it is refused.
    static const ks_grant& grant_of(const Claim& claim) noexcept {
        static constexpr ks_grant kNone{};
        return claim ? claim.grant() : kNone;
    }

    Transaction& put_with(Bytes key, Bytes value, const Claim& claim, std::uint32_t flags) {
        const ks_commit_options options = detail::commit_options(&grant_of(claim), flags);
        ks_multi_put(multi_.get(), key, value, &options);
        return *this;
    }

    Transaction& erase_with(Bytes key, const Claim& claim, std::uint32_t flags) {
        const ks_commit_options options = detail::commit_options(&grant_of(claim), flags);
        ks_multi_delete(multi_.get(), key, &options);
        return *this;
    }

    static KeyResult of_key(ks_status asked, const ks_multi_result& told) {
        KeyResult result;
        result.status = asked != KS_OK ? asked : told.status;
        if (asked != KS_OK) return result;
        result.key = Bytes(told.key.data, told.key.size).text();
        result.stamp = told.stamp;
        result.has_claim = told.has_grant != 0;
        if (told.status == KS_HELD) result.owner = told.owner;
        return result;
    }

    std::shared_ptr<ks_session> session_;
    std::unique_ptr<ks_multi, End> multi_;  // after its session: ended before it
};

struct [[nodiscard]] TransactionBegun : Result {
    Transaction transaction;
};

}  // namespace keystile::inline v0
