// Attached processes: who is there, and who is dead.
//
// P1  A participant holds the liveness lock of its record's byte as long as its process lives and has the
//     file open.
// P2  FREE -> ALIVE only by the holder of that lock; ALIVE -> FREE only by the owner, or by a reaper that
//     proved it dead.
// P3  Dead is for ever: (index, generation) never names another process. The generation has 24 bits; should
//     one return, a reclaim or a reaping is delayed, never a stale commit allowed.
#pragma once

#include <string>
#include <string_view>

#include "segment/segment_file.hpp"

namespace keystile::engine {

// {tag : 2, generation : 24} in the record's state word.
enum class ParticipantTag : std::uint64_t { kFree = 0, kAlive = 1 };
constexpr std::uint64_t participant_state(ParticipantTag tag, std::uint32_t generation) noexcept {
    return (static_cast<std::uint64_t>(generation & 0xFFFFFFu) << 2) | static_cast<std::uint64_t>(tag);
}
constexpr bool is_alive_tag(std::uint64_t state) noexcept {
    return (state & 3u) == 1u;
}
constexpr std::uint32_t generation_of_participant(std::uint64_t state) noexcept {
    return static_cast<std::uint32_t>(state >> 2) & 0xFFFFFFu;
}

struct ParticipantId {
    std::uint32_t index = 0;
    std::uint32_t generation = 0;
    friend bool operator==(const ParticipantId&, const ParticipantId&) = default;
};

// Take a record. kParticipants if all are in use by the living (the caller may reap and try again).
Status join(Segment& segment, std::string_view label, ParticipantId* id_out) noexcept;
// Give it back; the lock goes with the file.
void leave(Segment& segment, ParticipantId id) noexcept;

// Is that very participant still there? `self_id` is alive without asking.
bool is_participant_alive(const Segment& segment, ParticipantId id, ParticipantId self_id) noexcept;
// After its sessions were reaped: the record may be used again.
void bury_participant(Segment& segment, ParticipantId id) noexcept;

bool has_live_participant(const Segment& segment) noexcept;

// For people; read without a guard, so perhaps of two owners at once while one follows the other.
std::string label_of(const Segment& segment, std::uint32_t index);

}  // namespace keystile::engine
