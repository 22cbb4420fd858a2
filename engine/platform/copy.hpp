// Copying payloads in and out of memory that another process may be overwriting at this moment.
//
// What was copied means something only after the reader's revalidation (operations/read); until then it may be a mix.
// Small copies are relaxed 8-byte atomics (so the race is defined, and the sanitizer can follow it); from kBulkBytes up
// `rep movsb`, which the processor turns into full-line moves. Shared buffers are 8-byte aligned and padded to 8 bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "platform/atomic.hpp"

namespace keystile::engine {

#if defined(__SANITIZE_THREAD__)
inline constexpr std::size_t kBulkBytes = SIZE_MAX;  // the sanitizer cannot see into assembly
#else
inline constexpr std::size_t kBulkBytes = 256;  // below, the start-up of rep movsb (~30 cycles) costs more than it saves
#endif

inline void copy_bulk(void* to, const void* from, std::size_t bytes) noexcept {
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

inline std::uint64_t load_word_relaxed(const std::uint64_t* shared) noexcept {
    // order[copy.load]: relaxed. Partner: arena.allocate's fence(release); the reader's fence(acquire) and second ld16 of
    //   the slot word refuse a mix (Boehm 2012). A crash of the reader changes nothing.
    return boost::ipc_atomic_ref<std::uint64_t>(*const_cast<std::uint64_t*>(shared)).load(memory_order_relaxed);
}

inline void store_word_relaxed(std::uint64_t* shared, std::uint64_t value) noexcept {
    // order[copy.store]: relaxed. Partner: the cas16 that publishes the block; before it nobody takes the bytes for true.
    //   A crash here leaves a private block, which the reaper frees.
    boost::ipc_atomic_ref<std::uint64_t>(*shared).store(value, memory_order_relaxed);
}

inline void copy_out(void* to, const void* shared, std::size_t bytes) noexcept {
    if (bytes >= kBulkBytes) return copy_bulk(to, shared, bytes);
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

inline void copy_in(void* shared, const void* from, std::size_t bytes) noexcept {
    if (bytes >= kBulkBytes) return copy_bulk(shared, from, bytes);
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

}  // namespace keystile::engine
