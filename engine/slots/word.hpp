// The slot word: version, epoch and payload in 128 bits, so that one CAS checks and changes all of them.
//
//   hi: version 56 | epoch, high 8          lo: epoch, low 31 | intent 1 | ref 32
//
// W1  version only grows, by exactly one commit at a time.  (VersionOnlyGrows, ExactlyOneWinner)
// W2  epoch only grows, by one per claim, release and reclaim. Even = free, odd = claimed.
// W3  So no value of the word ever returns, and a CAS from a value once read can succeed only if nothing happened since.
// INTENT words belong to multi-key commits: version then holds the deciding operation. In the segment: never renumber.
#pragma once

#include "platform/platform.hpp"
#include "segment/segment.hpp"

namespace keystile::engine {

inline constexpr std::uint64_t kVersionMax = (1ull << 56) - 1;
inline constexpr std::uint64_t kEpochMax = (1ull << 39) - 1;

struct SlotWord {
    std::uint64_t version = 0;
    std::uint64_t epoch = 0;
    bool is_intent = false;
    Ref ref = 0;
};

constexpr Word128 pack(SlotWord w) noexcept {
    return {(w.epoch << 33) | (static_cast<std::uint64_t>(w.is_intent) << 32) | w.ref,
            (w.version << 8) | (w.epoch >> 31)};
}
constexpr SlotWord unpack_word(Word128 w) noexcept {
    return {w.hi >> 8, ((w.hi & 0xFFu) << 31) | (w.lo >> 33), ((w.lo >> 32) & 1u) != 0, static_cast<Ref>(w.lo)};
}
static_assert(unpack_word(pack(SlotWord{kVersionMax, kEpochMax, false, 7})).epoch == kEpochMax);

constexpr bool is_claimed(std::uint64_t epoch) noexcept { return (epoch & 1u) != 0; }

// The legal transitions of a CLEAN word. Each is the desired value of a cas16 whose expected value is `w`.
constexpr SlotWord committed(SlotWord w, Ref block, bool is_releasing) noexcept {
    return {w.version + 1, w.epoch + (is_releasing ? 1u : 0u), false, block};
}
constexpr SlotWord next_epoch(SlotWord w) noexcept { return {w.version, w.epoch + 1, false, w.ref}; }

}  // namespace keystile::engine
