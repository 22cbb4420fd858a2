#include "segment/session.hpp"

namespace keystile::engine {

namespace {

// A record with fewer ids left is not used again; so a session can always count on 2^44: ten days at 20
// million a second.
constexpr std::uint64_t kSequenceReserve = 1ull << 44;

bool try_take(Segment& segment, std::uint32_t index, ParticipantId owner, SessionId* id_out) noexcept {
    shm::Session& record = *segment.session(index);
    // order[session.state.load]: acquire. Partner: close_session's release: what the predecessor left is
    //   settled.
    std::uint64_t state = record.lane.state.load(memory_order_acquire);
    const SessionState seen = unpack_session(state);
    if (seen.is_open || peek(record.lane.sequence) > kSequenceMax - kSequenceReserve) return false;
    const SessionState mine{true, (seen.generation + 1) & 0xFFFFFFu, owner};
    // order[session.take]: acq_rel. Names the owner in the same step. Partner: session_state's acquire. A
    //   crash before leaves the record closed; after it, it belongs to us, and the reaper gives it back when
    //   we are dead.
    if (!record.lane.state.compare_exchange_strong(state, pack(mine), memory_order_acq_rel,
                                                   memory_order_relaxed)) {
        return false;
    }
    KEYSTILE_CRASH_POINT("segment.session_open.after_take");
    // The owner before may have died just before its commit: then its line names a block that a word still holds, and
    // half of a line of ours would tell the reaper that the word had left it. Cleared before anything else of ours.
    poke(record.lane.old_ctl, 0u);
    for (int i = 0; i < shm::kCounters; ++i) poke(record.at_open.value[i], peek(record.total.value[i]));
    *id_out = {index, mine.generation};
    return true;
}

}  // namespace

Status open_session(Segment& segment, ParticipantId owner, SessionId* id_out) noexcept {
    auto& hint = segment.header().next_session.value;
    for (;;) {  // ends: each turn adds records, up to kSessionsMax
        const std::uint32_t count = segment.session_count();
        const auto start = static_cast<std::uint32_t>(peek(hint) % (count != 0 ? count : 1));
        for (std::uint32_t i = 0; i < count; ++i) {
            const std::uint32_t index = (start + i) % count;
            if (!try_take(segment, index, owner, id_out)) continue;
            poke(hint, static_cast<std::uint64_t>(index) + 1);
            return Status::kOk;
        }
        if (const Status s = segment.grow_sessions(count + 1); s != Status::kOk) return s;
    }
}

void close_session(Segment& segment, std::uint32_t index, std::uint64_t state) noexcept {
    SessionState closed = unpack_session(state);
    closed.is_open = false;
    // order[session.close]: acq_rel. All it had in flight is settled before; partner: try_take's acquire.
    //   From exactly this state: a slow second reaper cannot close a successor. A crash before it: the reaper
    //   does it.
    segment.session(index)->lane.state.compare_exchange_strong(state, pack(closed), memory_order_acq_rel,
                                                               memory_order_relaxed);
}

std::uint64_t session_state(const Segment& segment, std::uint32_t index) noexcept {
    if (index >= segment.session_count()) return 0;
    // order[session.state.look]: acquire. Partner: the take CAS; the fields of its owner are read after it.
    return segment.session(index)->lane.state.load(memory_order_acquire);
}

bool is_session_alive(const Segment& segment, SessionId id, ParticipantId self_id) noexcept {
    const SessionState state = unpack_session(session_state(segment, id.index));
    if (!state.is_open || state.generation != id.generation) return false;
    if (!is_participant_alive(segment, state.participant, self_id)) return false;
    const SessionState again = unpack_session(session_state(segment, id.index));
    return again.is_open && again.generation == id.generation;
}

}  // namespace keystile::engine
