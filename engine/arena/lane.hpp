// One session's private side: its identity, its ids, and where it looks for memory first.
//
// Everything here but `record` is process-private and owned by the one thread that is in the session: losing
// it with the process loses hints, never memory.
#pragma once

#include <array>

#include "arena/size_class.hpp"
#include "segment/segment.hpp"

namespace keystile::engine {

// What a session allocated last, by kind: recorded before the allocating CAS, so that a survivor who proves
// the session dead finds everything it may have held in a few looks instead of a sweep over the arena. Of
// value blocks there are two: the one being committed, and the spare.
enum class Holding : int { kValue = 0, kOtherValue = 1, kSlot = 2, kKey = 3, kNode = 4, kDescriptor = 5 };
inline constexpr int kHoldings = 6;
constexpr Holding other_value(Holding h) noexcept {
    return h == Holding::kValue ? Holding::kOtherValue : Holding::kValue;
}

// A block that a session has no more use for, kept HELD for its next commit (arena/spare.hpp).
struct Spare {
    Ref ref = 0;
    std::uint64_t ctl = 0;  // HELD(id)
    SizeClass size_class = 0;
    Holding holding;  // that names it
    std::uint32_t misses = 0;
};

// Blocks this session freed lately: the hottest first.
struct Hints {
    static constexpr std::uint32_t kMax = 32;
    std::uint32_t count = 0;
    std::array<Ref, kMax> ref{};

    void push(Ref hint) noexcept {
        if (count < kMax) ref[count++] = hint;
    }
    Ref pop() noexcept { return count != 0 ? ref[--count] : 0; }
};

// A stretch of a chunk that is being swept for free blocks.
struct Cursor {
    Ref next = 0;
    std::uint32_t left = 0;
    std::uint64_t swept_chunk = 0;  // roving: the last chunk of this class that was swept again
    bool was_virgin = true;         // sweeping an old chunk and opening a new one take turns
};

class Lane {
public:
    Lane() noexcept = default;
    Lane(Segment& segment, SessionId id, ParticipantId participant) noexcept
        : segment_(&segment),
          id_(id),
          participant_(participant),
          record_(segment.session(id.index)),
          sequence_(peek(record_->lane.sequence)) {}

    Segment& segment() const noexcept { return *segment_; }
    SessionId id() const noexcept { return id_; }
    ParticipantId participant() const noexcept { return participant_; }
    shm::Lane& shared() const noexcept { return record_->lane; }

    // A fresh id, 0 when the record's are used up. Written down before it is used, so no later owner can
    // repeat it: the allocating CAS (a locked instruction) comes after this store.
    OwnerId next_id() noexcept {
        if (sequence_ >= kSequenceMax) [[unlikely]]
            return 0;
        poke(record_->lane.sequence, ++sequence_);
        return make_id(id_.index, sequence_);
    }
    // Where a ref of this kind is written down before it is taken.
    shm::Atomic32& note(Holding kind) noexcept { return record_->lane.holding[static_cast<int>(kind)]; }
    void hold(Holding kind, Ref ref) noexcept { poke(note(kind), ref); }
    void count(shm::Counter counter, std::uint64_t more = 1) noexcept {
        engine::count(record_->total.value[counter], more);
    }

    Spare spare{.holding = Holding::kOtherValue};             // the value that the last commit replaced
    Spare spare_descriptor{.holding = Holding::kDescriptor};  // of the last operation of several keys
    std::array<Hints, kClasses> hints{};
    std::array<Cursor, kClasses> cursors{};

private:
    Segment* segment_ = nullptr;
    SessionId id_;
    ParticipantId participant_;
    shm::Session* record_ = nullptr;
    std::uint64_t sequence_ = 0;
};

}  // namespace keystile::engine
