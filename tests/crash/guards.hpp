// What the scenarios of the guards are written with, and the list of those of the ring.
#pragma once

#include <csignal>
#include <cstdio>
#include <memory>
#include <ostream>
#include <span>

#include "abi/abi.hpp"
#include "crash/world.hpp"

namespace keystile::testing {

// A guard of the engine, and a scenario that holds with it and not without.
struct Guard {
    const char* name;
    bool (*scenario)();
    friend void PrintTo(const Guard& guard, std::ostream* out) { *out << guard.name; }
};
std::span<const Guard> guards_of_ring();

#define HOLDS(condition)                                                                 \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            return false;                                                                \
        }                                                                                \
    } while (false)

inline std::string get(const Attached& at, std::string_view key) {
    char buffer[256];
    std::size_t size = 0;
    const ks_status s = ks_get(at.session, bytes(key), buffer, sizeof buffer, &size, nullptr);
    return s == KS_OK ? std::string(buffer, size) : ks_status_name(s);
}

inline ks_stamp stamp_of(const Attached& at, std::string_view key) {
    ks_stamp seen{};
    (void)ks_get(at.session, bytes(key), nullptr, 0, nullptr, &seen);
    return seen;
}

inline ks_status put(const Attached& at, std::string_view key, std::string_view value) {
    return ks_commit(at.session, bytes(key), stamp_of(at, key), bytes(value), nullptr, nullptr);
}

inline ks_status put_granted(const Attached& at, const ks_grant& grant, std::string_view key,
                             std::string_view value) {
    ks_commit_options options{};
    options.struct_size = sizeof options;
    options.grant = &grant;
    const ks_stamp seen{stamp_of(at, key).version, grant.stamp.epoch};
    return ks_commit(at.session, bytes(key), seen, bytes(value), &options, nullptr);
}

inline ks_status claim(const Attached& at, std::string_view key, ks_grant* grant_out) {
    return ks_claim(at.session, bytes(key), nullptr, grant_out, nullptr);
}

// Another process that does `act` and comes by `steps` on its way.
template <class Act>
std::unique_ptr<Child> other(const TestStore& store, std::vector<Step> steps, Act act) {
    return std::make_unique<Child>([&store, steps = std::move(steps), act](const Child::Line&) {
        const Attached self(store.url());
        arm(steps);
        return static_cast<int>(act(self));
    });
}

inline bool is_clean(const TestStore& store) {
    const std::string wrong = scan(store.url());
    std::fputs(wrong.c_str(), stderr);
    return wrong.empty();
}

inline ks_status put_two(const Attached& at, std::string_view one, std::string_view two,
                         std::string_view value) {
    ks_multi* multi = nullptr;
    ks_status s = ks_multi_begin(at.session, &multi);
    for (const std::string_view key : {one, two})
        if (s == KS_OK) s = ks_multi_put(multi, bytes(key), bytes(value), nullptr);
    if (s == KS_OK) s = ks_multi_commit(multi);
    ks_multi_end(multi);
    return s;
}

inline engine::shm::Slot* slot_of(const Attached& at, std::string_view key) {
    ks_key handle{};
    return ks_resolve(at.session, bytes(key), &handle) == KS_OK
               ? engine::abi::slot_of(*at.store->store, handle)
               : nullptr;
}

// Two keys, the one with the lower slot first.
inline std::pair<std::string, std::string> by_slot(const Attached& at, std::string one, std::string two) {
    if (slot_of(at, one) > slot_of(at, two)) std::swap(one, two);
    return {one, two};
}

// Every block of the small class gets a new owner: whatever was free is somebody's now.
inline bool take_every_block(const Attached& at, std::string_view value) {
    for (int i = 0; i < 700; ++i)
        if (put(at, "n" + std::to_string(i), value) != KS_OK) return false;
    return true;
}

}  // namespace keystile::testing
