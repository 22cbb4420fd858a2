// Copying payloads in and out of memory that another process may be overwriting at this moment.
//
// What was copied means something only after the reader's revalidation (operations/read); until then it may
// be a mix. The moves are assembly, which no compiler may tear, merge or assume anything about: 16 or 32 bytes at
// a time, and from kBulkBytes up `rep movsb`, which the processor turns into full-line moves. The thread
// sanitizer cannot see assembly, so its build copies by relaxed 8-byte atomics. Shared buffers are 16-byte
// aligned and padded to 8 bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "platform/atomic.hpp"

namespace keystile::engine {

inline std::uint64_t load_word_relaxed(const std::uint64_t* shared) noexcept {
    // order[copy.load]: relaxed. Partner: arena.allocate's fence(release); the reader's fence(acquire) and
    //   second ld16 of the slot word refuse a mix (Boehm 2012). A crash of the reader changes nothing.
    return boost::ipc_atomic_ref<std::uint64_t>(*const_cast<std::uint64_t*>(shared))
        .load(memory_order_relaxed);
}

inline void store_word_relaxed(std::uint64_t* shared, std::uint64_t value) noexcept {
    // order[copy.store]: relaxed. Partner: the cas16 that publishes the block; before it nobody takes the
    //   bytes for true. A crash here leaves a private block, which the reaper frees.
    boost::ipc_atomic_ref<std::uint64_t>(*shared).store(value, memory_order_relaxed);
}

inline void copy_out_by_words(void* to, const void* shared, std::size_t bytes) noexcept {
    auto* out = static_cast<unsigned char*>(to);
    const auto* in = static_cast<const std::uint64_t*>(shared);
    for (; bytes >= 8; bytes -= 8, out += 8, ++in) {
        const std::uint64_t word = load_word_relaxed(in);
        std::memcpy(out, &word, 8);
    }
    if (bytes != 0) {
        const std::uint64_t word = load_word_relaxed(in);
        std::memcpy(out, &word, bytes);
    }
}

inline void copy_in_by_words(void* shared, const void* from, std::size_t bytes) noexcept {
    const auto* in = static_cast<const unsigned char*>(from);
    auto* out = static_cast<std::uint64_t*>(shared);
    for (; bytes >= 8; bytes -= 8, in += 8, ++out) {
        std::uint64_t word;
        std::memcpy(&word, in, 8);
        store_word_relaxed(out, word);
    }
    if (bytes != 0) {
        std::uint64_t word = 0;
        std::memcpy(&word, in, bytes);
        store_word_relaxed(out, word);
    }
}

#if defined(KEYSTILE_EXPLORED)

inline void copy_out(void* to, const void* shared, std::size_t bytes) noexcept {
    explored::copy_out(to, shared, bytes);
}
inline void copy_in(void* shared, const void* from, std::size_t bytes) noexcept {
    explored::copy_in(shared, from, bytes);
}

#elif defined(__SANITIZE_THREAD__)

inline void copy_out(void* to, const void* shared, std::size_t bytes) noexcept {
    copy_out_by_words(to, shared, bytes);
}
inline void copy_in(void* shared, const void* from, std::size_t bytes) noexcept {
    copy_in_by_words(shared, from, bytes);
}

#else

// Below, the start-up of rep movsb costs more than it saves. On Zen 3: 1 KiB 24 ns by it, 11 ns by vectors; 4 KiB 68,
// and 47 to 72, as the two sides lie to each other; 16 KiB 270, and 170 to 320.
inline constexpr std::size_t kBulkBytes = 4096;

inline void move16(unsigned char* to, const unsigned char* from) noexcept {
    using Vector __attribute__((vector_size(16))) = long long;
    struct Bytes {
        unsigned char byte[16];
    };
    Vector vector;
    asm volatile("vmovdqu %1, %0" : "=x"(vector) : "m"(*reinterpret_cast<const Bytes*>(from)));
    asm volatile("vmovdqu %1, %0" : "=m"(*reinterpret_cast<Bytes*>(to)) : "x"(vector));
}

inline void move128(unsigned char* to, const unsigned char* from) noexcept {
    struct Bytes {
        unsigned char byte[128];
    };
    asm volatile(
        "vmovdqu (%[from]), %%ymm0\n\t"
        "vmovdqu 32(%[from]), %%ymm1\n\t"
        "vmovdqu 64(%[from]), %%ymm2\n\t"
        "vmovdqu 96(%[from]), %%ymm3\n\t"
        "vmovdqu %%ymm0, (%[to])\n\t"
        "vmovdqu %%ymm1, 32(%[to])\n\t"
        "vmovdqu %%ymm2, 64(%[to])\n\t"
        "vmovdqu %%ymm3, 96(%[to])"
        : "=m"(*reinterpret_cast<Bytes*>(to))
        : [to] "r"(to), [from] "r"(from), "m"(*reinterpret_cast<const Bytes*>(from))
        : "xmm0", "xmm1", "xmm2", "xmm3");
}

// After the last move128(): code that knows no upper halves runs slower while they are in use.
inline void forget_upper_halves() noexcept {
    asm volatile("vzeroupper"
                 :
                 :
                 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                   "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

// From 16 bytes up. The moves from the front and from the back overlap in the middle, so a size takes no
// loop.
inline void copy_by_vectors(void* to, const void* from, std::size_t bytes) noexcept {
    auto* out = static_cast<unsigned char*>(to);
    const auto* in = static_cast<const unsigned char*>(from);
    if (bytes > kBulkBytes) [[unlikely]] {
        asm volatile("rep movsb" : "+D"(out), "+S"(in), "+c"(bytes) : : "memory");
        return;
    }
    if (bytes > 128) {
        for (; bytes > 128; bytes -= 128, out += 128, in += 128) move128(out, in);
        move128(out + bytes - 128, in + bytes - 128);
        forget_upper_halves();
        return;
    }
    if (bytes > 64) {
        move16(out + 32, in + 32);
        move16(out + 48, in + 48);
        move16(out + bytes - 64, in + bytes - 64);
        move16(out + bytes - 48, in + bytes - 48);
    }
    if (bytes > 32) {
        move16(out + 16, in + 16);
        move16(out + bytes - 32, in + bytes - 32);
    }
    move16(out, in);
    move16(out + bytes - 16, in + bytes - 16);
}

inline void copy_out(void* to, const void* shared, std::size_t bytes) noexcept {
    if (bytes < 16) return copy_out_by_words(to, shared, bytes);
    copy_by_vectors(to, shared, bytes);
}
inline void copy_in(void* shared, const void* from, std::size_t bytes) noexcept {
    if (bytes < 16) return copy_in_by_words(shared, from, bytes);
    copy_by_vectors(shared, from, bytes);
}

#endif

}  // namespace keystile::engine
