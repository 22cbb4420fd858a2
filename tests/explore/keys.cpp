#include "explore/keys.hpp"

#include <string>

#include "slots/slots.hpp"

namespace keystile::explore {

namespace {

constexpr std::string_view kNames[kKeys] = {"k", "o", "n", "", "a key of more than sixteen bytes"};

std::uint64_t hash(std::string_view name) {
    return engine::hash_of({name.data(), name.size()}, kHashSeed);
}

// Equal to kNew's hash where the root looks, different where the node below it looks.
std::string colliding_name() {
    constexpr std::uint64_t kRootMask = (1u << engine::kRootBitsMin) - 1;
    constexpr std::uint64_t kNodeMask = 0xFull << engine::kRootBitsMin;
    for (int i = 0;; ++i) {  // ends: about one name in 256 will do
        std::string name = "c" + std::to_string(i);
        const std::uint64_t parts = hash(name) ^ hash(kNames[kNew]);
        if ((parts & kRootMask) == 0 && (parts & kNodeMask) != 0) return name;
    }
}

}  // namespace

std::string_view key_name(int key) noexcept {
    static const std::string colliding = colliding_name();
    return key == kColliding ? colliding : kNames[key];
}

}  // namespace keystile::explore
