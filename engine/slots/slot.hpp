// What lies in a slot beside its word: the key, and the event counter that waiters sleep on.
#pragma once

#include "arena/arena.hpp"
#include "slots/key.hpp"
#include "slots/word.hpp"

namespace keystile::engine {

// shm::Slot::turn: {changes : 25, has loser : 1, inline key length : 5 (0 = the key lies in a block),
// has waiter : 1}
inline constexpr std::uint32_t kHasWaiter = 1;
inline constexpr std::uint32_t kHasLoser = 1u << 6;
inline constexpr std::uint32_t kTurnStep = 1u << 7;
constexpr std::uint32_t inline_length_of(std::uint32_t turn) noexcept {
    return (turn >> 1) & 31u;
}
constexpr std::uint32_t turn_for_length(std::uint32_t length) noexcept {
    return length << 1;
}

// The key of a slot as copied out. A view into the segment for long keys: key bytes never change once the
// slot is placed.
struct StoredKey {
    char inline_bytes[kKeyBytesInline];
    KeyBytes block;
    std::uint32_t size = 0;
    KeyBytes bytes() const noexcept { return block.data != nullptr ? block : KeyBytes{inline_bytes, size}; }
};
// False: the bytes cannot be true.
bool read_key(const Segment& segment, const shm::Slot& slot, StoredKey* key_out) noexcept;

// Long keys: key[0] = hash, key[1] = {block ref : 32, size : 32}.
struct KeyPlace {
    Ref ref = 0;
    std::uint32_t size = 0;
};
constexpr std::uint64_t pack(KeyPlace p) noexcept {
    return p.ref | (static_cast<std::uint64_t>(p.size) << 32);
}
constexpr KeyPlace unpack_key_place(std::uint64_t word) noexcept {
    return {static_cast<Ref>(word), static_cast<std::uint32_t>(word >> 32)};
}

bool is_long_key_equal(const Segment& segment, const shm::Slot& slot, KeyBytes key,
                       std::uint64_t hash) noexcept;

inline bool is_key_equal(const Segment& segment, const shm::Slot& slot, KeyBytes key,
                         std::uint64_t hash) noexcept {
    const std::uint32_t length = inline_length_of(peek(slot.turn));
    if (!key.is_inline()) return length == 0 && is_long_key_equal(segment, slot, key, hash);
    return length == key.size && InlineKey{peek(slot.key[0]), peek(slot.key[1])} == inline_key(key);
}

// Whoever lost a race for the word to a commit asks for room. The winner has the lines in its core's cache and
// would win again and again; it steps back once, for about as long as an attempt of the other takes. A courtesy,
// not a lock: nobody waits for anybody's step, and a dead loser costs one winner one pause.
[[gnu::cold]] void ask_for_room(shm::Slot& slot) noexcept;

// After the word or the claim changed: whoever sleeps on the slot runs again, whoever lost gets room. One load if
// there is nobody.
[[gnu::cold]] void attend(shm::Slot& slot) noexcept;
inline void wake(shm::Slot& slot) noexcept {
    // order[slots.wake.look]: relaxed. The locked CAS of the word came before this load, the waiter's locked
    //   setting of the bit before his second look at the word: on x86 one of the two sees the other. Partner:
    //   operations/watch. A crash just before costs the waiter one sleep of at most kSleepNsMax.
    if ((slot.turn.load(memory_order_relaxed) & (kHasWaiter | kHasLoser)) != 0) [[unlikely]]
        attend(slot);
}

}  // namespace keystile::engine
