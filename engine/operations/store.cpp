#include "operations/store.hpp"

#include "operations/flush.hpp"
#include "operations/reaper.hpp"
#include "operations/writer.hpp"

namespace keystile::engine {

namespace {

// Participants looked at for death by each open: enough that the dead do not pile up, few enough to open
// fast.
constexpr std::uint32_t kReapLooks = 64;

}  // namespace

Store::Store() noexcept = default;
Store::~Store() = default;

Status open_store(const std::string& folder, const std::string& file, const SegmentOptions& options,
                  const std::string& label, Store* store_out) noexcept {
    Segment& segment = store_out->segment;
    if (const Status s = Segment::open(folder, file, options, &segment); s != Status::kOk) return s;
    const shm::Header& header = segment.header();
    store_out->token_base = (header.incarnation & 0xFFFFFFu) << 39;
    store_out->hash_seed = header.hash_seed;
    store_out->handle_secret = header.handle_secret;
    if (options.is_read_only) return Status::kOk;

    Status joined = join(segment, label, &store_out->self);
    if (joined == Status::kParticipants || joined == Status::kFull) {
        reap_dead(segment, store_out->self, kParticipantsMax);
        joined = join(segment, label, &store_out->self);
    }
    if (joined != Status::kOk) return joined;
    close_on_fork(segment.file().fd());
    // The first chunk holds the smallest blocks: tombstones, so that keys can be deleted when nothing else is
    // left. (Two first openers may open one each; without room nothing is lost yet.)
    std::uint64_t first_chunk = 0;
    if (peek(segment.chunk(0)->use) == 0)
        open_chunk(segment, fixed_use(class_of(tombstone_bytes_max(segment)) + 1), &first_chunk);
    reap_dead(segment, store_out->self, kReapLooks);
    return Status::kOk;
}

void close_store(Store& store) noexcept {
    if (store.segment.is_read_only()) return;
    if (store.writer != nullptr) {
        flush_all(store);  // a failure is told by whoever flushes next
        store.writer->mark(store.segment);
        forget_on_fork(store.writer->directory().lock_file().fd());
    }
    leave(store.segment, store.self);
    forget_on_fork(store.segment.file().fd());
}

void abandon_store(Store& store) noexcept {
    if (store.segment.is_read_only()) return;
    if (store.writer != nullptr) store.writer->directory().abandon_lock();
    store.segment.file().abandon();
}

Status open_session(Store& store, Session* session_out) noexcept {
    if (store.segment.is_read_only()) {
        session_out->store = &store;
        return Status::kOk;
    }
    if (store.is_destroyed()) return Status::kDestroyed;
    SessionId id;
    Status s = open_session(store.segment, store.self, &id);
    if (s != Status::kOk && reap_dead(store.segment, store.self, kParticipantsMax) != 0) {
        s = open_session(store.segment, store.self, &id);
    }
    if (s != Status::kOk) return s;
    session_out->store = &store;
    session_out->lane = Lane(store.segment, id, store.self);
    return Status::kOk;
}

void close_session(Session& session) noexcept {
    if (session.store == nullptr || session.store->segment.is_read_only()) return;
    const SessionId id = session.lane.id();
    drop_spares(session.lane);
    KEYSTILE_CRASH_POINT("operations.session_close.before_close");
    close_session(session.store->segment, id.index,
                  pack(SessionState{true, id.generation, session.store->self}));
    session.store = nullptr;
}

}  // namespace keystile::engine
