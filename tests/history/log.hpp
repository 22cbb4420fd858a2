// What each process called and was told, written down in memory that outlives it.
//
// L1  A call is counted before it begins, and gets its end after it returned and all it told is written down.
//     A killed process leaves at most one call without an end: it may have taken effect, may yet, or never will.
// L2  Times are CLOCK_MONOTONIC, taken outside of the call: the call lies between them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace keystile::history {

inline constexpr int kKeysMax = 6;
inline constexpr int kLogsMax = 8;

enum class Op : std::uint8_t {
    kGets,      // each item for itself
    kSnapshot,  // all items at one instant
    kCommit,    // one item, or
    kMulti,     // several: compared and written at one instant
};

enum class Write : std::uint8_t { kNone, kPut, kDelete };

inline constexpr std::int64_t kTorn = -1;  // as a value: bytes that nobody wrote together

struct Item {
    std::int8_t key = 0;
    Write write = Write::kNone;
    bool is_expecting = false;
    bool has_told = false;
    std::int16_t status = 0;
    std::uint64_t seen = 0;  // the version expected, if is_expecting
    std::uint64_t told = 0;  // the version told, if has_told
    std::int64_t value = 0;  // id of the value put or read; 0 = none
};

struct Call {
    std::uint64_t begin_ns;
    std::atomic<std::uint64_t> end_ns;  // 0: it never came back
    std::uint32_t worker;               // each incarnation of a process has its own number
    Op op;
    std::uint8_t count;
    std::int16_t status;
    Item items[kKeysMax];
};

// Lies in shared memory, made before any fork. One writer a log.
struct Log {
    std::atomic<std::uint32_t> count;
    std::uint32_t capacity;
    Call* calls;
};

struct Table {
    Log logs[kLogsMax];
    std::atomic<std::uint32_t> workers;  // numbers given out
    std::atomic<std::uint32_t> ready;    // of the first workers: they start together
    std::atomic<std::uint32_t> is_on;
    std::atomic<std::int32_t> calls_left;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

Table* make_table(int logs, std::uint32_t calls_each);
void drop_table(Table* table);
std::uint64_t now_ns() noexcept;

}  // namespace keystile::history
