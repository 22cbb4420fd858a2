// A damaged ring: what cannot be true is KS_E_CORRUPT, or any answer, but never a hang or a crash.
#include <unistd.h>

#include <csignal>

#include "support/child.hpp"
#include "unit/ring_support.hpp"

namespace keystile::testing {

using namespace engine;

namespace {

class DamagedRing : public RingInside {
protected:
    DamagedRing() {
        for (const char* key : {"a", "b", "c"}) EXPECT_EQ(put(key, "old"), KS_OK);
    }
    // Every kind of call on "a" and "b", in a child under its alarm; any answer will do.
    void expect_answers(const char* what) {
        const int status = run_in_child([&] {
            ::alarm(3);
            ks_store* own = nullptr;
            ks_session* lane = nullptr;
            if (open_small(url(), KS_OPEN_MUST_EXIST, &own) != KS_OK || ks_session_open(own, &lane) != KS_OK)
                return 3;
            ks_multi* multi = nullptr;
            ks_snapshot* snapshot = nullptr;
            ks_grant grant{};
            char buf[64];
            if (ks_multi_begin(lane, &multi) != KS_OK) return 4;
            for (const char* key : {"a", "b", "c"}) {
                ks_stamp seen{};
                (void)ks_get(lane, bytes(key), buf, sizeof buf, nullptr, &seen);
                (void)ks_watch(lane, bytes(key), seen, 0, nullptr);
                (void)ks_commit(lane, bytes(key), seen, bytes("x"), nullptr, nullptr);
                if (ks_claim(lane, bytes(key), nullptr, &grant, nullptr) == KS_OK)
                    (void)ks_release(lane, &grant, nullptr);
                (void)ks_multi_put(multi, bytes(key), bytes("x"), nullptr);
            }
            if (ks_snapshot_prefix(lane, {nullptr, 0}, &snapshot) == KS_OK) ks_snapshot_close(snapshot);
            (void)ks_multi_commit(multi);
            ks_multi_end(multi);
            (void)ks_check(own, nullptr, nullptr, nullptr);
            (void)ks_reap(own, nullptr);
            ks_close(own);
            return 0;
        });
        EXPECT_EQ(status, 0) << what << (status == 128 + SIGALRM ? ": hangs" : "");
    }
    std::string url() { return "shm:" + segment().path().substr(segment().path().find("keystile.") + 9); }
};

TEST_F(DamagedRing, AnIntentOfAnOperationThatNeverWasIsCorrupt) {
    const SlotWord word = load_word(*slot("a"));
    for (const Position p : {Position{0}, ring_tail(segment()) + 1, kPositionMax}) {
        const SlotWord damaged = intent_word(p, word);
        ASSERT_TRUE(cas_word(*slot("a"), load_word(*slot("a")), damaged));
        EXPECT_EQ(value("a"), "KS_E_CORRUPT") << p;
        EXPECT_EQ(ks_commit(session(), bytes("a"), {1, 0}, bytes("x"), nullptr, nullptr), KS_E_CORRUPT) << p;
        ks_grant grant{};
        EXPECT_EQ(ks_claim(session(), bytes("a"), nullptr, &grant, nullptr), KS_E_CORRUPT) << p;
        EXPECT_EQ(ks_watch(session(), bytes("a"), {1, 0}, 0, nullptr), KS_E_CORRUPT) << p;
        EXPECT_EQ(ks_check(handle(), nullptr, nullptr, nullptr), KS_E_CORRUPT) << p;
    }
}

TEST_F(DamagedRing, ADecidedCellWhoseDescriptorDoesNotKnowTheSlotIsCorrupt) {
    const Operation op = publish_operation({"a", "b"}, "new");
    install(op);
    mark(op, CellState::kCommitted);
    const SlotWord word = load_word(*slot("c"));
    ASSERT_TRUE(cas_word(*slot("c"), word, intent_word(op.p, word)));
    EXPECT_EQ(value("c"), "KS_E_CORRUPT");
    EXPECT_EQ(ks_commit(session(), bytes("c"), {1, 0}, bytes("x"), nullptr, nullptr), KS_E_CORRUPT);
    EXPECT_EQ(value("a"), "new");
}

TEST_F(DamagedRing, ADescriptorWithWrongSlotsAnswers) {
    const Operation op = publish_operation({"a", "b"}, "new");
    install(op, 1);
    poke(op.descriptor->entry[1].slot, UINT32_MAX);
    expect_answers("a slot out of bounds");
}

TEST_F(DamagedRing, ADescriptorWithWrongFreshBlocksAnswers) {
    const Operation op = publish_operation({"a", "b"}, "new");
    install(op);
    mark(op, CellState::kCommitted);
    poke(op.descriptor->entry[0].fresh, UINT32_MAX);
    poke(op.descriptor->entry[1].fresh, Ref{1});
    expect_answers("fresh blocks out of bounds");
}

TEST_F(DamagedRing, AReadyCellWithoutADescriptorAnswers) {
    const Operation op = publish_operation({"a", "b"}, "new");
    install(op);
    const RingCell cell = load_cell(segment(), op.p);
    for (const Ref ref : {Ref{0}, UINT32_MAX, cell.operation() + 1}) {
        ASSERT_TRUE(cas_cell(segment(), op.p, load_cell(segment(), op.p),
                             RingCell(cell.lap(), CellState::kReady, ref)));
        expect_answers(("descriptor " + std::to_string(ref)).c_str());
    }
}

TEST_F(DamagedRing, AReadyCellWithAFreedDescriptorAnswers) {
    const Operation op = publish_operation({"a", "b"}, "new");
    install(op);
    poke(op.descriptor->head.ctl, with_tag(peek(op.descriptor->head.ctl), Tag::kFree));
    expect_answers("a freed descriptor");
}

// Two that each wait for the other: no order of slots is kept.
TEST_F(DamagedRing, OperationsThatWaitForEachOtherAnswer) {
    const Operation one = publish_operation({"a", "b"}, "1"), other = publish_operation({"a", "b"}, "2");
    const std::uint64_t low = peek(other.descriptor->entry[0].slot),
                        high = peek(other.descriptor->entry[1].slot);
    poke(other.descriptor->entry[0].slot, static_cast<Ref>(high));
    poke(other.descriptor->entry[1].slot, static_cast<Ref>(low));
    const SlotWord first = load_word(*one.slots[0]), second = load_word(*one.slots[1]);
    ASSERT_TRUE(cas_word(*one.slots[0], first, intent_word(one.p, first)));
    ASSERT_TRUE(cas_word(*one.slots[1], second, intent_word(other.p, second)));
    expect_answers("a cycle");
}

TEST_F(DamagedRing, APlaceFarAheadAnswers) {
    for (const Position tail : {Position{1} << 40, kPositionMax - 1, Position{UINT64_MAX}}) {
        poke(segment().header().ring_tail.value, tail);
        expect_answers(("tail " + std::to_string(tail)).c_str());
    }
}

TEST_F(DamagedRing, AHeadBeforeItsTailAnswers) {
    poke(segment().header().ring_head.value, ring_tail(segment()) + 1000);
    expect_answers("a head ahead of the tail");
    poke(segment().header().ring_head.value, UINT64_MAX);
    expect_answers("a head at the end");
}

TEST_F(DamagedRing, CellsOfAnyContentAnswer) {
    for (const std::uint64_t lap : {std::uint64_t{0}, std::uint64_t{5}, (std::uint64_t{1} << 61) - 1}) {
        for (std::uint64_t state = 0; state < 8 && !HasFailure(); ++state) {
            for (Position p = 1; p <= segment().ring_cells(); ++p) {
                const RingCell damaged(lap, static_cast<CellState>(state), static_cast<Ref>(p));
                (void)cas_cell(segment(), p, load_cell(segment(), p), damaged);
            }
            expect_answers(("lap " + std::to_string(lap) + ", state " + std::to_string(state)).c_str());
        }
    }
}

}  // namespace

}  // namespace keystile::testing
