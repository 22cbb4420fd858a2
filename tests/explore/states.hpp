// The states that a walk has met: as numbers of 64 bits, each with the most preemptions that were left there.
#pragma once

#include <cstdint>
#include <vector>

namespace keystile::explore {

class States {
public:
    States() : places_(kPlacesAtFirst) {}

    // False: it was met before with as many preemptions left, or more. Then everything that can follow was walked
    // from there, or will be.
    bool is_new(std::uint64_t state, int preemptions_left) {
        if (2 * (count_ + 1) > places_.size()) grow();
        const std::uint64_t entry = entry_of(state, preemptions_left);
        std::uint64_t& place = find(entry);
        if (place >= entry) return false;
        count_ += place == 0 ? 1 : 0;
        place = entry;
        return true;
    }
    void forget() {
        places_.assign(kPlacesAtFirst, 0);
        count_ = 0;
    }
    std::size_t count() const noexcept { return count_; }

private:
    static constexpr std::size_t kPlacesAtFirst = 1u << 16;
    static constexpr std::uint64_t kPreemptionsMask = 0x3F;

    // {58 bits of the state, preemptions left + 1}: never 0.
    static std::uint64_t entry_of(std::uint64_t state, int preemptions_left) noexcept {
        return (state & ~kPreemptionsMask) | static_cast<std::uint64_t>(preemptions_left + 1);
    }
    // Where a state lies, or would: an empty place.
    std::uint64_t& find(std::uint64_t entry) noexcept {
        for (std::size_t i = (entry >> 6) & (places_.size() - 1);; i = (i + 1) & (places_.size() - 1)) {
            if (places_[i] == 0 || ((places_[i] ^ entry) & ~kPreemptionsMask) == 0) return places_[i];
        }
    }
    void grow() {
        std::vector<std::uint64_t> before(2 * places_.size());
        before.swap(places_);
        for (const std::uint64_t entry : before) {
            if (entry != 0) find(entry) = entry;
        }
    }

    std::vector<std::uint64_t> places_;
    std::size_t count_ = 0;
};

}  // namespace keystile::explore
