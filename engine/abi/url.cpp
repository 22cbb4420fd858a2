#include "abi/url.hpp"

#include <cstring>

#include "abi/abi.hpp"

namespace keystile::engine::abi {

namespace {

constexpr char kScheme[] = "shm:";
constexpr char kDurableScheme[] = "file:";
constexpr char kDefaultFolder[] = "/dev/shm";
constexpr char kFilePrefix[] = "keystile.";  // so that a segment is known for one among other files
constexpr std::size_t kFolderBytesMax = 3500;

bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

ks_status parse_directory(const char* url, Place* place_out) {
    std::string folder = url + sizeof kDurableScheme - 1;
    while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
    if (folder.empty() || folder.front() != '/')
        return fault(KS_E_URL, "'%.80s': the folder must be absolute: file:/DIR", url);
    if (folder.starts_with("//") &&
        !folder.starts_with("///"))  // the usual form of a path, file:///DIR, has three
        return fault(KS_E_URL, "'%.80s' is not a store URL: file:/DIR", url);
    if (folder.size() > kFolderBytesMax) return fault(KS_E_URL, "the folder's path is too long");
    *place_out = {std::move(folder), "", true};
    return KS_OK;
}

}  // namespace

ks_status parse_url(const char* url, Place* place_out) {
    if (std::strncmp(url, kDurableScheme, sizeof kDurableScheme - 1) == 0)
        return parse_directory(url, place_out);
    const std::size_t scheme_bytes = sizeof kScheme - 1;
    if (std::strncmp(url, kScheme, scheme_bytes) != 0) {
        return fault(KS_E_URL, "'%.80s' is not a store URL: shm:NAME, shm:/DIR/NAME or file:/DIR", url);
    }
    const std::string rest = url + scheme_bytes;
    if (rest.starts_with("//"))  // else it would be a store in the root folder
        return fault(KS_E_URL, "'%.80s' is not a store URL: shm:NAME or shm:/DIR/NAME", url);
    const std::size_t slash = rest.rfind('/');
    const std::string name = slash == std::string::npos ? rest : rest.substr(slash + 1);
    if (slash == std::string::npos) {
        place_out->folder = kDefaultFolder;
    } else if (rest.front() == '/') {
        place_out->folder = slash == 0 ? "/" : rest.substr(0, slash);
    } else {
        return fault(KS_E_URL, "'%.80s': the folder must be absolute: shm:/DIR/NAME", url);
    }
    if (name.empty() || name.size() > KS_NAME_SIZE_MAX || name.front() == '.') {
        return fault(KS_E_URL, "'%.80s': a store's name has 1 to %u characters and does not start with a dot",
                     url, KS_NAME_SIZE_MAX);
    }
    for (const char c : name) {
        if (!is_name_char(c))
            return fault(KS_E_URL, "'%.80s': a store's name is made of A-Z a-z 0-9 . _ -", url);
    }
    if (place_out->folder.size() > kFolderBytesMax) return fault(KS_E_URL, "the folder's path is too long");
    place_out->file = kFilePrefix + name;
    return KS_OK;
}

}  // namespace keystile::engine::abi
