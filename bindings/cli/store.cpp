#include "store.hpp"

#include <algorithm>

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
        if (status == KS_E_NO_STORE) {
            const bool is_attaching = (options.flags & (KS_OPEN_MUST_EXIST | KS_OPEN_READ_ONLY)) != 0;
            failure.message += is_attaching ? fmt::format("; make it with: keystile create --store {}", url)
                                            : "; the folder it should lie in does not exist";
        }
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
