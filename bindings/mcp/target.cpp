#include "target.hpp"

#include <fmt/format.h>

#include "outcome.hpp"
#include "text.hpp"

namespace keystile::mcp {

Target state_target(Arguments& arguments) {
    const std::string& key = arguments.text("key");
    if (key.empty() || key.size() > KS_KEY_SIZE_MAX) {
        throw InvalidArguments{
            fmt::format("\"key\" has 1 to {} bytes, this one has {}", KS_KEY_SIZE_MAX, key.size())};
    }
    if (is_reserved(key)) throw InvalidArguments{"\"key\" is of a file: use the file tools, with its path"};
    return {key, key, false};
}

Target file_target(const Workspace& workspace, const std::string& path) {
    if (path.find('\0') != std::string::npos) throw InvalidArguments{"\"path\" has a zero character"};
    std::string key(KS_FILES_PATH_MAX + kFilePrefix.size() + 1, '\0');
    size_t size = 0;
    const ks_status status = ks_files_key(workspace.files(), path.c_str(), key.data(), key.size(), &size);
    if (status != KS_OK) throw Fault{status, path};
    key.resize(size);
    return {key, key.substr(kFilePrefix.size()), true};
}

Target any_target(const Workspace& workspace, Arguments& arguments) {
    if (arguments.has("key") == arguments.has("path")) {
        throw InvalidArguments{"give \"key\" (of state) or \"path\" (of a file), one of them"};
    }
    if (arguments.has("key")) return state_target(arguments);
    return file_target(workspace, arguments.text("path"));
}

void add_named(Json& object, std::string_view store_key) {
    if (store_key.starts_with(kFilePrefix)) {
        add_name(object, "path", store_key.substr(kFilePrefix.size()));
    } else {
        add_name(object, "key", store_key);
    }
}

void add_target(Json& object, const Target& target) {
    object[target.is_file ? "path" : "key"] = target.name;
}

ks_grant parse_grant(ks_session* session, const Target& target, const std::string& token) {
    ks_grant grant{};
    const ks_status status = ks_grant_parse(session, bytes_of(target.key), token.c_str(), &grant);
    if (status == KS_OK) return grant;
    if (status == KS_NOT_FOUND || status == KS_E_GRANT) {
        throw InvalidArguments{fmt::format(
            "\"claim\" is no token of a claim of {}: one works for what it was given out for alone",
            cli::escaped(target.name))};
    }
    throw Fault{status, target.name};
}

std::optional<ks_grant> grant_of(ks_session* session, const Target& target, Arguments& arguments) {
    if (!arguments.has("claim")) return std::nullopt;
    return parse_grant(session, target, arguments.text("claim"));
}

}  // namespace keystile::mcp
