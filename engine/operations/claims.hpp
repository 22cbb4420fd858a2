// Claims: exclusive ownership of a key, for as long as the owner lives or the lease runs. Protocol:
// slots/claim.hpp, C1-C4.
//
// Whoever meets a claim that is over reclaims it on the way; no sweeper is needed for progress.
#pragma once

#include "operations/store.hpp"

namespace keystile::engine {

// The ticket: which claim, and who may use it.
struct Grant {
    shm::Slot* slot = nullptr;
    std::uint64_t epoch = 0;  // odd, without incarnation
    std::uint32_t session = 0;
    std::uint32_t generation = 0;
    bool is_detached() const noexcept { return session == kDetached; }
};

struct ClaimRequest {
    std::uint64_t lease_ns = 0;  // 0 = until the owner dies
    std::uint64_t wait_ns = 0;
    bool is_detached = false;
};

// kOk; kHeld, kTimeout (receipt: stamp and owner); kExhausted, kCorrupt, kDestroyed.
Status claim(Session& session, shm::Slot& slot, const ClaimRequest& request, Grant* grant_out,
             Receipt* receipt_out) noexcept;
// kOk, kFenced (receipt: the stamp now), kGrant.
Status renew(Session& session, const Grant& grant, std::uint64_t lease_ns, Receipt* receipt_out) noexcept;
Status release(Session& session, const Grant& grant, Receipt* receipt_out) noexcept;
// kOk; kFenced: that claim is over already; kHeld: it lives and is_forced is not set.
Status reclaim(Session& session, shm::Slot& slot, std::uint64_t epoch, bool is_forced,
               Receipt* receipt_out) noexcept;

// May this session use the ticket at all? (E9: knowing an odd epoch is not enough.) kOk, kGrant (also: an epoch
// that the key has not had yet), or kFenced (its claim is over, whoever's it was); receipt: the word now.
Status check_ticket(const Session& session, const Grant& grant, Receipt* receipt_out) noexcept;
// The word is at grant.epoch: does the record name the ticket's owner? kOk, kGrant, kBusy (the word has
// moved: look again).
Status check_record(const shm::Slot& slot, SlotWord word, const Grant& grant) noexcept;

// The word read as odd. kBusy: it was over and is reclaimed now, or moved: look again. kHeld: *owner_out.
// kCorrupt.
Status meet_claim(Session& session, shm::Slot& slot, SlotWord word, Owner* owner_out) noexcept;

// For people: is the slot claimed now, and by whom?
bool owner_of(const Store& store, const shm::Slot& slot, Owner* owner_out) noexcept;

}  // namespace keystile::engine
