#include "operations/multi.hpp"

#include "operations/author.hpp"

namespace keystile::engine {

namespace {

Stamp wanted(const Store& store, const MultiKey& key, SlotWord word) noexcept {
    if (!key.is_any_version) return key.seen;
    return {word.version(), key.grant != nullptr || word.version() == 0 ? 0 : store.token_of(word.epoch())};
}

}  // namespace

Status look(Session& session, MultiKey& key) noexcept {
    const Segment& segment = session.store->segment;
    if (key.grant != nullptr) {
        if (const Status s = check_ticket(session, *key.grant, &key.receipt); s != Status::kOk) return s;
    }
    for (;;) {  // lock-free: another turn only if the word moved
        SlotWord word;
        if (const Status s = load_settled(segment, *key.slot, &word); s != Status::kOk) return s;
        key.receipt.now = word;
        if (key.is_exact) return word == key.judged.word ? Status::kOk : Status::kConflict;
        const Stamp seen = wanted(*session.store, key, word);
        if (key.grant != nullptr || !is_as_seen(word, seen, session.store->token_base)) [[unlikely]] {
            const Status judged = judge(session, *key.slot, word, seen, key.grant, &key.receipt);
            if (judged == Status::kBusy) continue;
            if (judged != Status::kOk) return judged;
        }
        key.judged = {word, 0, true};
        if (word.version() == 0) return Status::kOk;
        const auto* old = segment.at<shm::BlockHead>(word.ref());
        if (old == nullptr) return Status::kCorrupt;
        // order[multi.old_id]: acquire. Partner: arena.publish, as commit.old_id: the id is this block's only if the
        //   word still names it (E4).
        key.judged.old_ctl = old->ctl.load(memory_order_acquire);
        key.judged.is_void = (unpack_content(peek(old->content)).flags & kTombstone) != 0;
        if (KEYSTILE_GUARD("commit.old_id") && load_word(*key.slot) != word) continue;
        return tag_of(key.judged.old_ctl) == Tag::kPublished ? Status::kOk : Status::kCorrupt;
    }
}

namespace {

// The gravest of two answers.
Status graver(Status a, Status b) noexcept {
    const auto weight = [](Status s) {
        if (s < Status::kOk) return 4;
        return s == Status::kFenced ? 3 : s == Status::kConflict ? 2 : s == Status::kHeld ? 1 : 0;
    };
    return weight(b) > weight(a) ? b : a;
}

bool is_writing(const MultiKey& key) noexcept {
    return key.step == MultiStep::kPut || (key.step == MultiStep::kDelete && !key.judged.is_void);
}

// An operation while its author alone knows it.
class Draft {
public:
    explicit Draft(Session& session) noexcept : session_(session), lane_(session.lane) {}

    // The descriptor, its entries empty. kFull, kExhausted, kCorrupt.
    Status begin(std::size_t count) noexcept {
        const std::uint64_t bytes = descriptor_bytes(count) + signature_bytes(*session_.store);
        shm::Atomic32& note = lane_.note(Holding::kDescriptor);
        grant_ = allocate(lane_, bytes, note);
        if (grant_.status == Status::kFull) grant_ = allocate_larger(lane_, bytes, note);
        if (grant_.status != Status::kOk) return grant_.status;
        descriptor_ = lane_.segment().at<shm::Descriptor>(grant_.ref, bytes);
        if (descriptor_ == nullptr) return Status::kCorrupt;
        poke(descriptor_->head.version, Position{0});
        poke(descriptor_->head.content,
             pack(BlockContent{static_cast<std::uint32_t>(count * sizeof(shm::Entry)), lane_.id().index,
                               BlockKind::kDescriptor, 0}));
        for (std::size_t i = 0; i < count; ++i) poke(descriptor_->entry[i].fresh, Ref{0});
        sign_operation(*session_.store, descriptor_->signature, &descriptor_->entry[count]);
        // order[multi.mark]: release. Partner: reap_descriptor's acquire: from now on the entries are this life's
        //   (D3). A crash before: the reaper frees the block alone.
        descriptor_->mark.store(id_of(grant_.ctl), memory_order_release);
        return Status::kOk;
    }

    // Entry i, with its block if it writes one. kFull, kExhausted, kCorrupt.
    Status add(std::size_t i, const MultiKey& key) noexcept {
        const Judged& judged = key.judged;
        shm::Entry& entry = descriptor_->entry[i];
        poke(entry.expected[0], judged.word.raw().lo);
        poke(entry.expected[1], judged.word.raw().hi);
        poke(entry.old_ctl, judged.old_ctl);
        poke(entry.slot, lane_.segment().ref_of(key.slot));
        poke(entry.is_released, key.is_releasing ? 1u : 0u);
        if (!is_writing(key)) return Status::kOk;
        const bool is_delete = key.step == MultiStep::kDelete;
        const std::size_t size = is_delete ? 0 : key.size;
        BlockGrant fresh = allocate(lane_, sizeof(shm::Block) + size, entry.fresh);
        if (fresh.status == Status::kFull)
            fresh = allocate_larger(lane_, sizeof(shm::Block) + size, entry.fresh);
        if (fresh.status != Status::kOk) {
            poke(entry.fresh, Ref{0});  // the last one that was tried is not ours
            return fresh.status;
        }
        poke(entry.fresh_ctl, with_tag(fresh.ctl, Tag::kPublished));
        shm::Block* block = fill_value(lane_, fresh.ref, *key.slot, judged.word.version() + 1, key.data, size,
                                       kOfOperation | (is_delete ? kTombstone : 0));
        if (block == nullptr) return Status::kCorrupt;
        publish(block->head, fresh.ctl);
        return Status::kOk;
    }

    // Give everything back: nobody has seen it.
    void drop(std::size_t entries) noexcept {
        if (descriptor_ == nullptr) return;
        for (std::size_t i = 0; i < entries; ++i) {
            const shm::Entry& entry = descriptor_->entry[i];
            if (peek(entry.fresh) != 0) free_exact(lane_, peek(entry.fresh), peek(entry.fresh_ctl));
        }
        free_exact(lane_, grant_.ref, peek(descriptor_->head.ctl));  // HELD, or published once in vain
    }

    // Into the ring. kOk: *position_out; from now on it is everybody's. kExhausted, kCorrupt.
    Status publish_it(Position reserved, Position* position_out) noexcept {
        return publish_operation(session_, grant_, reserved, position_out);
    }

private:
    Session& session_;
    Lane& lane_;
    BlockGrant grant_;
    shm::Descriptor* descriptor_ = nullptr;
};

}  // namespace

Status commit_multi(Session& session, MultiKey* const* keys, std::size_t count) noexcept {
    if (session.store->is_destroyed()) return Status::kDestroyed;
    if (count == 0) return Status::kOk;
    if (count > kMultiKeysMax) return Status::kArgument;
    for (;;) {  // lock-free: another turn only if a word moved after it was judged
        const Position reserved = reserve_early(session.store->segment);
        Status worst = Status::kOk;
        for (std::size_t i = 0; i < count; ++i) {
            keys[i]->status = look(session, *keys[i]);
            worst = graver(worst, keys[i]->status);
        }
        if (worst != Status::kOk) {
            count_answer(session.lane, worst);
            return worst;
        }
        Draft draft(session);
        Status s = draft.begin(count);
        std::size_t added = 0;
        while (s == Status::kOk && added < count) {
            s = draft.add(added, *keys[added]);
            ++added;
        }
        Position p = 0;
        if (s == Status::kOk) s = draft.publish_it(reserved, &p);
        if (s != Status::kOk) {
            draft.drop(added);
            return s;
        }
        s = run_operation(session, p);
        if (s == Status::kBusy) {
            session.lane.count(shm::kRetries);
            continue;
        }
        if (s != Status::kOk) return s;
        for (std::size_t i = 0; i < count; ++i) {
            const bool writes = is_writing(*keys[i]);
            SlotWord now = keys[i]->judged.word;
            if (writes) {  // the receipt tells version and epoch
                now = SlotWord(version_after(session.store->segment, p, now.version()), now.epoch(), 0);
            }
            if (keys[i]->is_releasing) now = next_epoch(now);
            keys[i]->receipt.now = now;
            if (writes) session.lane.count(shm::kCommits);
            if (writes && keys[i]->step == MultiStep::kPut) session.lane.count(shm::kBytes, keys[i]->size);
            if (keys[i]->is_releasing) session.lane.count(shm::kReleases);
        }
        return Status::kOk;
    }
}

}  // namespace keystile::engine
