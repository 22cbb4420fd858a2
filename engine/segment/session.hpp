// Session records: one thread's lane, the owner of claims and of blocks in flight.
//
// E1  A record is taken by one CAS that names its owner: there is no state "taken by nobody".
// E2  Ids grow over all owners of a record: `sequence` is never reset.
// E3  A record is given back only after everything it had in flight is settled (by its owner, or by the
//     reaper).
#pragma once

#include "segment/ownership.hpp"
#include "segment/participants.hpp"

namespace keystile::engine {

// {tag : 2, generation : 24, participant index : 14, participant generation : 24} in Lane::state.
struct SessionState {
    bool is_open = false;
    std::uint32_t generation = 0;
    ParticipantId participant;
};
constexpr std::uint64_t pack(SessionState s) noexcept {
    return (s.is_open ? 1u : 0u) | (static_cast<std::uint64_t>(s.generation & 0xFFFFFFu) << 2) |
           (static_cast<std::uint64_t>(s.participant.index & 0x3FFFu) << 26) |
           (static_cast<std::uint64_t>(s.participant.generation & 0xFFFFFFu) << 40);
}
constexpr SessionState unpack_session(std::uint64_t word) noexcept {
    return {(word & 3u) == 1u,
            static_cast<std::uint32_t>(word >> 2) & 0xFFFFFFu,
            {static_cast<std::uint32_t>(word >> 26) & 0x3FFFu,
             static_cast<std::uint32_t>(word >> 40) & 0xFFFFFFu}};
}
static_assert(kParticipantsMax <= 0x4000 && kSessionsMax < 0xFFFF);

struct SessionId {
    std::uint32_t index = 0;
    std::uint32_t generation = 0;
    friend bool operator==(const SessionId&, const SessionId&) = default;
};

// kParticipants: all in use (the caller may reap and try again).
Status open_session(Segment& segment, ParticipantId owner, SessionId* id_out) noexcept;
// From exactly this state; also the reaper's last step.
void close_session(Segment& segment, std::uint32_t index, std::uint64_t state) noexcept;

// The state now, or a closed one for an index out of range.
std::uint64_t session_state(const Segment& segment, std::uint32_t index) noexcept;

// Does that very session still exist, with a living owner? False is for ever.
bool is_session_alive(const Segment& segment, SessionId id, ParticipantId self_id) noexcept;

}  // namespace keystile::engine
