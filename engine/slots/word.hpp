// The slot word: version, epoch and payload in 128 bits, so that one CAS checks and changes all of them.
//
//   hi: version 56 | epoch, high 8          lo: epoch, low 31 | intent 1 | ref 32
//
// W1  version only grows, by exactly one commit at a time.  (VersionOnlyGrows, ExactlyOneWinner)
// W2  epoch only grows, by one per claim, release and reclaim. Even = free, odd = claimed.
// W3  So no value of the word ever returns, and a CAS from a value once read can succeed only if nothing
//     happened since.
// INTENT words belong to multi-key commits: version then holds the deciding operation. In the segment: never
// renumber.
#pragma once

#include "platform/platform.hpp"
#include "segment/segment.hpp"

namespace keystile::engine {

inline constexpr std::uint64_t kVersionMax = (1ull << 56) - 1;
inline constexpr std::uint64_t kEpochMax = (1ull << 39) - 1;

// The word as read, its fields by name. Kept packed: it lives in two registers, where a struct of fields
// would be spilled and read back wider than it was written (a store-forwarding stall of a dozen cycles).
class SlotWord {
public:
    constexpr SlotWord() noexcept = default;
    constexpr explicit SlotWord(Word128 raw) noexcept : raw_(raw) {}
    constexpr SlotWord(std::uint64_t version, std::uint64_t epoch, Ref ref) noexcept
        : raw_{(epoch << 33) | ref, (version << 8) | (epoch >> 31)} {}

    constexpr Word128 raw() const noexcept { return raw_; }
    constexpr std::uint64_t version() const noexcept { return raw_.hi >> 8; }
    constexpr std::uint64_t epoch() const noexcept { return ((raw_.hi & 0xFFu) << 31) | (raw_.lo >> 33); }
    constexpr bool is_intent() const noexcept { return ((raw_.lo >> 32) & 1u) != 0; }
    constexpr Ref ref() const noexcept { return static_cast<Ref>(raw_.lo); }
    // One branch instead of two: nearly always equal, where it matters.
    friend constexpr bool operator==(SlotWord a, SlotWord b) noexcept {
        return ((a.raw_.lo ^ b.raw_.lo) | (a.raw_.hi ^ b.raw_.hi)) == 0;
    }

private:
    Word128 raw_;
};
static_assert(SlotWord(kVersionMax, kEpochMax, 7).epoch() == kEpochMax);
static_assert(SlotWord(kVersionMax, kEpochMax, 7).version() == kVersionMax &&
              !SlotWord(0, kEpochMax, 0).is_intent());

inline SlotWord load_word(const shm::Slot& slot) noexcept {
    return SlotWord(ld16(&slot.word));
}
inline bool cas_word(shm::Slot& slot, SlotWord expected, SlotWord desired) noexcept {
    // order[slots.cas_word]: full (locked). Partner: every load_word; what it publishes is said at each call.
    return cas16(&slot.word, expected.raw(), desired.raw());
}

constexpr bool is_claimed(std::uint64_t epoch) noexcept {
    return (epoch & 1u) != 0;
}

// The legal transitions of a CLEAN word. Each is the desired value of a CAS whose expected value is `w`.
constexpr SlotWord committed(SlotWord w, Ref block) noexcept {
    return SlotWord(Word128{(w.raw().lo & ~0xFFFFFFFFull) | block, w.raw().hi + 0x100});  // version + 1
}
constexpr SlotWord next_epoch(SlotWord w) noexcept {
    return {w.version(), w.epoch() + 1, w.ref()};
}

}  // namespace keystile::engine
