// What calls take and give: outcomes and faults, bytes, stamps, owners, keys, results, options. Part of
// keystile.hpp.
//
// All of these are plain values; any thread may use its own copy.
#pragma once

#include <keystile.h>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace keystile::inline v0 {

using std::chrono::nanoseconds;

// As a timeout: no end. As a lease: until the owner dies.
inline constexpr nanoseconds forever = nanoseconds::max();

// ---- Outcomes and faults ----------------------------------------------------------------------------------------

// What a call came to. Numbered as ks_status; every fault is Outcome::fault, and Result::status says which.
enum class Outcome : int {
    ok = KS_OK,
    conflict = KS_CONFLICT,  // the version moved: read fresh, recompute, commit again
    fenced = KS_FENCED,  // the epoch moved: the claim, or the read, is from before someone else's ownership
    held = KS_HELD,      // someone's live claim: wait, or ask again later
    not_found = KS_NOT_FOUND,        // never written, or deleted
    timeout = KS_TIMEOUT,            // the time given ran out
    lagged = KS_LAGGED,              // a feed: checkpoints replaced what was to be read
    too_small = KS_TOO_SMALL,        // the caller's buffer is smaller than the value
    busy = KS_BUSY,                  // a bounded number of tries was lost to others
    foreign_edit = KS_FOREIGN_EDIT,  // plain files: another program wrote the file
    fault = -1,
};

// A fault as an exception: the status, errno if the system said no, and the library's sentence about it.
class Error : public std::runtime_error {
public:
    Error(ks_status status, const std::string& message, int system_errno = 0)
        : std::runtime_error(std::string(ks_status_name(status)) + ": " + message),
          status_(status),
          system_errno_(system_errno) {}

    // The fault that this thread met last.
    [[nodiscard]] static Error last(ks_status status) { return {status, ks_last_error(), ks_last_errno()}; }

    [[nodiscard]] ks_status status() const noexcept { return status_; }
    [[nodiscard]] int system_errno() const noexcept { return system_errno_; }

private:
    ks_status status_;
    int system_errno_;
};

// The base of everything that a call returns. Ignoring one is a bug: the call may not have done what was asked.
struct [[nodiscard]] Result {
    ks_status status = KS_OK;

    [[nodiscard]] Outcome outcome() const noexcept {
        return is_fault() ? Outcome::fault : static_cast<Outcome>(status);
    }
    [[nodiscard]] bool ok() const noexcept { return status == KS_OK; }
    [[nodiscard]] bool is_fault() const noexcept { return status < 0; }
    [[nodiscard]] std::string_view name() const noexcept { return ks_status_name(status); }
    explicit operator bool() const noexcept { return ok(); }

    // Throws Error if this is a fault; answers pass. Call it before this thread's next call: the message is the
    // thread's last one.
    void throw_if_fault() const {
        if (is_fault()) throw Error::last(status);
    }
};

// ---- Values that calls take and give ----------------------------------------------------------------------------

template <class Range>
concept ByteRange = std::ranges::contiguous_range<Range> && std::ranges::sized_range<Range> &&
                    !std::is_array_v<std::remove_cvref_t<Range>> &&
                    (std::same_as<std::ranges::range_value_t<Range>, char> ||
                     std::same_as<std::ranges::range_value_t<Range>, unsigned char> ||
                     std::same_as<std::ranges::range_value_t<Range>, std::byte>);

// A view of bytes. Made from string literals, std::string(_view), std::span and std::vector of char, unsigned
// char or std::byte. As with every view, what it looks at must outlive the call that takes it.
class Bytes {
public:
    constexpr Bytes() noexcept = default;
    constexpr Bytes(const char* text) noexcept : data_(text), size_(std::char_traits<char>::length(text)) {}
    Bytes(std::nullptr_t) = delete;
    template <ByteRange Range>
    constexpr Bytes(const Range& range) noexcept
        : data_(std::ranges::data(range)), size_(std::ranges::size(range)) {}
    constexpr Bytes(const void* data, std::size_t size) noexcept : data_(data), size_(size) {}

    [[nodiscard]] constexpr const void* data() const noexcept { return data_; }
    [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::string_view text() const noexcept { return {static_cast<const char*>(data_), size_}; }
    operator ks_bytes() const noexcept { return {data_, size_}; }

private:
    const void* data_ = nullptr;
    std::size_t size_ = 0;
};

// What a reader saw, and what its commit hands back. Stamp{} means "never written". Compare only stamps of one key.
struct Stamp : ks_stamp {
    constexpr Stamp() noexcept : ks_stamp{0, 0} {}
    constexpr Stamp(const ks_stamp& stamp) noexcept : ks_stamp(stamp) {}
    constexpr Stamp(std::uint64_t version_now, std::uint64_t epoch_now) noexcept
        : ks_stamp{version_now, epoch_now} {}
    friend constexpr bool operator==(const Stamp& a, const Stamp& b) noexcept {
        return a.version == b.version && a.epoch == b.epoch;
    }
};

// Who holds a claim.
struct Owner : ks_owner {
    Owner() noexcept : ks_owner{} {}
    Owner(const ks_owner& owner) noexcept : ks_owner(owner) {}
    [[nodiscard]] std::string_view name() const noexcept {
        return {label, static_cast<std::size_t>(std::find(label, label + KS_LABEL_SIZE, '\0') - label)};
    }
    // Zero: over, whoever meets the claim may take it. `forever`: until the owner dies.
    [[nodiscard]] nanoseconds lease_left() const noexcept {
        constexpr auto most = static_cast<std::uint64_t>(nanoseconds::max().count());
        return nanoseconds(static_cast<nanoseconds::rep>(std::min(lease_left_ns, most)));
    }
};

// A resolved key: calls that take it skip hashing and lookup. Good in every session of the store it came from.
class Key {
public:
    Key() = default;
    [[nodiscard]] const std::string& name() const noexcept { return name_; }

private:
    friend class KeyRef;
    friend class Session;
    std::string name_;
    ks_key handle_{};
};

// How calls take a key: as its bytes, or as a Key.
class KeyRef {
public:
    template <class Name>
        requires std::convertible_to<const Name&, Bytes>
    KeyRef(const Name& name) noexcept : name_(name) {}
    KeyRef(const Key& key) noexcept : name_(key.name_), handle_(&key.handle_) {}

    [[nodiscard]] Bytes name() const noexcept { return name_; }
    [[nodiscard]] const ks_key* handle() const noexcept { return handle_; }  // null: not resolved

private:
    Bytes name_;
    const ks_key* handle_ = nullptr;
};

// ok: value and stamp; not_found: no value, and the stamp that creates it
struct [[nodiscard]] Read : Result {
    Stamp stamp;
    std::string value;
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
        return std::as_bytes(std::span(value));
    }
    [[nodiscard]] std::optional<std::string_view> text() const noexcept {
        return ok() ? std::optional<std::string_view>(value) : std::nullopt;
    }
};

// ok: size bytes were written; too_small: size is what is needed
struct [[nodiscard]] ReadInto : Result {
    Stamp stamp;
    std::size_t size = 0;
};

// ok: one Read per key, in the order asked, each with its own status
struct [[nodiscard]] ReadMany : Result {
    std::vector<Read> reads;
};

struct [[nodiscard]] Resolved : Result {
    Key key;
};

// ok: the new stamp; conflict, fenced, held: the current one
struct [[nodiscard]] Receipt : Result {
    Stamp stamp;
    std::uint64_t lsn = 0;  // the commit's place in the store's history; 0 in a volatile store
    Owner owner;            // held only
};

// ok: the stamp now
struct [[nodiscard]] Watched : Result {
    Stamp stamp;
};

struct [[nodiscard]] Updated : Receipt {
    bool is_changed = false;  // ok and false: the function left the key alone
    std::uint64_t tries = 0;  // how often it was called
};

// One key of Session::list; the views live during the callback.
struct Entry {
    std::string_view key;
    Stamp stamp;
    std::size_t value_size;
    bool is_deleted;
    std::optional<Owner> owner;  // of the claim, if there is one
};

// ---- Options ------------------------------------------------------------------------------------------------------

struct OpenOptions {
    enum class Mode { open_or_create, must_exist, must_create };
    Mode mode = Mode::open_or_create;
    bool is_read_only = false;             // no participant; implies must_exist
    bool prefault = false;                 // no commit pays a page fault later
    bool huge_pages = false;               // needs a file system that gives them
    std::optional<std::uint32_t> group{};  // create with mode 0660 and this group id
    std::uint64_t expected_keys = 0;       // on creation; 0 = 65,536; more keys are fine
    std::uint64_t max_bytes = 0;           // on creation: address space; 0 = 64 GiB
    std::string label{};                   // shown to those who meet this process; empty = the program's name
};

struct ClaimOptions {
    nanoseconds lease{0};      // 1 ms .. one year; 0 or forever = until the owner dies
    nanoseconds wait{0};       // for another's claim to end; 0 = answer held at once
    bool is_detached = false;  // owned by whoever has the token, not by this session; needs a lease
};

struct RetryOptions {
    std::uint64_t tries_max = 0;     // 0 = no bound; running out of it is Outcome::busy
    nanoseconds time_max = forever;  // running out of it is Outcome::timeout
    nanoseconds backoff_max = std::chrono::milliseconds(1);  // the longest pause after a loss
};

}  // namespace keystile::inline v0
