// The explored build (KEYSTILE_EXPLORED): each access to shared memory is handed to the schedule explorer.
//
// tests/explore defines these functions: it runs simulated processes, decides who goes on at each access, what
// a store buffer still holds, and who dies (engine/docs/EXPLORER.md). An address outside the segment is
// private memory and accessed at once. No other build includes a line of this.
#pragma once

#if defined(KEYSTILE_EXPLORED)

#include <boost/memory_order.hpp>
#include <cstddef>
#include <cstdint>

namespace keystile::explored {

// Plain instructions of 4 or 8 bytes. A store goes to the process's store buffer.
std::uint64_t load(const void* shared, std::uint32_t bytes) noexcept;
void store(void* shared, std::uint64_t value, std::uint32_t bytes) noexcept;

// Locked ones: they drain the store buffer first. The answer is what was there.
bool swap_if(void* shared, std::uint64_t* expected, std::uint64_t desired, std::uint32_t bytes) noexcept;
std::uint64_t add(void* shared, std::uint64_t more, std::uint32_t bytes) noexcept;
std::uint64_t set_bits(void* shared, std::uint64_t bits, std::uint32_t bytes) noexcept;

// The 128-bit word, as its two halves.
void load_pair(const void* shared, std::uint64_t* lo_out, std::uint64_t* hi_out) noexcept;
bool swap_pair_if(void* shared, const std::uint64_t (&expected)[2],
                  const std::uint64_t (&desired)[2]) noexcept;

// Payloads: one access for the whole copy.
void copy_out(void* to, const void* shared, std::size_t bytes) noexcept;
void copy_in(void* shared, const void* from, std::size_t bytes) noexcept;

// Instead of asking the system.
bool is_alive(std::uint32_t participant) noexcept;
std::uint64_t boottime_us() noexcept;

// As boost::ipc_atomic; the order does not matter: on x86 every load acquires and every store releases.
template <class Value>
class Atomic {
public:
    static constexpr bool is_always_lock_free = true;
    constexpr Atomic() noexcept = default;
    constexpr explicit Atomic(Value value) noexcept : value_(value) {}
    Atomic(const Atomic&) = delete;
    Atomic& operator=(const Atomic&) = delete;
    ~Atomic() = default;

    Value load(boost::memory_order) const noexcept {
        return static_cast<Value>(explored::load(&value_, sizeof(Value)));
    }
    void store(Value value, boost::memory_order) noexcept { explored::store(&value_, value, sizeof(Value)); }
    Value fetch_add(Value more, boost::memory_order) noexcept {
        return static_cast<Value>(add(&value_, more, sizeof(Value)));
    }
    Value fetch_or(Value bits, boost::memory_order) noexcept {
        return static_cast<Value>(set_bits(&value_, bits, sizeof(Value)));
    }
    // order[explored.atomic]: a locked instruction is a full barrier. Partner: whatever the engine names where it
    //   calls this.
    bool compare_exchange_strong(Value& expected, Value desired, boost::memory_order,
                                 boost::memory_order) noexcept {
        std::uint64_t seen = expected;
        const bool is_swapped = swap_if(&value_, &seen, desired, sizeof(Value));
        expected = static_cast<Value>(seen);
        return is_swapped;
    }
    bool compare_exchange_weak(Value& expected, Value desired, boost::memory_order success,
                               boost::memory_order failure) noexcept {
        return compare_exchange_strong(expected, desired, success, failure);
    }

private:
    Value value_ = 0;
};

}  // namespace keystile::explored

#endif
