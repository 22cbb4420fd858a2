// The judge itself: each kind of wrong history, written by hand, is found; right ones are not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <keystile.h>

#include <deque>

#include "stress/history.hpp"

namespace keystile::testing {

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Events of one key; times are small numbers.
struct Story {
    std::deque<Event> events;
    Event& add(Op op, std::uint64_t begin, std::uint64_t end, std::uint32_t worker = 1) {
        Event& e = events.emplace_back();
        e.op = op;
        e.begin_ns = begin;
        e.end_ns = end;
        e.worker = worker;
        e.has_out = end != 0;
        return e;
    }
    // Version `version` from the one before, by an optimistic commit.
    Event& commit(std::uint64_t version, std::uint64_t value, std::uint64_t begin, std::uint64_t end,
                  std::uint64_t epoch = 0) {
        Event& e = add(Op::kCommit, begin, end);
        e.in = {version - 1, epoch};
        e.out = {version, epoch};
        e.value = value;
        return e;
    }
    Event& read(std::uint64_t version, std::uint64_t value, std::uint64_t begin, std::uint64_t end) {
        Event& e = add(Op::kRead, begin, end, 2);
        e.out = {version, 0};
        e.value = value;
        e.from_version = version - 1;
        return e;
    }
    Event& claim(std::uint64_t epoch, std::uint64_t begin, std::uint64_t end, std::uint32_t worker) {
        Event& e = add(Op::kClaim, begin, end, worker);
        e.out = {1, epoch};
        e.lease_ns = 100;
        return e;
    }
    std::vector<std::string> judged(std::uint64_t final_version) const {
        std::vector<const Event*> all;
        for (const Event& e : events) all.push_back(&e);
        return judge(all, {final_version});
    }
};

TEST(Judge, AcceptsAHistoryThatHolds) {
    Story story;
    story.commit(1, 10, 1, 5);
    story.commit(2, 20, 4, 9).previous = 10;
    story.read(1, 10, 3, 6);
    story.read(2, 20, 6, 8);
    EXPECT_THAT(story.judged(2), IsEmpty());
}

TEST(Judge, AcceptsWhatAKilledWorkerMayHaveDone) {
    Story seen, unseen;
    for (Story* story : {&seen, &unseen}) {
        story->commit(1, 10, 1, 2);
        story->commit(2, 20, 3, 0).died_ns = 5;
    }
    seen.read(2, 20, 6, 7);
    EXPECT_THAT(seen.judged(2), IsEmpty());
    EXPECT_THAT(unseen.judged(1), IsEmpty());
}

TEST(Judge, FindsTwoWinners) {
    Story story;
    story.commit(1, 10, 1, 2);
    story.commit(1, 11, 1, 2);
    EXPECT_THAT(story.judged(1), ElementsAre(HasSubstr("ExactlyOneWinner")));
}

TEST(Judge, FindsALostUpdate) {
    Story story;
    story.commit(1, 10, 1, 2);
    Event& blind = story.commit(2, 20, 3, 4);
    blind.previous = 9;
    blind.has_previous = true;
    EXPECT_THAT(story.judged(2), ElementsAre(HasSubstr("NoLostUpdate")));
}

TEST(Judge, FindsALostCommit) {
    Story story;
    story.commit(1, 10, 1, 2);
    story.commit(2, 20, 3, 4);
    EXPECT_THAT(story.judged(1), ElementsAre(HasSubstr("a commit that is gone")));
}

TEST(Judge, FindsAVersionWithoutAuthor) {
    Story story;
    story.commit(2, 20, 3, 4);
    EXPECT_THAT(story.judged(2), ElementsAre(HasSubstr("has no author")));
}

TEST(Judge, FindsAValueOfAnotherVersion) {
    Story story;
    story.commit(1, 10, 1, 2);
    story.read(1, 11, 3, 4);
    EXPECT_THAT(story.judged(1), ElementsAre(HasSubstr("NoTornRead")));
}

TEST(Judge, FindsTornBytes) {
    Story story;
    story.commit(1, 10, 1, 2);
    story.read(1, 10, 3, 4).is_torn = true;
    EXPECT_THAT(story.judged(1), ElementsAre(HasSubstr("NoTornRead")));
}

TEST(Judge, FindsAReadFromTheFuture) {
    Story story;
    story.commit(1, 10, 5, 6);
    story.read(1, 10, 1, 4);
    EXPECT_THAT(story.judged(1), ElementsAre(HasSubstr("real time")));
}

TEST(Judge, FindsAReadFromThePast) {
    Story story;
    story.commit(1, 10, 1, 2);
    story.commit(2, 20, 3, 4);
    story.read(1, 10, 5, 6);
    EXPECT_THAT(story.judged(2), ElementsAre(HasSubstr("real time")));
}

TEST(Judge, FindsTwoReadersWhoDisagreeOnTheOrder) {
    Story story;
    story.commit(1, 10, 1, 20);
    story.commit(2, 20, 1, 20);
    story.read(2, 20, 5, 6);
    story.read(1, 10, 7, 8);
    EXPECT_THAT(story.judged(2), ElementsAre(HasSubstr("real time")));
}

TEST(Judge, FindsACommitOfAnEpochThatHadPassed) {
    Story story;
    story.commit(1, 10, 1, 2);
    story.commit(2, 20, 3, 4).out.epoch = 2;
    EXPECT_THAT(story.judged(2), ElementsAre(HasSubstr("NoStaleApply")));
}

TEST(Judge, FindsTwoOwners) {
    Story story;
    story.commit(1, 10, 1, 2);
    story.claim(1, 3, 4, 1);
    story.claim(1, 3, 4, 2);
    EXPECT_THAT(story.judged(1), ElementsAre(HasSubstr("OneOwnerPerEpoch")));
}

TEST(Judge, FindsAThief) {
    Story story;
    story.commit(1, 10, 1, 2);
    story.claim(1, 3, 4, 2);
    story.commit(2, 20, 5, 6, 1).has_grant = true;
    EXPECT_THAT(story.judged(2), ElementsAre(HasSubstr("not its owner")));
}

TEST(Judge, FindsRefusalsThatAreNotTrue) {
    for (const ks_status status : {KS_CONFLICT, KS_FENCED, KS_HELD}) {
        Story story;
        story.commit(1, 10, 1, 2);
        Event& refused = story.commit(2, 20, 3, 4);
        refused.status = static_cast<std::int16_t>(status);
        refused.out = refused.in;
        EXPECT_THAT(story.judged(1), ElementsAre(HasSubstr("OutcomeIsTrue"))) << ks_status_name(status);
    }
}

TEST(Judge, FindsALeaseThatDidNotHold) {
    for (const std::uint64_t fenced_at : {50u, 500u}) {
        Story story;
        story.commit(1, 10, 1, 2);
        story.claim(1, 3, 4, 1);
        Event& fenced = story.add(Op::kRelease, fenced_at, fenced_at + 1);
        fenced.has_grant = true;
        fenced.status = KS_FENCED;
        fenced.in.epoch = 1;
        fenced.out = {1, 2};
        if (fenced_at < 100) {
            EXPECT_THAT(story.judged(1), ElementsAre(HasSubstr("LeaseHolds")));
            Event& force = story.add(Op::kReclaim, 10, 11, 2);
            force.is_forced = true;
            force.in.epoch = 1;
            force.out = {1, 2};
        }
        EXPECT_THAT(story.judged(1), IsEmpty()) << "over, or taken by force";
    }
}

}  // namespace

}  // namespace keystile::testing
