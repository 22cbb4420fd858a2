// The root that is served, and its store: files and state of one root, shared with every other process that opens it.
//
// Threads: all of it may be used by all threads; each has a session of its own, which the library closes at its end.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "keystile.h"
#include "keystile_files.h"

namespace keystile::mcp {

inline ks_bytes bytes_of(std::string_view text) {
    return {text.data(), text.size()};
}
inline std::string_view view_of(ks_bytes bytes) {
    return {static_cast<const char*>(bytes.data), bytes.size};
}

// Thrown; becomes the outcome of the tool that was called.
struct Fault {
    ks_status status;
    std::string what;
};

class Workspace {
public:
    explicit Workspace(const std::string& root);  // Unusable

    const std::string& root() const { return root_; }
    const std::string& url() const { return url_; }
    ks_files* files() const { return files_.get(); }
    ks_store* store() const { return ks_files_store(files_.get()); }
    ks_session* session() const;  // this thread's; Fault

private:
    struct Close {
        void operator()(ks_files* files) const { ks_files_close(files); }
    };
    std::string root_, url_;
    std::unique_ptr<ks_files, Close> files_;
};

}  // namespace keystile::mcp
