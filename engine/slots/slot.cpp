#include "slots/slot.hpp"

namespace keystile::engine {

namespace {

// How long a winner steps back: about the cache misses of one losing attempt. A `pause` takes 10 to 40 ns.
constexpr int kRoomPauses = 12;

const shm::Block* key_block(const Segment& segment, KeyPlace place) noexcept {
    if (place.size <= kKeyBytesInline || place.size > kKeyBytesMax) return nullptr;
    return segment.at<shm::Block>(place.ref, sizeof(shm::Block) + place.size);
}

}  // namespace

bool read_key(const Segment& segment, const shm::Slot& slot, StoredKey* key_out) noexcept {
    const std::uint32_t length = inline_length_of(peek(slot.turn));
    if (length > kKeyBytesInline) return false;
    if (length != 0) {
        const std::uint64_t words[2] = {peek(slot.key[0]), peek(slot.key[1])};
        std::memcpy(key_out->inline_bytes, words, sizeof words);
        key_out->block = {};
        key_out->size = length;
        return true;
    }
    const KeyPlace place = unpack_key_place(peek(slot.key[1]));
    const shm::Block* block = key_block(segment, place);
    if (block == nullptr) return false;
    key_out->block = {block->payload, place.size};
    key_out->size = place.size;
    return true;
}

bool is_long_key_equal(const Segment& segment, const shm::Slot& slot, KeyBytes key,
                       std::uint64_t hash) noexcept {
    const KeyPlace place = unpack_key_place(peek(slot.key[1]));
    if (peek(slot.key[0]) != hash || place.size != key.size) return false;
    const shm::Block* block = key_block(segment, place);
    return block != nullptr && std::memcmp(block->payload, key.data, key.size) == 0;
}

void ask_for_room(shm::Slot& slot) noexcept {
    // order[slots.room]: relaxed. hint: partner: attend(). A crash after it costs one winner one pause.
    slot.turn.fetch_or(kHasLoser, memory_order_relaxed);
}

void attend(shm::Slot& slot) noexcept {
    std::uint32_t turn = peek(slot.turn);
    std::uint32_t next;
    do {
        if ((turn & (kHasWaiter | kHasLoser)) == 0) return;  // another waker was faster
        next = turn & ~(kHasWaiter | kHasLoser);
        if ((turn & kHasWaiter) != 0) next += kTurnStep;
        // order[slots.wake]: acq_rel. Partner: the waiter's load of turn and the kernel's compare in
        //   futex_wait: a waiter that read the old turn does not fall asleep. A crash after it, before the
        //   wake: kSleepNsMax.
    } while (!slot.turn.compare_exchange_weak(turn, next, memory_order_acq_rel, memory_order_relaxed));
    if ((turn & kHasWaiter) != 0) {
        KEYSTILE_CRASH_POINT("slots.wake.before_wake");
        futex_wake_all(slot.turn);
    }
    if ((turn & kHasLoser) != 0) {
        for (int i = 0; i < kRoomPauses; ++i) pause();
    }
}

}  // namespace keystile::engine
