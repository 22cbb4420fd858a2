// A path in its one spelling, and the keys it has in the store.
//
// PathBeneath  a FilePath has no part that is "..", "." or empty, no NUL, and does not begin with '/': the kernel
//              resolves it beneath the root (beneath.hpp), and two spellings of a file are one key.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "abi/abi.hpp"

namespace keystile::engine::files {

inline constexpr std::string_view kContentPrefix = "files/";  // content and stamp
inline constexpr std::string_view kLandedPrefix =
    "files.disk/";                                 // which version is known to have reached the disk
inline constexpr char kOwnFolder[] = ".keystile";  // the store, and files on their way to the disk

static_assert(kLandedPrefix.size() + KS_FILES_PATH_MAX <= KS_KEY_SIZE_MAX);

struct FilePath {
    std::string text;
    std::string content_key;
    std::string landed_key;
    std::uint64_t id = 0;  // a hash of it: names its files on their way to the disk. Two paths may share one

    std::string_view leaf() const noexcept { return std::string_view(text).substr(text.rfind('/') + 1); }
    // "" = the root itself.
    std::string_view folder() const noexcept {
        const std::size_t slash = text.rfind('/');
        return slash == std::string::npos ? std::string_view() : std::string_view(text).substr(0, slash);
    }
};

// KS_E_PATH with a sentence, KS_E_ARGUMENT (NULL). Throws bad_alloc.
ks_status parse_path(const char* text, FilePath* path_out);
// The same of a prefix: may be empty.
ks_status parse_prefix(const char* text, std::string* prefix_out);
// Of one that was parsed before (a key of the store). KS_E_CORRUPT: it is not in its one spelling.
ks_status path_of_key(std::string_view key, FilePath* path_out);

inline ks_bytes bytes_of(std::string_view text) noexcept {
    ks_bytes bytes{};
    bytes.data = text.data();
    bytes.size = text.size();
    return bytes;
}

}  // namespace keystile::engine::files
