#include "operations/claims.hpp"

#include <cstring>

#include "operations/resolve.hpp"
#include "operations/watch.hpp"

namespace keystile::engine {

namespace {

// An odd word and the record that was read after it (C2). kOk: they match. kBusy: the word has moved since.
// kCorrupt: it has not, and no step of the protocol leaves such a pair.
Status match(const shm::Slot& slot, SlotWord word, const ClaimRecord& record) noexcept {
    if (record.epoch == word.epoch() || !KEYSTILE_GUARD("claim.record_matches")) return Status::kOk;
    return load_word(slot) == word ? Status::kCorrupt : Status::kBusy;
}

std::uint64_t deadline_for(std::uint64_t lease_ns) noexcept {
    if (lease_ns == 0) return 0;
    const std::uint64_t deadline_us = boottime_us() + (lease_ns + 999) / 1000;
    return deadline_us < kDeadlineMax ? deadline_us : kDeadlineMax;
}

bool is_expired(const ClaimRecord& record) noexcept {
    return record.deadline_us != 0 && boottime_us() >= record.deadline_us;
}

// Dead owner, lease over, or reclaiming begun: whoever meets it goes on to reclaim.
bool is_over(const Store& store, const ClaimRecord& record) noexcept {
    if (record.is_reclaimed || is_expired(record)) return true;
    if (record.is_detached()) return false;
    return !is_session_alive(store.segment, {record.session, record.generation}, store.self);
}

void describe(const Store& store, const ClaimRecord& record, Owner* owner_out) noexcept {
    *owner_out = {};
    owner_out->epoch = store.token_of(record.epoch);
    owner_out->lease_left_ns = UINT64_MAX;
    if (record.deadline_us != 0) {
        const std::uint64_t now_us = boottime_us();
        owner_out->lease_left_ns = record.deadline_us > now_us ? (record.deadline_us - now_us) * 1000 : 0;
    }
    owner_out->is_detached = record.is_detached();
    if (owner_out->is_detached) {
        std::memcpy(owner_out->label, "(detached)", 11);
        return;
    }
    const std::uint32_t index =
        unpack_session(session_state(store.segment, record.session)).participant.index;
    if (index >= store.segment.participant_count()) return;
    const shm::Participant& participant = *store.segment.participant(index);
    owner_out->pid = static_cast<std::int32_t>(peek(participant.pid));
    for (std::size_t i = 0; i < kLabelBytes / 8; ++i) {
        const std::uint64_t word = peek(participant.label[i]);
        std::memcpy(owner_out->label + i * 8, &word, 8);
    }
    owner_out->label[kLabelBytes - 1] = '\0';
}

ClaimRecord record_for(const Session& session, const ClaimRequest& request) noexcept {
    ClaimRecord record;
    record.session = request.is_detached ? kDetached : session.lane.id().index;
    record.generation = request.is_detached ? static_cast<std::uint32_t>(random_bits()) & 0xFFFFFFu
                                            : session.lane.id().generation;
    record.deadline_us = deadline_for(request.lease_ns);
    return record;
}

// Claim, or find out who holds it. kOk, kHeld, kExhausted, kCorrupt.
Status try_claim(Session& session, shm::Slot& slot, const ClaimRequest& request, Grant* grant_out,
                 Receipt* receipt_out) noexcept {
    for (;;) {  // lock-free: another turn only if the word or the record moved
        SlotWord word;
        if (const Status s = load_settled(session.store->segment, slot, &word); s != Status::kOk) return s;
        receipt_out->now = word;
        if (is_claimed(word.epoch())) {
            const Status met = meet_claim(session, slot, word, &receipt_out->owner);
            if (met == Status::kBusy) continue;
            return met;
        }
        if (word.epoch() + 3 > kEpochMax) return Status::kExhausted;  // room for the claim and its end
        const ClaimRecord wanted = record_for(session, request);
        SlotWord now;
        const Status stepped = claim_step(slot, word, wanted, settle_in(session.store->segment), &now);
        if (stepped == Status::kBusy) {
            session.lane.count(shm::kRetries);
            continue;
        }
        if (stepped != Status::kOk) return stepped;
        wake(slot);
        *grant_out = {&slot, word.epoch() + 1, wanted.session, wanted.generation};
        receipt_out->now = now;
        session.lane.count(shm::kClaims);
        return Status::kOk;
    }
}

}  // namespace

Status meet_claim(Session& session, shm::Slot& slot, SlotWord word, Owner* owner_out) noexcept {
    const Store& store = *session.store;
    const Word128 seen = ld16(&slot.claim);
    if (!KEYSTILE_GUARD("claim.word_first"))
        word = load_word(slot);  // as if the record had been read before (E7)
    const ClaimRecord record = unpack_claim(seen);
    if (const Status s = match(slot, word, record); s != Status::kOk) return s;
    if (is_over(store, record)) {
        const Status s = reclaim_step(slot, seen, settle_in(store.segment));
        if (s != Status::kOk) return s;
        session.lane.count(shm::kReclaims);
        wake(slot);
        return Status::kBusy;
    }
    describe(store, record, owner_out);
    return Status::kHeld;
}

Status claim(Session& session, shm::Slot& slot, const ClaimRequest& request, Grant* grant_out,
             Receipt* receipt_out) noexcept {
    if (session.store->is_destroyed()) return Status::kDestroyed;
    const Deadline deadline(request.wait_ns);
    for (;;) {  // bounded by the deadline the caller gave
        const Status s = try_claim(session, slot, request, grant_out, receipt_out);
        if (s != Status::kHeld) return s;
        session.lane.count(shm::kHelds);
        if (request.wait_ns == 0) return s;
        const std::uint64_t left_ns = deadline.left_ns();
        if (left_ns == 0) return Status::kTimeout;
        // Until the claim ends, at most: a lease that runs out changes nothing in the slot, so nobody would
        // wake us.
        const std::uint64_t lease_ns = receipt_out->owner.lease_left_ns;
        wait_for_epoch(*session.store, slot, receipt_out->owner.epoch,
                       lease_ns < left_ns ? lease_ns : left_ns);
        if (session.store->is_destroyed()) return Status::kDestroyed;
    }
}

Status check_ticket(const Session& session, const Grant& grant, Receipt* receipt_out) noexcept {
    const Status s = load_settled(session.store->segment, *grant.slot, &receipt_out->now);
    if (s != Status::kOk) return s;
    // Epochs only grow: one that is still to come was never given out.
    if (!is_claimed(grant.epoch) || grant.epoch > receipt_out->now.epoch()) return Status::kGrant;
    if (grant.is_detached() || !KEYSTILE_GUARD("claim.ticket")) return Status::kOk;
    const SessionState owner = unpack_session(session_state(session.store->segment, grant.session));
    const bool is_ours =
        owner.is_open && owner.generation == grant.generation && owner.participant == session.store->self;
    if (is_ours) return Status::kOk;
    // Not a ticket of ours, or of a session that was closed. If its claim is over, that is the truer answer.
    return receipt_out->now.epoch() > grant.epoch ? Status::kFenced : Status::kGrant;
}

Status check_record(const shm::Slot& slot, SlotWord word, const Grant& grant) noexcept {
    const ClaimRecord record = unpack_claim(ld16(&slot.claim));
    if (const Status s = match(slot, word, record); s != Status::kOk) return s;
    const bool is_named = record.session == grant.session && record.generation == grant.generation;
    return is_named || !KEYSTILE_GUARD("claim.ticket") ? Status::kOk : Status::kGrant;
}

Status renew(Session& session, const Grant& grant, std::uint64_t lease_ns, Receipt* receipt_out) noexcept {
    if (session.store->is_destroyed()) return Status::kDestroyed;
    if (const Status s = check_ticket(session, grant, receipt_out); s != Status::kOk) return s;
    for (;;) {  // lock-free: another turn only if word or record moved
        SlotWord word;
        if (const Status s = load_settled(session.store->segment, *grant.slot, &word); s != Status::kOk)
            return s;
        receipt_out->now = word;
        if (word.epoch() != grant.epoch) {
            session.lane.count(shm::kFencings);
            return Status::kFenced;
        }
        const Word128 seen = ld16(&grant.slot->claim);
        const ClaimRecord record = unpack_claim(seen);
        if (const Status s = check_record(*grant.slot, word, grant); s != Status::kOk) {
            if (s == Status::kBusy) continue;
            return s;
        }
        if (record.is_reclaimed && KEYSTILE_GUARD("claim.mark_stops_renewal")) {
            if (const Status s = reclaim_step(*grant.slot, seen, settle_in(session.store->segment)); s != Status::kOk && s != Status::kBusy)
                return s;
            wake(*grant.slot);
            continue;  // now the epoch has moved
        }
        const Status s = renew_step(*grant.slot, seen, deadline_for(lease_ns));
        if (s != Status::kBusy) return s;
    }
}

Status release(Session& session, const Grant& grant, Receipt* receipt_out) noexcept {
    if (session.store->is_destroyed()) return Status::kDestroyed;
    if (const Status s = check_ticket(session, grant, receipt_out); s != Status::kOk) return s;
    for (;;) {  // lock-free
        const SlotWord word = load_word(*grant.slot);
        if (word.epoch() != grant.epoch) break;  // told below
        const Status s = check_record(*grant.slot, word, grant);
        if (s == Status::kBusy) continue;
        if (s != Status::kOk) return s;
        break;
    }
    SlotWord now;
    const Status s = release_epoch(*grant.slot, grant.epoch, settle_in(session.store->segment), &now);
    receipt_out->now = now;
    if (s == Status::kOk) {
        session.lane.count(shm::kReleases);
        wake(*grant.slot);
    } else if (s == Status::kFenced) {
        session.lane.count(shm::kFencings);
    }
    return s;
}

Status reclaim(Session& session, shm::Slot& slot, std::uint64_t epoch, bool is_forced,
               Receipt* receipt_out) noexcept {
    const Store& store = *session.store;
    if (store.is_destroyed()) return Status::kDestroyed;
    bool is_begun = false;
    for (;;) {  // lock-free
        SlotWord word;
        if (const Status s = load_settled(store.segment, slot, &word); s != Status::kOk) return s;
        receipt_out->now = word;
        if (word.epoch() != epoch) return is_begun ? Status::kOk : Status::kFenced;
        const Word128 seen = ld16(&slot.claim);
        const ClaimRecord record = unpack_claim(seen);
        if (const Status s = match(slot, word, record); s != Status::kOk) {
            if (s == Status::kBusy) continue;
            return s;
        }
        if (!is_forced && !is_over(store, record)) {
            describe(store, record, &receipt_out->owner);
            return Status::kHeld;
        }
        is_begun = true;
        const Status s = reclaim_step(slot, seen, settle_in(store.segment));
        if (s == Status::kBusy) continue;
        if (s != Status::kOk) return s;
        session.lane.count(shm::kReclaims);
        wake(slot);
    }
}

bool owner_of(const Store& store, const shm::Slot& slot, Owner* owner_out) noexcept {
    const SlotWord word = load_word(slot);
    const ClaimRecord record = unpack_claim(ld16(&slot.claim));
    if (!is_claimed(word.epoch()) || record.epoch != word.epoch()) return false;
    describe(store, record, owner_out);
    return true;
}

}  // namespace keystile::engine
