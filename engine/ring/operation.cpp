#include "ring/operation.hpp"

#include <algorithm>
#include <iterator>

namespace keystile::engine {

void stamp_operation(const Segment& segment, Ref operation, Position p) noexcept {
    auto* head = segment.at<shm::BlockHead>(operation);
    if (head == nullptr) return;
    poke(head->version, p);
    const BlockContent content = unpack_content(peek(head->content));
    if (!segment.is_durable() || content.kind != BlockKind::kDescriptor) return;
    const std::size_t count = content.size / sizeof(shm::Entry);
    auto* descriptor = segment.at<shm::Descriptor>(operation, descriptor_bytes(count));
    for (std::size_t i = 0; descriptor != nullptr && i < count; ++i) {
        auto* fresh = segment.at<shm::BlockHead>(peek(descriptor->entry[i].fresh));
        if (fresh != nullptr && peek(descriptor->entry[i].fresh) != 0) poke(fresh->version, p);
    }
}

bool OperationView::read_single(OperationEntry* entry_out) const noexcept {
    const auto& block = *reinterpret_cast<const shm::Block*>(head_);
    *entry_out = {{peek(block.expected[0]), peek(block.expected[1])},
                  peek(block.old_ctl),
                  ctl_,
                  static_cast<Ref>(peek(block.head.place)),
                  operation_,
                  (unpack_content(peek(block.head.content)).flags & kIsReleasing) != 0};
    return is_still_there();
}

bool OperationView::read_signature(const Segment& segment, Signature* signature_out) const noexcept {
    const auto& block = *reinterpret_cast<const shm::Block*>(head_);
    const std::uint64_t body =
        is_single_ ? sizeof(shm::Block) + round_up(unpack_content(peek(head_->content)).size, 8)
                   : descriptor_bytes(count_);
    signature_out->word = is_single_ ? peek(block.signature) : peek(descriptor().signature);
    const std::size_t words = std::min(signature_out->label_words(), std::size(signature_out->label));
    signature_out->word = (signature_out->word & ~kLabelWordsMask) | words;
    if (segment.at<const shm::BlockHead>(operation_, body + words * sizeof(std::uint64_t)) == nullptr)
        return false;
    copy_out(signature_out->label, reinterpret_cast<const std::byte*>(head_) + body,
             words * sizeof(std::uint64_t));
    return is_still_there();
}

bool OperationView::find(Ref slot, OperationEntry* entry_out, bool* is_there_out) const noexcept {
    std::size_t low = 0, high = is_single_ ? 0 : count_;
    while (low < high) {
        const std::size_t middle = low + (high - low) / 2;
        if (peek(descriptor().entry[middle].slot) < slot) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *is_there_out = false;
    if (low == count_) return is_still_there();
    if (!read(low, entry_out)) return false;
    *is_there_out = entry_out->slot == slot;
    return true;
}

}  // namespace keystile::engine
