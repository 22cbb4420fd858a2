// The mark: how far the journal is known to be on disk. Not needed for safety: it tells damage (below it) from a tail
// that was never finished (above it).
#pragma once

#include "journal/directory.hpp"

namespace keystile::engine {

struct Mark {
    std::uint64_t store_id = 0;
    std::uint64_t incarnation = 0;
    std::uint64_t sequence = 0;
    JournalPoint durable;
};

// The valid one of the higher position. kNotFound: there is none.
Status read_mark(const Directory& directory, Mark* mark_out) noexcept;
// Into the other place, and on disk. `mark.sequence` is chosen here. One that says no more than what is there already
// is not written.
Status write_mark(const Directory& directory, const Mark& mark) noexcept;
// One of the two places (0, 1) by itself: is it a mark, or has nothing been written there?
Status check_mark_place(const Directory& directory, std::uint64_t place, Damage* damage_out) noexcept;

}  // namespace keystile::engine
