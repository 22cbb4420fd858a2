// What a worker does about claims.
#include <algorithm>

#include "history/worker.hpp"

namespace keystile::history {

namespace {

constexpr std::uint64_t kLeaseLeastNs = 1'000'000, kLeaseMostNs = 1'500'000;
constexpr std::uint64_t kWaitLeastNs = 50'000, kWaitMostNs = 500'000;
constexpr std::uint32_t kTheftsBack = 12;  // how old a log entry a thief looks at

std::uint64_t bare(ks_stamp stamp) {
    return stamp.epoch & kEpochMask;
}

// A call's one item, of this key and about the claim of that epoch (0: none yet).
Item& only_item(Call& call, int key, std::uint64_t grant, std::uint32_t grant_of) {
    Item& item = call.items[call.count++];
    item.key = static_cast<std::int8_t>(key);
    item.grant = grant;
    item.grant_of = grant_of;
    return item;
}

}  // namespace

bool Worker::is_holding() const {
    return std::any_of(std::begin(held_), std::end(held_), [](const Hold& hold) { return hold.of != 0; });
}

void Worker::step_of_claims() {
    const int key = pick_key();
    const std::uint64_t roll = dice_.roll(10);
    if (roll < 4) return claim(key);
    if (roll < 6) return reclaim(key);
    act_under(key, roll < 8 ? lost_[key] : steal(key));
}

// With what this process holds: of `key`, or of the next one.
void Worker::use_claim(int key) {
    while (held_[key].of == 0) key = (key + 1) % plan_.keys;
    if (dice_.one_in(3)) {
        std::vector<int> keys = pick_keys(2, 3);
        if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys[0] = key;
        return multi(keys);
    }
    act_under(key, held_[key]);
}

// By a claim of its own, one that it lost, or another's.
void Worker::act_under(int key, const Hold& hold) {
    if (hold.of == 0) return;
    const std::uint64_t roll = dice_.roll(10);
    if (roll < 6) return commit(key, hold, dice_.one_in(3));
    roll < 8 ? release(key, hold) : renew(key, hold);
}

// The claim that an item acted under is over: given back, or taken away.
void Worker::lose(int key, const Item& item) {
    const bool is_over = item.status == KS_FENCED || (item.status == KS_OK && item.is_releasing);
    if (!is_over || held_[key].of == 0 || item.grant != bare(held_[key].grant.stamp)) return;
    lost_[key] = held_[key];
    held_[key] = {};
}

void Worker::claim(int key) {
    Call& call = draft(Op::kClaim);
    Item& item = only_item(call, key, 0, 0);
    ks_claim_options options{};
    options.struct_size = sizeof options;
    if (dice_.one_in(2)) options.lease_ns = dice_.between(kLeaseLeastNs, kLeaseMostNs);
    if (dice_.one_in(6)) options.wait_ns = dice_.between(kWaitLeastNs, kWaitMostNs);
    call.lease_ns = options.lease_ns;
    const ks_bytes name = bytes_of(key_name(key));
    Hold got;
    ks_receipt receipt{};
    go(call);
    const ks_status status = ks_claim(session_, name, &options, &got.grant, &receipt);
    const std::uint64_t end = now_ns();
    told(item, status, receipt.stamp, receipt.owner);
    if (status == KS_OK) {
        got.of = number_;
        item.token = got.grant.stamp.epoch;
        item.ticket = got.grant.owner;
        if (held_[key].of != 0) lost_[key] = held_[key];
        held_[key] = got;
    }
    done(call, end, status);
}

void Worker::renew(int key, const Hold& hold) {
    Call& call = draft(Op::kRenew);
    Item& item = only_item(call, key, bare(hold.grant.stamp), hold.of);
    if (!dice_.one_in(3)) call.lease_ns = dice_.between(kLeaseLeastNs, kLeaseMostNs);
    const ks_grant grant = hold.grant;
    ks_receipt receipt{};
    go(call);
    const ks_status status = ks_renew(session_, &grant, call.lease_ns, &receipt);
    const std::uint64_t end = now_ns();
    told(item, status, receipt.stamp, receipt.owner);
    lose(key, item);
    done(call, end, status);
}

void Worker::release(int key, const Hold& hold) {
    Call& call = draft(Op::kRelease);
    Item& item = only_item(call, key, bare(hold.grant.stamp), hold.of);
    item.is_releasing = true;
    const ks_grant grant = hold.grant;
    ks_receipt receipt{};
    go(call);
    const ks_status status = ks_release(session_, &grant, &receipt);
    const std::uint64_t end = now_ns();
    told(item, status, receipt.stamp, receipt.owner);
    lose(key, item);
    done(call, end, status);
}

// The claim that was there at the last look.
void Worker::reclaim(int key) {
    get(key);
    const ks_stamp seen = memory_[key].stamp;
    if (seen.epoch % 2 == 0) return;
    Call& call = draft(Op::kReclaim);
    Item& item = only_item(call, key, bare(seen), 0);
    call.is_forced = dice_.one_in(3);
    const ks_bytes name = bytes_of(key_name(key));
    ks_receipt receipt{};
    go(call);
    const ks_status status =
        ks_reclaim(session_, name, seen.epoch, call.is_forced ? KS_RECLAIM_LIVE : 0, &receipt);
    const std::uint64_t end = now_ns();
    told(item, status, receipt.stamp, receipt.owner);
    done(call, end, status);
}

// A grant of this key that another was given lately, pieced together from what he wrote down.
Worker::Hold Worker::steal(int key) {
    const Log& log = table_.logs[dice_.roll(static_cast<std::uint64_t>(plan_.processes))];
    const std::uint32_t count = log.count.load();
    for (std::uint32_t back = 1; back <= std::min(count, kTheftsBack); ++back) {
        const Call& call = log.calls[count - back];
        const Item& item = call.items[0];
        if (call.end_ns.load() == 0 || call.op != Op::kClaim || call.status != KS_OK || item.key != key)
            continue;
        if (call.worker == number_) continue;
        Hold stolen;
        if (ks_resolve(session_, bytes_of(key_name(key)), &stolen.grant.key) != KS_OK) return {};
        stolen.grant.stamp = {item.told.version, item.token};
        stolen.grant.owner = item.ticket;
        stolen.of = call.worker;
        return stolen;
    }
    return {};
}

// A key of a transaction that this process holds: mostly under its claim. True: given back, and that is all.
bool Worker::multi_step_of_claim(Item& item) {
    const Hold& hold = held_[item.key];
    if (hold.of == 0 || dice_.one_in(8)) return false;
    item.grant = bare(hold.grant.stamp);
    item.grant_of = hold.of;
    const std::uint64_t roll = dice_.roll(4);
    item.is_releasing = roll < 2;
    if (roll == 0) (void)ks_multi_release(multi_, bytes_of(key_name(item.key)), &hold.grant);
    return roll == 0;
}

}  // namespace keystile::history
