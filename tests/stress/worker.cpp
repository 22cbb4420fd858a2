#include "stress/worker.hpp"

#include <sched.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <string_view>

#include "platform/platform.hpp"

namespace keystile::testing {

namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::size_t kHeldMax = 4;
constexpr std::size_t kManyKeys = 6;

ks_bytes bytes_of(std::string_view text) {
    return {text.data(), text.size()};
}
StampPair pair_of(ks_stamp stamp) {
    return {stamp.version, stamp.epoch};
}

std::uint64_t hash_of_value(ValueHead head, const char* payload) {
    head.hash = 0;
    const std::uint64_t of_head = XXH3_64bits(&head, sizeof head);
    return XXH3_64bits_withSeed(payload, head.size - sizeof head, of_head);
}

struct Roughness {
    Dice dice{0};
    bool is_on = false, is_deadly = false;
};
thread_local Roughness roughness;

void on_point(const char*) {
    Roughness& r = roughness;
    if (!r.is_on) return;
    const std::uint64_t roll = r.dice.roll(60'000);
    if (roll < 600) {
        ::sched_yield();
    } else if (r.is_deadly && roll < 602) {
        ::kill(::getpid(), SIGSTOP);
    } else if (r.is_deadly && roll < 603) {
        ::kill(::getpid(), SIGKILL);
    }
}

}  // namespace

void make_points_rough(std::uint64_t seed, bool is_deadly) {
    roughness = {Dice(seed), true, is_deadly};
    if (checked::on_point != on_point) checked::on_point = on_point;  // threads find it set already
}

const std::string& key_name(int key) {
    static const std::vector<std::string> names = [] {
        std::vector<std::string> all;
        constexpr std::size_t kLengths[] = {3, 16, 17, 100, 1024};
        for (int i = 0; i < kKeys; ++i) {
            std::string name = std::to_string(i) + "-";
            name.resize(std::max(name.size(), kLengths[static_cast<std::size_t>(i) % std::size(kLengths)]),
                        'k');
            all.push_back(name);
        }
        return all;
    }();
    return names[static_cast<std::size_t>(key)];
}

ks_status open_stress_store(const std::string& url, std::uint32_t flags, ks_store** store_out) {
    ks_open_options options{};
    options.struct_size = sizeof options;
    options.flags = flags;
    options.expected_keys = 1;
    options.max_bytes = 1u << 30;
    options.label = "stress";
    return ks_open(url.c_str(), &options, store_out);
}

Worker::Worker(History& history, int log, std::uint64_t seed, const std::string& url, ks_store* store)
    : history_(history),
      log_(history.log(log)),
      dice_(seed),
      url_(url),
      store_(store),
      owns_store_(store == nullptr),
      number_(static_cast<std::uint32_t>(history.next_worker())) {}

Worker::~Worker() {
    ks_session_close(session_);
    if (owns_store_) ks_close(store_);
}

void Worker::open() {
    Event& event = draft(Op::kOther, 0);
    go(event);
    ks_session_close(session_);
    session_ = nullptr;
    held_.clear();
    ks_status status = KS_OK;
    if (owns_store_ && (store_ == nullptr || dice_.one_in(2))) {
        ks_close(store_);
        store_ = nullptr;
        status = open_stress_store(url_, KS_OPEN_MUST_EXIST, &store_);
    }
    if (status == KS_OK) status = ks_session_open(store_, &session_);
    end(event, status);
    done(event);
}

void Worker::run() {
    open();
    while (session_ != nullptr && history_.stop().load(std::memory_order_relaxed) == 0 &&
           log_.count.load(std::memory_order_relaxed) + kManyKeys + 2 < log_.capacity) {
        step();
    }
}

void Worker::step() {
    const int key = pick_key();
    const std::uint64_t roll = dice_.roll(1000);
    if (roll < 300) return write(key, false);
    if (roll < 360) return write(key, true);
    if (roll < 540) return read(key);
    if (roll < 570) return read_many();
    if (roll < 590) return look_at_size(key);
    if (roll < 690) return claim(key);
    if (roll < 800) return write_held();
    if (roll < 840) return renew();
    if (roll < 910) return release();
    if (roll < 950) return reclaim(key);
    if (roll < 985) return watch(key);
    if (roll < 997) return look_after();
    if (dice_.one_in(4)) return open();
}

int Worker::pick_key() {
    return static_cast<int>(dice_.one_in(4) ? dice_.roll(kKeys) : dice_.roll(kHotKeys));
}

std::size_t Worker::pick_size(int key) {
    switch (key % 6) {
        case 0:
            return dice_.between(sizeof(ValueHead), 64);
        case 1:
            return dice_.between(200, 1500);  // on both sides of `rep movsb`, several classes
        case 2:
            return 88;  // one class: the spare's
        case 3:
            return dice_.one_in(8) ? dice_.between(30'000, kValueMax) : dice_.between(1000, 4000);
        default:
            return dice_.between(sizeof(ValueHead), 600);
    }
}

Event& Worker::draft(Op op, int key, std::uint64_t ahead) {
    Event& event = log_.events[log_.count.load(std::memory_order_relaxed) + ahead];
    event = Event{};
    event.worker = number_;
    event.op = op;
    event.key = static_cast<std::uint8_t>(key);
    return event;
}

void Worker::go(Event& event) {
    event.begin_ns = now_ns();
    log_.count.fetch_add(1, std::memory_order_release);
}

void Worker::end(Event& event, ks_status status) {
    event.returned_ns = now_ns();
    event.status = static_cast<std::int16_t>(status);
}

// The end makes the event count, so it comes last: a worker killed before it leaves a "maybe".
void Worker::done(Event& event) {
    std::atomic_ref(event.end_ns).store(event.returned_ns, std::memory_order_release);
}

void Worker::told(Event& event, ks_stamp stamp, ks_status status) {
    if (status < 0) return;
    event.out = pair_of(stamp);
    event.has_out = true;
    if ((stamp.epoch & 1u) != 0) memory_[event.key].claim_epoch = stamp.epoch;
}

// ---- Values
// ----------------------------------------------------------------------------------------------

std::string_view Worker::make_value(int key, std::uint64_t from_version, std::uint64_t* id_out) {
    ValueHead head{};
    head.id = static_cast<std::uint64_t>(number_) << 32 | ++sequence_;
    head.key = static_cast<std::uint64_t>(key);
    head.from_version = from_version;
    head.size = pick_size(key);
    char* const payload = out_.data() + sizeof head;
    const std::size_t bytes = head.size - sizeof head;
    Dice filler(head.id);
    for (std::size_t at = 0; at < bytes; at += 8) {
        const std::uint64_t word = filler.next();
        std::memcpy(payload + at, &word, std::min<std::size_t>(8, bytes - at));
    }
    head.hash = hash_of_value(head, payload);
    std::memcpy(out_.data(), &head, sizeof head);
    *id_out = head.id;
    return {out_.data(), head.size};
}

// What a read returned: into the log, and into memory.
void Worker::take_in(Event& event, ks_status status, const char* value, std::size_t size, ks_stamp seen) {
    told(event, seen, status);
    Memory& memory = memory_[event.key];
    if (status == KS_OK) {
        ValueHead head{};
        if (size >= sizeof head) std::memcpy(&head, value, sizeof head);
        event.is_torn = head.size != size || size < sizeof head || head.key != event.key ||
                        head.hash != hash_of_value(head, value + sizeof head);
        event.value = head.id;
        event.from_version = head.from_version;
    }
    if (status == KS_OK || status == KS_NOT_FOUND) memory = {seen, event.value, true, memory.claim_epoch};
    done(event);
}

// ---- Calls
// -----------------------------------------------------------------------------------------------

void Worker::read(int key) {
    Event& event = draft(Op::kRead, key);
    std::size_t size = 0;
    ks_stamp seen{};
    go(event);
    const ks_status status = ks_get(session_, bytes_of(key_name(key)), in_.data(), in_.size(), &size, &seen);
    end(event, status);
    take_in(event, status, in_.data(), size, seen);
}

void Worker::read_many() {
    ks_get_item items[kManyKeys]{};
    Event* events[kManyKeys]{};
    const std::size_t part = in_.size() / kManyKeys;  // the largest do not fit: KS_TOO_SMALL
    for (std::size_t i = 0; i < kManyKeys; ++i) {
        const int key = pick_key();
        items[i].key = bytes_of(key_name(key));
        items[i].buf = in_.data() + i * part;
        items[i].capacity = part;
        events[i] = &draft(Op::kRead, key, i);
    }
    for (Event* event : events) go(*event);
    const ks_status status = ks_get_many(session_, items, kManyKeys);
    for (std::size_t i = 0; i < kManyKeys; ++i) end(*events[i], status == KS_OK ? items[i].status : status);
    for (std::size_t i = 0; i < kManyKeys; ++i) {
        if (status != KS_OK) done(*events[i]);
        if (status != KS_OK) continue;
        take_in(*events[i], items[i].status, in_.data() + i * part, items[i].size, items[i].seen);
    }
}

void Worker::look_at_size(int key) {
    Event& event = draft(Op::kRead, key);
    std::size_t size = 0;
    ks_stamp seen{};
    go(event);
    const ks_status status = ks_get(session_, bytes_of(key_name(key)), nullptr, 0, &size, &seen);
    end(event, status);
    told(event, seen, status);
    done(event);
}

// Mostly from a fresh read, else from what this worker remembers: it is stale then, and must be refused.
void Worker::write(int key, bool is_delete) {
    if (!dice_.one_in(4) || !memory_[static_cast<std::size_t>(key)].has_value_id) read(key);
    commit(key, is_delete, nullptr, false);
}

void Worker::write_held() {
    if (held_.empty()) return;
    const std::size_t index = dice_.roll(held_.size());
    const Held held = held_[index];
    if (!dice_.one_in(4)) read(held.key);
    const bool is_releasing = dice_.one_in(3);
    commit(held.key, dice_.one_in(8), &held.grant, is_releasing);
    if (is_releasing && dice_.one_in(2)) forget_held(index);  // else it is used again: fenced
}

void Worker::commit(int key, bool is_delete, const ks_grant* grant, bool is_releasing) {
    Memory& memory = memory_[static_cast<std::size_t>(key)];
    Event& event = draft(is_delete ? Op::kDelete : Op::kCommit, key);
    event.in = {memory.stamp.version, grant != nullptr ? grant->stamp.epoch : memory.stamp.epoch};
    event.has_grant = grant != nullptr;
    event.is_releasing = is_releasing;
    event.previous = memory.value;
    event.has_previous = memory.has_value_id;
    std::string_view value;
    if (!is_delete) value = make_value(key, memory.stamp.version, &event.value);
    ks_commit_options options{};
    options.struct_size = sizeof options;
    options.grant = grant;
    options.flags = is_releasing ? KS_COMMIT_RELEASE : 0;
    ks_receipt receipt{};
    const ks_bytes name = bytes_of(key_name(key));
    go(event);
    const ks_status status =
        is_delete ? ks_delete(session_, name, memory.stamp, &options, &receipt)
                  : ks_commit(session_, name, memory.stamp, bytes_of(value), &options, &receipt);
    end(event, status);
    told(event, receipt.stamp, status);
    done(event);
    if (status == KS_OK) memory = {receipt.stamp, event.value, true, memory.claim_epoch};
}

void Worker::claim(int key) {
    if (held_.size() >= kHeldMax) return release();
    ks_claim_options options{};
    options.struct_size = sizeof options;
    options.flags = dice_.one_in(5) ? KS_CLAIM_DETACHED : 0;
    options.lease_ns = options.flags == 0 && dice_.one_in(3) ? 0 : dice_.between(1, 4) * kMillisecond;
    options.wait_ns = dice_.one_in(8) ? dice_.roll(kMillisecond) : 0;
    Event& event = draft(Op::kClaim, key);
    event.lease_ns = options.lease_ns != 0 ? options.lease_ns : UINT64_MAX;
    ks_grant grant{};
    ks_receipt receipt{};
    go(event);
    const ks_status status = ks_claim(session_, bytes_of(key_name(key)), &options, &grant, &receipt);
    end(event, status);
    told(event, status == KS_OK ? grant.stamp : receipt.stamp, status);
    done(event);
    if (status == KS_OK) held_.push_back({key, grant});
}

void Worker::renew() {
    if (held_.empty()) return;
    const std::size_t index = dice_.roll(held_.size());
    const Held held = held_[index];
    Event& event = draft(Op::kRenew, held.key);
    event.has_grant = true;
    event.in.epoch = held.grant.stamp.epoch;
    event.lease_ns = dice_.between(1, 8) * kMillisecond;
    ks_receipt receipt{};
    const std::uint64_t lease_ns = event.lease_ns;
    go(event);
    const ks_status status = ks_renew(session_, &held.grant, lease_ns, &receipt);
    end(event, status);
    told(event, receipt.stamp, status);
    done(event);
    if (status == KS_FENCED && dice_.one_in(2)) forget_held(index);
}

void Worker::release() {
    if (held_.empty()) return;
    const std::size_t index = dice_.roll(held_.size());
    const Held held = held_[index];
    Event& event = draft(Op::kRelease, held.key);
    event.has_grant = true;
    event.in.epoch = held.grant.stamp.epoch;
    ks_receipt receipt{};
    go(event);
    const ks_status status = ks_release(session_, &held.grant, &receipt);
    end(event, status);
    told(event, receipt.stamp, status);
    done(event);
    if (!dice_.one_in(4)) forget_held(index);  // else a zombie's grant, to be used once more
}

void Worker::reclaim(int key) {
    const std::uint64_t epoch = memory_[static_cast<std::size_t>(key)].claim_epoch;
    if (epoch == 0) return;
    Event& event = draft(Op::kReclaim, key);
    event.in.epoch = epoch;
    event.is_forced = dice_.one_in(3);
    ks_receipt receipt{};
    const std::uint32_t flags = event.is_forced ? KS_RECLAIM_LIVE : 0;
    go(event);
    const ks_status status = ks_reclaim(session_, bytes_of(key_name(key)), epoch, flags, &receipt);
    end(event, status);
    told(event, receipt.stamp, status);
    done(event);
}

void Worker::watch(int key) {
    Event& event = draft(Op::kWatch, key);
    ks_stamp now{};
    const std::uint64_t timeout_ns = dice_.roll(300'000);
    go(event);
    const ks_status status = ks_watch(session_, bytes_of(key_name(key)),
                                      memory_[static_cast<std::size_t>(key)].stamp, timeout_ns, &now);
    end(event, status);
    told(event, now, status);
    done(event);
}

void Worker::look_after() {
    Event& event = draft(Op::kOther, 0);
    const auto on_entry = [](void*, const ks_entry*) { return 0; };
    const std::uint64_t which = dice_.roll(10);
    go(event);
    ks_status status = KS_OK;
    if (which == 0) {
        status = ks_check(store_, nullptr, nullptr, nullptr);
    } else if (which < 4) {
        status = ks_list(session_, {nullptr, 0}, KS_LIST_ALL, on_entry, nullptr);
    } else {
        status = ks_reap(store_, nullptr);
    }
    end(event, status);
    done(event);
}

void Worker::forget_held(std::size_t index) {
    held_[index] = held_.back();
    held_.pop_back();
}

}  // namespace keystile::testing
