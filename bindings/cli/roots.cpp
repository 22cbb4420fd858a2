#include "roots.hpp"

#include <filesystem>

#include <fmt/format.h>

#include "file_keys.hpp"
#include "json_lines.hpp"
#include "text.hpp"

namespace keystile::cli {

namespace {

namespace fs = std::filesystem;

// Not named, it is where we stand; but who stands in a folder of a root will mean that root, and the same files are not
// to have two stores by accident.
std::string root_of(const std::string& given) {
    if (!given.empty()) return given;
    std::error_code error;
    const fs::path here = fs::current_path(error);
    if (fs::exists(here / ".keystile", error)) return ".";
    for (fs::path at = here; at != at.parent_path(); at = at.parent_path()) {
        const fs::path above = at.parent_path();
        if (!fs::is_directory(above / ".keystile" / "files", error)) continue;
        throw Failure{
            ExitCode::usage,
            fmt::format("{0} lies in the root {1}: give --root {1}, or --root . for a root of its own",
                        escaped(here.string()), escaped(above.string()))};
    }
    return ".";
}

}  // namespace

Root::Root(const std::string& given, std::string_view command, IfNew if_new) {
    const std::string folder = root_of(given);
    std::error_code error;
    const fs::path whole = fs::canonical(folder, error);
    // What is no folder is told so below.
    if (if_new == IfNew::kRefuse && fs::is_directory(whole, error) &&
        !fs::exists(whole / ".keystile", error)) {
        throw Failure{ExitCode::no_store, fmt::format("{}: nothing was written there through Keystile yet; "
                                                      "--root or KEYSTILE_ROOT names another folder",
                                                      escaped(whole.string()))};
    }
    const std::string label = fmt::format("keystile files {}", command);
    ks_files_options options{};
    options.struct_size = sizeof options;
    options.label = label.c_str();
    ks_files* files = nullptr;
    if (const ks_status s = ks_files_open(folder.c_str(), &options, &files); s != KS_OK)
        throw fault(s, folder);
    files_.reset(files);
}

Read Root::read(const std::string& path) const {
    Read seen;
    size_t size = 0;
    ks_status s = ks_files_read(get(), path.c_str(), nullptr, 0, &size, &seen.stamp);
    while (s == KS_TOO_SMALL) {
        seen.value.resize(size);
        s = ks_files_read(get(), path.c_str(), seen.value.data(), seen.value.size(), &size, &seen.stamp);
    }
    ks_receipt receipt{};
    receipt.stamp = seen.stamp;
    if (s != KS_OK && s != KS_NOT_FOUND) throw path_refusal(s, path, receipt, false);
    seen.is_found = s == KS_OK;
    seen.value.resize(seen.is_found ? size : 0);
    return seen;
}

ks_stamp Root::stamp(const std::string& path) const {
    ks_receipt receipt{};
    const ks_status s = ks_files_read(get(), path.c_str(), nullptr, 0, nullptr, &receipt.stamp);
    if (s == KS_OK || s == KS_TOO_SMALL || s == KS_NOT_FOUND) return receipt.stamp;
    throw path_refusal(s, path, receipt, false);
}

std::optional<ks_grant> Root::grant(const std::string& path, const std::string& token) const {
    if (token.empty()) return std::nullopt;
    ks_grant grant{};
    const ks_status s = ks_files_grant(get(), path.c_str(), token.c_str(), &grant);
    if (s != KS_OK) throw path_refusal(s, path, {}, true);
    return grant;
}

Failure path_refusal(ks_status status, std::string_view path, const ks_receipt& receipt, bool has_grant) {
    Failure failure = refusal(status, path, receipt, has_grant);
    failure.details.erase("key");
    failure.details.erase("key_encoding");
    if (status == KS_NOT_FOUND)
        failure.message = fmt::format("not found: there is no file {}", escaped(path));
    add_path(failure.details, path);
    if (status < 0 && is_stamp(receipt.stamp)) {
        failure.message =
            fmt::format("committed as {}, not on disk yet: {}", stamp_text(receipt.stamp), failure.message);
        add_stamp(failure.details, receipt.stamp);
    }
    return failure;
}

void refuse_file_key(const std::string& url, std::string_view key, size_t line) {
    constexpr std::string_view kScheme = "file:";
    if (!is_reserved(key) || !url.starts_with(kScheme)) return;
    std::error_code ignored;  // of a store that cannot be reached: opening it tells
    const auto folder = std::filesystem::weakly_canonical(url.substr(kScheme.size()), ignored);
    if (folder.filename() != ".keystile") return;
    Failure failure{
        ExitCode::usage,
        fmt::format("{} is a file's, in the store of {}: use keystile files. (What stands there and is no "
                    "file's goes by del --force)",
                    escaped(key), escaped(folder.parent_path().string()))};
    add_key(failure.details, key);
    throw line != 0 ? at_line(line, failure) : failure;
}

void add_path(Json& object, std::string_view path) {
    add_key(object, path);
    object["path"] = object["key"];
    object.erase("key");
    if (!object.contains("key_encoding")) return;
    object["path_encoding"] = object["key_encoding"];
    object.erase("key_encoding");
}

}  // namespace keystile::cli
