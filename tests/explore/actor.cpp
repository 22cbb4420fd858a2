#include "explore/actor.hpp"

#include <keystile.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "explore/tracer.hpp"

namespace keystile::explore {

using namespace keystile::engine;

namespace {

constexpr int kTriesMax = 16;  // an update loses only to another commit, and a scenario has fewer

bool is_fault(Status status) noexcept {
    return static_cast<int>(status) < 0;
}

// A call begins, as the specs name it.
void begins(int process, const char* goal, int key, Stamp seen = {}) {
    if (world().tracer != nullptr) world().tracer->begins(process, goal, key, seen);
}
Status is_told(int process, Status status) {
    if (world().tracer != nullptr) world().tracer->is_told(process, status);
    return status;
}

const char* goal_of(const CommitRequest& request) {
    if (request.grant == nullptr) return request.is_delete ? "delete" : "write";
    return request.is_releasing ? "commit_release" : "commit";
}

std::string name_of(Status status) {
    return ks_status_name(static_cast<ks_status>(status));
}

}  // namespace

Value Actor::get(int key) noexcept {
    Value value;
    const ReadResult read = read_value(store_.segment, slot(key), value.text.data(), value.text.size());
    value.status = read.status;
    value.stamp = store_.stamp_of(read.word);
    value.size = read.status == Status::kOk ? read.size : 0;
    if (read.status != Status::kOk && read.status != Status::kNotFound) world().fail("a read was refused");
    saw(key, value);
    return value;
}

// Kept for the judge: is it what was there at that version?
void Actor::saw(int key, const Value& value) noexcept {
    const Sight sight{process_, key, value.stamp.version, value.size,
                      value.size != 0 ? value.text.at(value.size - 1) : '\0'};
    auto& sights = world().sights;
    const auto end = sights.begin() + static_cast<std::ptrdiff_t>(world().sight_count);
    if (std::find(sights.begin(), end, sight) == end) sights.at(world().sight_count++) = sight;
}

void Actor::make(int key) noexcept {
    world().is_made.at(static_cast<std::size_t>(key)) = true;
    const Status s = find_or_insert(session_, key_name(key), &made_);
    if (s != Status::kOk) world().fail("a key could not be made");
}

Status Actor::commit(int key, const CommitRequest& request, char letter, bool may_be_refused) noexcept {
    Deed& deed = world().deeds.at(world().deed_count++);
    deed = {process_, key, letter, request.seen};
    deed.is_delete = request.is_delete;
    Receipt receipt{};
    begins(process_, may_be_refused ? "forge" : goal_of(request), key, request.seen);
    const Status s = is_told(process_, engine::commit(session_, slot(key), request, &receipt));
    deed.status = s;
    deed.version = receipt.now.version();
    deed.is_ended = true;
    if (is_fault(s) && !may_be_refused) world().fail("a commit was answered with " + name_of(s));
    if (s == Status::kOk && !world().may_follow(receipt.now.version(), request.seen.version))
        world().fail("a commit was told another version than the next");
    if (s == Status::kConflict && receipt.now.version() == request.seen.version)
        world().fail("a commit was told CONFLICT, and the version had not moved");
    if (s == Status::kFenced && store_.token_of(receipt.now.epoch()) == request.seen.epoch)
        world().fail("a commit was told FENCED, and the epoch had not moved");
    if (s == Status::kHeld && !is_claimed(receipt.now.epoch()))
        world().fail("a commit was told HELD, and nobody held the key");
    return s;
}

CommitRequest Actor::request_for(const Value& seen, char letter, const Grant* grant) noexcept {
    std::memcpy(text_.data(), seen.text.data(), seen.size);
    CommitRequest request;
    request.seen = seen.stamp;
    if (grant != nullptr) request.seen.epoch = store_.token_of(grant->epoch);
    request.data = text_.data();
    request.size = seen.size + 1;
    request.grant = grant;
    if (request.size > text_.size()) std::abort();  // the scenario is too long for its values
    text_[request.size - 1] = letter;
    return request;
}

Status Actor::append(int key, const Value& seen, char letter, const Grant* grant,
                     bool is_releasing) noexcept {
    CommitRequest request = request_for(seen, letter, grant);
    request.is_releasing = is_releasing;
    return commit(key, request, letter);
}

void Actor::steal(int key, const Value& seen, char letter, const Grant& grant) noexcept {
    if (commit(key, request_for(seen, letter, &grant), letter, true) == Status::kOk)
        world().fail("a commit with somebody else's ticket was told OK");
}

Status Actor::erase(int key, const Value& seen) noexcept {
    CommitRequest request;
    request.seen = seen.stamp;
    request.is_delete = true;
    return commit(key, request, '\0');
}

Status Actor::update(int key, char letter) noexcept {
    for (int i = 0; i < kTriesMax; ++i) {
        const Status s = append(key, get(key), letter);
        if (s != Status::kConflict && s != Status::kFenced) return s;
    }
    world().fail("an update lost more often than there are commits");
    return Status::kBusy;
}

Status Actor::append_both(const Both& which, const std::array<Value, 2>& seen, char letter) noexcept {
    std::array<std::array<char, kValueBytes>, 2> texts;
    std::array<MultiKey, 2> keys;
    std::array<Deed*, 2> told;
    for (std::size_t i = 0; i < keys.size(); ++i) {
        std::memcpy(texts[i].data(), seen[i].text.data(), seen[i].size);
        keys[i].slot = &slot(which[i]);
        keys[i].seen = seen[i].stamp;
        keys[i].step = MultiStep::kPut;
        keys[i].data = texts[i].data();
        keys[i].size = seen[i].size + 1;
        if (keys[i].size > kValueBytes) std::abort();  // the scenario is too long for its values
        texts[i][keys[i].size - 1] = letter;
        told[i] = &world().deeds.at(world().deed_count++);
        *told[i] = {process_, which[i], letter, keys[i].seen};
        told[i]->is_of_many = true;
    }
    std::array<MultiKey*, 2> order = {&keys[0], &keys[1]};
    sort_by_slot(order.data(), order.size());
    const Status s = commit_multi(session_, order.data(), order.size());
    for (std::size_t i = 0; i < keys.size(); ++i) {
        told[i]->status = s;
        told[i]->version = keys[i].receipt.now.version();
        told[i]->is_ended = true;
        if (s == Status::kOk && !world().may_follow(told[i]->version, keys[i].seen.version))
            world().fail("a commit of several keys was told another version than the next");
        if (keys[i].status == Status::kConflict && told[i]->version == keys[i].seen.version)
            world().fail("a key of several was told CONFLICT, and its version had not moved");
    }
    if (is_fault(s)) world().fail("a commit of several keys was answered with " + name_of(s));
    return s;
}

Status Actor::update_both(const Both& which, char letter) noexcept {
    for (int i = 0; i < kTriesMax; ++i) {
        const std::array<Value, 2> seen = {get(which[0]), get(which[1])};
        const Status s = append_both(which, seen, letter);
        if (s != Status::kConflict && s != Status::kFenced) return s;
    }
    world().fail("an update of several keys lost more often than there are commits");
    return Status::kBusy;
}

void Actor::overwrite(int key, char letter) noexcept {
    Deed& deed = world().deeds.at(world().deed_count++);
    deed = {process_, key, letter, {}};
    deed.is_blind = true;
    MultiKey put;
    put.slot = &slot(key);
    put.is_any_version = true;
    put.step = MultiStep::kPut;
    put.data = &letter;
    put.size = 1;
    MultiKey* only = &put;
    deed.status = commit_multi(session_, &only, 1);
    deed.version = put.receipt.now.version();
    deed.is_ended = true;
    if (is_fault(deed.status)) world().fail("a blind commit was answered with " + name_of(deed.status));
}

void Actor::cut(std::array<Value, 2>* values_out) noexcept {
    std::array<CutKey, 2> keys;
    keys[0].slot = &slot(kMain);
    keys[1].slot = &slot(kOther);
    const auto room = [](void* user, std::size_t index, std::size_t bytes) -> void* {
        auto& value = (*static_cast<std::array<Value, 2>*>(user))[index];
        return bytes <= value.text.size() ? value.text.data() : nullptr;
    };
    const Status s = engine::cut(session_, keys.data(), keys.size(), room, values_out);
    if (s != Status::kOk) world().fail("a snapshot was answered with " + name_of(s));
    for (std::size_t i = 0; i < keys.size(); ++i) {
        Value& value = (*values_out)[i];
        value.size = keys[i].has_value ? keys[i].size : 0;
        value.stamp = store_.stamp_of(keys[i].clean);
        saw(i == 0 ? kMain : kOther, value);
    }
}

Status Actor::claim(int key, Grant* grant_out, std::uint64_t lease_ns) noexcept {
    Receipt receipt{};
    ClaimRequest request;
    request.lease_ns = lease_ns;
    begins(process_, "claim", key);
    const Status s = is_told(process_, engine::claim(session_, slot(key), request, grant_out, &receipt));
    if (is_fault(s)) world().fail("a claim was answered with " + name_of(s));
    if (s == Status::kOk) world().claims.at(world().claim_count++) = {process_, key, grant_out->epoch};
    return s;
}

Status Actor::release(const Grant& grant) noexcept {
    Receipt receipt{};
    begins(process_, "release", kMain, {0, grant.epoch});
    const Status s = is_told(process_, engine::release(session_, grant, &receipt));
    if (s != Status::kOk && s != Status::kFenced)
        world().fail("a release was answered with neither OK nor FENCED");
    return s;
}

Status Actor::renew(const Grant& grant, std::uint64_t lease_ns) noexcept {
    Receipt receipt{};
    begins(process_, "renew", kMain, {0, grant.epoch});
    const Status s = is_told(process_, engine::renew(session_, grant, lease_ns, &receipt));
    if (s != Status::kOk && s != Status::kFenced)
        world().fail("a renewal was answered with neither OK nor FENCED");
    return s;
}

Status Actor::reclaim(int key, std::uint64_t epoch, bool is_forced) noexcept {
    Receipt receipt{};
    begins(process_, is_forced ? "reclaim_forced" : "reclaim", key, {0, epoch});
    const Status s = is_told(process_, engine::reclaim(session_, slot(key), epoch, is_forced, &receipt));
    if (is_fault(s)) world().fail("a reclaim was answered with " + name_of(s));
    return s;
}

void Actor::reap() noexcept {
    begins(process_, "reap", kMain);
    reap_dead(store_.segment, store_.self, kParticipantsMax);
    is_told(process_, Status::kOk);
}

void Actor::reopen() noexcept {
    close_session(session_);
    if (open_session(store_, &session_) != Status::kOk) world().fail("a session could not be opened");
}

}  // namespace keystile::explore
