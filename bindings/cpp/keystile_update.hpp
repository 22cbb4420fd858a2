// The parts of Session::update: what its function may return, how it is called, how losers pause. Part of
// keystile.hpp.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>

#include "keystile_values.hpp"

namespace keystile::inline v0 {

struct keep_t {};
struct erase_t {};
inline constexpr keep_t keep{};    // leave the key alone
inline constexpr erase_t erase{};  // delete it

// One return type for a function that sometimes writes, sometimes keeps, sometimes erases:
//     [](std::string_view old) -> keystile::Edit { if (old.empty()) return keystile::keep; return "next"; }
class Edit {
public:
    Edit(keep_t) noexcept {}
    Edit(erase_t) noexcept : is_erase_(true) {}
    Edit(std::nullopt_t) noexcept {}
    Edit(std::string value) noexcept : value_(std::move(value)) {}
    template <class Value>
        requires(std::convertible_to<const Value&, Bytes> && !std::same_as<Value, std::string>)
    Edit(const Value& value) : value_(Bytes(value).text()) {}

    [[nodiscard]] bool is_keep() const noexcept { return !value_ && !is_erase_; }
    [[nodiscard]] bool is_erase() const noexcept { return is_erase_; }
    [[nodiscard]] const std::optional<std::string>& value() const noexcept { return value_; }

private:
    std::optional<std::string> value_;
    bool is_erase_ = false;
};

namespace detail {

// Calls the function in the first of the documented forms that it accepts.
template <class Fn>
decltype(auto) recompute(Fn& fn, const Read& read) {
    if constexpr (std::is_invocable_v<Fn&, const Read&>) {
        return std::invoke(fn, read);
    } else if constexpr (std::is_invocable_v<Fn&, std::optional<std::string_view>>) {
        return std::invoke(fn, read.text());
    } else if constexpr (std::is_invocable_v<Fn&, std::string_view>) {
        return std::invoke(fn, std::string_view(read.value));
    } else {
        static_assert(std::is_invocable_v<Fn&, std::span<const std::byte>>,
                      "update() calls fn with a std::string_view, std::optional<std::string_view>, "
                      "std::span<const std::byte> or const keystile::Read&");
        return std::invoke(fn, read.bytes());
    }
}

// What to do, without copying what the function returned.
struct Plan {
    std::optional<Bytes> value;
    bool is_erase = false;
};

template <class Type>
inline constexpr bool is_optional = false;
template <class Type>
inline constexpr bool is_optional<std::optional<Type>> = true;

template <class Returned>
Plan plan(const Returned& returned) {
    if constexpr (std::same_as<Returned, keep_t> || std::same_as<Returned, std::nullopt_t>) {
        return {};
    } else if constexpr (std::same_as<Returned, erase_t>) {
        return {std::nullopt, true};
    } else if constexpr (std::same_as<Returned, Edit>) {
        if (const auto& value = returned.value()) return plan(*value);
        return {std::nullopt, returned.is_erase()};
    } else if constexpr (is_optional<Returned>) {
        return returned ? plan(*returned) : Plan{};
    } else {
        static_assert(std::convertible_to<const Returned&, Bytes>,
                      "update()'s fn returns text or bytes, a std::optional of them, keystile::keep, "
                      "keystile::erase or keystile::Edit");
        return {Bytes(returned), false};
    }
}

// The pauses of a retry loop: none for the first losses (the winner is done already), then random up to a
// bound that doubles, so that losers spread out instead of meeting again.
class Backoff {
public:
    explicit Backoff(const RetryOptions& options) noexcept : options_(options), start_(Clock::now()) {}

    // Time left, at least zero.
    [[nodiscard]] nanoseconds left() const noexcept {
        if (options_.time_max == forever) return forever;
        return std::max(nanoseconds(0), options_.time_max - nanoseconds(Clock::now() - start_));
    }

    // After a try that did not win: KS_OK to go on, else why not.
    [[nodiscard]] ks_status lost(std::uint64_t tries) const noexcept {
        if (options_.tries_max != 0 && tries >= options_.tries_max) return KS_BUSY;
        return left().count() == 0 ? KS_TIMEOUT : KS_OK;
    }

    void pause() {
        if (++losses_ <= kLossesWithoutPause) return;
        const int doublings = std::min(losses_ - kLossesWithoutPause, 30);
        const nanoseconds bound =
            std::min({options_.backoff_max, kFirstPause * (std::int64_t{1} << doublings), left()});
        if (bound.count() <= 0) return;
        const nanoseconds pause(
            static_cast<std::int64_t>(random() % (static_cast<std::uint64_t>(bound.count()) + 1)));
        if (pause < kShortestSleep) {
            std::this_thread::yield();
        } else {
            std::this_thread::sleep_for(pause);
        }
    }

private:
    using Clock = std::chrono::steady_clock;
    static constexpr int kLossesWithoutPause = 3;
    static constexpr nanoseconds kFirstPause{2000};      // some ten commits of the winner
    static constexpr nanoseconds kShortestSleep{50000};  // Linux rounds a sleep up by about this much

    // splitmix64, seeded at the first pause: forked processes and threads must not pause in step.
    std::uint64_t random() noexcept {
        if (state_ == 0) {
            state_ = static_cast<std::uint64_t>(Clock::now().time_since_epoch().count()) ^
                     (static_cast<std::uint64_t>(::getpid()) << 32) ^ reinterpret_cast<std::uintptr_t>(this);
        }
        std::uint64_t mixed = state_ += 0x9e3779b97f4a7c15;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
        return mixed ^ (mixed >> 31);
    }

    const RetryOptions& options_;
    Clock::time_point start_;
    int losses_ = 0;
    std::uint64_t state_ = 0;
};

}  // namespace detail

}  // namespace keystile::inline v0
