// The revisions of the protocol that are spoken here, of both eras: the older ones begin with `initialize`, those from
// 2026-07-28 on say in each request what they are.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace keystile::mcp {

enum class Revision : uint8_t { v2024_11_05, v2025_03_26, v2025_06_18, v2025_11_25, v2026_07_28 };

inline constexpr std::array<std::string_view, 5> kRevisions{"2024-11-05", "2025-03-26", "2025-06-18",
                                                            "2025-11-25", "2026-07-28"};
inline constexpr Revision kNewestWithHandshake = Revision::v2025_11_25;

constexpr std::string_view name_of(Revision revision) {
    return kRevisions[static_cast<size_t>(revision)];
}

constexpr std::optional<Revision> revision_named(std::string_view name) {
    const auto* const found = std::find(kRevisions.begin(), kRevisions.end(), name);
    if (found == kRevisions.end()) return std::nullopt;
    return static_cast<Revision>(found - kRevisions.begin());
}

constexpr bool is_stateless(Revision revision) {
    return revision > kNewestWithHandshake;
}

}  // namespace keystile::mcp
