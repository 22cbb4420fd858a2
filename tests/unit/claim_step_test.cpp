// Claims, one CAS at a time, on hand-made slots.
#include <gtest/gtest.h>

#include "slots/slots.hpp"

namespace keystile::engine {

namespace {

struct Fixture {
    shm::Slot slot{};
    Fixture(SlotWord word, ClaimRecord record) {
        slot.word = word.raw();
        slot.claim = pack(record);
    }
    ClaimRecord record() const { return unpack_claim(ld16(&slot.claim)); }
    std::uint64_t epoch() const { return load_word(slot).epoch(); }
    SlotWord now;
};

// No operation of several keys is about here.
constexpr Settle kNoIntents{nullptr, [](const Segment&, shm::Slot&, SlotWord) { return Status::kCorrupt; }};

constexpr ClaimRecord kMe{3, 9, 0, false, 0};

TEST(ClaimStep, AFreeKeyIsClaimedAtTheNextOddEpoch) {
    Fixture f({5, 2, 7}, {});
    EXPECT_EQ(claim_step(f.slot, load_word(f.slot), kMe, kNoIntents, &f.now), Status::kOk);
    EXPECT_EQ(f.epoch(), 3u);
    EXPECT_EQ(f.record().epoch, 3u);
    EXPECT_EQ(f.record().session, 3u);
    EXPECT_EQ(load_word(f.slot).version(), 5u);
}

TEST(ClaimStep, ABidOfSomebodyElseIsHelpedAndNotOverwritten) {
    Fixture f({5, 2, 7}, {1, 1, 3, false, 0});
    EXPECT_EQ(claim_step(f.slot, load_word(f.slot), kMe, kNoIntents, &f.now), Status::kBusy);
    EXPECT_EQ(f.epoch(), 3u);
    EXPECT_EQ(f.record().session, 1u);
}

TEST(ClaimStep, AnOldWordBidsForNothing) {
    Fixture f({5, 5, 7}, {1, 1, 5, false, 0});
    EXPECT_EQ(claim_step(f.slot, SlotWord(5, 2, 7), kMe, kNoIntents, &f.now), Status::kBusy);
    EXPECT_EQ(f.record().epoch, 5u);
    EXPECT_EQ(f.epoch(), 5u);
}

TEST(ReclaimStep, MarksTheRecordAndMovesTheEpoch) {
    Fixture f({5, 3, 7}, {1, 1, 3, false, 0});
    EXPECT_EQ(reclaim_step(f.slot, ld16(&f.slot.claim), kNoIntents), Status::kOk);
    EXPECT_EQ(f.epoch(), 4u);
    EXPECT_TRUE(f.record().is_reclaimed);
}

TEST(ReclaimStep, GoesOnFromAMarkThatAnotherSet) {
    Fixture f({5, 3, 7}, {1, 1, 3, true, 0});
    EXPECT_EQ(reclaim_step(f.slot, ld16(&f.slot.claim), kNoIntents), Status::kOk);
    EXPECT_EQ(f.epoch(), 4u);
}

TEST(ReclaimStep, DoesNothingToARecordThatWasRenewedMeanwhile) {
    Fixture f({5, 3, 7}, {1, 1, 3, false, 10});
    const Word128 judged = ld16(&f.slot.claim);
    ASSERT_EQ(renew_step(f.slot, judged, 20), Status::kOk);
    EXPECT_EQ(reclaim_step(f.slot, judged, kNoIntents), Status::kBusy);
    EXPECT_EQ(f.epoch(), 3u);
    EXPECT_FALSE(f.record().is_reclaimed);
}

TEST(ReclaimStep, DoneTwiceMovesTheEpochOnce) {
    Fixture f({5, 3, 7}, {1, 1, 3, true, 0});
    EXPECT_EQ(reclaim_step(f.slot, ld16(&f.slot.claim), kNoIntents), Status::kOk);
    EXPECT_EQ(reclaim_step(f.slot, ld16(&f.slot.claim), kNoIntents), Status::kOk);
    EXPECT_EQ(f.epoch(), 4u);
}

TEST(ReleaseEpoch, EndsExactlyThatClaim) {
    Fixture f({5, 3, 7}, {1, 1, 3, false, 0});
    SlotWord now;
    EXPECT_EQ(release_epoch(f.slot, 3, kNoIntents, &now), Status::kOk);
    EXPECT_EQ(now.epoch(), 4u);
    EXPECT_EQ(release_epoch(f.slot, 3, kNoIntents, &now), Status::kFenced);
    EXPECT_EQ(f.epoch(), 4u);
}

TEST(RenewStep, IsRefusedForAnotherRecordThanTheOneRead) {
    Fixture f({5, 3, 7}, {1, 1, 3, false, 10});
    const Word128 old = ld16(&f.slot.claim);
    ASSERT_EQ(renew_step(f.slot, old, 20), Status::kOk);
    EXPECT_EQ(renew_step(f.slot, old, 30), Status::kBusy);
    EXPECT_EQ(f.record().deadline_us, 20u);
}

}  // namespace

}  // namespace keystile::engine
