// The history of a durable store, commit by commit. Part of keystile.hpp; ks_feed_open has the contract.
//
//     keystile::Feed feed = keystile::Feed::open("file:/var/lib/team", from);
//     for (const keystile::Feed::Commit& commit : feed.commits(keystile::forever)) {
//         for (const auto& [key, value, stamp, version_before, is_deleted] : commit) ...;
//         from = commit.lsn() + 1;  // to go on there, another time
//     }
//     feed.last().throw_if_fault();  // why it ended
#pragma once

#include <keystile.h>

#include <chrono>
#include <cstddef>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "keystile_claim.hpp"
#include "keystile_values.hpp"

namespace keystile::inline v0 {

struct FeedOpened;

// Every commit of a durable store once, in order, as it comes to the disk. Needs no open store, and delays nobody.
// Move-only; for one thread at a time. After fork() it answers KS_E_FORKED in the child.
class Feed {
public:
    struct Entry {
        std::string_view key;
        std::string_view value;            // of a deletion empty
        Stamp stamp;                       // after the commit
        std::uint64_t version_before = 0;  // what it replaced; 0: never written before
        bool is_deleted = false;
    };

    // Of one commit: a range of entries. A view: all of it is valid until the feed goes on.
    class Commit {
    public:
        class Iterator {
        public:
            using value_type = Entry;
            using difference_type = std::ptrdiff_t;
            Iterator() noexcept = default;
            [[nodiscard]] Entry operator*() const noexcept {
                return {Bytes(at_->key.data, at_->key.size).text(),
                        Bytes(at_->value.data, at_->value.size).text(), at_->stamp, at_->version_before,
                        at_->is_deleted != 0};
            }
            Iterator& operator++() noexcept {
                ++at_;
                return *this;
            }
            Iterator operator++(int) noexcept { return Iterator(at_++); }
            friend bool operator==(Iterator a, Iterator b) noexcept { return a.at_ == b.at_; }

        private:
            friend class Commit;
            explicit Iterator(const ks_feed_entry* at) noexcept : at_(at) {}
            const ks_feed_entry* at_ = nullptr;
        };

        [[nodiscard]] std::uint64_t lsn() const noexcept { return told_.lsn; }
        // By the committer's clock: for people.
        [[nodiscard]] std::chrono::sys_time<nanoseconds> time() const noexcept {
            return std::chrono::sys_time<nanoseconds>(
                nanoseconds(static_cast<nanoseconds::rep>(told_.wall_ns)));
        }
        [[nodiscard]] std::string_view label() const noexcept { return told_.label; }
        [[nodiscard]] std::size_t size() const noexcept { return told_.size; }
        [[nodiscard]] Iterator begin() const noexcept { return Iterator(told_.entries); }
        [[nodiscard]] Iterator end() const noexcept { return Iterator(told_.entries + told_.size); }

    private:
        friend class Feed;
        ks_feed_commit told_{};
    };

    // The commits that are there, and those that come within `timeout` of the last one; then, or at a fault, it ends,
    // and Feed::last() says why.
    class Commits {
    public:
        class Iterator {
        public:
            using value_type = Commit;
            using difference_type = std::ptrdiff_t;
            Iterator() noexcept = default;
            [[nodiscard]] const Commit& operator*() const noexcept { return feed_->commit_; }
            [[nodiscard]] const Commit* operator->() const noexcept { return &feed_->commit_; }
            Iterator& operator++() {
                feed_->step(timeout_);
                return *this;
            }
            void operator++(int) { ++*this; }
            friend bool operator==(const Iterator& a, std::default_sentinel_t) noexcept {
                return !a.feed_->last().ok();
            }

        private:
            friend class Commits;
            Iterator(Feed* feed, nanoseconds timeout) noexcept : feed_(feed), timeout_(timeout) {}
            Feed* feed_ = nullptr;
            nanoseconds timeout_{0};
        };

        [[nodiscard]] Iterator begin() const { return ++Iterator(feed_, timeout_); }
        [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

    private:
        friend class Feed;
        Commits(Feed* feed, nanoseconds timeout) noexcept : feed_(feed), timeout_(timeout) {}
        Feed* feed_;
        nanoseconds timeout_;
    };

    // Where to begin, beside an lsn.
    static constexpr std::uint64_t oldest = 0, now = KS_FEED_NOW;

    Feed() noexcept = default;

    // url: "file:DIR". From the first commit at or after `from_lsn`. Throws Error; also if it lagged.
    static Feed open(const std::string& url, std::uint64_t from_lsn = oldest);
    // The same without an exception. ok · lagged · busy · fault.
    static FeedOpened try_open(const std::string& url, std::uint64_t from_lsn = oldest);

    // The feed must stay where it is, and outlive the range.
    [[nodiscard]] Commits commits(nanoseconds timeout = nanoseconds(0)) noexcept { return {this, timeout}; }

    // What the last step came to: ok · timeout (that is all for now) · lagged (what was to be read is gone) · busy ·
    // fault. None loses the place: commits() goes on.
    [[nodiscard]] Result last() const noexcept { return last_; }
    // The oldest lsn there is. Lagged only.
    [[nodiscard]] std::uint64_t oldest_lsn() const noexcept { return commit_.told_.lsn; }

    [[nodiscard]] ks_feed* native() const noexcept { return feed_.get(); }
    [[nodiscard]] explicit operator bool() const noexcept { return feed_ != nullptr; }

private:
    struct Close {
        void operator()(ks_feed* feed) const noexcept { ks_feed_close(feed); }
    };
    void step(nanoseconds timeout) {
        last_.status = ks_feed_next(native(), detail::timeout_ns(timeout), &commit_.told_);
    }

    std::unique_ptr<ks_feed, Close> feed_;
    Commit commit_;
    Result last_;
};

struct [[nodiscard]] FeedOpened : Result {
    Feed feed;
    std::uint64_t oldest_lsn = 0;  // lagged: the oldest lsn there is
};

inline FeedOpened Feed::try_open(const std::string& url, std::uint64_t from_lsn) {
    FeedOpened opened;
    ks_feed* raw = nullptr;
    opened.status = ks_feed_open(url.c_str(), from_lsn, &raw, &opened.oldest_lsn);
    opened.feed.feed_.reset(raw);
    return opened;
}

inline Feed Feed::open(const std::string& url, std::uint64_t from_lsn) {
    FeedOpened opened = try_open(url, from_lsn);
    opened.throw_if_fault();
    if (!opened) throw Error(opened.status, "the history begins at lsn " + std::to_string(opened.oldest_lsn));
    return std::move(opened.feed);
}

}  // namespace keystile::inline v0
