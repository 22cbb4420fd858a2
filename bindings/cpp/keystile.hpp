// Keystile for C++20: header only, over keystile.h, whose text is the contract (outcomes, crashes, processes).
//
//     auto store = keystile::Store::open("shm:demo");
//     auto session = store.session();
//     session.update("greeting", [](std::string_view old) { return std::string(old) + "!"; }).throw_if_fault();
//
// Answers are values. Conflict, Fenced, Held, not found and timeout never throw: each call returns a Result
// to switch over (`result.outcome()`) or to test (`if (result)`). Faults (a bad argument, a full store, a
// corrupt one) are values too, Outcome::fault; `result.throw_if_fault()` turns them into the exception
// keystile::Error. Only Store::open, Store::session, Session::transaction and Feed::open throw Error by themselves, and
// each has a `try_` twin that returns a Result. Everything may throw std::bad_alloc, and what a caller's own function
// throws passes through.
//
// Threads: a Store may be used by all threads. A Session, and the Claims and Transactions it made, are for one
// thread at a time: a second one inside gets KS_E_SESSION_BUSY. Results, Stamps and Keys are plain values, and a
// Snapshot belongs to nobody.
// Lifetimes: a Session keeps its store open, a Claim or Transaction its session; destroy them in any order.
// After fork() every object here answers KS_E_FORKED in the child; open the store again there.
#pragma once

#include <keystile.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "keystile_feed.hpp"
#include "keystile_session.hpp"
#include "keystile_values.hpp"

namespace keystile::inline v0 {

struct Opened;
struct [[nodiscard]] SessionOpened : Result {
    Session session;
};
struct [[nodiscard]] Stats : Result {
    ks_stats stats{};
};
struct [[nodiscard]] Checked : Result {
    ks_check_report report{};
};
struct [[nodiscard]] Reaped : Result {
    std::uint64_t participants = 0;
};

// An attached store. Copies are the same attachment; it closes when the last copy, Session and Claim are gone. All
// threads may use it at once.
class Store {
public:
    Store() noexcept = default;

    // Open a store, by default creating it if it does not exist; url as for ks_open ("shm:NAME"). Throws Error.
    static Store open(const std::string& url, const OpenOptions& wanted = {});
    // The same without an exception.
    static Opened try_open(const std::string& url, const OpenOptions& wanted = {});

    // Remove a store by name; with `force` also from under live participants, or a damaged one. ok · fault.
    static Result destroy(const std::string& url, bool force = false) {
        return {ks_destroy(url.c_str(), force ? KS_DESTROY_FORCE : 0u)};
    }

    // A lane for one thread. Throws Error.
    [[nodiscard]] Session session() const {
        SessionOpened opened = try_session();
        opened.throw_if_fault();
        return std::move(opened.session);
    }
    // The same without an exception.
    SessionOpened try_session() const {
        SessionOpened opened;
        ks_session* raw = nullptr;
        opened.status = ks_session_open(native(), &raw);
        if (opened) {
            opened.session = Session(std::shared_ptr<ks_session>(
                raw, [store = store_](ks_session* session) { ks_session_close(session); }));
        }
        return opened;
    }

    // The calling thread's own session, opened on first use and closed when the thread ends: for code that is
    // called on threads it did not make. Do not keep the object beyond the call, nor give it to another
    // thread. Throws Error.
    [[nodiscard]] Session here() const {
        ks_session* raw = ks_default_session(native());
        if (raw == nullptr) throw Error::last(ks_last_status());
        return Session(std::shared_ptr<ks_session>(store_, raw));
    }

    // Numbers of the store as a whole. ok · fault.
    [[nodiscard]] Stats stat() const {
        Stats result;
        result.stats.struct_size = sizeof result.stats;
        result.status = ks_stat(native(), &result.stats);
        return result;
    }

    // Call fn(const ks_participant&) for every attached process; fn may return false to stop. ok · fault.
    template <class Fn>
    Result participants(Fn&& fn) const {
        struct Walk {
            std::remove_reference_t<Fn>& fn;
            detail::Guarded guarded;
        } walk{fn, {}};
        const auto step = [](void* user, const ks_participant* participant) -> int {
            Walk& on = *static_cast<Walk*>(user);
            return on.guarded.call(on.fn, *participant);
        };
        const ks_status status = ks_participants(native(), step, &walk);
        walk.guarded.rethrow();
        return {status};
    }

    // Free what dead processes left behind. Happens by itself; never needed, always safe. ok · fault.
    Reaped reap() const {
        Reaped result;
        result.status = ks_reap(native(), &result.participants);
        return result;
    }

    // Read the whole store and judge it, beside writers; fn(std::string_view) is told each problem.
    // ok: consistent · fault (KS_E_CORRUPT: it is not).
    template <class Fn>
    Checked check(Fn&& fn) const {
        struct Walk {
            std::remove_reference_t<Fn>& fn;
            detail::Guarded guarded;
            bool is_over = false;
        } walk{fn, {}};
        const auto step = [](void* user, const char* problem) {
            Walk& on = *static_cast<Walk*>(user);
            if (!on.is_over) on.is_over = on.guarded.call(on.fn, std::string_view(problem)) != 0;
        };
        Checked result;
        result.report.struct_size = sizeof result.report;
        result.status = ks_check(native(), step, &walk, &result.report);
        walk.guarded.rethrow();
        return result;
    }
    [[nodiscard]] Checked check() const {
        return check([](std::string_view) {});
    }

    [[nodiscard]] ks_store* native() const noexcept { return store_.get(); }
    [[nodiscard]] explicit operator bool() const noexcept { return store_ != nullptr; }

private:
    std::shared_ptr<ks_store> store_;
};

struct [[nodiscard]] Opened : Result {
    Store store;
};

inline Opened Store::try_open(const std::string& url, const OpenOptions& wanted) {
    ks_open_options options{};
    options.struct_size = sizeof options;
    if (wanted.mode == OpenOptions::Mode::must_exist) options.flags |= KS_OPEN_MUST_EXIST;
    if (wanted.mode == OpenOptions::Mode::must_create) options.flags |= KS_OPEN_MUST_CREATE;
    if (wanted.is_read_only) options.flags |= KS_OPEN_READ_ONLY;
    if (wanted.prefault) options.flags |= KS_OPEN_PREFAULT;
    if (wanted.huge_pages) options.flags |= KS_OPEN_HUGE_PAGES;
    if (wanted.group) options.flags |= KS_OPEN_GROUP;
    options.group = wanted.group.value_or(0);
    options.expected_keys = wanted.expected_keys;
    options.max_bytes = wanted.max_bytes;
    options.label = wanted.label.empty() ? nullptr : wanted.label.c_str();

    Opened opened;
    ks_store* raw = nullptr;
    opened.status = ks_open(url.c_str(), &options, &raw);
    if (opened) opened.store.store_ = std::shared_ptr<ks_store>(raw, ks_close);
    return opened;
}

inline Store Store::open(const std::string& url, const OpenOptions& wanted) {
    Opened opened = try_open(url, wanted);
    opened.throw_if_fault();
    return std::move(opened.store);
}

}  // namespace keystile::inline v0
