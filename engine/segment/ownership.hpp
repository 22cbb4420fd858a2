// The ownership word: who may touch a block, slot or run of chunks, in 64 bits changed by CAS.
//
//   FREE(x) --CAS--> HELD(id) --store--> PUBLISHED(id) --CAS from exactly that id--> FREE(id)
//
// O1  An id is given out once, ever: {ring : 1, session index : 16, sequence : 45}. So no value of the word
//     ever comes back, and a CAS that names an id can hit only the life of the thing that it was read from.
// O2  Only the session that an id names moves HELD(id) on; once it is proven dead, anyone does
//     (operations/reaper).
// O3  A committed block is always PUBLISHED: it became so before the CAS that made it reachable.
// In the segment: never renumber.
#pragma once

#include <cstdint>

namespace keystile::engine {

enum class Tag : std::uint64_t { kFree = 0, kHeld = 1, kPublished = 2, kFixed = 3 };

inline constexpr std::uint64_t kSequenceBits = 45;
inline constexpr std::uint64_t kSequenceMax = (1ull << kSequenceBits) - 1;
inline constexpr std::uint64_t kSessionMask = 0xFFFF;

using OwnerId = std::uint64_t;

constexpr OwnerId make_id(std::uint32_t session, std::uint64_t sequence) noexcept {
    return (static_cast<std::uint64_t>(session) << kSequenceBits) | sequence;
}
constexpr std::uint32_t session_of(OwnerId id) noexcept {
    return static_cast<std::uint32_t>((id >> kSequenceBits) & kSessionMask);
}
constexpr std::uint64_t sequence_of(OwnerId id) noexcept {
    return id & kSequenceMax;
}

constexpr std::uint64_t owned(Tag tag, OwnerId id) noexcept {
    return (id << 2) | static_cast<std::uint64_t>(tag);
}
constexpr Tag tag_of(std::uint64_t word) noexcept {
    return static_cast<Tag>(word & 3u);
}
constexpr OwnerId id_of(std::uint64_t word) noexcept {
    return word >> 2;
}
constexpr std::uint64_t with_tag(std::uint64_t word, Tag tag) noexcept {
    return (word & ~3ull) | static_cast<std::uint64_t>(tag);
}

}  // namespace keystile::engine
