// The reaper on remains written by hand: a participant whose process is gone, its session, what the session
// names.
#include <sys/wait.h>
#include <unistd.h>

#include "unit/unit_support.hpp"

namespace keystile::testing {

namespace {

using namespace keystile::engine;

class Reaper : public Inside {
protected:
    static constexpr std::uint32_t kParticipant = 5, kSession = 7;
    static constexpr ParticipantId kDead{kParticipant, 3};

    Reaper() {
        const pid_t gone = ::fork();
        if (gone == 0) ::_exit(0);
        ::waitpid(gone, nullptr, 0);
        shm::Participant& record = *segment().participant(kParticipant);
        poke(record.pid, static_cast<std::uint64_t>(gone));
        poke(record.start_ticks, std::uint64_t{1});
        poke(record.pid_namespace, self().pid_namespace);
        poke(record.state, participant_state(ParticipantTag::kAlive, kDead.generation));
        poke(lane_of_dead().state, pack(SessionState{true, 1, kDead}));
    }
    shm::Lane& lane_of_dead() { return segment().session(kSession)->lane; }
    void hold(Holding kind, Ref ref) { poke(lane_of_dead().holding[static_cast<int>(kind)], ref); }
    std::uint32_t reap() { return reap_dead(segment(), store().self, kParticipantsMax); }
    shm::BlockHead& head(Ref ref) { return *segment().at<shm::BlockHead>(ref); }
    // A free block that the dead session is then said to have.
    Ref free_block() {
        const BlockGrant grant = allocate(lane(), 96, lane().note(Holding::kValue));
        EXPECT_TRUE(free_exact(segment(), nullptr, grant.ref, grant.ctl));
        return grant.ref;
    }
    shm::Slot& slot(std::string_view key) {
        shm::Slot* found = nullptr;
        EXPECT_EQ(find_slot(segment(), {key.data(), key.size()}, hash(key), &found), Status::kOk);
        return *found;
    }
    void expect_buried() {
        EXPECT_FALSE(unpack_session(session_state(segment(), kSession)).is_open);
        EXPECT_FALSE(is_alive_tag(peek(segment().participant(kParticipant)->state)));
    }
    static constexpr OwnerId kId = make_id(kSession, 41);
};

TEST_F(Reaper, BuriesTheDeadOnceAndTheLivingNever) {
    EXPECT_EQ(reap(), 1u);
    expect_buried();
    EXPECT_EQ(reap(), 0u);
    EXPECT_TRUE(is_alive_tag(peek(segment().participant(store().self.index)->state)));
}

TEST_F(Reaper, FreesAHeldBlock) {
    const Ref ref = free_block();
    poke(head(ref).ctl, owned(Tag::kHeld, kId));
    hold(Holding::kValue, ref);
    EXPECT_EQ(reap(), 1u);
    EXPECT_EQ(peek(head(ref).ctl), owned(Tag::kFree, kId));
}

TEST_F(Reaper, FreesAPublishedBlockThatNoWordHolds) {
    ASSERT_EQ(put("k", "1"), KS_OK);
    const Ref ref = free_block();
    poke(head(ref).content, pack(BlockContent{1, kSession, BlockKind::kValue, 0}));
    poke(head(ref).place, static_cast<std::uint64_t>(segment().ref_of(&slot("k"))));
    poke(head(ref).ctl, owned(Tag::kPublished, kId));
    hold(Holding::kOtherValue, ref);
    EXPECT_EQ(reap(), 1u);
    EXPECT_EQ(peek(head(ref).ctl), owned(Tag::kFree, kId));
}

TEST_F(Reaper, LeavesAPublishedBlockThatAWordHolds) {
    ASSERT_EQ(put("k", "1"), KS_OK);
    const Ref ref = load_word(slot("k")).ref();
    poke(head(ref).ctl, owned(Tag::kPublished, kId));  // as if the dead session had committed it
    hold(Holding::kValue, ref);
    EXPECT_EQ(reap(), 1u);
    EXPECT_EQ(peek(head(ref).ctl), owned(Tag::kPublished, kId));
}

TEST_F(Reaper, LeavesABlockThatHasAnotherOwnerByNow) {
    ASSERT_EQ(put("k", "1"), KS_OK);
    const Ref ref = load_word(slot("k")).ref();
    const std::uint64_t ctl = peek(head(ref).ctl);
    hold(Holding::kValue, ref);
    EXPECT_EQ(reap(), 1u);
    EXPECT_EQ(peek(head(ref).ctl), ctl);
}

TEST_F(Reaper, AsksABlockWhatItIsAndNotTheHoldingThatNamesIt) {
    ASSERT_EQ(put("k", "1"), KS_OK);
    const Ref ref = load_word(slot("k")).ref();
    poke(head(ref).ctl, owned(Tag::kPublished, kId));
    hold(Holding::kKey, ref);  // it was a key block once, of a key that lost its race
    hold(Holding::kNode, ref);
    EXPECT_EQ(reap(), 1u);
    EXPECT_EQ(peek(head(ref).ctl), owned(Tag::kPublished, kId));
}

TEST_F(Reaper, FreesADraftWithItsBlocksThoughAnOldHoldingNamesItsDescriptor) {
    const BlockGrant grant = allocate(lane(), descriptor_bytes(1), lane().note(Holding::kValue));
    const Ref ref = grant.ref, fresh = free_block();
    constexpr OwnerId kFreshId = make_id(kSession, 42);
    auto& draft = *segment().at<shm::Descriptor>(ref, descriptor_bytes(1));
    poke(draft.head.content, pack(BlockContent{sizeof(shm::Entry), kSession, BlockKind::kDescriptor, 0}));
    poke(draft.entry[0].fresh, fresh);
    poke(draft.mark, kId);
    poke(head(fresh).ctl, owned(Tag::kHeld, kFreshId));
    poke(head(ref).ctl, owned(Tag::kHeld, kId));
    hold(Holding::kValue, ref);  // a value of long ago: freed, and allocated again as the descriptor
    hold(Holding::kDescriptor, ref);
    EXPECT_EQ(reap(), 1u);
    EXPECT_EQ(peek(head(ref).ctl), owned(Tag::kFree, kId));
    EXPECT_EQ(peek(head(fresh).ctl), owned(Tag::kFree, kFreshId));
}

TEST_F(Reaper, FreesTheReplacedBlockByExactlyTheIdInTheLine) {
    ASSERT_EQ(put("k", "1"), KS_OK);
    const Ref ref = free_block();
    poke(head(ref).ctl, owned(Tag::kPublished, make_id(2, 17)));
    poke(lane_of_dead().slot, segment().ref_of(&slot("k")));
    poke(lane_of_dead().old_ref, ref);
    poke(lane_of_dead().old_ctl, owned(Tag::kPublished, make_id(2, 16)));  // an earlier life of it
    EXPECT_EQ(reap(), 1u);
    EXPECT_EQ(peek(head(ref).ctl), owned(Tag::kPublished, make_id(2, 17)));
}

TEST_F(Reaper, LeavesTheOldBlockThatIsStillInPlace) {
    ASSERT_EQ(put("k", "1"), KS_OK);
    const Ref ref = load_word(slot("k")).ref();
    const std::uint64_t ctl = peek(head(ref).ctl);
    poke(lane_of_dead().slot, segment().ref_of(&slot("k")));
    poke(lane_of_dead().old_ref, ref);
    poke(lane_of_dead().old_ctl, ctl);
    EXPECT_EQ(reap(), 1u);
    EXPECT_EQ(peek(head(ref).ctl), ctl);
}

TEST_F(Reaper, PlacesASlotThatLookupsEndInAndGivesBackOneThatTheyDoNot) {
    ASSERT_EQ(put("k", "1"), KS_OK);
    shm::Slot& reachable = slot("k");
    poke(reachable.state, owned(Tag::kHeld, kId));
    hold(Holding::kSlot, segment().ref_of(&reachable));
    EXPECT_EQ(reap(), 1u);
    EXPECT_EQ(tag_of(peek(reachable.state)), Tag::kPublished);
}

TEST_F(Reaper, IsNotLedAstrayByRefsThatLeadNowhere) {
    for (int kind = 0; kind < kHoldings; ++kind) hold(static_cast<Holding>(kind), UINT32_MAX - 1);
    poke(lane_of_dead().slot, UINT32_MAX - 1);
    poke(lane_of_dead().old_ref, UINT32_MAX - 1);
    poke(lane_of_dead().old_ctl, owned(Tag::kPublished, kId));
    EXPECT_EQ(reap(), 1u);
    expect_buried();
    EXPECT_EQ(ks_check(handle(), nullptr, nullptr, nullptr), KS_OK);
}

}  // namespace

}  // namespace keystile::testing
