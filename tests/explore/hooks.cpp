// What the explored engine calls instead of the processor and the system.
#include <cstring>

#include "explore/machine.hpp"
#include "platform/platform.hpp"

namespace keystile::explored {

using explore::Machine;

namespace {

// The place in the segment, or none: private memory, or nobody explores.
struct Place {
    Machine* machine;
    std::size_t offset;
    explicit Place(const void* address) noexcept : machine(explore::machine()), offset(0) {
        if (machine == nullptr) return;
        offset = machine->memory().offset_of(address);
        if (offset == machine->memory().bytes()) machine = nullptr;
    }
};

std::uint64_t read_private(const void* from, std::uint32_t bytes) noexcept {
    std::uint64_t value = 0;
    std::memcpy(&value, from, bytes);
    return value;
}

// A locked instruction that writes `desired(old)` if `is_wanted(old)`.
template <class IsWanted, class Desired>
std::uint64_t locked(void* shared, std::uint32_t bytes, IsWanted is_wanted, Desired desired) noexcept {
    const Place place(shared);
    std::uint64_t old = 0;
    if (place.machine == nullptr) {
        old = read_private(shared, bytes);
    } else {
        place.machine->lock(place.offset, bytes);
        place.machine->find(place.offset, &old, bytes);
    }
    const bool is_written = is_wanted(old);
    const std::uint64_t value = is_written ? desired(old) : old;
    if (place.machine == nullptr) {
        std::memcpy(shared, &value, bytes);
        return old;
    }
    if (is_written) place.machine->write(place.offset, &value, bytes);
    place.machine->tell(is_written ? "lock" : "lost", place.offset, value);
    return old;
}

}  // namespace

std::uint64_t load(const void* shared, std::uint32_t bytes) noexcept {
    const Place place(shared);
    if (place.machine == nullptr) return read_private(shared, bytes);
    std::uint64_t value = 0;
    place.machine->load(place.offset, &value, bytes);
    place.machine->tell("load", place.offset, value);
    return value;
}

void store(void* shared, std::uint64_t value, std::uint32_t bytes) noexcept {
    const Place place(shared);
    if (place.machine == nullptr) {
        std::memcpy(shared, &value, bytes);
        return;
    }
    place.machine->store(place.offset, &value, bytes);
    place.machine->tell("store", place.offset, value);
}

bool swap_if(void* shared, std::uint64_t* expected, std::uint64_t desired, std::uint32_t bytes) noexcept {
    const std::uint64_t wanted = *expected;
    *expected = locked(
        shared, bytes, [wanted](std::uint64_t old) { return old == wanted; },
        [desired](std::uint64_t) { return desired; });
    return *expected == wanted;
}

std::uint64_t add(void* shared, std::uint64_t more, std::uint32_t bytes) noexcept {
    return locked(
        shared, bytes, [](std::uint64_t) { return true; }, [more](std::uint64_t old) { return old + more; });
}

std::uint64_t set_bits(void* shared, std::uint64_t bits, std::uint32_t bytes) noexcept {
    return locked(
        shared, bytes, [](std::uint64_t) { return true; }, [bits](std::uint64_t old) { return old | bits; });
}

void load_pair(const void* shared, std::uint64_t* lo_out, std::uint64_t* hi_out) noexcept {
    std::uint64_t pair[2];
    const Place place(shared);
    if (place.machine == nullptr) {
        std::memcpy(pair, shared, sizeof pair);
    } else {
        place.machine->load(place.offset, pair, sizeof pair);
        place.machine->tell("load", place.offset, pair[0]);
        place.machine->tell("", place.offset + 8, pair[1]);
    }
    *lo_out = pair[0];
    *hi_out = pair[1];
}

bool swap_pair_if(void* shared, const std::uint64_t (&expected)[2],
                  const std::uint64_t (&desired)[2]) noexcept {
    std::uint64_t old[2];
    const Place place(shared);
    if (place.machine == nullptr) {
        std::memcpy(old, shared, sizeof old);
        const bool is_swapped = std::memcmp(old, expected, sizeof old) == 0;
        if (is_swapped) std::memcpy(shared, desired, sizeof old);
        return is_swapped;
    }
    place.machine->lock(place.offset, sizeof old);
    place.machine->find(place.offset, old, sizeof old);
    const bool is_swapped = std::memcmp(old, expected, sizeof old) == 0;
    if (is_swapped) place.machine->write(place.offset, desired, sizeof old);
    place.machine->tell(is_swapped ? "lock" : "lost", place.offset, is_swapped ? desired[0] : old[0]);
    place.machine->tell("", place.offset + 8, is_swapped ? desired[1] : old[1]);
    return is_swapped;
}

void copy_out(void* to, const void* shared, std::size_t bytes) noexcept {
    const Place place(shared);
    if (place.machine == nullptr) {
        std::memcpy(to, shared, bytes);
        return;
    }
    place.machine->load(place.offset, to, bytes);
    place.machine->tell("copy", place.offset, bytes);
}

void copy_in(void* shared, const void* from, std::size_t bytes) noexcept {
    const Place place(shared);
    if (place.machine == nullptr) {
        std::memcpy(shared, from, bytes);
        return;
    }
    place.machine->store(place.offset, from, bytes);
    place.machine->tell("fill", place.offset, bytes);
}

bool is_alive(std::uint32_t participant) noexcept {
    Machine* const machine = explore::machine();
    return machine == nullptr || machine->is_alive(participant);
}

std::uint64_t boottime_us() noexcept {
    const Machine* const machine = explore::machine();
    return machine == nullptr ? 0 : machine->now_us;
}

}  // namespace keystile::explored
