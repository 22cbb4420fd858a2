#include "ring/descriptor.hpp"

namespace keystile::engine {

bool DescriptorView::find(Ref slot, OperationEntry* entry_out, bool* is_there_out) const noexcept {
    std::size_t low = 0, high = count_;
    while (low < high) {
        const std::size_t middle = low + (high - low) / 2;
        if (peek(descriptor_->entry[middle].slot) < slot) {
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
