// Operations of several keys as others meet them: undecided, decided, over; the ring as it fills, skips and laps.
#include "unit/ring_support.hpp"

namespace keystile::testing {

using namespace engine;

namespace {

class Ring : public RingInside {
protected:
    Ring() {
        for (const char* key : {"a", "b", "c"}) EXPECT_EQ(put(key, "old"), KS_OK);
    }
    // What every reader says of "a" and "b".
    void expect_values(const std::string& value) {
        EXPECT_EQ(this->value("a") + " " + this->value("b"), value + " " + value);
        ks_get_item items[2]{};
        char buf[2][64];
        for (int i = 0; i < 2; ++i) {
            items[i].key = bytes(i == 0 ? "a" : "b");
            items[i].buf = buf[i];
            items[i].capacity = sizeof buf[i];
        }
        EXPECT_EQ(ks_get_many(session(), items, 2), KS_OK);
        for (int i = 0; i < 2; ++i) EXPECT_EQ(std::string(buf[i], items[i].size), value);
        ks_snapshot* snapshot = nullptr;
        ASSERT_EQ(ks_snapshot_prefix(session(), {nullptr, 0}, &snapshot), KS_OK);
        ks_snapshot_entry entry{};
        EXPECT_EQ(ks_snapshot_get(snapshot, bytes("b"), &entry), KS_OK);
        EXPECT_EQ(std::string(static_cast<const char*>(entry.value.data), entry.value.size), value);
        ks_snapshot_close(snapshot);
        std::size_t sizes = 0;
        const auto add = [](void* user, const ks_entry* listed) {
            const bool is_c = listed->key.size == 1 && *static_cast<const char*>(listed->key.data) == 'c';
            *static_cast<std::size_t*>(user) += is_c ? 0 : listed->value_size;
            return 0;
        };
        EXPECT_EQ(ks_list(session(), {nullptr, 0}, 0, add, &sizes), KS_OK);
        EXPECT_EQ(sizes, 2 * value.size());
    }
    void expect_whole() { EXPECT_EQ(check_now(handle()), ""); }
    void end_well() {
        recycle_all();
        EXPECT_EQ(ring_head(segment()), ring_tail(segment()));
        EXPECT_FALSE(has_intent("a") || has_intent("b") || has_intent("c"));
        expect_whole();
        EXPECT_EQ(put("a", "end"), KS_OK);
        EXPECT_EQ(put("b", "end"), KS_OK);
    }
};

TEST_F(Ring, AnUndecidedOperationIsNotSeenByReaders) {
    for (const std::size_t installed : {0u, 1u, 2u}) {
        const Operation op = publish_operation({"a", "b"}, "new value");
        install(op, installed);
        const std::string before = installed == 0 ? "old" : "new value";
        expect_values(before);
        ks_stamp now{};
        EXPECT_EQ(ks_watch(session(), bytes("a"), stamp("a"), 0, &now), KS_TIMEOUT);
        expect_whole();
        EXPECT_EQ(state(op), CellState::kReady);  // none of them has helped
        decide(segment(), op.p);
        EXPECT_EQ(state(op), CellState::kCommitted);
        expect_values("new value");
        EXPECT_EQ(stamp("a").version, 2 + installed);
        recycle_all();
    }
    end_well();
}

TEST_F(Ring, ADecidedOperationIsSeenBeforeItsWordsAre) {
    for (const CellState decided : {CellState::kCommitted, CellState::kAborted}) {
        const Operation op = publish_operation({"a", "b"}, "new value");
        const ks_stamp before = stamp("a");
        install(op);
        mark(op, decided);
        EXPECT_TRUE(has_intent("a") && has_intent("b"));
        expect_values("new value");  // of the first, and then it is the old value of the second
        const bool is_done = decided == CellState::kCommitted;
        EXPECT_EQ(stamp("a").version, before.version + (is_done ? 1 : 0));
        EXPECT_EQ(ks_watch(session(), bytes("a"), before, 0, nullptr), is_done ? KS_OK : KS_TIMEOUT);
        expect_whole();
        EXPECT_TRUE(has_intent("a"));  // readers help nobody
        recycle_all();
        expect_values("new value");
        expect_whole();
    }
    end_well();
}

// Each call that changes a key brings the operation to its end first.
TEST_F(Ring, WritersSettleWhatTheyMeet) {
    const std::pair<const char*, ks_status (*)(ks_session*, ks_stamp)> calls[] = {
        {"commit",
         [](ks_session* s, ks_stamp seen) {
             return ks_commit(s, bytes("b"), seen, bytes("x"), nullptr, nullptr);
         }},
        {"delete",
         [](ks_session* s, ks_stamp seen) { return ks_delete(s, bytes("b"), seen, nullptr, nullptr); }},
        {"transaction",
         [](ks_session* s, ks_stamp seen) {
             ks_multi* multi = nullptr;
             EXPECT_EQ(ks_multi_begin(s, &multi), KS_OK);
             EXPECT_EQ(ks_multi_expect(multi, bytes("b"), seen), KS_OK);
             EXPECT_EQ(ks_multi_put(multi, bytes("c"), bytes("x"), nullptr), KS_OK);
             const ks_status status = ks_multi_commit(multi);
             ks_multi_end(multi);
             return status;
         }},
    };
    for (const auto& [name, call] : calls) {
        for (const CellState left_in : {CellState::kReady, CellState::kCommitted, CellState::kAborted}) {
            ASSERT_EQ(put("b", "old"), KS_OK);
            const ks_stamp seen = stamp("b");
            const Operation op = publish_operation({"a", "b"}, "new");
            install(op, left_in == CellState::kReady ? 2 : SIZE_MAX);
            if (left_in != CellState::kReady) mark(op, left_in);
            const ks_status expected = left_in == CellState::kAborted ? KS_OK : KS_CONFLICT;
            EXPECT_EQ(call(session(), seen), expected) << name << " " << static_cast<int>(left_in);
            EXPECT_FALSE(has_intent("b")) << name;
            EXPECT_EQ(value("b") == "new", expected == KS_CONFLICT) << name;
            recycle_all();
            expect_whole();
        }
    }
    end_well();
}

TEST_F(Ring, ClaimsSettleWhatTheyMeet) {
    for (const CellState left_in : {CellState::kReady, CellState::kCommitted, CellState::kAborted}) {
        ASSERT_EQ(put("b", "old"), KS_OK);
        const ks_stamp seen = stamp("b");
        const Operation op = publish_operation({"a", "b"}, "new");
        install(op);
        if (left_in != CellState::kReady) mark(op, left_in);
        ks_grant grant{};
        ASSERT_EQ(ks_claim(session(), bytes("b"), nullptr, &grant, nullptr), KS_OK);
        EXPECT_FALSE(has_intent("b"));
        EXPECT_EQ(grant.stamp.version, seen.version + (left_in == CellState::kAborted ? 0 : 1));
        const Operation held = publish_operation({"b", "c"}, "under the claim");  // as with a grant
        install(held);
        EXPECT_EQ(ks_renew(session(), &grant, 0, nullptr), KS_OK);
        const Operation again = publish_operation({"b", "c"}, "under the claim");
        install(again);
        EXPECT_EQ(ks_release(session(), &grant, nullptr), KS_OK);
        EXPECT_EQ(value("b"), "under the claim");
        EXPECT_FALSE(has_intent("b"));
        recycle_all();
        expect_whole();
    }
    end_well();
}

// A helper that slept from before its CAS until the operation was over and recycled: what it installs says nothing.
TEST_F(Ring, AnIntentInstalledTooLateIsUndone) {
    const Operation op = publish_operation({"a", "b"}, "never");
    mark(op, CellState::kAborted);
    recycle_all();
    EXPECT_EQ(peek(lane().shared().outcome), outcome_word(op.p, CellState::kAborted));
    EXPECT_NE(tag_of(peek(op.descriptor->head.ctl)), Tag::kPublished);
    expect_whole();
    const SlotWord before = load_word(*slot("a"));
    const ks_stamp seen = stamp("a");
    install(op);
    expect_values("old");
    EXPECT_EQ(stamp("a").version, seen.version);
    expect_whole();
    SlotWord settled;
    ASSERT_EQ(load_settled(segment(), *slot("a"), &settled), Status::kOk);
    EXPECT_EQ(settled, before);  // bit for bit
    EXPECT_EQ(ks_commit(session(), bytes("b"), stamp("b"), bytes("x"), nullptr, nullptr), KS_OK);
    const Operation of_none = publish_operation({"never written"}, "never");
    mark(of_none, CellState::kAborted);
    recycle_all();
    install(of_none);
    EXPECT_EQ(value("never written"), "(none)");
    EXPECT_EQ(put("never written", "now"), KS_OK);
    end_well();
}

TEST_F(Ring, OverlappingOperationsAreHelpedInTurn) {
    // Each waits for the next one at its highest key.
    std::vector<std::string> keys;
    for (int i = 0; i < 40; ++i) {
        keys.push_back("chain " + std::to_string(i));
        ASSERT_EQ(put(keys.back(), "old"), KS_OK);
    }
    std::sort(keys.begin(), keys.end(),
              [&](const std::string& x, const std::string& y) { return slot(x) < slot(y); });
    std::vector<Operation> chain;
    for (std::size_t i = 0; i + 1 < keys.size(); ++i) {
        chain.push_back(publish_operation({keys[i], keys[i + 1]}, "by " + std::to_string(i)));
        install(chain.back(), 1);
    }
    decide(segment(), chain.front().p);
    for (std::size_t i = 0; i < chain.size(); ++i) EXPECT_NE(state(chain[i]), CellState::kReady) << i;
    // The last is decided first, and wins; the one before it finds its key changed.
    EXPECT_EQ(state(chain.back()), CellState::kCommitted);
    EXPECT_EQ(state(chain[chain.size() - 2]), CellState::kAborted);
    recycle_all();
    for (const std::string& key : keys) EXPECT_FALSE(has_intent(key)) << key;
    expect_whole();
    EXPECT_EQ(value(keys.back()), "by " + std::to_string(chain.size() - 1));
    end_well();
}

TEST_F(Ring, PositionsOfTheDeadAreSkipped) {
    for (int i = 0; i < 5; ++i) (void)reserve_position(segment());
    const Operation op = publish_operation({"a", "b"}, "new");
    const Position behind = reserve_position(segment());
    decide(segment(), op.p);
    recycle_all();
    EXPECT_EQ(ring_head(segment()), behind);
    EXPECT_EQ(load_cell(segment(), behind).lap(), lap_of(segment(), behind) + 1);
    expect_values("new");
    end_well();
}

TEST_F(Ring, Laps) {
    ks_multi* multi = nullptr;
    ASSERT_EQ(ks_multi_begin(session(), &multi), KS_OK);
    const int rounds = static_cast<int>(segment().ring_cells()) * 2 + 10;
    for (int i = 0; i < rounds; ++i) {
        if (i % 3 == 0) (void)reserve_position(segment());  // somebody died
        ks_multi_reset(multi);
        ASSERT_EQ(ks_multi_put(multi, bytes("a"), bytes(std::to_string(i)), nullptr), KS_OK);
        ASSERT_EQ(ks_multi_put(multi, bytes("b"), bytes(std::to_string(i)), nullptr), KS_OK);
        ASSERT_EQ(ks_multi_commit(multi), KS_OK) << i;
    }
    ks_multi_end(multi);
    EXPECT_GT(ring_tail(segment()), 2 * segment().ring_cells());
    expect_values(std::to_string(rounds - 1));
    EXPECT_EQ(stamp("a").version, static_cast<std::uint64_t>(rounds) + 1);
    end_well();
}

}  // namespace

}  // namespace keystile::testing
