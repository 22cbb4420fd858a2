// Every byte that processes share. docs/LAYOUT.md is the same as a picture; a change starts there and here.
//
// L1  Only fixed-width integers and refs (offset / kRefUnit); no pointer, bool, size_t, vtable or lock.
// L2  Zero means "not yet": a fresh page of the file is a valid empty state of whatever lies there.
// L3  Memory is type-stable: a slot stays a slot, a block keeps its size class, nothing is ever unmapped.
// L4  Numbers here are in segments that exist: never renumber; a change raises kLayoutVersion.
#pragma once

#include <cstddef>
#include <cstdint>

#include "platform/platform.hpp"

namespace keystile::engine {

inline constexpr std::uint64_t kMagic = 0x454C49545359454Bu;  // "KEYSTILE", little-endian
inline constexpr std::uint32_t kLayoutVersion = 1;

// 32 bytes: half a line. 64 would waste a third of the smallest blocks (header 64 + value 32 = 96); 2^32
// units of 32 bytes address 128 GiB.
inline constexpr std::uint64_t kRefUnit = 32;
using Ref = std::uint32_t;  // 0 = none (the header lies there)

inline constexpr std::uint64_t kPageBytes = 4096;
inline constexpr std::uint64_t kChunkBytes = 64 * 1024;
inline constexpr std::uint64_t kSegmentBytesMin = 32ull << 20;
inline constexpr std::uint64_t kSegmentBytesDefault = 64ull << 30;
inline constexpr std::uint64_t kSegmentBytesMax = kRefUnit << 32;
inline constexpr std::uint64_t kExpectedKeysDefault = 64 * 1024;
inline constexpr std::uint32_t kParticipantsMax = 8192;
inline constexpr std::uint32_t kSessionsMax = 32768;
inline constexpr std::uint32_t kRingCellsMax = 64 * 1024;
inline constexpr std::uint32_t kRingBitsDefault = 12;
inline constexpr std::uint32_t kRingBitsMax = 16;
inline constexpr std::uint32_t kMultiKeysMax = 1024;
inline constexpr std::uint32_t kRootBitsMin = 8;
inline constexpr std::uint32_t kRootBitsMax = 30;
inline constexpr std::uint32_t kHomeBitsMax = 24;  // 1 GiB of home slots
inline constexpr std::uint64_t kIncarnationMax = (1ull << 24) - 1;
inline constexpr std::size_t kLabelBytes = 32;
inline constexpr std::size_t kKeyBytesMax = 1024;
inline constexpr std::size_t kKeyBytesInline = 16;
inline constexpr std::size_t kValueBytesMax = 16u << 20;

// Liveness locks: bytes far behind the end of any segment file, one a participant.
inline constexpr std::uint64_t kLivenessLockOffset = 1ull << 60;

namespace shm {

// How far each growing region is allocated (bytes from the region's start; CAS-max).
struct alignas(128) Limit {
    Atomic64 bytes;
};

struct alignas(128) Hint {
    Atomic64 value;
};

struct Header {
    Atomic64 magic;  // written last: zero = not ready
    std::uint32_t layout_version;
    std::uint32_t root_bits;
    std::uint64_t fingerprint;
    std::uint64_t segment_bytes;
    std::uint64_t store_id;
    std::uint64_t hash_seed;
    std::uint64_t handle_secret;  // a ks_key carries a keyed check, so that a wrong one is noticed
    std::uint64_t boot_id[2];
    std::uint64_t time_namespace;
    std::uint64_t incarnation;  // 24 bits
    std::uint64_t created_wall_ns;
    Atomic32 is_destroyed;
    std::uint32_t ring_bits;   // the ring has 2^ring_bits cells
    std::uint32_t is_durable;  // 1: every commit goes through the ring, its version is its position

    Limit participants;
    Limit sessions;
    Limit chunks;  // the chunk table
    Limit arena;
    Hint next_session;
    Hint next_chunk;  // index of a chunk that may be virgin
    Hint next_slot;   // ref of a slot that may be free
    Hint keys;        // statistic

    alignas(128) Word128 cursor;   // durable stores: what is written next, and where (ring/history.hpp)
    alignas(128) Word128 durable;  // the first that is not known to be on disk; zero: there is no journal
    Hint ring_tail;                // positions given out (ring/cells.hpp)
    Hint ring_head;                // positions recycled
    Limit ring;
    Hint position_limit;  // the promise: no position at or above it is published
    Hint flush_lease;     // CLOCK_BOOTTIME us until which somebody flushes; saves work, keeps nobody out
    alignas(128) Atomic32 durable_turn;  // futex: {changes : 31, has waiter : 1}
    Atomic32 journal_error;              // errno of the last failure to write, 0 = none
    Atomic32 journal_failures;           // how many
};
static_assert(sizeof(Header) <= kPageBytes);
static_assert(offsetof(Header, participants) == 128);

// One attached process (participants.hpp).
struct alignas(128) Participant {
    Atomic64 state;  // {tag : 2, generation : 24}
    Atomic64 pid;
    Atomic64 start_ticks;
    Atomic64 pid_namespace;
    Atomic64 label[kLabelBytes / 8];
};
static_assert(sizeof(Participant) == 128);

// What a session's owner is busy with: enough for a survivor to finish it. One line, written only by the
// owner.
struct alignas(64) Lane {
    Atomic64 state;     // {tag : 2, session generation : 24, participant : 14, participant generation : 24}
    Atomic64 sequence;  // last id given out; never restarted by the record's next owner
    Atomic64 old_ctl;   // of the block a commit replaces; 0 = the line is not valid
    Atomic32 old_ref;
    Atomic32 slot;
    Atomic32 holding[6];  // by Holding: the last thing of that kind this session allocated
    Atomic64 outcome;     // of this session's operation in the ring: {position : 61, cell state : 3}
};
static_assert(sizeof(Lane) == 64);

inline constexpr int kCounters = 9;
enum Counter : int {
    kCommits,
    kConflicts,
    kFencings,
    kHelds,
    kClaims,
    kReleases,
    kReclaims,
    kRetries,
    kBytes
};

struct alignas(128) Counters {
    Atomic64 value[kCounters];
};

struct alignas(128) Session {
    Lane lane;
    Word128 reserved[4];
    Counters total;    // since the record was first used: never reset, so the store's total is their sum
    Counters at_open;  // copy of total when the present owner came
};
static_assert(sizeof(Session) == 384);

// One key, one line, for ever in its place.
struct alignas(64) Slot {
    Word128 word;     // slots/word.hpp
    Word128 claim;    // slots/claim.hpp
    Atomic64 key[2];  // up to 16 bytes, zero padded; longer: {hash, {key block ref : 32, length : 32}}
    Atomic64 state;   // ownership word: FREE(x) · HELD(id) · PLACED
    Atomic32 turn;    // {changes : 25, has loser : 1, inline key length : 5 (0 = key block), has waiter : 1}
    Atomic32 next;    // ref of the next slot with the same 64-bit hash
};
static_assert(sizeof(Slot) == 64);

// In front of every arena block. The first half is all that an index node has.
struct alignas(32) BlockHead {
    Atomic64 ctl;      // ownership word: FREE(x) · HELD(id) · PUBLISHED(id)
    Atomic64 version;  // value: installed at exactly this one · node: the hash bits that lead to it ·
                       // descriptor: its position
    Atomic64 content;  // {size : 32, owner session : 16, kind : 8, flags : 8}
    Atomic64 place;    // {slot ref : 32, checksum : 32 (0 = none)} · node: {depth in bits : 32, 0}
};
struct Block {
    BlockHead head;
    Atomic64 expected[2];  // a single key's block on the ring (durable store): as in Entry
    Atomic64 old_ctl;      // the same
    Atomic64 signature;    // the same, with a journal: ring/operation.hpp
    std::uint64_t payload[];
};
static_assert(sizeof(BlockHead) == 32 && sizeof(Block) == 64);

// An operation of several keys (docs/RING.md): a block of kind descriptor.
struct alignas(16) Entry {
    Atomic64 expected[2];  // the slot word the operation was computed from: lo, hi
    Atomic64 old_ctl;      // of the block that word names; 0 = none
    Atomic64 fresh_ctl;    // of the new block
    Atomic32 slot;
    Atomic32 fresh;  // ref of the new block; 0 = this entry writes none. Set before the block is allocated.
    Atomic32 is_released;  // 1: the epoch moves on
    Atomic32 reserved;
};
struct Descriptor {
    BlockHead head;  // version: the position it was published at · content: size of the entries
    Atomic64 mark;  // id of this life: from then on the entries are its own, and not an earlier block's bytes
    Atomic64 signature;  // with a journal: ring/operation.hpp
    Atomic64 reserved[2];
    Entry entry[];
};
static_assert(sizeof(Entry) == 48 && sizeof(Descriptor) == sizeof(Block));

inline constexpr int kNodeCells = 16;
struct Node {
    BlockHead head;
    Atomic64 cell[kNodeCells];
};
static_assert(sizeof(Node) == 160);

// The chunk table: what each 64 KiB of the arena is for.
struct Chunk {
    Atomic64
        use;  // 0 = virgin · {kUseClass, class} · {kUseSlots} · run: ownership word FREE(x) · HELD(id), tagged kUseRun
    Atomic64 run;  // of a run in use: {position : 32, chunks : 32}
};
static_assert(sizeof(Chunk) == 16);

}  // namespace shm

// The signature of all of the above: a library built with other bytes refuses the segment.
constexpr std::uint64_t layout_fingerprint() noexcept {
    std::uint64_t hash = 0xCBF29CE484222325u;
    const std::uint64_t facts[] = {kLayoutVersion,
                                   kRefUnit,
                                   kPageBytes,
                                   kChunkBytes,
                                   kParticipantsMax,
                                   kSessionsMax,
                                   kRingCellsMax,
                                   kKeyBytesInline,
                                   sizeof(shm::Header),
                                   offsetof(shm::Header, participants),
                                   offsetof(shm::Header, arena),
                                   offsetof(shm::Header, keys),
                                   offsetof(shm::Header, cursor),
                                   offsetof(shm::Header, durable),
                                   offsetof(shm::Header, durable_turn),
                                   offsetof(shm::Header, ring),
                                   sizeof(shm::Participant),
                                   offsetof(shm::Participant, pid),
                                   offsetof(shm::Participant, label),
                                   sizeof(shm::Session),
                                   offsetof(shm::Session, total),
                                   offsetof(shm::Session, at_open),
                                   sizeof(shm::Lane),
                                   offsetof(shm::Lane, sequence),
                                   offsetof(shm::Lane, old_ctl),
                                   offsetof(shm::Lane, slot),
                                   offsetof(shm::Lane, holding),
                                   shm::kCounters,
                                   sizeof(shm::Slot),
                                   offsetof(shm::Slot, claim),
                                   offsetof(shm::Slot, key),
                                   offsetof(shm::Slot, state),
                                   offsetof(shm::Slot, turn),
                                   offsetof(shm::Slot, next),
                                   sizeof(shm::Block),
                                   offsetof(shm::Block, old_ctl),
                                   sizeof(shm::BlockHead),
                                   offsetof(shm::BlockHead, version),
                                   offsetof(shm::BlockHead, content),
                                   offsetof(shm::BlockHead, place),
                                   sizeof(shm::Entry),
                                   offsetof(shm::Entry, slot),
                                   sizeof(shm::Node),
                                   shm::kNodeCells,
                                   sizeof(shm::Chunk),
                                   kHomeBitsMax};
    for (const std::uint64_t fact : facts) hash = (hash ^ fact) * 0x100000001B3u;
    return hash;
}

// Where the regions lie: a pure function of two numbers in the header, so a reader recomputes instead of
// trusting.
struct Regions {
    std::uint64_t participants, sessions, ring, root, home_map, homes, chunks, arena;  // offsets
    std::uint64_t home_pairs;  // pairs of slots, a power of two
    std::uint64_t chunk_count;
    std::uint64_t segment_bytes;
};

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) noexcept {
    return (value + unit - 1) / unit * unit;
}

constexpr Regions regions_of(std::uint64_t segment_bytes, std::uint32_t root_bits) noexcept {
    Regions r{};
    r.segment_bytes = segment_bytes;
    r.participants = kPageBytes;
    r.sessions = r.participants + round_up(kParticipantsMax * sizeof(shm::Participant), kPageBytes);
    r.ring = r.sessions + round_up(kSessionsMax * sizeof(shm::Session), kPageBytes);
    r.root = r.ring + round_up(kRingCellsMax * sizeof(Word128), kPageBytes);
    r.home_map = r.root + round_up(8ull << root_bits, kPageBytes);
    // As many home slots as keys are expected (half the root's cells), in pairs that share two neighbouring
    // lines.
    r.home_pairs = 1ull << ((root_bits < kHomeBitsMax + 1 ? root_bits - 1 : kHomeBitsMax) - 1);
    const std::uint64_t home_bytes = r.home_pairs * 2 * sizeof(shm::Slot);
    r.homes = r.home_map + round_up((home_bytes / kPageBytes + 7) / 8, kPageBytes);
    r.chunks = r.homes + home_bytes;
    const std::uint64_t left = segment_bytes > r.chunks ? segment_bytes - r.chunks : 0;
    const std::uint64_t table = round_up(left / kChunkBytes * sizeof(shm::Chunk), kPageBytes);
    r.arena = round_up(r.chunks + table, kChunkBytes);
    r.chunk_count = segment_bytes > r.arena ? (segment_bytes - r.arena) / kChunkBytes : 0;
    return r;
}

}  // namespace keystile::engine
