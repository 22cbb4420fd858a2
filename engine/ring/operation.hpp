// An operation: a commit written down whole, as a block, so that anybody can finish it. Of several keys it is a
// descriptor with an entry a key; of a single one, in a durable store, the new value's block is the operation itself.
//
// D1  Written by its author alone, before its cell says READY; never changed after.
// D2  A descriptor is freed last by the recycler, and only then the cell moves on. So a copy taken from it counts only
//     if its ctl is afterwards still the one that was there when it was opened (R3): then nobody has filled it with
//     anything else. The block of a single key that was aborted: the same. Committed it lives on as the key's value.
// D3  A descriptor's `mark` names the id of this life: without it the entries are bytes of some earlier block, and mean
//     nothing.
#pragma once

#include "ring/cells.hpp"

namespace keystile::engine {

// BlockContent::flags of a value block. kOfOperation: it was made for an operation. While that operation is in the ring
// the block belongs to it, and a reaper who comes upon it otherwise leaves it alone. kIsOperation: it is one itself.
// kIsReleasing: of such a one, the epoch moves on.
inline constexpr std::uint32_t kOfOperation = 2;
inline constexpr std::uint32_t kIsOperation = 4;
inline constexpr std::uint32_t kIsReleasing = 8;

struct OperationEntry {
    Word128 expected;  // the slot word, packed
    std::uint64_t old_ctl = 0, fresh_ctl = 0;
    Ref slot = 0, fresh = 0;
    bool is_released = false;
};

constexpr std::uint64_t descriptor_bytes(std::size_t entries) noexcept {
    return sizeof(shm::Descriptor) + entries * sizeof(shm::Entry);
}

// Who committed and when, for the journal. The word `signature` is the wall time in ns, its low 3 bits the number of
// label words that lie behind the descriptor's entries, or the single key's payload.
inline constexpr std::uint64_t kLabelWordsMask = 7;
struct Signature {
    std::uint64_t word = 0;
    std::uint64_t label[kLabelBytes / 8] = {};
    std::size_t label_words() const noexcept { return word & kLabelWordsMask; }
    std::size_t bytes() const noexcept { return label_words() * sizeof(std::uint64_t); }
};

// The version that a commit at p gives to a key that had `version`.
inline std::uint64_t version_after(const Segment& segment, Position p, std::uint64_t version) noexcept {
    return segment.is_durable() ? p : version + 1;
}

// What an operation says of p, before it is published: in a durable store the versions of its blocks too. Again with
// each p that it is given; nobody sees it yet.
void stamp_operation(const Segment& segment, Ref operation, Position p) noexcept;

// An operation as somebody else sees it.
class OperationView {
public:
    // False: the operation at p is over, and gone.
    bool open(const Segment& segment, Position p, RingCell cell) noexcept {
        operation_ = cell.operation();
        const auto* head = segment.at<shm::BlockHead>(operation_);
        if (head == nullptr) return false;
        // order[ring.operation.open]: acquire. Partner: arena.publish of the author: what is read below is complete.
        ctl_ = head->ctl.load(memory_order_acquire);
        const BlockContent content = unpack_content(peek(head->content));
        author_ = content.session;
        is_single_ = content.kind == BlockKind::kValue && (content.flags & kIsOperation) != 0;
        count_ = is_single_ ? 1 : content.size / sizeof(shm::Entry);
        const bool is_its =
            tag_of(ctl_) == Tag::kPublished && peek(head->version) == p &&
            (is_single_ || (content.kind == BlockKind::kDescriptor && count_ <= kMultiKeysMax));
        const std::uint64_t bytes = is_single_ ? sizeof(shm::Block) : descriptor_bytes(is_its ? count_ : 0);
        head_ = segment.at<const shm::BlockHead>(operation_, bytes);
        return is_its && head_ != nullptr && is_still_there();
    }
    std::size_t count() const noexcept { return count_; }
    std::uint32_t author() const noexcept { return author_; }
    std::uint64_t ctl() const noexcept { return ctl_; }
    // The block of its only key is the operation: no INTENT is needed, its install decides it.
    bool is_single() const noexcept { return is_single_; }

    // False: the operation is gone, the copy means nothing.
    bool read(std::size_t index, OperationEntry* entry_out) const noexcept {
        if (is_single_) return read_single(entry_out);
        const shm::Entry& entry = descriptor().entry[index];
        *entry_out = {{peek(entry.expected[0]), peek(entry.expected[1])},
                      peek(entry.old_ctl),
                      peek(entry.fresh_ctl),
                      peek(entry.slot),
                      peek(entry.fresh),
                      peek(entry.is_released) != 0};
        return is_still_there();
    }
    // False: as read().
    bool read_signature(const Segment& segment, Signature* signature_out) const noexcept;
    // The entry of a slot, if it has one. Entries ascend by slot (R9).
    bool find(Ref slot, OperationEntry* entry_out, bool* is_there_out) const noexcept;

    // Is it the one that was opened?
    bool is_still_there() const noexcept {
        // order[ring.operation.copy]: acquire fence. Partner: arena.fill's release fence: if anything that was copied
        //   came from the block's next owner, the ctl below is not the one that was opened.
        boost::atomic_thread_fence(memory_order_acquire);
        return peek(head_->ctl) == ctl_ || !KEYSTILE_GUARD("ring.descriptor_there");
    }

private:
    const shm::Descriptor& descriptor() const noexcept {
        return *reinterpret_cast<const shm::Descriptor*>(head_);
    }
    bool read_single(OperationEntry* entry_out) const noexcept;

    const shm::BlockHead* head_ = nullptr;
    std::uint64_t ctl_ = 0;
    std::size_t count_ = 0;
    std::uint32_t author_ = 0;
    Ref operation_ = 0;
    bool is_single_ = false;
};

}  // namespace keystile::engine
