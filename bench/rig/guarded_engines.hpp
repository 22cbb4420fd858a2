// The references: the same work over the same index, slots and blocks, guarded by a lock instead.
//
//   mutex    a robust process-shared pthread mutex per key, in an array of one line per slot
//   seqlock  a sequence counter per key, in the slot's own line; a writer that dies inside blocks its key
//
// A commit compares the version, fills a fresh block, makes the slot name it, raises the version. The fresh
// block is what lets a robust mutex keep its promise: whoever dies leaves the old value or the new. A variant
// of each, `…_in_place`, overwrites the block that is there: less work, and a death inside leaves a torn
// value. Kinder to all of them than to the engine: the spare block is at hand (no allocator, no ids),
// references are trusted, nothing is counted, no handle is checked. One call each, not inlined, as a
// library's would be.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cerrno>

#include "operations/operations.hpp"
#include "rig/keystile_engine.hpp"
#include "rig/shared.hpp"

namespace keystile::bench {

// Maps a filled store once; forked children go on using the mapping.
class GuardedStore {
public:
    explicit GuardedStore(const Filled& filled) : keys_(filled.keys()), spares_(kSpares) {
        engine::SegmentOptions options;
        options.must_exist = true;
        need(engine::Segment::open("/dev/shm", filled.file(), options, &segment_) == engine::Status::kOk,
             "mapping a store");
        // The blocks behind the extra keys serve as spares.
        for (std::uint32_t i = 0; i < kSpares; ++i) spares_[i].ref = ref_in(find(keys_ + i));
    }
    GuardedStore(const GuardedStore&) = delete;
    GuardedStore& operator=(const GuardedStore&) = delete;

    std::uint32_t keys() const noexcept { return keys_; }
    engine::shm::Slot& find(std::uint64_t index) const noexcept {
        const KeyName key = key_name(index);
        const engine::KeyBytes bytes{&key, sizeof key};
        engine::shm::Slot* slot = nullptr;
        const auto s =
            engine::find_slot(segment_, bytes, engine::hash_of(bytes, segment_.header().hash_seed), &slot);
        if (s != engine::Status::kOk) [[unlikely]]
            need(false, "finding a key");
        return *slot;
    }
    // Copies the key's value out; its size must fit.
    void read(const engine::shm::Slot& slot, void* value, std::size_t capacity) const noexcept {
        const engine::shm::Block& block = block_at(ref_in(slot));
        const std::uint32_t size = engine::unpack_content(engine::peek(block.head.content)).size;
        if (size > capacity) [[unlikely]]
            need(false, "the value is too large");
        engine::copy_out(value, block.payload, size);
    }
    void overwrite(const engine::shm::Slot& slot, const void* value, std::size_t size) const noexcept {
        engine::copy_in(block_at(ref_in(slot)).payload, value, size);
    }
    // Fill the spare block of the process `rank`, put it in the place of the slot's.
    void exchange(engine::shm::Slot& slot, const void* value, std::size_t size, std::uint64_t version,
                  unsigned rank) const noexcept {
        engine::Ref& spare = spares_[rank].ref;
        engine::shm::Block& block = block_at(spare);
        const auto bytes = static_cast<std::uint32_t>(size);
        engine::poke(block.head.version, version);
        engine::poke(block.head.content,
                     engine::pack(engine::BlockContent{bytes, rank, engine::BlockKind::kValue, 0}));
        engine::poke(block.head.place, static_cast<std::uint64_t>(segment_.ref_of(&slot)));
        engine::copy_in(block.payload, value, size);
        const engine::Ref fresh = spare;
        spare = ref_in(slot);
        std::atomic_ref<std::uint64_t>(slot.word.lo).store(fresh, std::memory_order_release);
    }
    // Dense over the arena: neighbours in it are neighbours here.
    std::uint64_t number_of(const engine::shm::Slot& slot) const noexcept {
        const auto offset = static_cast<std::uint64_t>(reinterpret_cast<const std::byte*>(&slot) - base());
        return (offset - segment_.regions().homes) / sizeof(engine::shm::Slot);
    }
    std::uint64_t numbers() const noexcept {
        const engine::Regions& at = segment_.regions();
        return (at.arena - at.homes + segment_.chunk_count() * engine::kChunkBytes) /
               sizeof(engine::shm::Slot);
    }

private:
    struct alignas(128) Spare {
        engine::Ref ref = 0;
    };
    std::byte* base() const noexcept { return reinterpret_cast<std::byte*>(&segment_.header()); }
    engine::shm::Block& block_at(engine::Ref ref) const noexcept {
        return *reinterpret_cast<engine::shm::Block*>(base() + ref * engine::kRefUnit);
    }
    static engine::Ref ref_in(
        const engine::shm::Slot& slot) noexcept {  // the epoch beside it is 0: nobody claims
        auto& lo = const_cast<std::uint64_t&>(slot.word.lo);
        return static_cast<engine::Ref>(std::atomic_ref<std::uint64_t>(lo).load(std::memory_order_relaxed));
    }

    engine::Segment segment_;
    std::uint32_t keys_;
    Shared<Spare> spares_;
};

enum class Write { kFresh, kInPlace };

struct alignas(64) MutexLine {
    pthread_mutex_t mutex;
};

class Mutexes {
public:
    explicit Mutexes(const GuardedStore& store) : lines_(store.numbers()) {
        pthread_mutexattr_t attributes;
        ::pthread_mutexattr_init(&attributes);
        ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
        for (std::uint32_t index = 0; index < store.keys(); ++index) {
            ::pthread_mutex_init(&lines_[store.number_of(store.find(index))].mutex, &attributes);
        }
        ::pthread_mutexattr_destroy(&attributes);
    }
    pthread_mutex_t& operator[](std::uint64_t number) const noexcept { return lines_[number].mutex; }

private:
    Shared<MutexLine> lines_;
};

class LockedMutex {
public:
    explicit LockedMutex(pthread_mutex_t& mutex) noexcept : mutex_(mutex) {
        if (::pthread_mutex_lock(&mutex) == EOWNERDEAD) [[unlikely]]
            ::pthread_mutex_consistent(&mutex);
    }
    ~LockedMutex() { ::pthread_mutex_unlock(&mutex_); }
    LockedMutex(const LockedMutex&) = delete;
    LockedMutex& operator=(const LockedMutex&) = delete;

private:
    pthread_mutex_t& mutex_;
};

// What all processes share of a reference, and what each has in hand.
template <Write kWrite>
class MutexEngine {
public:
    static constexpr const char* kName = kWrite == Write::kFresh ? "mutex" : "mutex_in_place";
    struct Ground {
        explicit Ground(const Filled& filled) : store(filled), mutexes(store) {}
        GuardedStore store;
        Mutexes mutexes;
    };
    MutexEngine(const Ground& ground, unsigned rank) : ground_(ground), rank_(rank) {}

    [[gnu::noinline]] Attempt commit(std::uint64_t index, std::uint64_t version, const void* value,
                                     std::size_t size) noexcept {
        engine::shm::Slot& slot = ground_.store.find(index);
        const LockedMutex locked(mutex_of(slot));
        const std::uint64_t now = slot.word.hi >> 8;
        if (now != version) return {false, now};
        if constexpr (kWrite == Write::kFresh) {
            ground_.store.exchange(slot, value, size, now + 1, rank_);
        } else {
            ground_.store.overwrite(slot, value, size);
        }
        slot.word.hi += 1u << 8;
        return {true, now + 1};
    }
    [[gnu::noinline]] std::uint64_t get(std::uint64_t index, void* value, std::size_t capacity) noexcept {
        const engine::shm::Slot& slot = ground_.store.find(index);
        const LockedMutex locked(mutex_of(slot));
        ground_.store.read(slot, value, capacity);
        return slot.word.hi >> 8;
    }

private:
    pthread_mutex_t& mutex_of(const engine::shm::Slot& slot) const noexcept {
        return ground_.mutexes[ground_.store.number_of(slot)];
    }
    const Ground& ground_;
    unsigned rank_;
};

// The counter lies where a claim record would; even = nobody writes, and half of it is the version.
template <Write kWrite>
class SeqlockEngine {
public:
    static constexpr const char* kName = kWrite == Write::kFresh ? "seqlock" : "seqlock_in_place";
    struct Ground {
        explicit Ground(const Filled& filled) : store(filled) {
            for (std::uint32_t index = 0; index < store.keys(); ++index) {
                engine::shm::Slot& slot = store.find(index);
                slot.claim.lo = (slot.word.hi >> 8) * 2;
            }
        }
        GuardedStore store;
    };
    SeqlockEngine(const Ground& ground, unsigned rank) : ground_(ground), rank_(rank) {}

    [[gnu::noinline]] Attempt commit(std::uint64_t index, std::uint64_t version, const void* value,
                                     std::size_t size) noexcept {
        engine::shm::Slot& slot = ground_.store.find(index);
        const Counter counter(slot.claim.lo);
        std::uint64_t now = settled(counter);
        for (;;) {
            if (now / 2 != version) return {false, now / 2};
            if (counter.compare_exchange_strong(now, now + 1, std::memory_order_acq_rel)) [[likely]]
                break;
            now = settled(counter);
        }
        std::atomic_thread_fence(std::memory_order_release);  // the odd counter comes before the new bytes
        if constexpr (kWrite == Write::kFresh) {
            ground_.store.exchange(slot, value, size, now / 2 + 1, rank_);
        } else {
            ground_.store.overwrite(slot, value, size);
        }
        counter.store(now + 2, std::memory_order_release);
        return {true, now / 2 + 1};
    }
    [[gnu::noinline]] std::uint64_t get(std::uint64_t index, void* value, std::size_t capacity) noexcept {
        engine::shm::Slot& slot = ground_.store.find(index);
        const Counter counter(slot.claim.lo);
        for (;;) {
            const std::uint64_t before = settled(counter);
            ground_.store.read(slot, value, capacity);
            std::atomic_thread_fence(std::memory_order_acquire);
            if (counter.load(std::memory_order_relaxed) == before) [[likely]]
                return before / 2;
        }
    }

private:
    using Counter = std::atomic_ref<std::uint64_t>;
    // The counter when nobody writes. Waits for the writer, dead or alive: this is what it cannot survive.
    static std::uint64_t settled(const Counter& counter) noexcept {
        for (;;) {
            const std::uint64_t now = counter.load(std::memory_order_acquire);
            if ((now & 1u) == 0) [[likely]]
                return now;
            engine::pause();
        }
    }
    const Ground& ground_;
    unsigned rank_;
};

using Mutex = MutexEngine<Write::kFresh>;
using MutexInPlace = MutexEngine<Write::kInPlace>;
using Seqlock = SeqlockEngine<Write::kFresh>;
using SeqlockInPlace = SeqlockEngine<Write::kInPlace>;

}  // namespace keystile::bench
