// The protocol, without a transport: a message in, its answer out.
//
// Threads: answer() may be called by any number of threads; a Peer is one thread's at a time. The server keeps nothing
// between two messages: the tools' state is the store's.
#pragma once

#include <optional>
#include <string_view>

#include "json_rpc.hpp"
#include "revision.hpp"
#include "tools.hpp"
#include "workspace.hpp"

namespace keystile::mcp {

// What a transport knows of its client: the revision that `initialize` settled, or an HTTP header names; none yet: only
// messages that say theirs themselves are served, and `initialize`.
struct Peer {
    std::optional<Revision> revision;
};

class Server {
public:
    explicit Server(const Workspace& workspace) : workspace_(workspace) {}

    // To one message, or to a batch where the revision knows them. nullopt: nothing is to be said. Never throws but for
    // want of memory.
    std::optional<Json> answer(const Json& message, Peer& peer, const Stop& stop = {}) const;

private:
    std::optional<Json> answer_one(const Json& message, Peer& peer, const Stop& stop) const;
    std::optional<Json> answer_batch(const Json& batch, Peer& peer, const Stop& stop) const;
    Json result_of(const Message& message, Revision revision, const Stop& stop) const;
    Json call_tool(const Message& message, Revision revision, const Stop& stop) const;

    const Workspace& workspace_;
};

// The revision that a message names itself ("_meta"), which the stateless ones do; nullptr: it does not.
const Json* named_revision(const Message& message);

// A request, or a batch, that may sleep, as a waiting claim does; a notification is not carried out. Of an array in an
// array: no matter, it is refused.
bool may_wait(const Json& message);
// It is to be answered without: whatever it waits for is told as it is now.
void wait_no_longer(Json& message);

RpcError unsupported_revision(std::string_view requested);

}  // namespace keystile::mcp
