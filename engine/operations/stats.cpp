#include "operations/stats.hpp"

namespace keystile::engine {

Status stat(const Store& store, Stats* stats_out) noexcept {
    const Segment& segment = store.segment;
    *stats_out = {};
    stats_out->store_id = segment.header().store_id;
    stats_out->keys = peek(segment.header().keys.value);
    stats_out->bytes_reserved = segment.regions().segment_bytes;
    if (const Status s = file_bytes_on_disk(segment.file(), &stats_out->bytes_used); s != Status::kOk)
        return s;
    for (std::uint32_t i = 0, count = segment.participant_count(); i < count; ++i) {
        if (is_alive_tag(peek(segment.participant(i)->state))) ++stats_out->participants;
    }
    for (std::uint32_t i = 0, count = segment.session_count(); i < count; ++i) {
        if (unpack_session(session_state(segment, i)).is_open) ++stats_out->sessions;
        for (int c = 0; c < shm::kCounters; ++c)
            stats_out->total.value[c] += peek(segment.session(i)->total.value[c]);
    }
    return Status::kOk;
}

void visit_participants(const Store& store, bool (*visit)(void* user, const ParticipantInfo& info),
                        void* user) {
    const Segment& segment = store.segment;
    for (std::uint32_t i = 0, count = segment.participant_count(); i < count; ++i) {
        const std::uint64_t state = peek(segment.participant(i)->state);
        if (!is_alive_tag(state)) continue;
        const ParticipantId id{i, generation_of_participant(state)};
        ParticipantInfo info{};
        info.pid = static_cast<std::int32_t>(peek(segment.participant(i)->pid));
        info.is_self = !segment.is_read_only() && id == store.self;
        info.is_alive = info.is_self || is_participant_alive(segment, id, {UINT32_MAX, 0});
        info.label = label_of(segment, i);
        for (std::uint32_t s = 0, sessions = segment.session_count(); s < sessions; ++s) {
            const SessionState session = unpack_session(session_state(segment, s));
            if (!session.is_open || session.participant != id) continue;
            ++info.sessions;
            const shm::Session& record = *segment.session(s);
            for (int c = 0; c < shm::kCounters; ++c) {
                info.counters.value[c] += peek(record.total.value[c]) - peek(record.at_open.value[c]);
            }
        }
        if (!visit(user, info)) return;
    }
}

}  // namespace keystile::engine
