// One process's share of a workload: an engine, an order of keys, and what is done to each.
#pragma once

#include <memory>
#include <string>

#include "rig/guarded_engines.hpp"

namespace keystile::bench {

enum class Op { kCommit, kGet, kMix };  // mix: three gets, then a commit
enum class Distribution { kHot, kZipf, kUniform };

struct Tally {
    std::uint64_t done = 0;  // gets, and commits that were won
    std::uint64_t wins = 0, conflicts = 0, attempts = 0;
};

class Work {
public:
    Work() = default;
    virtual ~Work() = default;
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;
    virtual void run(std::uint64_t ops) noexcept = 0;
    const Tally& tally() const noexcept { return tally_; }

protected:
    Tally tally_;
};

// Where the expected version of a commit comes from.

// Each lap commits each key once, so one number is the version of them all.
template <class Order>
class LapBook {
public:
    explicit LapBook(std::uint64_t version) : version_(version) {}
    std::uint64_t version_of(std::uint32_t) const noexcept { return version_; }
    void remember(std::uint32_t, std::uint64_t version) noexcept {
        if (++done_ == Order::kKeys) {
            done_ = 0;
            version_ = version;
        }
    }

private:
    std::uint64_t version_;
    std::uint32_t done_ = 0;
};

// What this process saw of each key last.
class SeenBook {
public:
    explicit SeenBook(std::vector<std::uint64_t> versions) : versions_(std::move(versions)) {}
    std::uint64_t version_of(std::uint32_t index) const noexcept { return versions_[index]; }
    void remember(std::uint32_t index, std::uint64_t version) noexcept { versions_[index] = version; }

private:
    std::vector<std::uint64_t> versions_;
};

template <class Engine, class Order, class Book, Op kOp>
class WorkOf final : public Work {
public:
    WorkOf(std::shared_ptr<Engine> engine, Order order, Book book, std::size_t value_bytes)
        : engine_(std::move(engine)),
          order_(std::move(order)),
          book_(std::move(book)),
          value_(value_bytes, 'w') {}

    void run(std::uint64_t ops) noexcept override {
        for (std::uint64_t i = 0; i < ops; ++i) {
            const std::uint32_t index = order_.next(moved_);
            if (kOp == Op::kGet || (kOp == Op::kMix && (++step_ & 3u) != 0)) {
                book_.remember(index, engine_->get(index, value_.data(), value_.size()));
                moved_ = index_in(value_.data()) - index;
            } else {
                commit(index);
            }
        }
        tally_.done += ops;
    }

private:
    void commit(std::uint32_t index) noexcept {
        write_index(value_.data(), index);
        std::uint64_t version = book_.version_of(index);
        for (;;) {
            const Attempt attempt = engine_->commit(index, version, value_.data(), value_.size());
            ++tally_.attempts;
            if (attempt.is_won) [[likely]] {
                ++tally_.wins;
                moved_ = attempt.version - version - 1;
                book_.remember(index, attempt.version);
                return;
            }
            ++tally_.conflicts;
            version = attempt.version;
        }
    }

    std::shared_ptr<Engine> engine_;
    Order order_;
    Book book_;
    std::vector<char> value_;
    std::uint64_t moved_ = 0;
    std::uint32_t step_ = 0;
};

template <class Engine>
std::vector<std::uint64_t> versions_now(Engine& engine, std::uint32_t keys, std::size_t value_bytes) {
    std::vector<char> value(value_bytes);
    std::vector<std::uint64_t> versions(keys);
    for (std::uint32_t index = 0; index < keys; ++index)
        versions[index] = engine.get(index, value.data(), value_bytes);
    return versions;
}

template <class Engine, class Order, class Book>
std::unique_ptr<Work> work_of(std::shared_ptr<Engine> engine, Order order, Book book, Op op,
                              std::size_t value_bytes) {
    switch (op) {
        case Op::kCommit:
            return std::make_unique<WorkOf<Engine, Order, Book, Op::kCommit>>(engine, order, book,
                                                                              value_bytes);
        case Op::kGet:
            return std::make_unique<WorkOf<Engine, Order, Book, Op::kGet>>(engine, order, book, value_bytes);
        case Op::kMix:
            return std::make_unique<WorkOf<Engine, Order, Book, Op::kMix>>(engine, order, book, value_bytes);
    }
    return nullptr;
}

// The work of process `rank` of `processes`, each starting a commit from the version that it saw last.
//   hot      all on one key: they fight for every version
//   zipf     all on all keys: they meet on the frequent ones, and a version seen long ago is often old
//   uniform  each on keys of its own: they never meet
template <class Engine>
std::unique_ptr<Work> drawn_work(std::shared_ptr<Engine> engine, Distribution distribution, Op op,
                                 std::uint32_t keys, std::size_t value_bytes, std::uint32_t rank,
                                 std::uint32_t processes = 1) {
    SeenBook book(versions_now(*engine, keys, value_bytes));
    switch (distribution) {
        case Distribution::kHot:
            return work_of(engine, HotOrder(), std::move(book), op, value_bytes);
        case Distribution::kZipf:
            return work_of(engine, zipf_order(keys, rank + 1), std::move(book), op, value_bytes);
        case Distribution::kUniform:
            return work_of(engine, uniform_order(keys / processes, processes, rank), std::move(book), op,
                           value_bytes);
    }
    return nullptr;
}

}  // namespace keystile::bench
