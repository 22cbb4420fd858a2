#include "operations/read.hpp"

namespace keystile::engine {

ReadResult read_slow(const Segment& segment, const shm::Slot& slot, void* buf,
                     std::size_t capacity) noexcept {
    for (;;) {  // lock-free: another turn only if the word moved
        const SlotWord w = load_word(slot);
        if (w.is_intent()) return {Status::kCorrupt, w, 0};  // nothing in this version writes one
        if (w.version() == 0) return {Status::kNotFound, w, 0};
        const auto* block = segment.at<shm::Block>(w.ref());
        if (block == nullptr) return {Status::kCorrupt, w, 0};
        const BlockContent content = unpack_content(peek(block->head.content));
        const bool is_tombstone = (content.flags & kTombstone) != 0;
        const bool is_readable =
            content.kind == BlockKind::kValue && content.size <= kValueBytesMax &&
            segment.at<shm::Block>(w.ref(), sizeof(shm::Block) + content.size) != nullptr;
        const bool is_copied = !is_tombstone && is_readable && content.size <= capacity;
        if (is_copied) copy_out(buf, block->payload, content.size);
        // order[read.validate.slow]: acquire fence, as read.validate; partner: arena.fill's release fence.
        boost::atomic_thread_fence(memory_order_acquire);
        if (load_word(slot) != w) continue;
        if (is_copied) return {Status::kOk, w, content.size};
        if (!is_readable) return {Status::kCorrupt, w, 0};
        if (is_tombstone) return {Status::kNotFound, w, 0};
        return {Status::kTooSmall, w, content.size};
    }
}

}  // namespace keystile::engine
