// The keys under which a root's store keeps its files (keystile_files.h): not to be written as if they were state.
#pragma once

#include <string>
#include <string_view>

namespace keystile::cli {

inline constexpr std::string_view kFilePrefix = "files/";       // of the keys of files
inline constexpr std::string_view kDiskPrefix = "files.disk/";  // of what that layer keeps for itself

inline bool is_reserved(std::string_view key) {
    return key.starts_with(kFilePrefix) || key.starts_with(kDiskPrefix);
}

}  // namespace keystile::cli
