// Operations of several keys, made by hand and left at any step.
#pragma once

#include <algorithm>
#include <vector>

#include "unit/unit_support.hpp"

namespace keystile::testing {

class RingInside : public Inside {
protected:
    using SlotWord = engine::SlotWord;
    using CellState = engine::CellState;
    using Position = engine::Position;

    struct Operation {
        Position p = 0;
        engine::shm::Descriptor* descriptor = nullptr;
        std::vector<engine::shm::Slot*> slots;  // ascending
    };

    engine::shm::Slot* slot(std::string_view key) {
        engine::shm::Slot* found = nullptr;
        EXPECT_EQ(engine::abi::find_or_insert(session()->session, bytes(key), &found), KS_OK);
        return found;
    }
    // Published at the next position, nothing installed: each key becomes `value`.
    Operation publish_operation(std::vector<std::string> keys, std::string_view value) {
        using namespace engine;
        Operation op;
        for (const std::string& key : keys) op.slots.push_back(slot(key));
        std::sort(op.slots.begin(), op.slots.end());
        const std::uint64_t bytes = descriptor_bytes(keys.size());
        const BlockGrant grant = allocate(lane(), bytes, lane().note(Holding::kDescriptor));
        EXPECT_EQ(grant.status, Status::kOk);
        op.descriptor = segment().at<shm::Descriptor>(grant.ref, bytes);
        const auto size = static_cast<std::uint32_t>(keys.size() * sizeof(shm::Entry));
        poke(op.descriptor->head.content,
             pack(BlockContent{size, lane().id().index, BlockKind::kDescriptor, 0}));
        for (std::size_t i = 0; i < keys.size(); ++i)
            fill_entry(op.descriptor->entry[i], *op.slots[i], value);
        poke(op.descriptor->mark, id_of(grant.ctl));
        op.p = reserve_position(segment());
        poke(op.descriptor->head.version, op.p);
        publish(op.descriptor->head, grant.ctl);
        poke(lane().shared().outcome, outcome_word(op.p, CellState::kReady));
        const RingCell free = load_cell(segment(), op.p);
        EXPECT_TRUE(cas_cell(segment(), op.p, free, RingCell(free.lap(), CellState::kReady, grant.ref)));
        return op;
    }
    // INTENT in the first `count` words.
    void install(const Operation& op, std::size_t count = SIZE_MAX) {
        for (std::size_t i = 0; i < std::min(count, op.slots.size()); ++i) {
            const SlotWord word = engine::load_word(*op.slots[i]);
            ASSERT_TRUE(engine::cas_word(*op.slots[i], word, engine::intent_word(op.p, word)));
        }
    }
    void mark(const Operation& op, CellState state) {
        const engine::RingCell cell = engine::load_cell(segment(), op.p);
        ASSERT_TRUE(engine::cas_cell(segment(), op.p, cell, cell.with(state)));
    }
    bool has_intent(std::string_view key) { return engine::load_word(*slot(key)).is_intent(); }
    CellState state(const Operation& op) { return engine::load_cell(segment(), op.p).state(); }
    std::string value(std::string_view key) {
        char buf[256];
        std::size_t size = 0;
        const ks_status s = ks_get(session(), bytes(key), buf, sizeof buf, &size, nullptr);
        return s == KS_OK ? std::string(buf, size) : s == KS_NOT_FOUND ? "(none)" : ks_status_name(s);
    }
    ks_stamp stamp(std::string_view key) {
        ks_stamp seen{};
        (void)ks_get(session(), bytes(key), nullptr, 0, nullptr, &seen);
        return seen;
    }
    void recycle_all() { engine::recycle_up_to(segment(), engine::ring_tail(segment())); }

private:
    void fill_entry(engine::shm::Entry& entry, engine::shm::Slot& slot, std::string_view value) {
        using namespace engine;
        SlotWord word;
        ASSERT_EQ(load_settled(segment(), slot, &word), Status::kOk);
        const auto* old = word.ref() != 0 ? segment().at<shm::BlockHead>(word.ref()) : nullptr;
        poke(entry.expected[0], word.raw().lo);
        poke(entry.expected[1], word.raw().hi);
        poke(entry.old_ctl, old != nullptr ? peek(old->ctl) : 0);
        poke(entry.slot, segment().ref_of(&slot));
        poke(entry.is_released, 0u);
        const BlockGrant fresh = allocate(lane(), sizeof(shm::Block) + value.size(), entry.fresh);
        ASSERT_EQ(fresh.status, Status::kOk);
        poke(entry.fresh_ctl, with_tag(fresh.ctl, Tag::kPublished));
        auto* block = segment().at<shm::Block>(fresh.ref, sizeof(shm::Block) + round_up(value.size(), 8));
        poke(block->head.version, word.version() + 1);
        poke(block->head.content, pack(BlockContent{static_cast<std::uint32_t>(value.size()),
                                                    lane().id().index, BlockKind::kValue, kOfOperation}));
        poke(block->head.place, static_cast<std::uint64_t>(segment().ref_of(&slot)));
        copy_in(block->payload, value.data(), value.size());
        publish(block->head, fresh.ctl);
    }
};

}  // namespace keystile::testing
