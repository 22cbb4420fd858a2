// Every byte of a durable store's files. docs/JOURNAL.md is the same as tables; a change starts there and here.
//
// F1  Integers are little-endian; units begin at multiples of 8; padding is zero.
// F2  A checksum covers all bytes of its unit before it. Its seed names store, incarnation and file, so that no byte of
//     an earlier life of the disk passes for one of this file.
// F3  A unit never begins with eight zero bytes: those are the end.
// In files that exist: never renumber; other bytes get another digit in the magic.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "ring/ring.hpp"

namespace keystile::engine {

static_assert(std::endian::native == std::endian::little, "the files are written as memory has them");

inline constexpr std::uint64_t kJournalHeadBytes = 4096;  // records begin at a page
inline constexpr std::uint64_t kMarkPlaceBytes = 512;  // a sector: a torn write spoils one of the two places

// The eighth byte of a magic is zero, the seventh its version.
constexpr std::uint64_t magic_of(const char (&text)[8]) noexcept {
    std::uint64_t magic = 0;
    for (int i = 0; i < 8; ++i)
        magic |= static_cast<std::uint64_t>(static_cast<unsigned char>(text[i])) << (8 * i);
    return magic;
}
inline constexpr std::uint64_t kJournalMagic = magic_of("KSJRNL1");
inline constexpr std::uint64_t kCheckpointMagic = magic_of("KSCKPT1");
inline constexpr std::uint64_t kMarkMagic = magic_of("KSMARK1");
inline constexpr std::uint64_t kAnyVersion = ~(0xFFull << 48);  // a magic without its seventh byte
inline constexpr std::uint32_t kRecordMagic = 0x4352534Bu;      // "KSRC"

// What an entry says beside its value.
enum EntryFlag : std::uint32_t { kEntryDeleted = 1, kEntryEpochMoved = 2 };

namespace disk {

struct JournalHead {
    std::uint64_t magic;
    std::uint64_t store_id;
    std::uint64_t incarnation;
    std::uint64_t file;
    std::uint64_t start;
    std::uint64_t end_before;
    std::uint64_t limit;
    std::uint64_t wall_ns;
    std::uint64_t checksum;  // seed 0
};
static_assert(sizeof(JournalHead) == 72);

struct RecordHead {
    std::uint32_t magic;
    std::uint32_t entries;
    std::uint64_t bytes;  // of the whole record
    std::uint64_t position;
    std::uint64_t signature;  // wall time, its low 3 bits the words of the label that follows
};
static_assert(sizeof(RecordHead) == 32);

// Of a record; then the key and the value, each padded.
struct EntryHead {
    std::uint32_t key_size;
    std::uint32_t flags;
    std::uint64_t value_size;
    std::uint64_t version;  // in a record: the expected one; in a checkpoint: the key's
    std::uint64_t epoch;
};
static_assert(sizeof(EntryHead) == 32);

struct CheckpointHead {
    std::uint64_t magic;
    std::uint64_t store_id;
    std::uint64_t incarnation;
    std::uint64_t start;
    std::uint64_t file;
    std::uint64_t offset;
    std::uint64_t limit;
    std::uint64_t wall_ns;
    std::uint64_t checksum;  // seed 0
};
static_assert(sizeof(CheckpointHead) == 72);

struct Mark {
    std::uint64_t magic;
    std::uint64_t store_id;
    std::uint64_t incarnation;
    std::uint64_t sequence;
    std::uint64_t position;
    std::uint64_t file;
    std::uint64_t offset;
    std::uint64_t checksum;  // seed 0
};
static_assert(sizeof(Mark) == 64 && sizeof(Mark) <= kMarkPlaceBytes);

}  // namespace disk

// What is wrong in a file, and where.
struct Damage {
    std::uint64_t offset = 0;
    const char* what = nullptr;  // nullptr: nothing
};

constexpr std::uint64_t record_seed(std::uint64_t store_id, std::uint64_t incarnation,
                                    std::uint32_t file) noexcept {
    return store_id ^ (incarnation << 40) ^ file;
}
constexpr std::uint64_t checkpoint_seed(std::uint64_t store_id, Position start) noexcept {
    return store_id ^ start;
}

constexpr std::uint64_t entry_bytes(std::size_t key_size, std::uint64_t value_size) noexcept {
    return sizeof(disk::EntryHead) + round_up(key_size, 8) + round_up(value_size, 8);
}
// `entries_bytes`: the sum of their entry_bytes().
constexpr std::uint64_t record_bytes(std::size_t label_words, std::uint64_t entries_bytes) noexcept {
    return sizeof(disk::RecordHead) + label_words * 8 + entries_bytes + sizeof(std::uint64_t);
}

}  // namespace keystile::engine
