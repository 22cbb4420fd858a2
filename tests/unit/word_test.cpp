// The slot word and the claim record: what is packed comes out again, and each legal step changes what it
// should.
#include <gtest/gtest.h>

#include "slots/slots.hpp"

namespace keystile::engine {

namespace {

// The edges of the parts that an epoch is packed in.
constexpr std::uint64_t kEpochs[] = {0,          1,        (1ull << 24) - 1, 1ull << 24, (1ull << 31) - 1,
                                     1ull << 31, kEpochMax};

TEST(SlotWord, FieldsDoNotTouchEachOther) {
    for (const std::uint64_t version : {std::uint64_t{0}, std::uint64_t{1}, kVersionMax / 2, kVersionMax}) {
        for (const std::uint64_t epoch : kEpochs) {
            for (const Ref ref : {0u, 1u, UINT32_MAX}) {
                const SlotWord w(version, epoch, ref);
                EXPECT_EQ(w.version(), version);
                EXPECT_EQ(w.epoch(), epoch);
                EXPECT_EQ(w.ref(), ref);
                EXPECT_FALSE(w.is_intent());
                EXPECT_TRUE(SlotWord(w.raw()) == w);
            }
        }
    }
}

TEST(SlotWord, ACommitMovesTheVersionAndLeavesTheEpoch) {
    const SlotWord next = committed(SlotWord(7, 4, 100), 200);
    EXPECT_TRUE(next == SlotWord(8, 4, 200));
}

TEST(SlotWord, ACommitThatReleasesMovesBoth) {
    EXPECT_TRUE(next_epoch(committed(SlotWord(7, 5, 100), 200)) == SlotWord(8, 6, 200));
}

TEST(SlotWord, AnOwnershipChangeLeavesTheVersion) {
    EXPECT_TRUE(next_epoch(SlotWord(7, (1ull << 31) - 1, 100)) == SlotWord(7, 1ull << 31, 100));
}

TEST(ClaimRecord, WhatIsPackedComesOutAgain) {
    for (const std::uint64_t epoch : kEpochs) {
        for (const bool is_reclaimed : {false, true}) {
            for (const std::uint64_t deadline_us : {std::uint64_t{0}, std::uint64_t{1}, kDeadlineMax}) {
                const ClaimRecord record{kDetached, 0xFFFFFF, epoch, is_reclaimed, deadline_us};
                const ClaimRecord again = unpack_claim(pack(record));
                EXPECT_EQ(again.session, record.session);
                EXPECT_EQ(again.generation, record.generation);
                EXPECT_EQ(again.epoch, epoch);
                EXPECT_EQ(again.is_reclaimed, is_reclaimed);
                EXPECT_EQ(again.deadline_us, deadline_us);
                EXPECT_TRUE(again.is_detached());
            }
        }
    }
}

TEST(OwnershipWord, TagIdSessionAndSequenceComeOutAgain) {
    const OwnerId id = make_id(kSessionsMax - 1, kSequenceMax);
    for (const Tag tag : {Tag::kFree, Tag::kHeld, Tag::kPublished, Tag::kFixed}) {
        const std::uint64_t word = owned(tag, id);
        EXPECT_EQ(tag_of(word), tag);
        EXPECT_EQ(id_of(word), id);
        EXPECT_EQ(with_tag(word, Tag::kFree), owned(Tag::kFree, id));
    }
    EXPECT_EQ(session_of(id), kSessionsMax - 1);
    EXPECT_EQ(sequence_of(id), kSequenceMax);
}

TEST(InlineKey, DiffersForEveryLengthAndEndsInZeros) {
    const char bytes[17] = "abcdefghijklmnop";
    for (std::size_t size = 1; size <= kKeyBytesInline; ++size) {
        char padded[16] = {};
        std::memcpy(padded, bytes, size);
        InlineKey expected;
        std::memcpy(&expected, padded, sizeof expected);
        EXPECT_TRUE(inline_key({bytes, size}) == expected) << size;
    }
}

}  // namespace

}  // namespace keystile::engine
