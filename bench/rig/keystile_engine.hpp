// Keystile as the benchmarks use it: through the C interface, by the key's bytes.
#pragma once

#include "rig/store.hpp"

namespace keystile::bench {

// What one attempt to commit brought: won, or the version that it should have carried.
struct Attempt {
    bool is_won;
    std::uint64_t version;  // the key's now
};

class KeystileEngine {
public:
    static constexpr const char* kName = "keystile";

    struct Ground {
        explicit Ground(const Filled& filled) : url(filled.url()) {}
        std::string url;
    };
    KeystileEngine(const Ground& ground, unsigned /*rank*/) : opened_(ground.url) {
        const KeyName key = key_name(0);
        const ks_status s = ks_get(opened_.session(), {&key, sizeof key}, nullptr, 0, nullptr, &seen_);
        need(s == KS_TOO_SMALL, "the first key");
    }

    Attempt commit(std::uint64_t index, std::uint64_t version, const void* value, std::size_t size) noexcept {
        const KeyName key = key_name(index);
        ks_receipt receipt;
        // Nobody claims anything here, so every key has the epoch of the first.
        const ks_status s = ks_commit(opened_.session(), {&key, sizeof key}, {version, seen_.epoch},
                                      {value, size}, nullptr, &receipt);
        if (s != KS_OK && s != KS_CONFLICT) [[unlikely]]
            need(false, ks_status_name(s));
        return {s == KS_OK, receipt.stamp.version};
    }

    // The key's version; its value in `value`.
    std::uint64_t get(std::uint64_t index, void* value, std::size_t capacity) noexcept {
        const KeyName key = key_name(index);
        ks_stamp seen;
        size_t size = 0;
        const ks_status s = ks_get(opened_.session(), {&key, sizeof key}, value, capacity, &size, &seen);
        if (s != KS_OK) [[unlikely]]
            need(false, ks_status_name(s));
        return seen.version;
    }

    ks_session* session() const noexcept { return opened_.session(); }

private:
    Opened opened_;
    ks_stamp seen_{};
};

}  // namespace keystile::bench
