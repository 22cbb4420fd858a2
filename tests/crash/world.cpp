#include "crash/world.hpp"

#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <set>

#include "abi/abi.hpp"

namespace keystile::testing {

namespace {

const std::string big_value(100'000, 'b');  // a run of two chunks

Shared& make_shared_memory() {
    void* const memory =
        ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    return *static_cast<Shared*>(memory);
}

void add(std::uint32_t& counter) {
    __atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
}

Actor attach(World& world) {
    Actor actor{world};
    ks_status s = open_small(world.store.url(), 0, &actor.store);
    if (s == KS_OK) s = ks_session_open(actor.store, &actor.session);
    if (s != KS_OK) {
        std::fprintf(stderr, "attaching: %s, %s\n", ks_status_name(s), ks_last_error());
        ::_exit(90);
    }
    return actor;
}

// ---- Survivors: their own work, on the victim's key and on others ---------------------------------------

#define SURVIVOR_CHECK(condition)                                                              \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            std::fprintf(stderr, "survivor, line %d: not so: %s (%s)\n", __LINE__, #condition, \
                         ks_last_error());                                                     \
            return 1;                                                                          \
        }                                                                                      \
    } while (false)

// Read, change, commit until it is done (the watchdog ends it otherwise). KS_HELD ends it if may_be_held.
ks_status update(Actor& actor, std::string_view key, char letter, bool may_be_held) {
    for (;;) {
        char buffer[256];
        std::size_t size = 0;
        ks_stamp seen{};
        ks_status s = ks_get(actor.session, bytes(key), buffer, sizeof buffer, &size, &seen);
        if (s == KS_TOO_SMALL || s == KS_NOT_FOUND) size = 0, s = KS_OK;
        if (s != KS_OK) return s;
        std::string value(buffer, std::min(size, sizeof buffer - 1));
        value += letter;
        s = actor.commit(key, seen, value);
        const bool is_lost = s == KS_CONFLICT || s == KS_FENCED || (s == KS_HELD && !may_be_held);
        if (!is_lost) return s;
        ::sched_yield();
    }
}

// Claim, commit under it, release with the commit.
ks_status own(Actor& actor, std::string_view key, bool may_be_held) {
    for (;;) {
        const ks_status claimed = actor.claim(key);
        if (claimed == KS_HELD && !may_be_held) {
            ::sched_yield();  // another survivor, for a moment
            continue;
        }
        return claimed == KS_OK ? actor.commit_granted(key, "claimed", true) : claimed;
    }
}

int work(Actor& actor, char letter, bool may_be_held) {
    const std::string_view key = actor.world.key();
    const ks_status updated = update(actor, key, letter, may_be_held);
    SURVIVOR_CHECK(updated == KS_OK || (may_be_held && updated == KS_HELD));
    if (updated == KS_OK) {
        const ks_status owned = own(actor, key, may_be_held);
        SURVIVOR_CHECK(owned == KS_OK || (may_be_held && owned == KS_HELD));
    }
    SURVIVOR_CHECK(update(actor, "other", letter, false) == KS_OK);
    const std::string mine = std::string("mine-") + letter;
    SURVIVOR_CHECK(actor.put(mine, "short") == KS_OK);
    SURVIVOR_CHECK(actor.put(mine, "second") == KS_OK);
    SURVIVOR_CHECK(actor.put(mine + "-a-key-longer-than-16-bytes", "long key") == KS_OK);
    SURVIVOR_CHECK(actor.put(mine + "-big", big_value) == KS_OK);
    SURVIVOR_CHECK(own(actor, mine, false) == KS_OK);
    SURVIVOR_CHECK(ks_delete(actor.session, bytes(mine), actor.stamp_of(mine), nullptr, nullptr) == KS_OK);

    int listed = 0;
    const auto on_entry = [](void* user, const ks_entry*) { return ++*static_cast<int*>(user), 0; };
    SURVIVOR_CHECK(ks_list(actor.session, {nullptr, 0}, KS_LIST_ALL, on_entry, &listed) == KS_OK &&
                   listed >= 4);
    ks_get_item items[2] = {};
    items[0].key = bytes(key);
    items[1].key = bytes("other");
    SURVIVOR_CHECK(ks_get_many(actor.session, items, 2) == KS_OK && items[1].status == KS_TOO_SMALL);
    const ks_stamp old{};
    SURVIVOR_CHECK(ks_watch(actor.session, bytes("other"), old, 0, nullptr) == KS_OK);
    return 0;
}

// Two forked survivors and this process, all at once.
void survive(World& world, bool may_be_held) {
    std::vector<std::unique_ptr<Child>> survivors;
    for (const char letter : {'a', 'b'}) {
        survivors.push_back(std::make_unique<Child>([&world, letter, may_be_held](const Child::Line&) {
            Actor actor = attach(world);
            const int result = work(actor, letter, may_be_held);
            ks_close(actor.store);
            return result;
        }));
    }
    Actor self = attach(world);
    if (work(self, 'c', may_be_held) != 0) world.note("the third survivor could not do its work");
    ks_close(self.store);
    for (const auto& survivor : survivors) {
        const int ended = survivor->await_end();
        if (ended != 0) world.note("a survivor ended with " + std::to_string(ended));
    }
}

// ---- One cell -------------------------------------------------------------------------------------------

int play_victim(World& world, const Child::Line& line, const std::vector<Step>& steps) {
    Actor actor = world.op.is_attached ? attach(world) : Actor{world};
    if (world.op.prepare != nullptr) world.op.prepare(actor);
    if (actor.session != nullptr) actor.seen = actor.stamp_of(world.key());
    line.ready();
    line.await();
    if (steps.empty()) record();
    arm(steps);
    const ks_status status = world.op.act(actor);
    disarm();
    world.shared.victim_status = status;
    world.shared.victim_ended = 1;
    if (actor.store != nullptr) ks_close(actor.store);
    return 0;
}

// Steps up to and with the one that ends (or stops) the victim at points[index]; empty for an index beyond:
// undisturbed.
std::vector<Step> steps_to(const Operation& op, const std::vector<std::string>& points, std::size_t index,
                           int signal) {
    std::vector<Step> steps;
    std::size_t from = 0;
    if (!op.pause_at.empty()) {
        steps.push_back({std::string(op.pause_at), 1, SIGSTOP});
        const auto pause = std::find(points.begin(), points.end(), op.pause_at);
        from = static_cast<std::size_t>(pause - points.begin()) + 1;
    }
    if (index >= points.size()) return steps;
    const auto begin = points.begin() + static_cast<std::ptrdiff_t>(from);
    const auto end = points.begin() + static_cast<std::ptrdiff_t>(index) + 1;
    const auto occurrence = static_cast<int>(std::count(begin, end, points[index]));
    steps.push_back({points[index], occurrence, signal});
    return steps;
}

// The victim, forked and past its pause. Whatever comes next was armed by `steps`.
// *seen_out: the key's stamp just before the victim set out (again).
std::unique_ptr<Child> start_victim(World& world, Actor& self, const std::vector<Step>& steps,
                                    ks_stamp* seen_out) {
    auto victim =
        std::make_unique<Child>([&](const Child::Line& line) { return play_victim(world, line, steps); });
    if (!victim->await_ready()) world.note("the victim ended before its operation");
    if (world.op.meanwhile != nullptr) world.op.meanwhile(self);
    *seen_out = self.stamp_of(world.key());
    victim->go();
    if (!world.op.pause_at.empty()) {
        if (!victim->await_stop()) world.note("the victim did not come to its pause");
        world.op.while_paused(self);
        *seen_out = self.stamp_of(world.key());
        victim->resume();
    }
    return victim;
}

void judge_effect(World& world, Actor& self, ks_stamp before, bool should_be_done) {
    const Operation& op = world.op;
    if (op.is_done == nullptr) return;
    const bool is_done = op.is_done(self, before);
    if (is_done != should_be_done) {
        world.note(should_be_done ? "the effect should have taken place, and did not"
                                  : "the effect should not have taken place, and did");
    }
}

void judge_history(World& world, ks_stamp before, std::uint32_t commits_of_the_dead) {
    Actor self = attach(world);
    const ks_stamp now = self.stamp_of(world.key());
    const std::uint64_t should = before.version + world.shared.commits + commits_of_the_dead;
    if (world.op.is_durable ? now.version < before.version : now.version != should) {
        world.note("version " + std::to_string(now.version) + ", but " + std::to_string(should) +
                   " commits were OK");
    }
    const auto* const epochs = world.shared.epoch;
    const std::uint32_t count = std::min<std::uint32_t>(world.shared.claims, 64);
    if (std::set<std::uint64_t>(epochs, epochs + count).size() != count)
        world.note("one epoch had two owners");
    ks_close(self.store);
}

void end_helpers(World& world) {
    for (const auto& helper : world.helpers) {
        helper->resume();
        const int ended = helper->await_end();
        if (ended != 0) world.note("a waiter ended with " + std::to_string(ended));
    }
    world.helpers.clear();
    for (ks_store* store : world.extra_stores) ks_close(store);
    world.extra_stores.clear();
}

// This process's own part before the victim comes; it stays attached until the victim's end was judged.
Actor begin(World& world, ks_stamp* before_out) {
    Actor self = attach(world);
    if (world.op.before != nullptr) world.op.before(self);
    *before_out = self.stamp_of(world.key());
    world.shared.commits = 0;
    return self;
}

std::size_t index_of(std::string_view point, const std::vector<std::string>& points) {
    const auto at = std::find(points.begin(), points.end(), point);
    return static_cast<std::size_t>(at - points.begin());
}
std::size_t done_index(const Operation& op, const std::vector<std::string>& points) {
    return index_of(op.done_at, points);
}

// How often the dead victim committed the key: as its place says, or, where that is open, as its twin says.
std::uint32_t commits_of_the_dead(World& world, const std::vector<std::string>& points, std::size_t index) {
    const Operation& op = world.op;
    const bool is_done = index >= done_index(op, points);
    if (op.maybe_at.empty()) return is_done ? op.commits : 0;
    Actor self = attach(world);
    const bool has_twin = self.stamp_of("twin").version != 0;
    ks_close(self.store);
    if (is_done && !has_twin) world.note("committed, but not on the second key");
    if (index < index_of(op.maybe_at, points) && has_twin)
        world.note("the second key shows what was never published");
    return has_twin ? op.commits : 0;
}

}  // namespace

ks_stamp Actor::stamp_of(std::string_view key) const {
    ks_stamp stamp{};
    (void)ks_get(session, bytes(key), nullptr, 0, nullptr, &stamp);
    return stamp;
}

ks_status Actor::put(std::string_view key, std::string_view value) const {
    return ks_commit(session, bytes(key), stamp_of(key), bytes(value), nullptr, nullptr);
}

ks_status Actor::commit(std::string_view key, ks_stamp stamp, std::string_view value) {
    const ks_status s = ks_commit(session, bytes(key), stamp, bytes(value), nullptr, nullptr);
    if (s == KS_OK && key == world.key()) add(world.shared.commits);
    return s;
}

ks_status Actor::erase(std::string_view key, ks_stamp stamp) {
    const ks_status s = ks_delete(session, bytes(key), stamp, nullptr, nullptr);
    if (s == KS_OK && key == world.key()) add(world.shared.commits);
    return s;
}

ks_status Actor::commit_granted(std::string_view key, std::string_view value, bool is_releasing) {
    ks_commit_options options{};
    options.struct_size = sizeof options;
    options.grant = &grant;
    options.flags = is_releasing ? KS_COMMIT_RELEASE : 0;
    const ks_stamp stamp{stamp_of(key).version, grant.stamp.epoch};
    const ks_status s = ks_commit(session, bytes(key), stamp, bytes(value), &options, nullptr);
    if (s == KS_OK && key == world.key()) add(world.shared.commits);
    return s;
}

ks_status Actor::claim(std::string_view key, std::uint64_t lease_ns) {
    ks_claim_options options{};
    options.struct_size = sizeof options;
    options.lease_ns = lease_ns;
    const ks_status s = ks_claim(session, bytes(key), &options, &grant, nullptr);
    if (s == KS_OK && key == world.key()) {
        const std::uint32_t at = __atomic_fetch_add(&world.shared.claims, 1, __ATOMIC_SEQ_CST);
        if (at < 64) world.shared.epoch[at] = grant.stamp.epoch;
    }
    return s;
}

World::World(const Operation& operation) : op(operation), shared(make_shared_memory()) {
    create_small(store.url(), operation.is_durable);
    Actor self = attach(*this);
    if (self.put("k", "first") != KS_OK || self.put("other", "first") != KS_OK) std::abort();
    const std::uint64_t seed = self.store->store->hash_seed;
    const auto hash = [&](std::string_view key) { return engine::hash_of({key.data(), key.size()}, seed); };
    for (int i = 0; colliding.empty(); ++i) {
        const std::string candidate = "c" + std::to_string(i);
        const std::uint64_t parts = hash(candidate) ^ hash("k");
        if ((parts & 0xFFF) == 0 && (parts & 0xF000) != 0) colliding = candidate;
    }
    ks_close(self.store);
}

World::~World() {
    ::munmap(&shared, sizeof shared);
}

void World::corpse(ks_status (*act)(Actor&), std::string_view point, int occurrence,
                   void (*prepare)(Actor&)) {
    Child child([&](const Child::Line&) {
        Actor actor = attach(*this);
        if (prepare != nullptr) prepare(actor);
        actor.seen = actor.stamp_of(key());
        if (point.empty()) {
            (void)act(actor);
            ::kill(::getpid(), SIGKILL);
        }
        arm({{std::string(point), occurrence, SIGKILL}});
        (void)act(actor);
        return 1;
    });
    if (child.await_end() != 128 + SIGKILL) note("a corpse did not die at " + std::string(point));
}

std::vector<std::string> points_of(const Operation& op) {
    forget_record();
    World world(op);
    ks_stamp before{};
    Actor self = begin(world, &before);
    forget_record();
    if (op.pause_at.empty()) {
        start_victim(world, self, {}, &before)->await_end();
    } else {
        // Recorded beside its pause: a plain run does not pass the same points.
        auto victim = std::make_unique<Child>([&](const Child::Line& line) {
            record();
            return play_victim(world, line, {{std::string(op.pause_at), 1, SIGSTOP}});
        });
        (void)victim->await_ready();
        forget_record();
        if (op.meanwhile != nullptr) op.meanwhile(self);
        victim->go();
        if (victim->await_stop()) op.while_paused(self);
        victim->resume();
        victim->await_end();
    }
    std::vector<std::string> points = recorded();
    ks_close(self.store);
    end_helpers(world);
    return points;
}

std::string killed_at(const Operation& op, const std::vector<std::string>& points, std::size_t index) {
    World world(op);
    ks_stamp before{}, seen{};
    Actor self = begin(world, &before);
    const auto victim = start_victim(world, self, steps_to(op, points, index, SIGKILL), &seen);
    if (const int ended = victim->await_end(); ended != 128 + SIGKILL) {
        world.note("the victim was not killed there, it ended with " + std::to_string(ended));
    }
    const bool is_done = index >= done_index(op, points);
    judge_effect(world, self, seen, is_done);
    ks_close(self.store);
    survive(world, false);
    end_helpers(world);
    judge_history(world, before, commits_of_the_dead(world, points, index));
    return world.problems + scan(world.store.url());
}

std::string stopped_at(const Operation& op, const std::vector<std::string>& points, std::size_t index) {
    World world(op);
    ks_stamp before{}, seen{};
    Actor self = begin(world, &before);
    const auto victim = start_victim(world, self, steps_to(op, points, index, SIGSTOP), &seen);
    if (!victim->await_stop()) world.note("the victim did not stop there");
    const bool is_done = index >= done_index(op, points);
    judge_effect(world, self, seen, is_done);
    ks_close(self.store);
    survive(world, op.holds_key);

    // It lives: nothing of its is reaped.
    Actor reaper = attach(world);
    std::uint64_t buried = 0;
    if (ks_reap(reaper.store, &buried) != KS_OK || buried != 0)
        world.note("a stopped process was taken for dead");
    if (ks_check(reaper.store, nullptr, nullptr, nullptr) != KS_OK)
        world.note("check, beside a stopped process");
    ks_close(reaper.store);

    victim->resume();
    if (const int ended = victim->await_end(); ended != 0) {
        world.note("the victim went on, and ended with " + std::to_string(ended));
    }
    const auto status = static_cast<ks_status>(world.shared.victim_status);
    const bool is_true =
        is_done ? status == op.if_done : status == op.if_not_done || status == op.if_not_done_either;
    if (!is_true) world.note(std::string("the victim went on, and was told ") + ks_status_name(status));
    end_helpers(world);
    judge_history(world, before, 0);
    return world.problems + scan(world.store.url());
}

}  // namespace keystile::testing
