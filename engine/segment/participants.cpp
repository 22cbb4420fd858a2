#include "segment/participants.hpp"

#include <algorithm>
#include <cstring>

namespace keystile::engine {

namespace {

std::uint64_t lock_byte_of(std::uint32_t index) noexcept {
    return kLivenessLockOffset + index;
}

void write_label(shm::Participant& record, std::string_view label) noexcept {
    char text[kLabelBytes] = {};
    std::size_t bytes = std::min(label.size(), kLabelBytes - 1);
    while (bytes > 0 && bytes < label.size() && (static_cast<unsigned char>(label[bytes]) & 0xC0u) == 0x80u)
        --bytes;
    std::memcpy(text, label.data(), bytes);  // cut between characters, not inside one
    for (std::size_t i = 0; i < kLabelBytes / 8; ++i) {
        std::uint64_t word;
        std::memcpy(&word, text + i * 8, 8);
        poke(record.label[i], word);
    }
}

// One attempt at one record that looked free.
bool try_take(Segment& segment, std::uint32_t index, std::string_view label, ParticipantId* id_out) noexcept {
    if (try_lock_byte(segment.file(), lock_byte_of(index)) != LockAnswer::kTaken) return false;
    shm::Participant& record = *segment.participant(index);
    // order[participants.take]: acquire. Partner: bury_participant's and leave's release: the predecessor is
    //   done with it.
    const std::uint64_t state = record.state.load(memory_order_acquire);
    if (is_alive_tag(state)) {
        // Somebody took it, and lost the lock since: dead or a process that closes foreign descriptors. Not
        // ours to judge here.
        unlock_byte(segment.file(), lock_byte_of(index));
        return false;
    }
    const std::uint32_t generation = (generation_of_participant(state) + 1) & 0xFFFFFFu;
    poke(record.pid, static_cast<std::uint64_t>(static_cast<std::uint32_t>(self().pid)));
    poke(record.start_ticks, self().start_ticks);
    poke(record.pid_namespace, self().pid_namespace);
    write_label(record, label);
    KEYSTILE_CRASH_POINT("segment.join.before_alive");
    // order[participants.alive]: release. Publishes pid, start time, namespace and label; partner:
    //   is_participant_alive's acquire. A crash before it leaves the record free, its lock gone with the
    //   process; after it the record names us and the lock says whether we live.
    record.state.store(participant_state(ParticipantTag::kAlive, generation), memory_order_release);
    *id_out = {index, generation};
    return true;
}

}  // namespace

Status join(Segment& segment, std::string_view label, ParticipantId* id_out) noexcept {
    for (std::uint32_t first = 0;
         ;) {  // ends: each turn looks at records that did not exist in the turn before
        const std::uint32_t count = segment.participant_count();
        for (std::uint32_t index = first; index < count; ++index) {
            if (is_alive_tag(peek(segment.participant(index)->state))) continue;
            if (try_take(segment, index, label, id_out)) return Status::kOk;
        }
        if (const Status s = segment.grow_participants(count + 1); s != Status::kOk) return s;
        first = count;
    }
}

void leave(Segment& segment, ParticipantId id) noexcept {
    // order[participants.leave]: release. Our sessions are closed before; partner: try_take's acquire.
    //   A crash before it: a dead participant without sessions, which is buried.
    segment.participant(id.index)->state.store(participant_state(ParticipantTag::kFree, id.generation),
                                               memory_order_release);
}

bool is_participant_alive(const Segment& segment, ParticipantId id, ParticipantId self_id) noexcept {
    if (id == self_id) return true;
    if (id.index >= segment.participant_count()) return false;
    const shm::Participant& record = *segment.participant(id.index);
    const auto is_still_it = [&] {
        // order[participants.state.load]: acquire. Partner: try_take's release: the fields below are this
        //   owner's.
        return record.state.load(memory_order_acquire) ==
               participant_state(ParticipantTag::kAlive, id.generation);
    };
    if (!is_still_it()) return false;
#if defined(KEYSTILE_EXPLORED)
    return explored::is_alive(id.index) && is_still_it();
#else
    if (is_byte_locked_by_other(segment.file(), lock_byte_of(id.index))) return is_still_it();
    // The lock is gone: dead, unless it is a process that closed our descriptor behind our back.
    const std::uint64_t its_namespace = peek(record.pid_namespace);
    if (its_namespace == 0 || its_namespace != self().pid_namespace) return false;
    const auto pid = static_cast<std::int32_t>(peek(record.pid));
    return is_process_running(pid, peek(record.start_ticks)) && is_still_it();
#endif
}

void bury_participant(Segment& segment, ParticipantId id) noexcept {
    std::uint64_t state = participant_state(ParticipantTag::kAlive, id.generation);
    // order[participants.bury]: acq_rel. Its sessions were reaped before; partner: try_take's acquire. From
    //   exactly this generation: a slower reaper cannot bury a successor. A crash before it: the next reaper
    //   does it all again.
    segment.participant(id.index)->state.compare_exchange_strong(
        state, participant_state(ParticipantTag::kFree, id.generation), memory_order_acq_rel,
        memory_order_relaxed);
}

bool has_live_participant(const Segment& segment) noexcept {
    const std::uint32_t count = segment.participant_count();
    for (std::uint32_t index = 0; index < count; ++index) {
        const std::uint64_t state = peek(segment.participant(index)->state);
        if (!is_alive_tag(state)) continue;
        const ParticipantId nobody{UINT32_MAX, 0};
        if (is_participant_alive(segment, {index, generation_of_participant(state)}, nobody)) return true;
    }
    return false;
}

std::string label_of(const Segment& segment, std::uint32_t index) {
    char text[kLabelBytes] = {};
    if (index < segment.participant_count()) {
        for (std::size_t i = 0; i < kLabelBytes / 8; ++i) {
            const std::uint64_t word = peek(segment.participant(index)->label[i]);
            std::memcpy(text + i * 8, &word, 8);
        }
    }
    text[kLabelBytes - 1] = '\0';
    return text;
}

}  // namespace keystile::engine
