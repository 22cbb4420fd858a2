// Blocks and runs, one session, in a real segment.
#include <set>

#include "unit/unit_support.hpp"

namespace keystile::testing {

namespace {

using namespace keystile::engine;

class Arena : public Inside {
protected:
    BlockGrant take(std::uint64_t bytes) {
        BlockGrant grant = allocate(lane(), bytes, lane().note(Holding::kValue));
        EXPECT_NE(grant.ref, 0u);
        return grant;
    }
    std::uint64_t ctl(Ref ref) { return peek(segment().at<shm::BlockHead>(ref)->ctl); }
    std::uint64_t use(Ref ref) { return peek(segment().chunk(segment().chunk_of(ref))->use); }
};

TEST_F(Arena, AnAllocatedBlockIsHeldByAFreshIdOfThisSession) {
    std::set<OwnerId> ids;
    for (int i = 0; i < 100; ++i) {
        const BlockGrant grant = take(96);
        EXPECT_EQ(ctl(grant.ref), grant.ctl);
        EXPECT_EQ(tag_of(grant.ctl), Tag::kHeld);
        EXPECT_EQ(session_of(id_of(grant.ctl)), lane().id().index);
        EXPECT_TRUE(ids.insert(id_of(grant.ctl)).second);
    }
}

TEST_F(Arena, AllocatedBlocksDoNotOverlap) {
    std::set<std::pair<std::uint64_t, std::uint64_t>> taken;  // begin, end
    for (const std::uint64_t bytes :
         {64ull, 96ull, 100ull, 500ull, 5'000ull, 32'768ull, 70'000ull, 200'000ull}) {
        for (int i = 0; i < 5; ++i) {
            const std::uint64_t begin = take(bytes).ref * kRefUnit;
            const auto next = taken.lower_bound({begin, 0});
            if (next != taken.end()) {
                EXPECT_GE(next->first, begin + bytes);
            }
            if (next != taken.begin()) {
                EXPECT_LE(std::prev(next)->second, begin);
            }
            taken.insert({begin, begin + bytes});
        }
    }
}

TEST_F(Arena, AFreedBlockIsTheNextOneToBeUsed) {
    const BlockGrant first = take(96);
    (void)take(96);
    ASSERT_TRUE(free_exact(lane(), first.ref, first.ctl));
    EXPECT_EQ(tag_of(ctl(first.ref)), Tag::kFree);
    const BlockGrant again = take(96);
    EXPECT_EQ(again.ref, first.ref);
    EXPECT_NE(again.ctl, first.ctl);
}

TEST_F(Arena, ABlockIsFreedOnlyByTheIdItHasNow) {
    const BlockGrant first = take(96);
    ASSERT_TRUE(free_exact(lane(), first.ref, first.ctl));
    const BlockGrant again = take(96);
    ASSERT_EQ(again.ref, first.ref);
    EXPECT_FALSE(free_exact(lane(), first.ref, first.ctl));
    EXPECT_FALSE(free_exact(lane(), first.ref, with_tag(first.ctl, Tag::kPublished)));
    EXPECT_EQ(ctl(again.ref), again.ctl);
}

TEST_F(Arena, WhereABlockWasTakenIsWrittenDown) {
    const BlockGrant grant = take(96);
    EXPECT_EQ(peek(lane().shared().holding[static_cast<int>(Holding::kValue)]), grant.ref);
}

TEST_F(Arena, ARunHoldsAllItsChunksAndGivesAllOfThemBack) {
    constexpr std::uint64_t kBytes = 5 * kChunkBytes - 100;
    const BlockGrant run = take(kBytes);
    const std::uint64_t first = segment().chunk_of(run.ref);
    for (std::uint64_t i = 0; i < 5; ++i) {
        EXPECT_EQ(peek(segment().chunk(first + i)->use), owned(Tag::kHeld, id_of(run.ctl)));
    }
    ASSERT_TRUE(free_exact(lane(), run.ref, run.ctl));
    for (std::uint64_t i = 0; i < 5; ++i) {
        EXPECT_EQ(peek(segment().chunk(first + i)->use), owned(Tag::kFree, id_of(run.ctl)));
    }
    EXPECT_EQ(take(kBytes).ref, run.ref);
}

TEST_F(Arena, GivingARunBackTwiceDoesNotTouchItsNextOwner) {
    const BlockGrant run = take(3 * kChunkBytes);
    ASSERT_TRUE(free_exact(lane(), run.ref, run.ctl));
    const BlockGrant next = take(3 * kChunkBytes);
    ASSERT_EQ(next.ref, run.ref);
    release_run(segment(), run.ref, id_of(run.ctl));
    EXPECT_EQ(use(next.ref), owned(Tag::kHeld, id_of(next.ctl)));
}

TEST_F(Arena, AFullSegmentSaysSoAndServesAgainAfterAFree) {
    const std::string megabyte(1u << 20, 'x');
    int stored = 0;
    while (put("big-" + std::to_string(stored), megabyte) == KS_OK) ++stored;
    EXPECT_GT(stored, 10);
    EXPECT_EQ(put("big-0", megabyte), KS_E_FULL);
    ks_stamp seen{};
    (void)ks_get(session(), bytes("big-1"), nullptr, 0, nullptr, &seen);
    ASSERT_EQ(ks_delete(session(), bytes("big-1"), seen, nullptr, nullptr), KS_OK);
    EXPECT_EQ(put("big-0", megabyte), KS_OK);
}

}  // namespace

}  // namespace keystile::testing
