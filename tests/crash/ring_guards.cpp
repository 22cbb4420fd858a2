// The rules of the ring (docs/RING.md, R1-R9), each with a scenario that needs it.
#include <algorithm>

#include "crash/guards.hpp"

namespace keystile::testing {

namespace {

// R4: committed, but its author has not finalised: whoever recycles it does so first.
bool what_is_recycled_was_finalised() {
    const TestStore store;
    create_small(store.url());
    const Attached self(store.url());
    HOLDS(put_two(self, "k", "twin", "1") == KS_OK);
    const auto author = other(store, {{"operations.decide.after_mark", 1, SIGSTOP}},
                              [](const Attached& at) { return put_two(at, "k", "twin", "2"); });
    HOLDS(author->await_stop());
    HOLDS(put_two(self, "x", "y", "1") == KS_OK);  // recycles the author's on its way
    HOLDS(get(self, "k") == "2" && get(self, "twin") == "2");
    author->resume();
    HOLDS(author->await_end() == KS_OK);
    return ks_check(self.store, nullptr, nullptr, nullptr) == KS_OK;
}

// R7: the author is told what became of his operation, though its cell has gone on.
bool a_slow_author_is_told() {
    const TestStore store;
    create_small(store.url());
    const Attached self(store.url());
    const auto author = other(store, {{"operations.decide.before_mark", 1, SIGSTOP}},
                              [](const Attached& at) { return put_two(at, "k", "twin", "2"); });
    HOLDS(author->await_stop());
    engine::Segment& segment = self.store->store->segment;
    engine::recycle_up_to(segment, engine::ring_tail(segment));
    author->resume();
    return author->await_end() == KS_OK;
}

// R6: an INTENT that comes when its operation is over is undone bit for bit.
bool a_late_intent_is_undone() {
    const TestStore store;
    create_small(store.url());
    const Attached self(store.url());
    for (const char* key : {"k", "twin", "k", "twin", "k", "twin"}) HOLDS(put(self, key, "1") == KS_OK);
    const auto keys = by_slot(self, "k", "twin");
    const auto author = other(
        store,
        {{"operations.decide.before_install", 1, SIGSTOP}, {"operations.settle.before_cas", 1, SIGKILL}},
        [&](const Attached& at) { return put_two(at, keys.first, keys.second, "2"); });
    HOLDS(author->await_stop());
    HOLDS(put(self, keys.second, "own") == KS_OK);  // so the operation is aborted …
    engine::Segment& segment = self.store->store->segment;
    engine::recycle_up_to(segment, engine::ring_tail(segment));  // … and over
    author->resume();
    HOLDS(author->await_end() == 128 + SIGKILL);
    HOLDS(engine::load_word(*slot_of(self, keys.first)).is_intent());
    HOLDS(get(self, keys.first) == "1" && stamp_of(self, keys.first).version == 3);
    HOLDS(put(self, keys.first, "3") == KS_OK);
    HOLDS(stamp_of(self, keys.first).version == 4);
    return get(self, keys.first) == "3" && get(self, keys.second) == "own";
}

// R9: entries lie in the order of their slots, whatever order they were given in.
bool entries_are_in_the_order_of_slots() {
    const TestStore store;
    create_small(store.url());
    const Attached self(store.url());
    const auto keys = by_slot(self, "k", "twin");
    const auto author = other(store, {{"operations.decide.after_mark", 1, SIGSTOP}},
                              [&](const Attached& at) { return put_two(at, keys.second, keys.first, "2"); });
    HOLDS(author->await_stop());
    HOLDS(get(self, "k") == "2" && get(self, "twin") == "2");
    author->resume();
    return author->await_end() == KS_OK;
}

// R8, E3: a recycler that is slow frees by the id it read from the entry, not by the one it finds.
bool a_slow_recycler_frees_nothing_of_others() {
    const TestStore store;
    create_small(store.url());
    const Attached self(store.url());
    HOLDS(put_two(self, "k", "twin", "1") == KS_OK);
    const auto author = other(store, {{"operations.recycle.before_free", 1, SIGSTOP}},
                              [](const Attached& at) { return put_two(at, "k", "twin", "2"); });
    HOLDS(author->await_stop());
    HOLDS(put_two(self, "x", "y", "1") == KS_OK);  // recycles it: the replaced blocks are free …
    HOLDS(take_every_block(self, "x"));            // … and others'
    author->resume();
    HOLDS(author->await_end() == KS_OK);
    return ks_check(self.store, nullptr, nullptr, nullptr) == KS_OK;
}

// R3: what a slow recycler copies from a descriptor that is gone means nothing. Here its next life is a value whose
// bytes look like entries, and name a block in use.
bool a_gone_descriptor_is_not_believed() {
    const TestStore store;
    create_small(store.url());
    const Attached self(store.url());
    HOLDS(put(self, "k", "1") == KS_OK && put(self, "innocent", "1") == KS_OK);
    const auto author =
        other(store,
              {{"operations.publish.before_cas", 1, SIGSTOP}, {"operations.recycle.before_free", 1, SIGSTOP}},
              [](const Attached& at) {
                  ks_multi* multi = nullptr;
                  (void)ks_multi_begin(at.session, &multi);
                  (void)ks_multi_read(multi, bytes("k"), nullptr, 0, nullptr, nullptr);
                  (void)ks_multi_put(multi, bytes("k"), bytes("2"), nullptr);
                  (void)ks_multi_put(multi, bytes("twin"), bytes("2"), nullptr);
                  return ks_multi_commit(multi);
              });
    HOLDS(author->await_stop());
    HOLDS(put(self, "k", "own") == KS_OK);  // the author's operation will be aborted
    author->resume();
    HOLDS(author->await_stop());
    HOLDS(put_two(self, "x", "y", "1") == KS_OK);  // recycles it
    const engine::Segment& segment = self.store->store->segment;
    const engine::SlotWord innocent = engine::load_word(*slot_of(self, "innocent"));
    const std::uint64_t ctl = engine::peek(segment.at<engine::shm::BlockHead>(innocent.ref())->ctl);
    std::uint64_t entries[12] = {};  // two of 48 bytes
    for (int i = 0; i < 12; i += 6) {
        entries[i + 3] = ctl;                                               // fresh_ctl
        entries[i + 4] = static_cast<std::uint64_t>(innocent.ref()) << 32;  // fresh
    }
    HOLDS(take_every_block(self, {reinterpret_cast<const char*>(entries), sizeof entries}));
    author->resume();
    HOLDS(author->await_end() == KS_CONFLICT);
    HOLDS(take_every_block(self, "x"));
    HOLDS(get(self, "innocent") == "1");
    return ks_check(self.store, nullptr, nullptr, nullptr) == KS_OK;
}

// R1: a position that was taken before the look is older than what was looked at.
bool versions_only_grow() {
    const TestStore store;
    create_small(store.url(), true);
    const Attached self(store.url());
    HOLDS(put(self, "k", "1") == KS_OK);
    const auto author = other(store, {{"ring.reserve.after_add", 1, SIGSTOP}}, [](const Attached& at) {
        ks_multi* multi = nullptr;
        (void)ks_multi_begin(at.session, &multi);
        (void)ks_multi_put(multi, bytes("k"), bytes("3"), nullptr);  // whatever is there
        return ks_multi_commit(multi);
    });
    HOLDS(author->await_stop());
    HOLDS(put(self, "k", "2") == KS_OK);
    const ks_stamp before = stamp_of(self, "k");
    author->resume();
    HOLDS(author->await_end() == KS_OK);
    return get(self, "k") == "3" && stamp_of(self, "k").version > before.version;
}

// R2: whoever installed a word is marked before it is overwritten; else he is told that he failed, once nothing of his
// is left to be seen.
bool the_overwritten_was_marked() {
    const TestStore store;
    create_small(store.url(), true);
    const Attached self(store.url());
    HOLDS(put(self, "k", "1") == KS_OK);
    const auto author = other(store, {{"operations.decide.before_single_mark", 1, SIGSTOP}},
                              [](const Attached& at) { return put(at, "k", "2"); });
    HOLDS(author->await_stop());
    HOLDS(get(self, "k") == "2");
    HOLDS(put(self, "k", "3") == KS_OK);
    engine::Segment& segment = self.store->store->segment;
    engine::recycle_up_to(segment, engine::ring_tail(segment));
    author->resume();
    HOLDS(author->await_end() == KS_OK);
    return get(self, "k") == "3";
}

// E1: in a volatile store a version is no position: whoever has the position that a key's version happens to be is a
// stranger.
bool no_stranger_is_marked() {
    const TestStore store;
    create_small(store.url());
    const Attached self(store.url());
    HOLDS(put(self, "x", "1") == KS_OK && put(self, "y", "1") == KS_OK);              // version 1
    const auto author = other(store, {{"operations.publish.after_cas", 1, SIGSTOP}},  // position 1
                              [](const Attached& at) { return put_two(at, "k", "twin", "2"); });
    HOLDS(author->await_stop());
    HOLDS(put_two(self, "x", "y", "2") == KS_OK);
    author->resume();
    HOLDS(author->await_end() == KS_OK);
    return get(self, "k") == "2" && get(self, "twin") == "2";
}

constexpr Guard kGuards[] = {
    {"ring.descriptor_there", a_gone_descriptor_is_not_believed},
    {"recycle.finalise_first", what_is_recycled_was_finalised},
    {"recycle.outcome_first", a_slow_author_is_told},
    {"recycle.exact_id", a_slow_recycler_frees_nothing_of_others},
    {"resolve.restore_exactly", a_late_intent_is_undone},
    {"multi.slot_order", entries_are_in_the_order_of_slots},
    {"ring.reserve_last", versions_only_grow},
    {"ring.ensure", the_overwritten_was_marked},
    {"ring.ensure_durable_only", no_stranger_is_marked},
};

}  // namespace

std::span<const Guard> guards_of_ring() {
    return kGuards;
}

}  // namespace keystile::testing
