// Participants and sessions: generations tell one owner of a record from the next.
#include "unit/unit_support.hpp"

namespace keystile::testing {

namespace {

using namespace keystile::engine;

class Sessions : public Inside {
protected:
    SessionId open() {
        SessionId id;
        EXPECT_EQ(engine::open_session(segment(), store().self, &id), Status::kOk);
        return id;
    }
    std::uint64_t state_of(SessionId id) { return pack(SessionState{true, id.generation, store().self}); }
    void close(SessionId id) { engine::close_session(segment(), id.index, state_of(id)); }
    bool is_alive(SessionId id) { return is_session_alive(segment(), id, store().self); }
};

TEST_F(Sessions, StatesComeOutAgainAsTheyWerePacked) {
    const SessionState state{true, 0xFFFFFF, {kParticipantsMax - 1, 0xABCDEF}};
    const SessionState again = unpack_session(pack(state));
    EXPECT_TRUE(again.is_open);
    EXPECT_EQ(again.generation, state.generation);
    EXPECT_TRUE(again.participant == state.participant);
    EXPECT_FALSE(unpack_session(0).is_open);
}

TEST_F(Sessions, AClosedSessionIsDeadForGoodAlsoWhenItsRecordIsUsedAgain) {
    const SessionId first = open();
    EXPECT_TRUE(is_alive(first));
    close(first);
    EXPECT_FALSE(is_alive(first));
    SessionId next = open();
    while (next.index != first.index) next = open();
    EXPECT_NE(next.generation, first.generation);
    EXPECT_TRUE(is_alive(next));
    EXPECT_FALSE(is_alive(first));
}

TEST_F(Sessions, ASlowReaperDoesNotCloseASuccessor) {
    const SessionId first = open();
    close(first);
    SessionId next = open();
    while (next.index != first.index) next = open();
    close(first);
    EXPECT_TRUE(is_alive(next));
}

TEST_F(Sessions, IdsOfARecordGoOnWhereItsLastOwnerStopped) {
    const SessionId first = open();
    Lane lane_of_first(segment(), first, store().self);
    const OwnerId last = lane_of_first.next_id();
    close(first);
    SessionId next = open();
    while (next.index != first.index) next = open();
    Lane lane_of_next(segment(), next, store().self);
    EXPECT_EQ(lane_of_next.next_id(), last + 1);
}

// An owner that died just before its commit leaves a line that is still true; half of the next owner's over it is not.
TEST_F(Sessions, TheNextOwnerClearsTheLine) {
    const SessionId first = open();
    poke(segment().session(first.index)->lane.old_ctl, owned(Tag::kPublished, make_id(first.index, 1)));
    close(first);
    SessionId next = open();
    while (next.index != first.index) next = open();
    EXPECT_EQ(peek(segment().session(next.index)->lane.old_ctl), 0u);
}

TEST_F(Sessions, ARecordWhoseIdsRunOutIsNotTakenAgain) {
    const SessionId first = open();
    poke(segment().session(first.index)->lane.sequence, kSequenceMax);
    Lane exhausted(segment(), first, store().self);
    EXPECT_EQ(exhausted.next_id(), 0u);
    close(first);
    for (int i = 0; i < 200; ++i) EXPECT_NE(open().index, first.index);
}

TEST_F(Sessions, ASessionOfAnUnknownParticipantIsNotAlive) {
    const SessionId id = open();
    const ParticipantId stranger{store().self.index, store().self.generation + 1};
    poke(segment().session(id.index)->lane.state, pack(SessionState{true, id.generation, stranger}));
    EXPECT_FALSE(is_alive(id));
}

TEST_F(Sessions, AnIndexOutOfRangeIsAClosedSession) {
    EXPECT_FALSE(unpack_session(session_state(segment(), kSessionsMax)).is_open);
    EXPECT_FALSE(is_alive({UINT32_MAX, 1}));
}

TEST_F(Sessions, ABuriedParticipantIsBuriedOnlyAtItsOwnGeneration) {
    const ParticipantId older{store().self.index, store().self.generation - 1};
    bury_participant(segment(), older);
    EXPECT_TRUE(is_participant_alive(segment(), store().self, {UINT32_MAX, 0}) ||
                is_alive_tag(peek(segment().participant(store().self.index)->state)));
    EXPECT_FALSE(is_participant_alive(segment(), older, {UINT32_MAX, 0}));
}

}  // namespace

}  // namespace keystile::testing
