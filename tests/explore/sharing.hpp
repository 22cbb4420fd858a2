// Which places of the segment matter to whom; learned from the executions themselves.
//
// Contended: one process writes it and another one reads or writes it. Only there can it matter who comes
// first, so only there is a process preempted. Observed: one process writes it and another one, or the judge
// afterwards, reads it. Only such a store's being lost or late can be noticed. An exploration during which a
// place is learned begins again: so its last pass knew all that it met (it.grew() stayed false).
#pragma once

#include <cstdint>
#include <vector>

#include "explore/memory.hpp"

namespace keystile::explore {

class Sharing {
public:
    static constexpr int kJudge = 7;  // as a process number: reads only

    explicit Sharing(std::size_t bytes) : places_(bytes / 8) {}

    void note(Granule granule, int process, bool is_write) noexcept {
        Place& place = places_[granule];
        const auto bit = static_cast<std::uint8_t>(1u << process);
        std::uint8_t& mask = is_write ? place.writers : place.readers;
        if ((mask & bit) != 0) return;
        mask = static_cast<std::uint8_t>(mask | bit);
        learn(place);
    }
    bool is_contended(Granule granule) const noexcept { return places_[granule].is_contended; }
    bool is_observed(Granule granule) const noexcept { return places_[granule].is_observed; }
    bool has_grown() const noexcept { return has_grown_; }
    void accept() noexcept { has_grown_ = false; }

private:
    struct Place {
        std::uint8_t readers = 0, writers = 0;
        bool is_contended = false, is_observed = false;
    };

    void learn(Place& place) noexcept {
        const unsigned others = place.readers | place.writers;
        const bool is_alone = (others & (others - 1)) == 0;
        if (place.writers == 0 || is_alone) return;
        if (!place.is_observed) place.is_observed = has_grown_ = true;
        const unsigned processes = others & ~(1u << kJudge);
        if (!place.is_contended && (processes & (processes - 1)) != 0) place.is_contended = has_grown_ = true;
    }

    std::vector<Place> places_;
    bool has_grown_ = false;
};

}  // namespace keystile::explore
