// A consistent cut of a store: behind `snapshot` and `export`.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "store.hpp"

namespace keystile::cli {

class Cut {
public:
    // All keys that start with `prefix`, sorted. Throws Failure; ExitCode::busy if others did not let it be.
    Cut(const std::string& url, std::string_view prefix, std::string_view command);

    size_t size() const { return ks_snapshot_size(snapshot_.get()); }
    ks_snapshot_entry at(size_t index) const;

private:
    bool try_take(ks_session* session, std::string_view prefix, int tries);

    struct Close {
        void operator()(ks_snapshot* snapshot) const { ks_snapshot_close(snapshot); }
    };
    std::unique_ptr<ks_snapshot, Close> snapshot_;
};

inline std::string_view text_of(ks_bytes bytes) {
    return {static_cast<const char*>(bytes.data), bytes.size};
}

}  // namespace keystile::cli
