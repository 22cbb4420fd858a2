// The crash matrix: one victim in one operation, killed or stopped at one place; survivors; and what must
// then be true.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "support/child.hpp"
#include "support/points.hpp"
#include "support/test_store.hpp"

namespace keystile::testing {

// What processes tell each other about the cell they are in; in memory shared by all forked from the test.
struct Shared {
    std::uint32_t commits;  // OK commits and deletes of the cell's key by anybody who lived to tell
    std::uint32_t claims;   // OK claims of it, with their epochs
    std::uint64_t epoch[64];
    std::uint32_t victim_ended;  // the victim came back from its operation
    std::int32_t victim_status;
};

class World;

// A process in the world: attached, with a session and the key of the cell.
struct Actor {
    World& world;
    ks_store* store = nullptr;
    ks_session* session = nullptr;
    ks_grant grant{};
    ks_stamp seen{};  // of the cell's key, read before the operation began

    ks_stamp stamp_of(std::string_view key) const;
    ks_status put(std::string_view key, std::string_view value) const;               // get, commit once
    ks_status commit(std::string_view key, ks_stamp stamp, std::string_view value);  // counted
    ks_status erase(std::string_view key, ks_stamp stamp);                           // counted
    ks_status commit_granted(std::string_view key, std::string_view value, bool is_releasing);
    ks_status claim(std::string_view key, std::uint64_t lease_ns = 0);  // counted; into `grant`
};

struct Operation {
    const char* name;
    ks_status (*act)(Actor& victim);              // killed or stopped somewhere in here
    void (*before)(Actor& self) = nullptr;        // by the test's own process, before the victim exists
    void (*prepare)(Actor& victim) = nullptr;     // by the victim, before its points count
    void (*meanwhile)(Actor& self) = nullptr;     // by the test's own process, after that
    std::string_view pause_at = "";               // the victim first stops here …
    void (*while_paused)(Actor& self) = nullptr;  // … and this happens
    std::string_view key = "k";
    // From this point on (its first passing) the effect on the key has taken place; "" = there is none to
    // look for.
    std::string_view done_at = "";
    bool (*is_done)(Actor& self, ks_stamp before) = nullptr;
    std::uint32_t commits = 0;  // of the victim on the key, once done
    // An operation of several keys, the cell's and "twin", which nobody else writes: from this point on others may
    // bring it to its end, so it takes place or not, but on both keys.
    std::string_view maybe_at = "";
    // What a victim that was stopped and went on may answer: if the effect had taken place, and if not.
    ks_status if_done = KS_OK;
    ks_status if_not_done = KS_OK;
    ks_status if_not_done_either = KS_OK;
    bool holds_key = false;   // while it is stopped others may be told KS_HELD
    bool is_durable = false;  // versions are positions: they grow, and count nothing
    bool is_attached = true;  // else it opens the store itself, in act
};

const std::vector<Operation>& operations();
const Operation& operation(std::string_view name);

// The key of the cell and one that parts from "k" only after two nodes of the index.
class World {
public:
    explicit World(const Operation& operation);
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    ~World();

    const Operation& op;
    TestStore store;
    std::string colliding;  // exactly 12 (to 15) low bits of its hash are those of "k"'s: two nodes part them
    Shared& shared;
    std::vector<std::unique_ptr<Child>> helpers;  // stopped waiters; go on when the cell is over
    std::vector<ks_store*> extra_stores;          // of this process, closed when the cell is over

    std::string_view key() const { return op.key == "colliding" ? colliding : op.key; }
    // A process that dies in `act` at this point; returns when it is dead. Its remains are not reaped.
    void corpse(ks_status (*act)(Actor&), std::string_view point, int occurrence = 1,
                void (*prepare)(Actor&) = nullptr);
    void note(std::string problem) { problems += std::string(problem) + "\n"; }
    std::string problems;
};

// The points that the operation passes, in order (with repetitions), when nobody disturbs it.
std::vector<std::string> points_of(const Operation& op);

// One cell: at the `index`-th of those points the victim is killed (or stopped for the time that others
// work). Empty, or what went wrong.
std::string killed_at(const Operation& op, const std::vector<std::string>& points, std::size_t index);
std::string stopped_at(const Operation& op, const std::vector<std::string>& points, std::size_t index);

}  // namespace keystile::testing
