#include "operations/multi.hpp"

#include "operations/author.hpp"
#include "operations/draft.hpp"

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
        Draft draft(session, keys, count);
        Status s = draft.write();
        Position p = 0;
        if (s == Status::kOk) s = draft.publish(reserved, &p);
        if (s != Status::kOk) {
            draft.drop();
            return s;
        }
        s = draft.run(p);
        if (s == Status::kBusy) {
            session.lane.count(shm::kRetries);
            continue;
        }
        if (s != Status::kOk) return s;
        std::uint64_t writes = 0, bytes = 0, releases = 0;
        for (std::size_t i = 0; i < count; ++i) {
            MultiKey& key = *keys[i];
            key.receipt.now =
                committed_word(session.store->segment, p, key.judged.word, key.fresh, key.is_releasing);
            writes += key.fresh != 0 ? 1 : 0;
            bytes += key.fresh != 0 && key.step == MultiStep::kPut ? key.size : 0;
            releases += key.is_releasing ? 1 : 0;
        }
        session.lane.count(shm::kCommits, writes);
        session.lane.count(shm::kBytes, bytes);
        if (releases != 0) session.lane.count(shm::kReleases, releases);
        return Status::kOk;
    }
}

}  // namespace keystile::engine
