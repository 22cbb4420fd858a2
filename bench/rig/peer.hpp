// Other stores that can do what ours does in one commit: compare the version that the caller saw with the one that is
// there, write the value and the next version, or say that the caller came too late. Each is used as its own manual
// recommends, with its fewest steps for that. One process, many threads: not all of them can be shared by processes.
//
// A peer is a file in peers/, compiled where its library is found, that puts its kind into the list.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rig/store.hpp"

namespace keystile::bench {

// When a commit that was acknowledged is safe from loss of power.
enum class Promise {
    kLater,  // a moment later
    kNow     // when it returns
};

class Peer {
public:
    // One thread's.
    class Seat {
    public:
        virtual ~Seat() = default;
        // False: the version was another.
        virtual bool commit(const KeyName& key, std::uint64_t version, const void* value,
                            std::size_t size) = 0;
    };

    virtual ~Peer() = default;
    virtual std::unique_ptr<Seat> seat() = 0;
    // A key at version 0, before any commit.
    virtual void create(const KeyName& key, const void* value, std::size_t size) = 0;
};

struct PeerKind {
    std::string name;
    std::unique_ptr<Peer> (*open)(const std::string& folder, Promise promise);  // in an empty folder
};

inline std::vector<PeerKind>& peer_kinds() {
    static std::vector<PeerKind> kinds;
    return kinds;
}

inline bool add_peer(const PeerKind& kind) {
    peer_kinds().push_back(kind);
    return true;
}

}  // namespace keystile::bench
