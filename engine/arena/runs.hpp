// Large blocks: runs of neighbouring chunks.
//
// R1  A chunk of a run is owned by an ownership word in the chunk table: FREE(x) -> HELD(id), id = the
//     block's.
// R2  Claimed first to last, given back last to first: while the first is HELD(id), all that are HELD(id)
//     belong to it.
// R3  The block's own ctl lies at the start of the first chunk, as with any block. Whoever sets it to
//     FREE(id) gives the chunks back; if he dies in between, whatever still names the block (a session line, a
//     holding, a cell of the ring) leads somebody to it who does it: finish_free.
// A chunk that was part of a run stays in the pool of runs (L3).
#pragma once

#include "arena/blocks.hpp"

namespace keystile::engine {

// {chunks : 32, position : 32} in Chunk::run.
struct RunPlace {
    std::uint32_t chunks = 0;
    std::uint32_t position = 0;
};
constexpr std::uint64_t pack(RunPlace p) noexcept {
    return p.chunks | (static_cast<std::uint64_t>(p.position) << 32);
}
constexpr RunPlace unpack_run(std::uint64_t word) noexcept {
    return {static_cast<std::uint32_t>(word), static_cast<std::uint32_t>(word >> 32)};
}

BlockGrant allocate_run(Lane& lane, std::uint64_t bytes, shm::Atomic32& note) noexcept;

// Give back every chunk that is still HELD(id) of the run that starts at `first`. Only when the block is
// free, or never came to life and its session is dead. Safe to repeat: an id never returns.
// (release_run is declared in blocks.hpp, which needs it.)

}  // namespace keystile::engine
