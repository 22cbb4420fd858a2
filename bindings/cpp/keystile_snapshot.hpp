// Many keys as they were at one instant: made by Session::snapshot and Session::snapshot_of. Part of keystile.hpp.
#pragma once

#include <keystile.h>

#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <string_view>

#include "keystile_values.hpp"

namespace keystile::inline v0 {

// A consistent cut, copied out: the values that its keys had at one instant. Move-only. Readable for as long as it
// lives, also after the session and the store are closed, by any threads.
class Snapshot {
public:
    struct Entry {
        std::string_view key;  // key and value live as long as the snapshot
        std::string_view value;
        Stamp stamp;
        bool is_found = false;  // false: given keys only, it had no value
    };

    class Iterator {
    public:
        using value_type = Entry;
        using difference_type = std::ptrdiff_t;

        Iterator() noexcept = default;
        [[nodiscard]] Entry operator*() const noexcept { return (*snapshot_)[index_]; }
        Iterator& operator++() noexcept {
            ++index_;
            return *this;
        }
        Iterator operator++(int) noexcept {
            Iterator before = *this;
            ++index_;
            return before;
        }
        friend bool operator==(const Iterator& a, const Iterator& b) noexcept { return a.index_ == b.index_; }

    private:
        friend class Snapshot;
        Iterator(const Snapshot* snapshot, std::size_t index) noexcept : snapshot_(snapshot), index_(index) {}
        const Snapshot* snapshot_ = nullptr;
        std::size_t index_ = 0;
    };

    Snapshot() noexcept = default;

    // In the order of the keys, or as they were given.
    [[nodiscard]] std::size_t size() const noexcept { return ks_snapshot_size(native()); }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    // index < size()
    [[nodiscard]] Entry operator[](std::size_t index) const noexcept {
        ks_snapshot_entry told{};
        ks_snapshot_at(native(), index, &told);
        return entry(told);
    }
    [[nodiscard]] Iterator begin() const noexcept { return {this, 0}; }
    [[nodiscard]] Iterator end() const noexcept { return {this, size()}; }

    // Nothing: not in the snapshot, or without a value in it.
    [[nodiscard]] std::optional<Entry> find(Bytes key) const noexcept {
        ks_snapshot_entry told{};
        if (native() == nullptr || ks_snapshot_get(native(), key, &told) != KS_OK) return std::nullopt;
        return entry(told);
    }

    [[nodiscard]] ks_snapshot* native() const noexcept { return snapshot_.get(); }
    [[nodiscard]] explicit operator bool() const noexcept { return snapshot_ != nullptr; }

private:
    friend class Session;
    struct Close {
        void operator()(ks_snapshot* snapshot) const noexcept { ks_snapshot_close(snapshot); }
    };
    explicit Snapshot(ks_snapshot* snapshot) noexcept : snapshot_(snapshot) {}

    static Entry entry(const ks_snapshot_entry& told) noexcept {
        return {Bytes(told.key.data, told.key.size).text(), Bytes(told.value.data, told.value.size).text(),
                told.stamp, told.status == KS_OK};
    }

    std::unique_ptr<ks_snapshot, Close> snapshot_;
};

// ok · busy (more than KS_MULTI_KEYS_MAX keys that others kept changing: ask again) · fault
struct [[nodiscard]] SnapshotTaken : Result {
    Snapshot snapshot;
};

}  // namespace keystile::inline v0
