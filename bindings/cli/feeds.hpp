// A feed as the commands use it: a durable store's commits in order, every failure a Failure; and how they are shown.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "keystile.h"
#include "output.hpp"

namespace keystile::cli {

class Feed {
public:
    Feed(const std::string& url, uint64_t from_lsn);

    // The next commit, valid until the next call; nullptr: there is none within the time.
    const ks_feed_commit* next(uint64_t timeout_ns);

private:
    struct Close {
        void operator()(ks_feed* feed) const { ks_feed_close(feed); }
    };
    std::string url_;
    std::unique_ptr<ks_feed, Close> feed_;
    ks_feed_commit commit_{};
};

inline std::string_view view_of(ks_bytes bytes) {
    return {static_cast<const char*>(bytes.data), bytes.size};
}
inline std::string_view event_of(const ks_feed_entry& entry) {
    return entry.is_deleted != 0 ? "delete" : "put";
}

// "2026-11-29T10:01:25.123Z"
std::string time_text(uint64_t wall_ns);

}  // namespace keystile::cli
