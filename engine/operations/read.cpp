#include "operations/read.hpp"

#include "operations/resolve.hpp"

namespace keystile::engine {

ReadResult read_clean(const Segment& segment, const shm::Slot& slot, SlotWord found, SlotWord clean,
                      void* buf, std::size_t capacity) noexcept {
    if (clean.version() == 0) return {Status::kNotFound, clean, 0};
    const auto* block = segment.at<shm::Block>(clean.ref());
    const BlockContent content =
        block != nullptr ? unpack_content(peek(block->head.content)) : BlockContent{};
    const bool is_tombstone = (content.flags & kTombstone) != 0;
    const bool is_readable =
        content.kind == BlockKind::kValue && content.size <= kValueBytesMax &&
        segment.at<shm::Block>(clean.ref(), sizeof(shm::Block) + content.size) != nullptr;
    const bool is_copied = !is_tombstone && is_readable && content.size <= capacity;
    if (is_copied) copy_out(buf, block->payload, content.size);
    // order[read.validate.slow]: acquire fence, as read.validate; partner: arena.fill's release fence.
    boost::atomic_thread_fence(memory_order_acquire);
    if (load_word(slot) != found) return {Status::kBusy, clean, 0};
    if (is_copied) return {Status::kOk, clean, content.size};
    if (!is_readable) return {Status::kCorrupt, clean, 0};
    if (is_tombstone) return {Status::kNotFound, clean, 0};
    return {Status::kTooSmall, clean, content.size};
}

ReadResult read_slow(const Segment& segment, const shm::Slot& slot, void* buf,
                     std::size_t capacity) noexcept {
    for (;;) {  // lock-free: another turn only if the word moved
        const SlotWord found = load_word(slot);
        SlotWord clean = found;
        if (found.is_intent()) {  // an operation is deciding, or has decided: what the word stands for
            const Status s = see_through(segment, slot, found, &clean);
            if (s == Status::kBusy) continue;
            if (s != Status::kOk) return {s, clean, 0};
        }
        const ReadResult result = read_clean(segment, slot, found, clean, buf, capacity);
        if (result.status != Status::kBusy) return result;
    }
}

}  // namespace keystile::engine
