// A segment as this process has it: created whole or found, validated, mapped once, grown on demand.
//
// S1  Nobody sees a half-made segment: it is built in an unnamed file and linked into place.
// S2  What is behind a region's limit is not allocated and not touched: a full file system is kFull, not
//     SIGBUS.
// S3  Every ref is bounds-checked before it is followed. The layout is recomputed from two checked numbers.
// Threads: all of it may be called by any. A death while growing leaves allocated bytes behind the limit; the
// next grower allocates them again, which costs nothing.
#pragma once

#include <string>

#include "segment/layout.hpp"

namespace keystile::engine {

struct SegmentOptions {
    bool must_exist = false;
    bool must_create = false;
    bool is_read_only = false;
    bool has_group = false;
    bool is_prefaulted = false;
    bool has_huge_pages = false;
    std::uint32_t group = 0;
    std::uint64_t expected_keys = 0;
    std::uint64_t max_bytes = 0;
    std::uint32_t ring_bits = kRingBitsDefault;
    bool is_durable = false;  // of a new one; who attaches finds what it is
};

class Segment {
public:
    // folder + "/" + file. Racing creators: one links first, the others attach to his.
    static Status open(const std::string& folder, const std::string& file, const SegmentOptions& options,
                       Segment* segment_out) noexcept;

    shm::Header& header() const noexcept { return *reinterpret_cast<shm::Header*>(base_); }
    const Regions& regions() const noexcept { return regions_; }
    std::uint32_t root_bits() const noexcept { return root_bits_; }
    const File& file() const noexcept { return file_; }
    File& file() noexcept { return file_; }
    const std::string& path() const noexcept { return path_; }
    bool is_read_only() const noexcept { return is_read_only_; }

    shm::Atomic64* root() const noexcept { return reinterpret_cast<shm::Atomic64*>(base_ + regions_.root); }
    shm::Participant* participant(std::uint32_t index) const noexcept {
        return reinterpret_cast<shm::Participant*>(base_ + regions_.participants) + index;
    }
    shm::Session* session(std::uint32_t index) const noexcept {
        return reinterpret_cast<shm::Session*>(base_ + regions_.sessions) + index;
    }
    shm::Chunk* chunk(std::uint64_t index) const noexcept {
        return reinterpret_cast<shm::Chunk*>(base_ + regions_.chunks) + index;
    }
    // Home slots: where a key's slot lies if there is room, so that a lookup finds it without the index.
    // Allocated page by page; a pair of a page that is not allocated is not touched.
    std::uint64_t home_pair_of(std::uint64_t hash) const noexcept { return hash & (regions_.home_pairs - 1); }
    bool has_home(std::uint64_t pair) const noexcept {
        const std::uint64_t page = pair / kPairsPerPage;
        // order[segment.home_map.load]: acquire. Partner: grow_home: what the bit stands for was allocated
        //   before.
        return ((home_map()[page / 64].load(memory_order_acquire) >> (page % 64)) & 1u) != 0;
    }
    shm::Slot* home(std::uint64_t pair) const noexcept {
        return reinterpret_cast<shm::Slot*>(base_ + regions_.homes) + pair * 2;
    }
    Status grow_home(std::uint64_t pair) noexcept;
    // A slot by its ref: in the arena or at a home; nullptr if the ref is crooked or leads to nothing
    // allocated.
    shm::Slot* slot_at(Ref ref) const noexcept {
        if (ref % (sizeof(shm::Slot) / kRefUnit) != 0) return nullptr;
        const std::uint64_t offset = ref * kRefUnit;
        if (offset - regions_.homes < regions_.chunks - regions_.homes) {
            const std::uint64_t pair = (offset - regions_.homes) / (2 * sizeof(shm::Slot));
            return has_home(pair) ? at_checked<shm::Slot>(ref) : nullptr;
        }
        return at<shm::Slot>(ref);
    }
    bool is_home(Ref ref) const noexcept {
        return ref * kRefUnit - regions_.homes < regions_.chunks - regions_.homes;
    }

    std::uint64_t ring_cells() const noexcept { return 1ull << ring_bits_; }
    // Every commit goes through the ring, and its version is its position.
    bool is_durable() const noexcept { return is_durable_; }
    // While nobody else sees it: so many positions, a multiple of the cells, were used up by earlier incarnations.
    void start_ring(std::uint64_t positions) noexcept;
    Word128* ring_cell(std::uint64_t index) const noexcept {
        return reinterpret_cast<Word128*>(base_ + regions_.ring) + index;
    }

    // How many records of each are allocated (and so may be touched).
    std::uint32_t participant_count() const noexcept;
    std::uint32_t session_count() const noexcept;
    std::uint64_t chunk_count() const noexcept;

    // Into the arena, or nullptr if any of the bytes lies outside what is allocated.
    template <class T>
    T* at(Ref ref) const noexcept {
        static_assert(sizeof(T) <=
                      kChunkBytes);  // and at least a chunk is known, so the subtraction cannot wrap
        const std::uint64_t offset = ref * kRefUnit;
        // One comparison for both ends: below the arena the left side wraps to a huge number.
        if (offset - regions_.arena > peek(arena_known_) - sizeof(T)) [[unlikely]] {
            if (!is_allocated(offset, sizeof(T))) return nullptr;
        }
        return reinterpret_cast<T*>(base_ + offset);
    }
    // The same for an object with a payload behind it.
    template <class T>
    T* at(Ref ref, std::uint64_t bytes) const noexcept {
        const std::uint64_t offset = ref * kRefUnit;
        const std::uint64_t known = peek(arena_known_);
        if (bytes > known || offset - regions_.arena > known - bytes) [[unlikely]] {
            if (!is_allocated(offset, bytes)) return nullptr;
        }
        return reinterpret_cast<T*>(base_ + offset);
    }
    // How many allocated bytes lie from a ref to the end of what is known to be allocated; 0 for a ref that
    // is none.
    std::uint64_t bytes_from(Ref ref) const noexcept {
        const std::uint64_t offset = ref * kRefUnit - regions_.arena;
        const std::uint64_t known = peek(arena_known_);
        if (offset < known) [[likely]]
            return known - offset;
        return 0;
    }
    // Without a look at the bounds: for refs that this process checked before (slots and blocks never go
    // away).
    template <class T>
    T* at_checked(Ref ref) const noexcept {
        return reinterpret_cast<T*>(base_ + ref * kRefUnit);
    }
    Ref ref_of(const void* address) const noexcept {
        return static_cast<Ref>(static_cast<std::uint64_t>(static_cast<const std::byte*>(address) - base_) /
                                kRefUnit);
    }
    std::uint64_t chunk_of(Ref ref) const noexcept { return (ref * kRefUnit - regions_.arena) / kChunkBytes; }
    Ref chunk_ref(std::uint64_t index) const noexcept {
        return static_cast<Ref>((regions_.arena + index * kChunkBytes) / kRefUnit);
    }

    // What the header says otherwise than when it was validated, as a sentence; nullptr if nothing. This process
    // goes on by what it validated, but whoever opens the store next is refused.
    const char* header_problem() const noexcept;

    // Make room for at least `count` records; kFull, kParticipants (the record tables), kReadOnly.
    Status grow_participants(std::uint32_t count) noexcept;
    Status grow_sessions(std::uint32_t count) noexcept;
    Status grow_arena(std::uint64_t chunks) noexcept;

private:
    static constexpr std::uint64_t kPairsPerPage = kPageBytes / (2 * sizeof(shm::Slot));
    shm::Atomic64* home_map() const noexcept {
        return reinterpret_cast<shm::Atomic64*>(base_ + regions_.home_map);
    }
    bool is_allocated(std::uint64_t offset, std::uint64_t bytes) const noexcept;
    Status grow(shm::Limit& limit, std::uint64_t region, std::uint64_t bytes,
                std::uint64_t bytes_max) noexcept;
    static Status create(const std::string& folder, const std::string& path,
                         const SegmentOptions& options) noexcept;
    Status attach(const SegmentOptions& options) noexcept;
    Status validate() noexcept;

    File file_;
    Mapping mapping_;
    std::byte* base_ = nullptr;
    Regions regions_{};
    std::uint32_t root_bits_ = 0;
    std::uint32_t ring_bits_ = 0;
    bool is_durable_ = false;
    std::uint64_t store_id_ = 0;
    bool is_read_only_ = false;
    std::string path_;
    mutable shm::Atomic64 arena_known_{
        0};  // bytes of the arena that this process has seen allocated: at least a chunk
};

// All who have it open, or will, are told that it is destroyed; its file stays. Nothing if it cannot be opened.
void condemn_segment(const std::string& folder, const std::string& file) noexcept;
// Remove a store's file. With is_forced also a damaged one; a live participant refuses it unless forced.
Status destroy_segment(const std::string& folder, const std::string& file, bool is_forced) noexcept;

}  // namespace keystile::engine
