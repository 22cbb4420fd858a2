#include "workspace.hpp"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
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
    ks_open_options options{};
    options.struct_size = sizeof options;
    options.flags = KS_OPEN_DURABLE;
    options.label = "keystile mcp";
    ks_store* store = nullptr;
    const ks_status status = ks_open(url_.c_str(), &options, &store);
    if (status != KS_OK) throw Unusable(fmt::format("{}: {}", cli::escaped(url_), ks_last_error()), status);
    store_.reset(store);
}

ks_session* Workspace::session() const {
    ks_session* const session = ks_default_session(store_.get());
    if (session == nullptr) throw Fault{ks_last_status(), url_};
    return session;
}

}  // namespace keystile::mcp
