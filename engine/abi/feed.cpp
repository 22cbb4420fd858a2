// The C calls of feeds: a durable store's commits in order, out of its files.
#include <cstring>
#include <new>
#include <string_view>

#include "abi/abi.hpp"
#include "abi/quarantine.hpp"
#include "abi/url.hpp"

using namespace keystile::engine;
using namespace keystile::engine::abi;

static_assert(kFromNow == KS_FEED_NOW);
static_assert(sizeof FeedCommit::label == KS_LABEL_SIZE);

struct ks_feed {
    std::uint64_t magic = 0;
    std::unique_ptr<Feed> feed;
    FeedCommit commit;
    std::vector<ks_feed_entry> entries;  // of `commit`, as the caller sees them
    bool is_owed = false;                // `commit` was read, and there was no memory to show it
};

namespace {

bool is_alive(const ks_feed* feed) noexcept {
    return feed != nullptr && feed->magic == live(kFeedMagic);
}

ks_status answer_feed(Status status, const Feed& feed, const char* doing) noexcept {
    const FileDamage& found = feed.damage();
    if (status == Status::kJournalCorrupt && !found.is_none()) {
        return fault(KS_E_JOURNAL_CORRUPT, "%s: %s, at offset %llu: %s", doing, found.path.c_str(),
                     static_cast<unsigned long long>(found.damage.offset), found.damage.what);
    }
    return answer(status, doing);
}

ks_bytes bytes_of(std::string_view text) noexcept {
    ks_bytes bytes{};
    bytes.data = text.data();
    bytes.size = text.size();
    return bytes;
}

void show(ks_feed& feed, ks_feed_commit* commit_out) {
    const FeedCommit& commit = feed.commit;
    feed.entries.clear();
    for (const FeedEntry& entry : commit.entries) {
        feed.entries.push_back({bytes_of(entry.key),
                                bytes_of(entry.value),
                                {commit.position, entry.epoch},
                                entry.version_before,
                                entry.is_deleted ? 1u : 0u,
                                0});
    }
    *commit_out = {commit.position, commit.wall_ns, {}, feed.entries.data(), feed.entries.size()};
    std::memcpy(commit_out->label, commit.label, sizeof commit_out->label);
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
        if (s != Status::kOk)
            return answer_feed(s, *handle->feed, ("opening a feed of " + std::string(url)).c_str());
        handle->magic = live(kFeedMagic);
        *feed_out = handle.release();
        return KS_OK;
    } catch (const std::bad_alloc&) {
        return fault(KS_E_MEMORY, "opening a feed: out of memory");
    }
}

ks_status ks_feed_next(ks_feed* feed, uint64_t timeout_ns, ks_feed_commit* commit_out) {
    if (!is_alive(feed)) return explain_handle(feed, feed != nullptr ? feed->magic : 0, kFeedMagic);
    if (commit_out == nullptr) return fault(KS_E_ARGUMENT, "commit_out is NULL");
    try {
        const Status s = feed->is_owed ? Status::kOk : feed->feed->next(timeout_ns, &feed->commit);
        if (s == Status::kLagged) *commit_out = {feed->feed->oldest(), 0, {}, nullptr, 0};
        if (s != Status::kOk) return answer_feed(s, *feed->feed, "reading a feed");
        feed->is_owed = true;  // the feed is behind it already
        show(*feed, commit_out);
        feed->is_owed = false;
        return KS_OK;
    } catch (const std::bad_alloc&) {
        return fault(KS_E_MEMORY, "reading a feed: out of memory");
    }
}

void ks_feed_close(ks_feed* feed) {
    // In a forked child too: files and memory are its own copies.
    if (feed == nullptr || feed->magic < kFeedMagic || feed->magic > live(kFeedMagic)) return;
    feed->magic = 0;
    feed->feed.reset();
    feed->commit.bytes = {};
    feed->commit.entries = {};
    feed->entries = {};
    retire(feed);
}
