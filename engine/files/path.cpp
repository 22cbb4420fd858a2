#include "path.hpp"

#include <xxhash.h>

#include <climits>
#include <cstring>

namespace keystile::engine::files {

using abi::fault;

namespace {

ks_status spell(std::string_view text, std::string* spelt_out) {
    std::string& spelt = *spelt_out;
    spelt.clear();
    if (text.starts_with('/'))
        return fault(KS_E_PATH, "a path is relative to the root: it does not begin with '/'");
    while (!text.empty()) {
        const std::size_t slash = text.find('/');
        const std::string_view part = text.substr(0, slash);
        text.remove_prefix(slash == std::string_view::npos ? text.size() : slash + 1);
        if (part.empty() || part == ".") continue;
        if (part == "..") return fault(KS_E_PATH, "a path has no '..': it might leave the root");
        if (part == kOwnFolder) return fault(KS_E_PATH, "%s is the store's own folder", kOwnFolder);
        if (part.size() > NAME_MAX)
            return fault(KS_E_PATH, "a part of a path has at most %d bytes, not %zu", NAME_MAX, part.size());
        if (!spelt.empty()) spelt += '/';
        spelt += part;
    }
    if (spelt.size() > KS_FILES_PATH_MAX)
        return fault(KS_E_PATH, "a path has at most %u bytes, not %zu", KS_FILES_PATH_MAX, spelt.size());
    return KS_OK;
}

void add_keys(FilePath& path) {
    path.content_key.assign(kContentPrefix).append(path.text);
    path.landed_key.assign(kLandedPrefix).append(path.text);
    path.id = XXH3_64bits(path.text.data(), path.text.size());
}

}  // namespace

ks_status parse_path(const char* text, FilePath* path_out) {
    if (text == nullptr) return fault(KS_E_ARGUMENT, "the path is NULL");
    const std::size_t size = std::strlen(text);
    if (size == 0) return fault(KS_E_PATH, "the path is empty");
    if (const ks_status s = spell({text, size}, &path_out->text); s != KS_OK) return s;
    if (text[size - 1] == '/' || path_out->text.empty())
        return fault(KS_E_PATH, "'%.80s' names a folder", text);
    add_keys(*path_out);
    return KS_OK;
}

ks_status parse_prefix(const char* text, std::string* prefix_out) {
    return spell(text == nullptr ? std::string_view() : std::string_view(text), prefix_out);
}

ks_status path_of_key(std::string_view key, FilePath* path_out) {
    std::string text(key.substr(kContentPrefix.size()));
    const bool is_spelt = text.find('\0') == std::string::npos && !text.empty() &&
                          spell(text, &path_out->text) == KS_OK && path_out->text == text;
    if (!is_spelt) return fault(KS_E_CORRUPT, "the key %.80s is no path's", std::string(key).c_str());
    add_keys(*path_out);
    return KS_OK;
}

}  // namespace keystile::engine::files
