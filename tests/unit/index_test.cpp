// The index: insertion, splits, chains of equal hashes.
#include <map>

#include "unit/unit_support.hpp"

namespace keystile::testing {

namespace {

using namespace keystile::engine;

class Index : public Inside {
protected:
    KeyBytes key(std::string_view text) { return {text.data(), text.size()}; }
    shm::Slot* insert(std::string_view text, std::uint64_t hash_bits) {
        shm::Slot* slot = nullptr;
        EXPECT_EQ(insert_slot(lane(), key(text), hash_bits, &slot), Status::kOk) << text;
        return slot;
    }
    shm::Slot* insert(std::string_view text) { return insert(text, hash(text)); }
    shm::Slot* find(std::string_view text) {
        shm::Slot* slot = nullptr;
        return find_slot(segment(), key(text), hash(text), &slot) == Status::kOk ? slot : nullptr;
    }
};

TEST_F(Index, AKeyThatWasNeverInsertedIsNotFound) {
    EXPECT_EQ(find("nobody"), nullptr);
}

TEST_F(Index, ThousandsOfKeysBehindFewRootCellsAreAllFoundInTheirPlaces) {
    std::map<std::string, shm::Slot*> slots;
    for (int i = 0; i < 5'000; ++i) {
        // Some inline, some in a key block.
        const std::string name = (i % 3 == 0 ? "a key of more than sixteen bytes " : "k") + std::to_string(i);
        slots[name] = insert(name);
    }
    for (const auto& [name, slot] : slots) {
        EXPECT_EQ(find(name), slot) << name;
        EXPECT_EQ(insert(name), slot) << "inserted twice: " << name;
        EXPECT_TRUE(is_slot_reachable(segment(), *slot));
    }
}

TEST_F(Index, KeysThatShareManyHashBitsPartSomewhereBelow) {
    const std::uint64_t base = hash("k");
    std::string twin;
    for (int i = 0; twin.empty(); ++i) {
        const std::string candidate = "c" + std::to_string(i);
        if (((hash(candidate) ^ base) & 0xFFFF) == 0) twin = candidate;
    }
    shm::Slot* const first = insert("k");
    shm::Slot* const second = insert(twin);
    EXPECT_NE(first, second);
    EXPECT_EQ(find("k"), first);
    EXPECT_EQ(find(twin), second);
    EXPECT_GE(walk(segment(), key(twin), hash(twin)).depth_bits, 16u);
}

TEST_F(Index, KeysOfOneHashAreChained) {
    // The hash of "k", forced upon another: the index asks nobody but its caller what a new key's hash is.
    // A third one is linked by hand.
    const std::uint64_t equal = hash("k");
    shm::Slot* const slots[] = {insert("k"), insert("other", equal), insert("third, longer than 16 bytes")};
    EXPECT_EQ(peek(slots[0]->next), segment().ref_of(slots[1]));
    poke(slots[1]->next, segment().ref_of(slots[2]));
    poke(slots[2]->key[0], equal);  // a long key's slot carries its hash
    EXPECT_EQ(walk(segment(), key("other"), equal).slot, slots[1]);
    EXPECT_EQ(walk(segment(), key("third, longer than 16 bytes"), equal).slot, slots[2]);
    EXPECT_EQ(walk(segment(), key("k"), equal).slot, slots[0]);
    EXPECT_EQ(walk(segment(), key("fourth"), equal).status, Status::kNotFound);
}

TEST_F(Index, AChainThatLeadsOutOfTheSegmentIsCorrupt) {
    const std::uint64_t equal = hash("k");
    poke(insert("k")->next, UINT32_MAX);
    EXPECT_EQ(walk(segment(), key("other"), equal).status, Status::kCorrupt);
}

TEST_F(Index, AChainInACircleIsCorruptAndNotEndless) {
    shm::Slot* const slot = insert("k");
    poke(slot->next, segment().ref_of(slot));
    EXPECT_EQ(walk(segment(), key("other"), hash("k")).status, Status::kCorrupt);
}

TEST_F(Index, EveryKeyIsVisitedOnce) {
    for (int i = 0; i < 2'000; ++i) insert("k" + std::to_string(i));
    std::map<shm::Slot*, int> visits;
    const auto visit = [](void* user, shm::Slot& slot) {
        ++(*static_cast<std::map<shm::Slot*, int>*>(user))[&slot];
        return true;
    };
    EXPECT_EQ(visit_all(segment(), Visitor{&visits, visit, nullptr}), Status::kOk);
    EXPECT_EQ(visits.size(), 2'000u);
    for (const auto& [slot, times] : visits) EXPECT_EQ(times, 1);
}

}  // namespace

}  // namespace keystile::testing
