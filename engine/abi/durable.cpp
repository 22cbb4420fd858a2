// The C calls about the disk.
#include "abi/abi.hpp"

namespace keystile::engine::abi {

ks_status flush_answer(Status s, const char* doing) noexcept {
    if (s != Status::kNoStore && s != Status::kJournalCorrupt) return answer(s, doing);
    fault_errno = 0;
    return fault(KS_E_JOURNAL,
                 "%s: a file of the journal is %s; the store is whole in memory, and a checkpoint "
                 "(`keystile compact`) writes it to new files",
                 doing, s == Status::kNoStore ? "gone" : "damaged");
}

ks_status after_commit(ks_session& session, std::uint32_t flags, Position p) noexcept {
    Store& store = *session.session.store;
    if (!has_journal(store.segment)) return KS_OK;
    const bool is_relaxed = (flags & KS_COMMIT_RELAXED) != 0;
    if ((flags & KS_COMMIT_DURABLE) == 0 && (is_relaxed || !session.store->is_durable_by_default)) {
        session.store->flusher.notice_commit(store, p);
        return KS_OK;
    }
    return flush_answer(wait_durable(store, p, KS_FOREVER), "committed, but not known to be on disk");
}

}  // namespace keystile::engine::abi

using namespace keystile::engine;
using namespace keystile::engine::abi;

namespace {

ks_status check_writer(const ks_store* store) noexcept {
    if (!is_live(store)) return explain(store);
    if (store->store->segment.is_read_only()) return fault(KS_E_READ_ONLY, "the store was opened read-only");
    return KS_OK;
}

}  // namespace

ks_status ks_flush(ks_store* store) {
    if (const ks_status s = check_writer(store); s != KS_OK) return s;
    return flush_answer(flush_all(*store->store), "flushing");
}

ks_status ks_checkpoint(ks_store* store) {
    if (const ks_status s = check_writer(store); s != KS_OK) return s;
    return answer(make_checkpoint(*store->store), "making a checkpoint");
}

ks_status ks_checkpoint_if_due(ks_store* store) {
    if (const ks_status s = check_writer(store); s != KS_OK) return s;
    return answer(make_checkpoint_if_due(*store->store), "making a checkpoint");
}

ks_status ks_wait_durable(ks_store* store, uint64_t lsn, uint64_t timeout_ns) {
    if (const ks_status s = check_writer(store); s != KS_OK) return s;
    if (lsn > ring_tail(store->store->segment) && has_journal(store->store->segment))
        return fault(KS_E_ARGUMENT, "there is no commit of that lsn yet");
    return flush_answer(wait_durable(*store->store, lsn, timeout_ns), "waiting for the disk");
}
