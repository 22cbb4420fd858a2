#include "store.hpp"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "text.hpp"

namespace keystile::cli {
namespace {

constexpr size_t kFirstBuffer = 64 * 1024;

Read read(ks_session* session, std::string_view key, std::string buffer) {
    for (;;) {  // ends when a size holds still: values do not grow for ever (KS_VALUE_SIZE_MAX)
        Read seen;
        size_t size = 0;
        const ks_status status =
            ks_get(session, bytes_of(key), buffer.data(), buffer.size(), &size, &seen.stamp);
        const bool wants_value = !buffer.empty();
        if (status == KS_TOO_SMALL && wants_value) {
            buffer.resize(std::max(size, 2 * buffer.size()));
            continue;
        }
        if (status < 0) throw fault(status, escaped(key));
        seen.is_found = status != KS_NOT_FOUND;
        if (status == KS_OK) {
            buffer.resize(size);
            seen.value = std::move(buffer);
        }
        return seen;
    }
}

// What to do about a store that could not be opened; empty if there is nothing to add.
std::string advice(const std::string& url, ks_status status, bool is_attaching) {
    std::error_code error;
    const std::filesystem::path place = url.substr(url.find(':') + 1);
    const std::filesystem::path parent = place.parent_path();
    if (url.starts_with("file:") && std::filesystem::exists(place, error) &&
        !std::filesystem::is_directory(place, error))
        return fmt::format("; {} is a file, and a file: store is a folder", escaped(place.string()));
    if (status != KS_E_NO_STORE) return "";
    if (is_attaching) return fmt::format("; make it with: keystile create --store {}", url);
    if (parent.empty()) return "; the folder it should lie in does not exist";
    return fmt::format("; there is no folder {}: make it first", escaped(parent.string()));
}

}  // namespace

void require_url(const std::string& url) {
    if (!url.empty()) return;
    throw Failure{ExitCode::usage,
                  "which store? Give --store URL (for example --store shm:demo) or set KEYSTILE_STORE"};
}

Store::Store(const std::string& url, const ks_open_options& options) {
    require_url(url);
    ks_store* store = nullptr;
    const ks_status status = ks_open(url.c_str(), &options, &store);
    if (status != KS_OK) {
        Failure failure = fault(status, url);
        failure.message +=
            advice(url, status, (options.flags & (KS_OPEN_MUST_EXIST | KS_OPEN_READ_ONLY)) != 0);
        throw failure;
    }
    store_.reset(store);
}

Store Store::attach(const std::string& url, std::string_view command) {
    const std::string label = fmt::format("keystile {}", command);
    ks_open_options options{};
    options.struct_size = sizeof options;
    options.flags = KS_OPEN_MUST_EXIST;
    options.label = label.c_str();
    return Store(url, options);
}

Store Store::inspect(const std::string& url) {
    ks_open_options options{};
    options.struct_size = sizeof options;
    options.flags = KS_OPEN_READ_ONLY;
    return Store(url, options);
}

ks_session* Store::session() {
    if (!session_) {
        ks_session* session = nullptr;
        const ks_status status = ks_session_open(store_.get(), &session);
        if (status != KS_OK) throw fault(status, "opening a session");
        session_.reset(session);
    }
    return session_.get();
}

Read read_value(ks_session* session, std::string_view key) {
    return read(session, key, std::string(kFirstBuffer, '\0'));
}
ks_stamp watched_stamp(ks_session* session, std::string_view key, const Read& seen) {
    if (seen.stamp.version != 0) return seen.stamp;
    ks_stamp now{};
    const ks_status status = ks_watch(session, bytes_of(key), seen.stamp, 0, &now);
    if (status < 0) throw fault(status, escaped(key));
    return status == KS_OK ? now : seen.stamp;
}

Read read_stamp(ks_session* session, std::string_view key) {
    return read(session, key, {});
}

}  // namespace keystile::cli
