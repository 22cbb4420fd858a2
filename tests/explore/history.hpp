// What became of one key: from the version at the end back to the one at the start, a commit for each step.
//
// A commit that was told OK stands at the version it was told, and follows the one it had seen. One in doubt, its
// caller dead, may stand wherever somebody went on from a version that nobody was told. Nothing else may.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "explore/deeds.hpp"

namespace keystile::explore {

class History {
public:
    // The key's value when the scenario starts.
    History(std::uint64_t version, std::string_view text, bool is_durable)
        : start_(version), start_text_(text), is_durable_(is_durable) {}

    // Of this key; all of them, before reaches().
    void add(const Deed& deed) { deeds_.push_back(&deed); }

    // Is there a way to that version, with every commit that was told OK on it, that is right?
    using IsRight = std::function<bool()>;
    bool reaches(std::uint64_t version, const IsRight& is_right);
    // What the key's value was at a version on the way; none: it was never there.
    std::optional<std::string> text_at(std::uint64_t version) const;

private:
    struct Step {
        std::uint64_t version;
        const Deed* deed;
    };
    bool walk_back_from(std::uint64_t version, const IsRight& is_right);
    bool is_told(std::uint64_t version) const;
    bool is_used(const Deed* deed) const;
    bool may_follow(std::uint64_t version, std::uint64_t seen) const;

    std::uint64_t start_;
    std::string start_text_;
    bool is_durable_;
    std::vector<const Deed*> deeds_;
    std::vector<Step> steps_;  // the last one first
};

}  // namespace keystile::explore
