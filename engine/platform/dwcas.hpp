// The 128-bit word: compare-and-swap and load, the only two instructions that the engine's proofs rest on.
//
// Why assembly (g++ 12, x86-64): the compiler's 16-byte atomics call libatomic, which promises nothing
// between processes; its 16-byte load is a `lock cmpxchg16b`, which faults on a read-only mapping and makes
// readers fight over the line. An aligned VEX load of 16 bytes is atomic on every processor that has AVX (AMD
// APM 7.3.2, Intel SDM 9.1.1). Threads and processes: any, any mapping of the same page. A death before or
// after an instruction: there is no between.
#pragma once

#include <cstdint>

#if defined(KEYSTILE_EXPLORED)
#include "platform/explored.hpp"
#endif

#if !defined(__x86_64__)
#error "Keystile runs on x86-64; a port starts here: cas16 and ld16 (arm64: caspal, ldp with LSE2)"
#endif

#if defined(__SANITIZE_THREAD__)
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#endif

namespace keystile::engine {

struct alignas(16) Word128 {
    std::uint64_t lo = 0;
    std::uint64_t hi = 0;
    friend bool operator==(const Word128&, const Word128&) = default;
};
static_assert(sizeof(Word128) == 16);

// The sanitizer cannot see into assembly; tell it what the instruction orders.
inline void tell_tsan_acquired([[maybe_unused]] const void* address) noexcept {
#if defined(__SANITIZE_THREAD__)
    __tsan_acquire(const_cast<void*>(address));
#endif
}
inline void tell_tsan_released([[maybe_unused]] const void* address) noexcept {
#if defined(__SANITIZE_THREAD__)
    __tsan_release(const_cast<void*>(address));
#endif
}

#if defined(KEYSTILE_EXPLORED)

inline bool cas16(Word128* word, Word128 expected, Word128 desired) noexcept {
    return explored::swap_pair_if(word, {expected.lo, expected.hi}, {desired.lo, desired.hi});
}
inline Word128 ld16(const Word128* word) noexcept {
    Word128 value;
    explored::load_pair(word, &value.lo, &value.hi);
    return value;
}

#else

// If *word == expected, store desired. A full barrier either way (a locked instruction).
inline bool cas16(Word128* word, Word128 expected, Word128 desired) noexcept {
    tell_tsan_released(word);
    bool is_swapped;
    asm volatile("lock cmpxchg16b %[word]"
                 : "=@ccz"(is_swapped), [word] "+m"(*word), "+a"(expected.lo), "+d"(expected.hi)
                 : "b"(desired.lo), "c"(desired.hi)
                 : "memory");
    tell_tsan_acquired(word);
    return is_swapped;
}

// An untorn load with acquire order (x86 keeps loads in order; the clobber keeps the compiler from moving
// them).
inline Word128 ld16(const Word128* word) noexcept {
    using Vector __attribute__((vector_size(16))) = long long;
    Vector vector;
    Word128 value;
    asm volatile(
        "vmovdqa %[word], %[vector]\n\t"
        "vmovq %[vector], %[lo]\n\t"
        "vpextrq $1, %[vector], %[hi]"
        : [vector] "=&x"(vector), [lo] "=&r"(value.lo), [hi] "=&r"(value.hi)
        : [word] "m"(*word)
        : "memory");
    tell_tsan_acquired(word);
    return value;
}

#endif

// Does this processor have both instructions?
inline bool cpu_is_supported() noexcept {
    std::uint32_t a = 1, b = 0, c = 0, d = 0;
    asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    constexpr std::uint32_t kCx16 = 1u << 13, kOsxsave = 1u << 27, kAvx = 1u << 28;
    if ((c & (kCx16 | kOsxsave | kAvx)) != (kCx16 | kOsxsave | kAvx)) return false;
    std::uint32_t xcr_lo = 0, xcr_hi = 0;  // does the system save the vector registers? (bits: SSE, AVX)
    asm volatile("xgetbv" : "=a"(xcr_lo), "=d"(xcr_hi) : "c"(0));
    return (xcr_lo & 6u) == 6u;
}

}  // namespace keystile::engine
