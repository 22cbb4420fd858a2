// Reading: load the word, copy what it names, load the word again. Never writes shared memory.
//
// R5  The copy counts only if the word is the same before and after: then the block was reachable, hence
//     unchanged, all the time in between (it is freed and refilled only after it left the word, and W3: no
//     value of the word returns).
// Wait-free while nobody commits the key; each further turn means that somebody's commit or claim succeeded.
#pragma once

#include "operations/store.hpp"

namespace keystile::engine {

struct ReadResult {
    Status status;     // kOk (value in buf), kTooSmall, kNotFound, kCorrupt
    SlotWord word;     // what was read, unless kCorrupt
    std::size_t size;  // of the value; 0 if there is none
};

// Copy what a word stands for: `found` as it was loaded, `clean` what it means (the same, unless it was an INTENT).
// kBusy: the word has moved, the copy means nothing.
ReadResult read_clean(const Segment& segment, const shm::Slot& slot, SlotWord found, SlotWord clean,
                      void* buf, std::size_t capacity) noexcept;

// Everything but a value that is there and holds still.
ReadResult read_slow(const Segment& segment, const shm::Slot& slot, void* buf, std::size_t capacity) noexcept;

[[gnu::always_inline]] inline ReadResult read_value(const Segment& segment, const shm::Slot& slot, void* buf,
                                                    std::size_t capacity) noexcept {
    const SlotWord w = load_word(slot);
    const std::uint64_t room = segment.bytes_from(w.ref());  // 0 for "never written" too
    if (room >= sizeof(shm::Block) && !w.is_intent()) [[likely]] {
        const auto* block = segment.at_checked<shm::Block>(w.ref());
        __builtin_prefetch(block->payload);
        const std::uint64_t content = peek(block->head.content);
        const std::uint64_t size = static_cast<std::uint32_t>(content);
        constexpr std::uint64_t kPlainValue = pack(BlockContent{0, 0, BlockKind::kValue, 0}) >> 48;
        constexpr std::uint64_t kFlagsThatDontMatter =
            pack(BlockContent{0, 0, BlockKind::kNone, kOfOperation | kIsOperation | kIsReleasing}) >> 48;
        if ((content >> 48 & ~kFlagsThatDontMatter) == kPlainValue && size <= room - sizeof(shm::Block))
            [[likely]] {
            KEYSTILE_CRASH_POINT("operations.read.before_copy");
            const bool is_copied = size <= capacity;  // no room at all: whoever asks for the stamp alone
            if (is_copied) [[likely]]
                copy_out(buf, block->payload, size);
            // order[read.validate]: acquire fence. Partner: arena.fill's release fence: if a byte above came
            //   from the block's next owner, the load below sees that the word has moved on. A reader's crash
            //   leaves nothing.
            boost::atomic_thread_fence(memory_order_acquire);
            if (load_word(slot) == w || !KEYSTILE_GUARD("read.revalidate")) [[likely]]
                return {is_copied ? Status::kOk : Status::kTooSmall, w, size};
        }
    }
    return read_slow(segment, slot, buf, capacity);
}

struct ReadItem {
    KeyBytes key;
    void* buf;
    std::size_t capacity;
    std::size_t size;
    Stamp seen;
    Status status;
};

// Many lookups with their memory accesses overlapped: cell, slot and block of one key are fetched while
// others are worked on.
void read_many(const Store& store, ReadItem* items, std::size_t count) noexcept;

struct Entry {
    KeyBytes key;
    Stamp stamp;
    std::size_t value_size;
    bool has_value, is_claimed;
    Owner owner;
};
// Every key that starts with prefix. `visit` returns false to stop. kOk or kCorrupt.
Status list(const Store& store, KeyBytes prefix, bool (*visit)(void* user, const Entry& entry),
            void* user) noexcept;

}  // namespace keystile::engine
