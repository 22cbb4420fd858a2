// A bundle: keys that are only ever committed together, all or nothing, so that one version is the version of all. To
// the rest of the rig it is an engine like the others, its index is the bundle's.
//
//   BundleEngine<k>   a transaction: each key compared with the version that was seen, and overwritten
//   MutexPair         two robust process-shared pthread mutexes, taken in order, around the same work. Kinder to them
//                     than to the engine: whoever dies between the two keys leaves half a commit.
#pragma once

#include <algorithm>

#include "rig/guarded_engines.hpp"

namespace keystile::bench {

inline constexpr std::size_t kBundleValueBytes = 32;

template <std::size_t kCount>
class BundleEngine {
public:
    static constexpr const char* kName = "keystile";
    using Ground = KeystileEngine::Ground;

    BundleEngine(const Ground& ground, unsigned /*rank*/) : opened_(ground.url) {
        need(ks_multi_begin(opened_.session(), &multi_) == KS_OK, "ks_multi_begin");
        const KeyName key = key_name(0);
        const ks_status s = ks_get(opened_.session(), {&key, sizeof key}, nullptr, 0, nullptr, &seen_);
        need(s == KS_TOO_SMALL, "the first key");
    }
    ~BundleEngine() { ks_multi_end(multi_); }
    BundleEngine(const BundleEngine&) = delete;
    BundleEngine& operator=(const BundleEngine&) = delete;

    Attempt commit(std::uint64_t index, std::uint64_t version, const void* value, std::size_t size) noexcept {
        ks_multi_reset(multi_);
        for (std::size_t i = 0; i < kCount; ++i) {
            const KeyName key = key_name(index * kCount + i);
            check(ks_multi_expect(multi_, {&key, sizeof key}, {version, seen_.epoch}));
            check(ks_multi_put(multi_, {&key, sizeof key}, {value, size}, nullptr));
        }
        const ks_status s = ks_multi_commit(multi_);
        if (s != KS_CONFLICT) check(s);
        // They were looked at one after the other: after a conflict the newest counts.
        std::uint64_t now = 0;
        for (std::size_t i = 0; i < (s == KS_OK ? 1 : kCount); ++i) {
            ks_multi_result result;
            check(ks_multi_item(multi_, i, &result));
            now = std::max(now, result.stamp.version);
        }
        return {s == KS_OK, now};
    }

    // The version of all, the first one's value.
    std::uint64_t get(std::uint64_t index, void* value, std::size_t capacity) noexcept {
        const KeyName key = key_name(index * kCount);
        ks_stamp seen;
        check(ks_get(opened_.session(), {&key, sizeof key}, value, capacity, nullptr, &seen));
        return seen.version;
    }

private:
    static void check(ks_status s) noexcept {
        if (s != KS_OK) [[unlikely]]
            need(false, ks_status_name(s));
    }

    Opened opened_;
    ks_multi* multi_ = nullptr;
    ks_stamp seen_{};
};

template <Write kWrite>
class MutexPair {
public:
    static constexpr const char* kName = MutexEngine<kWrite>::kName;
    using Ground = typename MutexEngine<kWrite>::Ground;
    MutexPair(const Ground& ground, unsigned rank) : ground_(ground), rank_(rank) {}

    [[gnu::noinline]] Attempt commit(std::uint64_t index, std::uint64_t version, const void* value,
                                     std::size_t size) noexcept {
        engine::shm::Slot& one = ground_.store.find(index * 2);
        engine::shm::Slot& other = ground_.store.find(index * 2 + 1);
        const LockedMutex first(mutex_of(std::min(&one, &other)));
        const LockedMutex second(mutex_of(std::max(&one, &other)));
        const std::uint64_t now = one.word.hi >> 8;
        if (now != version || other.word.hi >> 8 != version) return {false, now};
        for (engine::shm::Slot* slot : {&one, &other}) {
            if constexpr (kWrite == Write::kFresh) {
                ground_.store.exchange(*slot, value, size, now + 1, rank_);
            } else {
                ground_.store.overwrite(*slot, value, size);
            }
            slot->word.hi += 1u << 8;
        }
        return {true, now + 1};
    }
    std::uint64_t get(std::uint64_t index, void* value, std::size_t capacity) noexcept {
        const engine::shm::Slot& slot = ground_.store.find(index * 2);
        const LockedMutex locked(mutex_of(&slot));
        ground_.store.read(slot, value, capacity);
        return slot.word.hi >> 8;
    }
    // Somebody holds one of the two.
    bool would_wait(std::uint64_t index) noexcept {
        for (std::uint64_t i = 0; i < 2; ++i) {
            pthread_mutex_t& mutex = mutex_of(&ground_.store.find(index * 2 + i));
            if (::pthread_mutex_trylock(&mutex) != 0) return true;
            ::pthread_mutex_unlock(&mutex);
        }
        return false;
    }

private:
    pthread_mutex_t& mutex_of(const engine::shm::Slot* slot) const noexcept {
        return ground_.mutexes[ground_.store.number_of(*slot)];
    }
    const Ground& ground_;
    unsigned rank_;
};

}  // namespace keystile::bench
