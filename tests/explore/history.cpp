#include "explore/history.hpp"

#include <algorithm>

namespace keystile::explore {

bool History::reaches(std::uint64_t version, const IsRight& is_right) {
    steps_.clear();
    return walk_back_from(version, is_right);
}

bool History::walk_back_from(std::uint64_t version, const IsRight& is_right) {
    if (version == start_) {
        const auto is_placed = [this](const Deed* deed) { return !deed->is_won() || is_used(deed); };
        return std::all_of(deeds_.begin(), deeds_.end(), is_placed) && is_right();
    }
    for (const Deed* const deed : deeds_) {
        const bool may_be_it =
            deed->is_won() ? deed->version == version : deed->is_in_doubt() && !is_told(version);
        if (!may_be_it || is_used(deed) || !may_follow(version, deed->seen.version)) continue;
        steps_.push_back({version, deed});
        if (walk_back_from(deed->seen.version, is_right)) return true;
        steps_.pop_back();
    }
    return false;
}

bool History::may_follow(std::uint64_t version, std::uint64_t seen) const {
    return is_durable_ ? version > seen : version == seen + 1;
}

bool History::is_told(std::uint64_t version) const {
    return std::any_of(deeds_.begin(), deeds_.end(),
                       [version](const Deed* deed) { return deed->is_won() && deed->version == version; });
}

bool History::is_used(const Deed* deed) const {
    return std::any_of(steps_.begin(), steps_.end(), [deed](const Step& step) { return step.deed == deed; });
}

std::optional<std::string> History::text_at(std::uint64_t version) const {
    std::string text = start_text_;
    std::uint64_t at = start_;
    for (auto step = steps_.rbegin(); at != version; ++step) {
        if (step == steps_.rend()) return std::nullopt;
        at = step->version;
        if (step->deed->is_delete) {
            text.clear();
        } else {
            text += step->deed->letter;
        }
    }
    return text;
}

}  // namespace keystile::explore
