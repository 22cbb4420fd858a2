#include "workspace.hpp"

#include <cerrno>
#include <filesystem>

#include <fmt/format.h>

#include "mcp.hpp"
#include "text.hpp"

namespace keystile::mcp {
namespace {

std::string real_folder(const std::string& root) {
    std::error_code error;
    const std::filesystem::path path = std::filesystem::canonical(root, error);
    if (error) throw Unusable(fmt::format("--root {}: {}", cli::escaped(root), error.message()));
    if (!std::filesystem::is_directory(path, error)) {
        throw Unusable(fmt::format("--root {}: it is no folder", cli::escaped(root)));
    }
    return path.string();
}

}  // namespace

Workspace::Workspace(const std::string& root)
    : root_(real_folder(root)), url_("file:" + (std::filesystem::path(root_) / ".keystile").string()) {
    ks_files_options options{};
    options.struct_size = sizeof options;
    options.store_url = url_.c_str();
    options.label = "keystile mcp";
    ks_files* files = nullptr;
    const ks_status status = ks_files_open(root_.c_str(), &options, &files);
    if (status != KS_OK)
        throw Unusable(fmt::format("--root {}: {}", cli::escaped(root), ks_last_error()), status);
    files_.reset(files);
}

ks_session* Workspace::session() const {
    ks_session* const session = ks_default_session(store());
    if (session == nullptr) throw Fault{ks_last_status(), url_};
    return session;
}

}  // namespace keystile::mcp
