// The C calls that look after a store: list, stat, participants, reap, check.
#include <cstring>
#include <new>

#include "abi/abi.hpp"

using namespace keystile::engine;
using namespace keystile::engine::abi;

namespace {

ks_counters counters_to_c(const CounterValues& values) noexcept {
    const auto* v = values.value;
    return {v[shm::kCommits],  v[shm::kConflicts], v[shm::kFencings], v[shm::kHelds], v[shm::kClaims],
            v[shm::kReleases], v[shm::kReclaims],  v[shm::kRetries],  v[shm::kBytes]};
}

struct ListCall {
    ks_list_fn fn;
    void* user;
    bool is_all;
};

bool list_one(void* user, const keystile::engine::Entry& entry) {
    const auto& call = *static_cast<ListCall*>(user);
    const bool is_empty =
        entry.stamp.version == 0 && !entry.is_claimed;  // a slot somebody resolved, nothing more
    if (!entry.has_value && (!call.is_all || is_empty)) return true;
    ks_entry out{};
    out.key = {entry.key.data, entry.key.size};
    out.stamp = keystile::engine::abi::to_c(entry.stamp);
    out.value_size = entry.value_size;
    out.is_deleted = !entry.has_value && entry.stamp.version != 0 ? 1 : 0;
    out.is_claimed = entry.is_claimed ? 1 : 0;
    if (entry.is_claimed) out.owner = keystile::engine::abi::to_c(entry.owner);
    return call.fn(call.user, &out) == 0;
}

struct ParticipantsCall {
    ks_participants_fn fn;
    void* user;
};

bool participant_one(void* user, const ParticipantInfo& info) {
    const auto& call = *static_cast<ParticipantsCall*>(user);
    ks_participant out{};
    out.pid = info.pid;
    out.is_alive = info.is_alive ? 1 : 0;
    out.is_self = info.is_self ? 1 : 0;
    out.sessions = info.sessions;
    std::strncpy(out.label, info.label.c_str(), KS_LABEL_SIZE - 1);
    out.counters = counters_to_c(info.counters);
    return call.fn(call.user, &out) == 0;
}

}  // namespace

ks_status ks_list(ks_session* session, ks_bytes prefix, uint32_t flags, ks_list_fn fn, void* user) {
    if (!is_live(session)) return explain(session);
    if (fn == nullptr || (flags & ~KS_LIST_ALL) != 0)
        return fault(KS_E_ARGUMENT, "fn is NULL, or an unknown flag");
    if (const ks_status s = check_prefix(prefix); s != KS_OK) return s;
    ListCall call{fn, user, (flags & KS_LIST_ALL) != 0};
    return answer(list(*session->session.store, {prefix.data, prefix.size}, list_one, &call), "listing");
}

ks_status ks_stat(ks_store* store, ks_stats* stats_out) {
    if (!is_live(store)) return explain(store);
    if (stats_out == nullptr) return fault(KS_E_ARGUMENT, "stats_out is NULL");
    if (stats_out->struct_size != sizeof(ks_stats)) return fault(KS_E_STRUCT_SIZE, "ks_stats.struct_size");
    Stats stats;
    if (const Status s = stat(*store->store, &stats); s != Status::kOk)
        return fault(s, "reading the store's numbers");
    *stats_out = {sizeof(ks_stats), stats.store_id,     stats.keys,     stats.bytes_reserved,
                  stats.bytes_used, stats.participants, stats.sessions, counters_to_c(stats.total)};
    return KS_OK;
}

ks_status ks_participants(ks_store* store, ks_participants_fn fn, void* user) {
    if (!is_live(store)) return explain(store);
    if (fn == nullptr) return fault(KS_E_ARGUMENT, "fn is NULL");
    ParticipantsCall call{fn, user};
    try {
        visit_participants(*store->store, participant_one, &call);
    } catch (const std::bad_alloc&) {
        return fault(KS_E_MEMORY, "out of memory");
    }
    return KS_OK;
}

ks_status ks_reap(ks_store* store, uint64_t* participants_out) {
    if (!is_live(store)) return explain(store);
    Store& inner = *store->store;
    if (inner.segment.is_read_only()) return fault(KS_E_READ_ONLY, "the store was opened read-only");
    const std::uint32_t buried = reap_dead(inner.segment, inner.self, kParticipantsMax);
    recycle_up_to(inner.segment,
                  ring_tail(inner.segment));  // also what the living left for others to recycle
    if (participants_out != nullptr) *participants_out = buried;
    return KS_OK;
}

ks_status ks_check(ks_store* store, ks_problem_fn fn, void* user, ks_check_report* report_out) {
    if (!is_live(store)) return explain(store);
    if (report_out != nullptr && report_out->struct_size != sizeof(ks_check_report)) {
        return fault(KS_E_STRUCT_SIZE, "ks_check_report.struct_size");
    }
    CheckReport report;
    Status status;
    try {
        status = check(*store->store, fn, user, &report);
    } catch (const std::bad_alloc&) {
        return fault(KS_E_MEMORY, "checking: out of memory");
    }
    if (report_out != nullptr) {
        *report_out = {
            sizeof(ks_check_report), report.keys,        report.claimed,          report.deleted,
            report.blocks_live,      report.blocks_free, report.blocks_in_flight, report.blocks_unreaped,
            report.problems};
    }
    return answer(status, "checking");
}
