#include "feeds.hpp"

#include <ctime>

#include <fmt/format.h>

#include "store.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

Failure feed_failure(ks_status status, const std::string& url, uint64_t oldest) {
    switch (status) {
        case KS_LAGGED:
            return {
                ExitCode::lagged,
                fmt::format("lagged: the history of {} begins at lsn {} now, checkpoints replaced what was "
                            "before; read what the keys are, and go on with keystile log --from {}",
                            escaped(url), oldest, oldest),
                Json{{"oldest_lsn", oldest}}};
        case KS_BUSY:
            return {ExitCode::busy, fmt::format("busy: files of {} come and go; try again", escaped(url))};
        default:
            return fault(status, url);
    }
}

}  // namespace

Feed::Feed(const std::string& url, uint64_t from_lsn) : url_(url) {
    ks_feed* feed = nullptr;
    uint64_t oldest = 0;
    const ks_status status = ks_feed_open(url.c_str(), from_lsn, &feed, &oldest);
    if (status != KS_OK) throw feed_failure(status, url_, oldest);
    feed_.reset(feed);
}

const ks_feed_commit* Feed::next(uint64_t timeout_ns) {
    const ks_status status = ks_feed_next(feed_.get(), timeout_ns, &commit_);
    if (status == KS_OK) return &commit_;
    if (status == KS_TIMEOUT) return nullptr;
    throw feed_failure(status, url_, commit_.lsn);
}

std::string time_text(uint64_t wall_ns) {
    const auto seconds = static_cast<time_t>(wall_ns / 1'000'000'000);
    tm utc{};
    gmtime_r(&seconds, &utc);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                       utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, wall_ns / 1'000'000 % 1000);
}

}  // namespace keystile::cli
