// A descriptor: an operation of several keys written down whole, as a block, so that anybody can finish it.
//
// D1  Written by its author alone, before its cell says READY; never changed after.
// D2  Freed last by the recycler, and only then the cell moves on. So a copy taken from it counts only if its ctl is
//     afterwards still the one that was there when it was opened (R3): then nobody has filled it with anything else.
// D3  `mark` names the id of this life: without it the entries are bytes of some earlier block, and mean nothing.
#pragma once

#include "ring/cells.hpp"

namespace keystile::engine {

// BlockContent::flags of a value block: it was made for an operation. While that operation is in the ring the block
// belongs to it, and a reaper who comes upon it otherwise leaves it alone.
inline constexpr std::uint32_t kOfOperation = 2;

struct OperationEntry {
    Word128 expected;  // the slot word, packed
    std::uint64_t old_ctl = 0, fresh_ctl = 0;
    Ref slot = 0, fresh = 0;
    bool is_released = false;
};

constexpr std::uint64_t descriptor_bytes(std::size_t entries) noexcept {
    return sizeof(shm::Descriptor) + entries * sizeof(shm::Entry);
}

// An operation's descriptor as somebody else sees it.
class DescriptorView {
public:
    // False: the operation at p is over, its descriptor gone.
    bool open(const Segment& segment, Position p, RingCell cell) noexcept {
        const auto* head = segment.at<shm::BlockHead>(cell.descriptor());
        if (head == nullptr) return false;
        // order[ring.descriptor.open]: acquire. Partner: arena.publish of the author: count and entries are complete.
        ctl_ = head->ctl.load(memory_order_acquire);
        const BlockContent content = unpack_content(peek(head->content));
        count_ = content.size / sizeof(shm::Entry);
        author_ = content.session;
        const bool is_its = tag_of(ctl_) == Tag::kPublished && content.kind == BlockKind::kDescriptor &&
                            peek(head->version) == p && count_ <= kMultiKeysMax;
        descriptor_ =
            segment.at<const shm::Descriptor>(cell.descriptor(), descriptor_bytes(is_its ? count_ : 0));
        return is_its && descriptor_ != nullptr && is_still_there();
    }
    std::size_t count() const noexcept { return count_; }
    std::uint32_t author() const noexcept { return author_; }
    std::uint64_t ctl() const noexcept { return ctl_; }

    // False: the descriptor is gone, the copy means nothing.
    bool read(std::size_t index, OperationEntry* entry_out) const noexcept {
        const shm::Entry& entry = descriptor_->entry[index];
        *entry_out = {{peek(entry.expected[0]), peek(entry.expected[1])},
                      peek(entry.old_ctl),
                      peek(entry.fresh_ctl),
                      peek(entry.slot),
                      peek(entry.fresh),
                      peek(entry.is_released) != 0};
        return is_still_there();
    }
    // The entry of a slot, if it has one. Entries ascend by slot (R9).
    bool find(Ref slot, OperationEntry* entry_out, bool* is_there_out) const noexcept;

private:
    bool is_still_there() const noexcept {
        // order[ring.descriptor.copy]: acquire fence. Partner: arena.fill's release fence: if anything that was copied
        //   came from the block's next owner, the ctl below is not the one that was opened.
        boost::atomic_thread_fence(memory_order_acquire);
        return peek(descriptor_->head.ctl) == ctl_ || !KEYSTILE_GUARD("ring.descriptor_there");
    }

    const shm::Descriptor* descriptor_ = nullptr;
    std::uint64_t ctl_ = 0;
    std::size_t count_ = 0;
    std::uint32_t author_ = 0;
};

}  // namespace keystile::engine
