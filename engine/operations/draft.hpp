// An operation of several keys as its author has it: written down in shared memory for everybody, and in `keys` for
// himself.
//
// While nobody stands in his way he brings it to its end from his own copy, in the steps that anybody would take
// (resolve.hpp, M1-M3): nothing is copied back, so there is nothing to check (R3). The first step that fails tells that
// others are at it; from there he is one of them.
#pragma once

#include "operations/multi.hpp"

namespace keystile::engine {

class Draft {
public:
    Draft(Session& session, MultiKey* const* keys, std::size_t count) noexcept
        : session_(session), lane_(session.lane), keys_(keys), count_(count) {}

    // Descriptor and blocks, judged keys given. kFull, kExhausted, kCorrupt.
    Status write() noexcept;
    // Into the ring. kOk: *position_out; from now on it is everybody's. Else as publish_operation().
    Status publish(Position reserved, Position* position_out) noexcept;
    // Give everything back: nobody has seen it.
    void drop() noexcept;
    // Bring it to its end: as run_operation().
    Status run(Position p) noexcept;

private:
    BlockGrant allocate_scarce(std::uint64_t bytes, shm::Atomic32& note) noexcept;
    Status write_entry(shm::Entry& entry, MultiKey& key) noexcept;
    bool run_alone(Position p) noexcept;
    void recycle(Position p) noexcept;

    Session& session_;
    Lane& lane_;
    MultiKey* const* keys_;
    std::size_t count_;
    BlockGrant grant_;
    shm::Descriptor* descriptor_ = nullptr;
    bool is_scarce_ = false;  // memory: then nothing is kept for later
};

}  // namespace keystile::engine
