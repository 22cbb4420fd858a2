// The C calls of feeds: a durable store's commits in order, out of its files.
#include <cstring>
#include <new>

#include "abi/abi.hpp"
#include "abi/quarantine.hpp"
#include "abi/url.hpp"

using namespace keystile::engine;
using namespace keystile::engine::abi;

struct ks_feed {
    std::uint64_t magic = 0;
    std::unique_ptr<Feed> feed;
    FeedCommit commit;
    std::vector<ks_feed_entry> entries;  // of `commit`, as the caller sees them
};

namespace {

ks_status tell(Status status, const Feed& feed, const char* doing) noexcept {
    const FileDamage& found = feed.damage();
    if (status == Status::kJournalCorrupt && !found.is_none()) {
        return fault(KS_E_JOURNAL_CORRUPT, "%s: %s, at offset %llu: %s", doing, found.path.c_str(),
                     static_cast<unsigned long long>(found.damage.offset), found.damage.what);
    }
    return answer(status, doing);
}

void show(ks_feed& feed, ks_feed_commit* commit_out) {
    feed.entries.clear();
    for (const FeedEntry& entry : feed.commit.entries) {
        feed.entries.push_back({{entry.key.data(), entry.key.size()},
                                {entry.value.data(), entry.value.size()},
                                {feed.commit.position, entry.epoch},
                                entry.is_deleted ? 1u : 0u,
                                0});
    }
    commit_out->lsn = feed.commit.position;
    commit_out->wall_ns = feed.commit.wall_ns;
    static_assert(sizeof commit_out->label == sizeof feed.commit.label);
    std::memcpy(commit_out->label, feed.commit.label, sizeof commit_out->label);
    commit_out->entries = feed.entries.data();
    commit_out->size = feed.entries.size();
}

}  // namespace

ks_status ks_feed_open(const char* url, uint64_t from_lsn, ks_feed** feed_out, uint64_t* oldest_out) {
    if (url == nullptr || feed_out == nullptr) return fault(KS_E_ARGUMENT, "url or feed_out is NULL");
    try {
        Place place;
        if (const ks_status s = parse_url(url, &place); s != KS_OK) return s;
        if (!place.is_durable)
            return fault(KS_E_URL, "'%.80s' has no journal: only file: stores have one", url);
        auto handle = std::make_unique<ks_feed>();
        handle->feed = std::make_unique<Feed>();
        const Status s = handle->feed->open(place.folder, from_lsn);
        if (oldest_out != nullptr && s == Status::kLagged) *oldest_out = handle->feed->oldest();
        if (s != Status::kOk) return tell(s, *handle->feed, url);
        handle->magic = live(kFeedMagic);
        *feed_out = handle.release();
        return KS_OK;
    } catch (const std::bad_alloc&) {
        return fault(KS_E_MEMORY, "opening a feed: out of memory");
    }
}

ks_status ks_feed_next(ks_feed* feed, uint64_t timeout_ns, ks_feed_commit* commit_out) {
    if (feed == nullptr || feed->magic != live(kFeedMagic))
        return explain_handle(feed, feed != nullptr ? feed->magic : 0, kFeedMagic);
    if (commit_out == nullptr) return fault(KS_E_ARGUMENT, "commit_out is NULL");
    try {
        const Status s = feed->feed->next(timeout_ns, &feed->commit);
        if (s == Status::kLagged) commit_out->lsn = feed->feed->oldest();
        if (s != Status::kOk) return tell(s, *feed->feed, "reading a feed");
        show(*feed, commit_out);
        return KS_OK;
    } catch (const std::bad_alloc&) {
        return fault(KS_E_MEMORY, "reading a feed: out of memory");
    }
}

void ks_feed_close(ks_feed* feed) {
    if (feed == nullptr || feed->magic != live(kFeedMagic)) return;
    feed->magic = 0;
    feed->feed.reset();
    feed->commit = {};
    feed->entries = {};
    retire(feed);
}
