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

[[gnu::always_inline]] inline ReadResult read_value(const Segment& segment, const shm::Slot& slot, void* buf,
                                                    std::size_t capacity) noexcept {
    for (;;) {
        const SlotWord w = load_word(slot);
        if (w.is_intent()) [[unlikely]]
            return {Status::kCorrupt, w, 0};  // nothing in this version writes one
        if (w.version() == 0) return {Status::kNotFound, w, 0};
        const auto* block = segment.at<shm::Block>(w.ref());
        if (block == nullptr) [[unlikely]]
            return {Status::kCorrupt, w, 0};
        __builtin_prefetch(block->payload);
        const BlockContent content = unpack_content(peek(block->head.content));
        const bool is_tombstone = (content.flags & kTombstone) != 0;
        const bool is_readable =
            content.size <= kValueBytesMax &&
            segment.at<shm::Block>(w.ref(), sizeof(shm::Block) + round_up(content.size, 8)) != nullptr;
        const bool is_copied = !is_tombstone && is_readable && content.size <= capacity;
        KEYSTILE_CRASH_POINT("operations.read.before_copy");
        if (is_copied) [[likely]]
            copy_out(buf, block->payload, content.size);
        // order[read.validate]: acquire fence. Partner: arena.fill's release fence: if a byte above came from
        //   the block's next owner, the load below sees that the word has moved on. A reader's crash leaves
        //   nothing.
        boost::atomic_thread_fence(memory_order_acquire);
        if (load_word(slot) != w && KEYSTILE_GUARD("read.revalidate")) [[unlikely]]
            continue;
        if (is_copied) [[likely]]
            return {Status::kOk, w, content.size};
        if (is_tombstone) return {Status::kNotFound, w, 0};
        return {is_readable ? Status::kTooSmall : Status::kCorrupt, w, content.size};
    }
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
