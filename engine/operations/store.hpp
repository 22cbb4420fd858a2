// A store as this process has it open, and a session in it.
//
// Threads: a Store by any; a Session by the one thread that is in it. After fork: neither (abi/ refuses).
#pragma once

#include <memory>
#include <string>

#include "ring/ring.hpp"
#include "slots/slots.hpp"

namespace keystile::engine {

// What a caller saw: the version, and the epoch as the 63-bit token {incarnation : 24, epoch : 39}, which
// never decreases over the life of a store, rebuilds included.
struct Stamp {
    std::uint64_t version = 0;
    std::uint64_t epoch = 0;
};

class Writer;

struct Store {
    Store() noexcept;
    ~Store();
    Segment segment;
    ParticipantId self;            // meaningless in a read-only store
    std::uint64_t token_base = 0;  // incarnation << 39
    std::uint64_t hash_seed = 0;
    std::uint64_t handle_secret = 0;
    std::unique_ptr<Writer> writer;  // with a journal, unless read-only
    Signature label;  // this process's, as its commits carry it into the journal; the word: its length

    Stamp stamp_of(SlotWord w) const noexcept {
        // A key that was never written has the zero stamp, whatever happened to its epoch: nothing can be
        // stale about it.
        return w.version() == 0 ? Stamp{} : Stamp{w.version(), token_base | w.epoch()};
    }
    std::uint64_t token_of(std::uint64_t epoch) const noexcept { return token_base | epoch; }
    bool is_destroyed() const noexcept { return peek(segment.header().is_destroyed) != 0; }
};

struct Session {
    Store* store = nullptr;
    Lane lane;
};

// Who holds a key: what a caller who met a live claim is told.
struct Owner {
    std::uint64_t lease_left_ns;  // UINT64_MAX: until it dies
    std::uint64_t epoch;          // token
    std::int32_t pid;
    bool is_detached;
    char label[kLabelBytes];
};

// What a refused (or winning) caller is told.
struct Receipt {
    SlotWord now;  // the new word, or the one that refused
    Owner owner;   // written with kHeld only, so left as it is: every commit makes one of these
};

Status open_store(const std::string& folder, const std::string& file, const SegmentOptions& options,
                  const std::string& label, Store* store_out) noexcept;
// All sessions are closed before.
void close_store(Store& store) noexcept;
// In a forked child, instead: forgets the descriptors that the fork handler closed, for their numbers may be other
// files' by now.
void abandon_store(Store& store) noexcept;

Status open_session(Store& store, Session* session_out) noexcept;
void close_session(Session& session) noexcept;

}  // namespace keystile::engine
