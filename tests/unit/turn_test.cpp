// The event counter of a slot: what a change, a waiter and a loser leave in it.
#include "unit/unit_support.hpp"

namespace keystile::testing {

using namespace engine;

namespace {

class SlotTurn : public Inside {
protected:
    shm::Slot& slot() {
        shm::Slot* found = nullptr;
        EXPECT_EQ(find_slot(segment(), {"key", 3}, hash("key"), &found), Status::kOk);
        return *found;
    }
};

TEST_F(SlotTurn, ALoserGetsRoomOnce) {
    ASSERT_EQ(put("key", "1"), KS_OK);
    const std::uint32_t before = peek(slot().turn);
    ask_for_room(slot());
    EXPECT_EQ(peek(slot().turn), before | kHasLoser);
    EXPECT_EQ(inline_length_of(peek(slot().turn)), 3u);
    ASSERT_EQ(put("key", "2"), KS_OK);
    EXPECT_EQ(peek(slot().turn), before) << "the winner answered it, and nobody slept: no change is counted";
}

TEST_F(SlotTurn, AWaiterBesideALoserIsWoken) {
    ASSERT_EQ(put("key", "1"), KS_OK);
    const std::uint32_t before = peek(slot().turn);
    ask_for_room(slot());
    slot().turn.fetch_or(kHasWaiter, memory_order_acq_rel);
    ASSERT_EQ(put("key", "2"), KS_OK);
    EXPECT_EQ(peek(slot().turn), before + kTurnStep);
}

TEST_F(SlotTurn, ChangesDoNotRunIntoTheOtherBits) {
    ASSERT_EQ(put("key", "1"), KS_OK);
    const std::uint32_t other_bits = kTurnStep - 1;
    const std::uint32_t before = peek(slot().turn);
    slot().turn.store((before & other_bits) | ~other_bits | kHasWaiter, memory_order_relaxed);
    ASSERT_EQ(put("key", "2"), KS_OK);
    EXPECT_EQ(peek(slot().turn), before & other_bits) << "the counter begins again";
}

}  // namespace

}  // namespace keystile::testing
