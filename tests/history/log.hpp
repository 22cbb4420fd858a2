// What each process called and was told, written down in memory that outlives it.
//
// L1  A call is counted before it begins, and gets its end after it returned and all it told is written down.
//     A killed process leaves at most one call without an end: it may have taken effect, may yet, or never will.
// L2  Times are CLOCK_MONOTONIC, taken outside of the call: the call lies between them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>

namespace keystile::history {

inline constexpr int kKeysMax = 6;
inline constexpr int kLogsMax = 8;

enum class Op : std::uint8_t {
    kGets,      // each item for itself
    kSnapshot,  // all items at one instant
    kCommit,    // one item, or
    kMulti,     // several: compared and written at one instant
    kClaim,     // one item, as the rest
    kRenew,
    kRelease,
    kReclaim,
};

enum class Write : std::uint8_t { kNone, kPut, kDelete };

inline constexpr std::int64_t kTorn = -1;  // as a value: bytes that nobody wrote together

// A version, and the epoch without the store's incarnation.
struct Stamp {
    std::uint64_t version = 0;
    std::uint64_t epoch = 0;
};

struct Item {
    std::int8_t key = 0;
    Write write = Write::kNone;
    bool is_expecting = false;
    bool is_releasing = false;
    bool has_told = false;
    bool has_told_epoch = false;  // who reads a key that was never written is not told it
    std::int16_t status = 0;
    Stamp seen;  // what is expected, if is_expecting
    Stamp told;
    std::int64_t value = 0;      // id of the value put or read; 0 = none
    std::uint64_t grant = 0;     // the epoch of the claim it acts under, or means to end; 0 = none
    std::uint32_t grant_of = 0;  // the worker that was granted it
    std::uint32_t owner = 0;     // KS_HELD: the worker that is told to hold the key; 0 = nobody of ours
    std::uint64_t token = 0;     // of a claim's ks_grant, for who would steal it:
    std::uint64_t ticket = 0;    // stamp.epoch and owner
};

struct Call {
    std::uint64_t begin_ns;
    std::atomic<std::uint64_t> end_ns;  // 0: it never came back
    std::uint64_t lease_ns;             // kClaim, kRenew
    std::uint32_t worker;               // each incarnation of a process has its own number
    Op op;
    std::uint8_t count;
    std::int16_t status;
    bool is_forced;  // kReclaim
    Item items[kKeysMax];
};

// Lies in shared memory, made before any fork. One writer a log.
struct Log {
    std::atomic<std::uint32_t> count;
    std::atomic<std::uint32_t> is_leaving;  // its writer calls no more, and may have closed its session
    std::uint32_t capacity;
    Call* calls;
};

struct Table {
    Log logs[kLogsMax];
    int count;
    std::atomic<std::uint32_t> ready;  // of the first workers: they start together
    std::atomic<std::uint32_t> is_on;
    std::atomic<std::int32_t> calls_left;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

Table* make_table(int logs, std::uint32_t calls_each);
void drop_table(Table* table);
std::uint64_t now_ns() noexcept;
// As lines of JSON: judge/history.go says what is in them.
void write_calls(std::FILE* file, const Table& table);
// Times are told from a round's first call on.
std::uint64_t first_ns(const Table& table) noexcept;

}  // namespace keystile::history
