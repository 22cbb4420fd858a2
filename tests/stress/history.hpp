// What every worker did, written down in memory that outlives it.
//
// H1  An event is counted before its call begins, and gets its end after the call returned and all it told
//     is written down. A killed worker leaves at most one without an end, of a call that may have happened
//     or not ("maybe").
// H2  Times are CLOCK_MONOTONIC, taken outside of the call: the call lies between them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace keystile::testing {

enum class Op : std::uint8_t { kRead, kCommit, kDelete, kClaim, kRenew, kRelease, kReclaim, kWatch, kOther };

struct StampPair {
    std::uint64_t version = 0, epoch = 0;
    friend auto operator<=>(const StampPair&, const StampPair&) = default;
};

struct Event {
    std::uint64_t begin_ns = 0;
    std::uint64_t end_ns = 0;       // 0: it never came back; then died_ns bounds it
    std::uint64_t returned_ns = 0;  // what end_ns becomes once all is written down
    std::uint64_t died_ns = 0;
    StampPair in;                // seen; of a call under a grant: the claim's epoch
    StampPair out;               // told, if has_out
    std::uint64_t value = 0;     // id of the value read or written; 0 = no value
    std::uint64_t previous = 0;  // id of the value it was computed from
    std::uint64_t lease_ns = 0;  // claim, renew: granted at least so long; UINT64_MAX: until the owner dies
    std::uint32_t worker = 0;    // each incarnation has its own number
    std::int16_t status = 0;
    std::uint8_t key = 0;
    Op op = Op::kOther;
    bool has_grant = false, is_releasing = false, is_forced = false;
    bool has_out = false;
    bool has_previous = false;
    bool is_torn = false;
    std::uint64_t from_version = 0;  // of a value read: the version it says it was computed from
};

struct Log {
    std::atomic<std::uint64_t> count;
    Event* events;
    std::uint64_t capacity;
};

inline constexpr int kLogsMax = 10;

// Logs in shared anonymous memory, made before any fork. One writer a log.
class History {
public:
    History(int logs, std::uint64_t events_each);
    History(const History&) = delete;
    History& operator=(const History&) = delete;
    ~History();
    Log& log(int index) noexcept { return table_->log[index]; }
    std::uint64_t next_worker() noexcept;  // a number for an incarnation
    std::atomic<std::uint32_t>& stop() noexcept { return table_->stop; }
    std::uint64_t events() const noexcept;
    int logs() const noexcept { return logs_; }
    // The open event of a log, if its writer died in it: `now` bounds it.
    void bury(int index, std::uint64_t now_ns) noexcept;
    // All events that have begun.
    std::vector<const Event*> all() const;

private:
    struct Table {
        Log log[kLogsMax];
        std::atomic<std::uint64_t> workers;
        std::atomic<std::uint32_t> stop;
    };
    static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
    int logs_;
    std::size_t bytes_ = 0;
    Table* table_ = nullptr;
};

inline constexpr std::uint64_t kSecond = 1'000'000'000;  // in ns
std::uint64_t now_ns() noexcept;

// What is wrong with a history; empty if nothing (at most kProblemsMax sentences). `final_versions`: each
// key's version at the end, when all was quiet.
inline constexpr std::size_t kProblemsMax = 12;
std::vector<std::string> judge(const std::vector<const Event*>& events,
                               const std::vector<std::uint64_t>& final_versions);

}  // namespace keystile::testing
