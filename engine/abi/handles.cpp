// Opening and closing: stores, sessions, and each thread's own session.
#include <cstring>
#include <new>

#include "abi/abi.hpp"
#include "abi/quarantine.hpp"
#include "abi/url.hpp"

namespace keystile::engine::abi {

namespace {

void close_one(ks_session* session) {
    if (!is_live(session)) return;
    session->magic = 0;
    close_session(session->session);
    session->store = nullptr;
    retire(session);
}

// A thread's own sessions, by the serial of the open store; and the one it used last, which a library that was
// loaded late reaches by one call of the loader's.
struct DefaultSession {
    std::uint64_t serial;  // of no store: 0
    ks_session* session;
};
constinit thread_local DefaultSession last_default_session{0, nullptr};
constinit thread_local bool is_thread_over = false;
struct DefaultSessions {
    std::vector<DefaultSession> entries;
    ~DefaultSessions() {
        is_thread_over = true;
        last_default_session = {0, nullptr};
        for (const auto& [serial, session] : entries) {
            if (is_live(session) && session->store->serial == serial) ks_session_close(session);
        }
    }
};
thread_local DefaultSessions default_sessions;

std::uint64_t next_serial() noexcept {
    static shm::Atomic64 serial{0};
    // order[abi.serial]: relaxed. statistic: only uniqueness is asked, and fetch_add gives that by itself.
    return serial.fetch_add(1, memory_order_relaxed) + 1;
}

}  // namespace

ks_status open_session_of(ks_store* store, ks_session** session_out) noexcept {
    try {
        auto session = std::make_unique<ks_session>();
        const Status s = open_session(*store->store, &session->session);
        if (s != Status::kOk) return fault(s, "opening a session");
        session->store = store;
        const std::lock_guard guard(store->lock);
        store->sessions.push_back(session.get());
        session->magic = live(kSessionMagic);
        *session_out = session.release();
        return KS_OK;
    } catch (const std::bad_alloc&) {
        return fault(KS_E_MEMORY, "opening a session: out of memory");
    }
}

}  // namespace keystile::engine::abi

using namespace keystile::engine;
using namespace keystile::engine::abi;

namespace {

constexpr uint32_t kOpenFlags = KS_OPEN_MUST_EXIST | KS_OPEN_MUST_CREATE | KS_OPEN_READ_ONLY | KS_OPEN_GROUP |
                                KS_OPEN_PREFAULT | KS_OPEN_HUGE_PAGES | KS_OPEN_DURABLE | KS_OPEN_NO_FLUSHER;
constexpr uint64_t kFlushIntervalDefault = 5'000'000, kFlushIntervalMax = 3600'000'000'000;

ks_status read_options(const ks_open_options* given, SegmentOptions* options_out, std::string* label_out) {
    *label_out = self().program;
    if (given == nullptr) return KS_OK;
    if (given->struct_size != sizeof(ks_open_options))
        return fault(KS_E_STRUCT_SIZE, "ks_open_options.struct_size");
    const uint32_t flags = given->flags;
    if ((flags & ~kOpenFlags) != 0) return fault(KS_E_ARGUMENT, "unknown open flag %#x", flags & ~kOpenFlags);
    const bool is_attaching = (flags & (KS_OPEN_MUST_EXIST | KS_OPEN_READ_ONLY)) != 0;
    if ((flags & KS_OPEN_MUST_CREATE) != 0 && is_attaching) {
        return fault(KS_E_ARGUMENT, "MUST_CREATE contradicts MUST_EXIST and READ_ONLY");
    }
    const bool is_size_bad =
        given->max_bytes != 0 && (given->max_bytes < kSegmentBytesMin || given->max_bytes > kSegmentBytesMax);
    if (is_size_bad) return fault(KS_E_ARGUMENT, "max_bytes is 32 MiB to 128 GiB, or 0");
    constexpr std::uint64_t kExpectedKeysMax = 1ull << (kRootBitsMax - 1);
    if (given->expected_keys > kExpectedKeysMax) return fault(KS_E_ARGUMENT, "expected_keys is at most 2^29");
    options_out->must_exist = (flags & KS_OPEN_MUST_EXIST) != 0;
    options_out->must_create = (flags & KS_OPEN_MUST_CREATE) != 0;
    options_out->is_read_only = (flags & KS_OPEN_READ_ONLY) != 0;
    options_out->has_group = (flags & KS_OPEN_GROUP) != 0;
    options_out->is_prefaulted = (flags & KS_OPEN_PREFAULT) != 0;
    options_out->has_huge_pages = (flags & KS_OPEN_HUGE_PAGES) != 0;
    options_out->group = given->group;
    options_out->expected_keys = given->expected_keys;
    options_out->max_bytes = given->max_bytes;
    if (given->recovery_out != nullptr && given->recovery_out->struct_size != sizeof(ks_recovery))
        return fault(KS_E_STRUCT_SIZE, "ks_recovery.struct_size");
    if (given->label != nullptr) *label_out = given->label;
    return KS_OK;
}

ks_status open_durable(const char* url, const Place& place, const ks_open_options* given,
                       const SegmentOptions& options, const std::string& label, ks_store* handle) {
    const uint32_t flags = given != nullptr ? given->flags : 0;
    const uint64_t interval_ns =
        given != nullptr && given->flush_interval_ns != 0 ? given->flush_interval_ns : kFlushIntervalDefault;
    if (interval_ns > kFlushIntervalMax) return fault(KS_E_ARGUMENT, "flush_interval_ns is at most an hour");
    const char* const folder =
        given != nullptr && given->segment_folder != nullptr ? given->segment_folder : "/dev/shm";
    Recovery recovery;
    const Status s = open_durable_store(place.folder, folder, options, label, handle->store.get(), &recovery);
    if (given != nullptr && given->recovery_out != nullptr) {
        ks_recovery& told = *given->recovery_out;
        if (recovery.was_needed) {
            told = recovery_of(recovery.history, s);
            told.is_needed = 1;
        } else {
            told = {};
            told.struct_size = sizeof told;
        }
    }
    if (s == Status::kJournalCorrupt && !recovery.history.damage.is_none()) {
        const FileDamage& found = recovery.history.damage;
        return fault(KS_E_JOURNAL_CORRUPT, "opening %s: %s, at offset %llu: %s", url, found.path.c_str(),
                     static_cast<unsigned long long>(found.damage.offset), found.damage.what);
    }
    if (s != Status::kOk) return answer(s, ("opening " + std::string(url)).c_str());
    handle->is_durable_by_default = (flags & KS_OPEN_DURABLE) != 0;
    if ((flags & KS_OPEN_NO_FLUSHER) == 0 && !options.is_read_only)
        handle->flusher.start(*handle->store, interval_ns);
    return KS_OK;
}

}  // namespace

ks_status ks_open(const char* url, const ks_open_options* options, ks_store** store_out) {
    if (url == nullptr || store_out == nullptr)
        return fault(KS_E_ARGUMENT, "url and store_out must not be NULL");
    try {
        Place place;
        SegmentOptions segment_options;
        std::string label;
        if (const ks_status s = parse_url(url, &place); s != KS_OK) return s;
        if (const ks_status s = read_options(options, &segment_options, &label); s != KS_OK) return s;
        auto handle = std::make_unique<ks_store>();
        handle->store = std::make_unique<Store>();
        if (place.is_durable) {
            if (const ks_status s = open_durable(url, place, options, segment_options, label, handle.get());
                s != KS_OK)
                return s;
        } else {
            const Status s =
                open_store(place.folder, place.file, segment_options, label, handle->store.get());
            if (s != Status::kOk) return answer(s, ("opening " + std::string(url)).c_str());
            if (has_journal(handle->store->segment)) {
                close_store(*handle->store);
                return fault(KS_E_URL, "%s is a durable store's segment: open its directory, file:/DIR", url);
            }
        }
        handle->serial = next_serial();
        handle->magic = live(kStoreMagic);
        *store_out = handle.release();
        return KS_OK;
    } catch (const std::bad_alloc&) {
        return fault(KS_E_MEMORY, "opening %s: out of memory", url);
    }
}

void ks_close(ks_store* store) {
    if (store == nullptr || store->magic == 0) return;
    const bool is_forked = !is_live(store);
    store->magic = 0;
    if (is_forked) {  // sessions and thread are the parent's, the lock may have been held by another of its threads
        abandon_store(*store->store);
        store->flusher.abandon();
    } else {
        {
            const std::lock_guard guard(store->lock);
            for (ks_session* session : store->sessions) close_one(session);
            store->sessions.clear();
        }
        store->flusher.stop();
        close_store(*store->store);
    }
    store->store.reset();
    retire(store);
}

ks_status ks_destroy(const char* url, uint32_t flags) {
    if (url == nullptr || (flags & ~KS_DESTROY_FORCE) != 0)
        return fault(KS_E_ARGUMENT, "url is NULL, or an unknown flag");
    try {
        Place place;
        if (const ks_status s = parse_url(url, &place); s != KS_OK) return s;
        const bool is_forced = (flags & KS_DESTROY_FORCE) != 0;
        const Status s = place.is_durable ? destroy_durable_store(place.folder, is_forced)
                                          : destroy_segment(place.folder, place.file, is_forced);
        return answer(s, ("destroying " + std::string(url)).c_str());
    } catch (const std::bad_alloc&) {
        return fault(KS_E_MEMORY, "destroying %s: out of memory", url);
    }
}

ks_status ks_session_open(ks_store* store, ks_session** session_out) {
    if (!is_live(store)) return explain(store);
    if (session_out == nullptr) return fault(KS_E_ARGUMENT, "session_out is NULL");
    return open_session_of(store, session_out);
}

void ks_session_close(ks_session* session) {
    if (!is_live(session)) return;
    ks_store* const store = session->store;
    const std::lock_guard guard(store->lock);
    if (!is_live(session)) return;  // a thread that ends, while another closes the store
    std::erase(store->sessions, session);
    close_one(session);
}

namespace {

// Not the one of the last call: this thread's session in another store, or its first in this one.
[[gnu::noinline]] ks_session* find_or_open_default(ks_store* store) {
    if (is_thread_over) return fault(KS_E_HANDLE, "the thread's own sessions have ended, as it has"), nullptr;
    auto& entries = default_sessions.entries;
    for (const auto& [serial, session] : entries) {
        if (serial == store->serial && is_live(session)) return session;
    }
    try {
        std::erase_if(entries, [](const auto& entry) { return !is_live(entry.session); });
        entries.reserve(entries.size() + 1);
    } catch (const std::bad_alloc&) {
        return fault(KS_E_MEMORY, "opening a session: out of memory"), nullptr;
    }
    ks_session* session = nullptr;
    if (open_session_of(store, &session) != KS_OK) return nullptr;
    entries.push_back({store->serial, session});
    return session;
}

}  // namespace

ks_session* ks_default_session(ks_store* store) {
    if (!is_live(store)) [[unlikely]]
        return explain(store), nullptr;
    DefaultSession& last = last_default_session;
    // The serial is an open store's, so its sessions' memory is there.
    if (last.serial == store->serial && is_live(last.session)) [[likely]]
        return last.session;
    ks_session* const session = find_or_open_default(store);
    if (session != nullptr) last = {store->serial, session};
    return session;
}
