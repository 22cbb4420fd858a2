#include "operations/check.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <vector>

#include "operations/reaper.hpp"
#include "operations/resolve.hpp"

namespace keystile::engine {

namespace {

constexpr int kSecondLooks = 3;  // at what was wrong in passing: writers move on meanwhile, damage does not

class Checker {
public:
    Checker(const Store& store, void (*tell)(void*, const char*), void* user, CheckReport* report)
        : segment_(store.segment), store_(store), tell_(tell), user_(user), report_(*report) {}

    Status run() {
        if (const char* wrong = segment_.header_problem()) problem("%s", wrong);
        if (visit_all(segment_, Visitor{this, on_slot, on_node}) != Status::kOk) {
            problem("the index leads to a place outside the segment, or too deep");
        }
        find_shared_blocks();
        std::sort(reachable_.begin(), reachable_.end());
        for (std::uint64_t i = 0, count = segment_.chunk_count(); i < count; ++i) check_chunk(i);
        for (std::uint64_t pair = 0; pair < segment_.regions().home_pairs; ++pair) {
            if (!segment_.has_home(pair)) continue;
            const Ref home = segment_.ref_of(segment_.home(pair));
            check_slot_state(home);
            check_slot_state(home + static_cast<Ref>(sizeof(shm::Slot) / kRefUnit));
        }
        return report_.problems == 0 ? Status::kOk : Status::kCorrupt;
    }

private:
    [[gnu::format(printf, 2, 3)]] void problem(const char* format, ...) {
        ++report_.problems;
        if (tell_ == nullptr) return;
        char text[256];
        va_list arguments;
        va_start(arguments, format);
        std::vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        tell_(user_, text);
    }

    static bool on_slot(void* user, shm::Slot& slot) {
        static_cast<Checker*>(user)->check_slot(slot);
        return true;
    }
    static void on_node(void* user, shm::Node& node) {
        auto& self = *static_cast<Checker*>(user);
        self.reachable_.push_back(self.segment_.ref_of(&node));
        if (tag_of(peek(node.head.ctl)) != Tag::kPublished) {
            self.problem("index node %u is in use but not published", self.segment_.ref_of(&node));
        }
    }

    // What is wrong with the word, its block and its claim; NULL if nothing. Only true if the word did not
    // move meanwhile.
    const char* judge_slot(const shm::Slot& slot, SlotWord w) {
        const ClaimRecord claim = unpack_claim(ld16(&slot.claim));
        if (is_claimed(w.epoch()) && claim.epoch != w.epoch())
            return "a claimed word whose record names another epoch";
        if (!is_claimed(w.epoch()) && claim.epoch > w.epoch() + 1) return "a claim record ahead of its word";
        if (w.version() == 0) return w.ref() == 0 ? nullptr : "a block but no version";
        const auto* block = segment_.at<shm::Block>(w.ref());
        if (block == nullptr) return "a block outside the segment";
        const BlockContent content = unpack_content(peek(block->head.content));
        if (tag_of(peek(block->head.ctl)) != Tag::kPublished) return "a block that is not published";
        if (content.kind != BlockKind::kValue) return "a block of another kind";
        if (peek(block->head.version) != w.version()) return "a block of another version";
        if (static_cast<Ref>(peek(block->head.place)) != segment_.ref_of(&slot))
            return "a block of another slot";
        if (content.size > capacity_of(w.ref())) return "a value larger than its block";
        return nullptr;
    }

    std::uint64_t capacity_of(Ref ref) const {
        const SizeClass size_class = class_at(segment_, ref);
        if (size_class != kClasses) {
            const std::uint64_t inside = (ref * kRefUnit - segment_.regions().arena) % kChunkBytes;
            if (inside % bytes_of(size_class) != 0) return 0;
            return bytes_of(size_class) - sizeof(shm::Block);
        }
        const RunPlace place = unpack_run(peek(segment_.chunk(segment_.chunk_of(ref))->run));
        return place.position == 0 ? place.chunks * kChunkBytes - sizeof(shm::Block) : 0;
    }

    void check_slot(const shm::Slot& slot) {
        ++report_.keys;
        StoredKey key;
        if (!read_key(segment_, slot, &key)) {
            problem("slot %u: its key cannot be read", segment_.ref_of(&slot));
        } else if (!is_slot_reachable(segment_, slot)) {
            problem("slot %u: a lookup of its key does not lead to it", segment_.ref_of(&slot));
        }
        if (tag_of(peek(slot.state)) == Tag::kFree)
            problem("slot %u is in the index but free", segment_.ref_of(&slot));
        if (inline_length_of(peek(slot.turn)) == 0)
            reachable_.push_back(unpack_key_place(peek(slot.key[1])).ref);

        const char* wrong = nullptr;
        SlotWord w;
        for (
            ;
            ;) {  // lock-free: another turn only if the word moved, and it may not stay wrong in every one of them
            const SlotWord found = load_word(slot);
            w = found;
            Status seen = Status::kOk;
            if (found.is_intent()) seen = see_through(segment_, slot, found, &w);
            wrong = seen < Status::kOk ? "an operation that does not exist" : judge_slot(slot, w);
            if (found.is_intent()) name_old_block(slot, found);
            boost::atomic_thread_fence(
                memory_order_acquire);  // order[check.word]: as read.validate, partner arena.fill
            if (wrong == nullptr || load_word(slot) == found) break;
        }
        if (wrong != nullptr)
            problem("slot %u (key of %u bytes): %s", segment_.ref_of(&slot), key.size, wrong);
        if (is_claimed(w.epoch())) ++report_.claimed;
        if (w.ref() == 0) return;
        values_.push_back({w.ref(), segment_.ref_of(&slot)});
        reachable_.push_back(w.ref());
        const auto* head = segment_.at<shm::BlockHead>(w.ref());
        if (head != nullptr && (unpack_content(peek(head->content)).flags & kTombstone) != 0)
            ++report_.deleted;
    }

    // The block that an undecided or unfinished operation may yet put back, or free.
    void name_old_block(const shm::Slot& slot, SlotWord intent) {
        if (intent.ref() == 0) return;
        values_.push_back({intent.ref(), segment_.ref_of(&slot)});
        reachable_.push_back(intent.ref());
    }

    void find_shared_blocks() {
        std::sort(values_.begin(), values_.end());
        for (std::size_t i = 1; i < values_.size(); ++i) {
            const auto [ref, slot] = values_[i];
            if (values_[i - 1].first != ref || values_[i - 1].second == slot)
                continue;  // an INTENT names it twice
            const auto names_it = [&](Ref place) {
                const auto* it = segment_.slot_at(place);
                return it != nullptr && load_word(*it).ref() == ref;
            };
            // One of them may have let it go before the other took it.
            if (names_it(slot) && names_it(values_[i - 1].second) && names_it(slot)) {
                problem("slots %u and %u share block %u", values_[i - 1].second, slot, ref);
            }
        }
    }

    void check_chunk(std::uint64_t index) {
        const std::uint64_t use = peek(segment_.chunk(index)->use);
        const Ref first = segment_.chunk_ref(index);
        if (use == 0 || tag_of(use) == Tag::kFree) return;
        if (tag_of(use) == Tag::kHeld) return check_run_chunk(index, use);
        if (use == fixed_use(kSlotsUse)) {
            for (std::uint64_t at = 0; at < kChunkBytes; at += sizeof(shm::Slot)) {
                check_slot_state(first + static_cast<Ref>(at / kRefUnit));
            }
            return;
        }
        const SizeClass size_class = class_at(segment_, first);
        if (size_class == kClasses)
            return problem("chunk %lu has no known use", static_cast<unsigned long>(index));
        for (std::uint64_t at = 0; at + bytes_of(size_class) <= kChunkBytes; at += bytes_of(size_class)) {
            check_block(first + static_cast<Ref>(at / kRefUnit));
        }
    }

    bool is_reachable(Ref ref) const { return std::binary_search(reachable_.begin(), reachable_.end(), ref); }

    bool is_named_by(const shm::Descriptor* descriptor, Ref ref, std::uint64_t ctl) const {
        if (descriptor == nullptr) return false;
        if (unpack_content(peek(descriptor->head.content)).kind == BlockKind::kValue)  // of a single key
            return peek(reinterpret_cast<const shm::Block*>(descriptor)->old_ctl) == ctl;
        const std::size_t count = unpack_content(peek(descriptor->head.content)).size / sizeof(shm::Entry);
        if (count > kMultiKeysMax || segment_.at<const shm::Descriptor>(segment_.ref_of(descriptor),
                                                                        descriptor_bytes(count)) == nullptr)
            return false;
        for (std::size_t i = 0; i < count; ++i) {
            const shm::Entry& entry = descriptor->entry[i];
            if (peek(entry.fresh) == ref || peek(entry.old_ctl) == ctl) return true;
        }
        return false;
    }

    // Does an operation of the ring answer for this place: its descriptor, a block it made or replaced?
    bool is_in_ring(Ref ref, std::uint64_t ctl) const {
        const Position tail = ring_tail(segment_);
        for (Position p = ring_head(segment_) + 1;
             p <= tail && p <= ring_head(segment_) + segment_.ring_cells(); ++p) {
            const RingCell cell = load_cell(segment_, p);
            if (!is_ready(segment_, p, cell) && !is_decided(segment_, p, cell)) continue;
            if (cell.operation() == ref ||
                is_named_by(segment_.at<const shm::Descriptor>(cell.operation()), ref, ctl))
                return true;
        }
        return false;
    }

    // Does any session's line, holding or draft answer for this place? Sets whether that session lives.
    bool is_in_flight(Ref ref, std::uint64_t ctl, bool* is_alive_out) const {
        for (std::uint32_t i = 0, count = segment_.session_count(); i < count; ++i) {
            const shm::Lane& lane = segment_.session(i)->lane;
            bool is_named = peek(lane.old_ctl) == ctl && peek(lane.old_ref) == ref;
            if (session_of(id_of(ctl)) == i) {
                for (const auto& held : lane.holding) is_named = is_named || peek(held) == ref;
                const Ref draft = peek(lane.holding[static_cast<int>(Holding::kDescriptor)]);
                is_named = is_named ||
                           (draft != 0 && is_named_by(segment_.at<const shm::Descriptor>(draft), ref, ctl));
            }
            const SessionState state = unpack_session(session_state(segment_, i));
            if (!is_named || !state.is_open) continue;
            *is_alive_out = is_participant_alive(segment_, state.participant, store_.self);
            return true;
        }
        return false;
    }

    // Not free, not reachable when the index was walked: in flight, of a dead session, or lost. Counts as `blocks`.
    template <class Reload, class IsReachable>
    void judge_unreachable(Ref ref, const char* what, std::uint64_t seen, Reload reload,
                           IsReachable is_reachable_at_last, std::uint64_t blocks = 1) {
        for (int look = 0; look < kSecondLooks; ++look) {
            bool is_alive = false;
            if (is_in_flight(ref, seen, &is_alive)) {
                (is_alive ? report_.blocks_in_flight : report_.blocks_unreaped) += blocks;
                return;
            }
            if (is_in_ring(ref, seen) || reload() != seen || is_reachable_at_last())
                return void(report_.blocks_in_flight += blocks);
        }
        problem("%s %u (owner word %lx) is lost: in use, but nothing leads to it", what, ref,
                static_cast<unsigned long>(seen));
    }

    void check_block(Ref ref) {
        const auto* head = segment_.at<shm::BlockHead>(ref);
        if (head == nullptr) return;
        const std::uint64_t ctl = peek(head->ctl);
        if (tag_of(ctl) == Tag::kFree) {
            if (is_reachable(ref) && is_block_reachable(segment_, *head) && peek(head->ctl) == ctl)
                problem("block %u is in use but free", ref);
            return void(++report_.blocks_free);
        }
        if (tag_of(ctl) == Tag::kFixed) return problem("block %u has an owner word that cannot be", ref);
        if (is_reachable(ref)) return void(++report_.blocks_live);
        judge_unreachable(
            ref, "block", ctl, [&] { return peek(head->ctl); },
            [&] { return is_block_reachable(segment_, *head); });
    }

    void check_slot_state(Ref ref) {
        const auto* slot = segment_.slot_at(ref);
        if (slot == nullptr) return;
        // order[check.slot]: acquire. Partner: slots.placed: the key of a placed slot is complete.
        const std::uint64_t state = slot->state.load(memory_order_acquire);
        if (tag_of(state) == Tag::kFree) return;
        if (tag_of(state) == Tag::kPublished) {
            if (!is_slot_reachable(segment_, *slot))
                problem("slot %u is placed, but no lookup leads to it", ref);
            return;
        }
        if (tag_of(state) != Tag::kHeld) return problem("slot %u has an owner word that cannot be", ref);
        judge_unreachable(ref, "slot", state, [&] { return peek(slot->state); }, [] { return false; });
    }

    void check_run_chunk(std::uint64_t index, std::uint64_t use) {
        const RunPlace place = unpack_run(peek(segment_.chunk(index)->run));
        const Ref first = place.position <= index ? segment_.chunk_ref(index - place.position) : 0;
        const auto* head = first != 0 ? segment_.at<shm::BlockHead>(first) : nullptr;
        const auto reload = [&] { return peek(segment_.chunk(index)->use); };
        if (head != nullptr && is_reachable(first)) {
            const bool is_its = id_of(peek(head->ctl)) == id_of(use);
            if (!is_its && reload() == use && is_block_reachable(segment_, *head)) {
                problem("chunk %lu belongs to another block than the run it lies in",
                        static_cast<unsigned long>(index));
            }
            if (place.position == 0) ++report_.blocks_live;
            return;
        }
        const std::uint64_t ctl = owned(Tag::kPublished, id_of(use));
        judge_unreachable(
            first, "run of chunks at", ctl, [&] { return reload() == use ? ctl : 0; },
            [&] { return head != nullptr && is_block_reachable(segment_, *head); },
            place.position == 0 ? 1 : 0);
    }

    const Segment& segment_;
    const Store& store_;
    void (*tell_)(void*, const char*);
    void* user_;
    CheckReport& report_;
    std::vector<Ref> reachable_;               // blocks and nodes
    std::vector<std::pair<Ref, Ref>> values_;  // block, slot
};

}  // namespace

Status check(const Store& store, void (*tell)(void* user, const char* text), void* user,
             CheckReport* report_out) {
    *report_out = {};
    return Checker(store, tell, user, report_out).run();
}

}  // namespace keystile::engine
