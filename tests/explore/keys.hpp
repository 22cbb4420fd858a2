// The keys that scenarios speak of.
#pragma once

#include <cstdint>
#include <string_view>

namespace keystile::explore {

// From kNew on they do not exist when a scenario starts: a key, one whose way through the index parts from
// that of kNew only behind the root, one that does not fit into its slot.
enum Key : int { kMain, kOther, kNew, kColliding, kLong, kKeys };

inline constexpr std::uint64_t kHashSeed = 0x6B657975;  // the same in every run: so each takes the same path

std::string_view key_name(int key) noexcept;

}  // namespace keystile::explore
