#include "history/worker.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "platform/platform.hpp"

namespace keystile::history {

namespace {

constexpr std::size_t kWordsMax = 400;  // of a value
constexpr std::int64_t kValuesMax = 1'000'000;

int key_of(ks_bytes name) {
    return static_cast<const char*>(name.data)[1] - '0';
}
// The id that all words of a value repeat.
std::int64_t id_of(const void* value, std::size_t size) {
    if (size == 0 || size % sizeof(std::int64_t) != 0) return kTorn;
    std::int64_t first = 0, word = 0;
    std::memcpy(&first, value, sizeof first);
    for (std::size_t at = 0; at < size; at += sizeof word) {
        std::memcpy(&word, static_cast<const std::byte*>(value) + at, sizeof word);
        if (word != first) return kTorn;
    }
    return first;
}

struct Roughness {
    testing::Dice dice{0};
    std::uint64_t yield_in = 0, stop_in = 0, kill_in = 0;
};
Roughness roughness;

void on_point(const char*) {
    Roughness& r = roughness;
    if (r.dice.one_in(r.yield_in)) ::sched_yield();
    if (r.dice.one_in(r.stop_in)) ::kill(::getpid(), SIGSTOP);
    if (r.dice.one_in(r.kill_in)) ::kill(::getpid(), SIGKILL);
}

// Of a label; 0: of none of ours.
std::uint32_t worker_of(const ks_owner& owner) {
    return owner.label[0] == 'w' ? static_cast<std::uint32_t>(std::atoi(owner.label + 1)) : 0;
}

}  // namespace

const std::string& key_name(int key) {
    static const std::vector<std::string> names = [] {
        constexpr std::size_t kLengths[kKeysMax] = {2, 16, 17, 2, 100, 1024};
        std::vector<std::string> all;
        for (int i = 0; i < kKeysMax; ++i) {
            std::string name = "h" + std::to_string(i);
            name.resize(kLengths[i], 'k');
            all.push_back(name);
        }
        return all;
    }();
    return names[static_cast<std::size_t>(key)];
}

void make_points_rough(const Plan& plan, std::uint64_t seed) {
    roughness = {testing::Dice(seed), static_cast<std::uint64_t>(plan.yield_in),
                 static_cast<std::uint64_t>(plan.stop_in), static_cast<std::uint64_t>(plan.kill_in)};
    checked::on_point = on_point;
}

ks_status open_store(const std::string& url, std::uint32_t flags, const std::string& label,
                     ks_store** store_out) {
    ks_open_options options{};
    options.struct_size = sizeof options;
    options.flags = flags;
    options.expected_keys = 1;
    options.max_bytes = 64u << 20;
    options.label = label.c_str();
    return ks_open(url.c_str(), &options, store_out);
}

Worker::Worker(Table& table, int log, std::uint32_t number, const Plan& plan, std::uint64_t seed,
               const std::string& url)
    : log_(table.logs[log]),
      table_(table),
      plan_(plan),
      dice_(seed),
      number_(number),
      in_(kWordsMax),
      out_(kWordsMax) {
    if (open_store(url, KS_OPEN_MUST_EXIST, "w" + std::to_string(number), &store_) != KS_OK) return;
    if (ks_session_open(store_, &session_) != KS_OK) return;
    if (ks_multi_begin(session_, &multi_) != KS_OK) session_ = nullptr;
}

Worker::~Worker() {
    ks_multi_end(multi_);
    ks_close(store_);
}

void Worker::run() {
    while (log_.count.load() + kKeysMax + 1 < log_.capacity && table_.calls_left.fetch_sub(1) > 0) {
        step();
        if (dice_.one_in(3)) ::sched_yield();
    }
    log_.is_leaving.store(1);
}

void Worker::look_at_all() {
    std::vector<int> all;
    for (int key = 0; key < plan_.keys; ++key) {
        all.push_back(key);
        get(key);
    }
    snapshot(all);
    snapshot_prefix();
    for (const int key : all) claim(key);  // who held one is dead
}

void Worker::step() {
    if (is_holding() && dice_.one_in(static_cast<std::uint64_t>(plan_.use_in))) return use_claim(pick_key());
    const std::uint64_t roll = dice_.roll(20);
    if (roll < 3) return get(pick_key());
    if (roll < 4) return get_many(pick_keys(2, 4));
    if (roll < 7) return snapshot(pick_keys(2, kKeysMax));
    if (roll < 8) return snapshot_prefix();
    if (dice_.roll(10) < static_cast<std::uint64_t>(plan_.claims)) return step_of_claims();
    if (dice_.roll(10) < static_cast<std::uint64_t>(plan_.multis)) return multi(pick_keys(2, 3));
    commit(pick_key(), {}, false);
}

// Different ones, in any order.
std::vector<int> Worker::pick_keys(std::size_t least, std::size_t most) {
    std::vector<int> keys;
    for (int key = 0; key < plan_.keys; ++key) keys.push_back(key);
    for (std::size_t i = keys.size(); i > 1; --i) std::swap(keys[i - 1], keys[dice_.roll(i)]);
    keys.resize(std::min<std::size_t>(keys.size(), dice_.between(least, most)));
    return keys;
}

Call& Worker::draft(Op op) {
    Call& call = log_.calls[log_.count.load()];
    call.op = op;
    call.worker = number_;
    call.count = 0;
    call.lease_ns = 0;
    call.is_forced = false;
    std::fill(std::begin(call.items), std::end(call.items), Item{});
    return call;
}

void Worker::go(Call& call) {
    call.begin_ns = now_ns();
    log_.count.fetch_add(1);
}

void Worker::done(Call& call, std::uint64_t end_ns, ks_status status) {
    call.status = static_cast<std::int16_t>(status);
    call.end_ns.store(end_ns);
}

// What a reader was given.
void Worker::took(Item& item, ks_status status, const void* value, std::size_t size, ks_stamp seen) {
    item.status = static_cast<std::int16_t>(status);
    if (status != KS_OK && status != KS_NOT_FOUND) return;
    item.value = status == KS_OK ? id_of(value, size) : 0;
    item.has_told = true;
    item.has_told_epoch = seen.version != 0;
    item.told = {seen.version, seen.epoch & kEpochMask};
    memory_[item.key] = {seen, true};
}

// What a writer was answered.
void Worker::told(Item& item, ks_status status, ks_stamp stamp, const ks_owner& owner) {
    item.status = static_cast<std::int16_t>(status);
    if (status < KS_OK) return;
    item.has_told = item.has_told_epoch = true;
    item.told = {stamp.version, stamp.epoch & kEpochMask};
    if (status == KS_HELD || status == KS_TIMEOUT) item.owner = worker_of(owner);
    memory_[item.key] = {stamp, true};
}

ks_bytes Worker::make_value(std::int64_t* id_out) {
    *id_out = number_ * kValuesMax + ++values_;
    const std::size_t words = dice_.one_in(16) ? dice_.between(1, kWordsMax) : dice_.between(1, 12);
    std::fill_n(out_.begin(), words, static_cast<std::uint64_t>(*id_out));
    return {out_.data(), words * sizeof(std::uint64_t)};
}

// ---- Reading

void Worker::get(int key) {
    Call& call = draft(Op::kGets);
    call.items[call.count++].key = static_cast<std::int8_t>(key);
    std::size_t size = 0;
    ks_stamp seen{};
    go(call);
    const ks_status status =
        ks_get(session_, bytes_of(key_name(key)), in_.data(), kWordsMax * sizeof in_[0], &size, &seen);
    const std::uint64_t end = now_ns();
    took(call.items[0], status, in_.data(), size, seen);
    done(call, end, status);
}

void Worker::get_many(const std::vector<int>& keys) {
    ks_get_item items[kKeysMax]{};
    std::vector<std::uint64_t> room(keys.size() * kWordsMax);
    Call& call = draft(Op::kGets);
    for (std::size_t i = 0; i < keys.size(); ++i) {
        call.items[call.count++].key = static_cast<std::int8_t>(keys[i]);
        items[i].key = bytes_of(key_name(keys[i]));
        items[i].buf = room.data() + i * kWordsMax;
        items[i].capacity = kWordsMax * sizeof room[0];
    }
    go(call);
    const ks_status status = ks_get_many(session_, items, keys.size());
    const std::uint64_t end = now_ns();
    for (std::size_t i = 0; i < keys.size(); ++i) {
        const ks_status told = status == KS_OK ? items[i].status : status;
        took(call.items[i], told, items[i].buf, items[i].size, items[i].seen);
    }
    done(call, end, status);
}

void Worker::snapshot(const std::vector<int>& keys) {
    ks_bytes names[kKeysMax];
    Call& call = draft(Op::kSnapshot);
    for (std::size_t i = 0; i < keys.size(); ++i) {
        call.items[call.count++].key = static_cast<std::int8_t>(keys[i]);
        names[i] = bytes_of(key_name(keys[i]));
    }
    ks_snapshot* cut = nullptr;
    go(call);
    const ks_status status = ks_snapshot_keys(session_, names, keys.size(), &cut);
    const std::uint64_t end = now_ns();
    for (std::size_t i = 0; i < ks_snapshot_size(cut); ++i) {
        ks_snapshot_entry entry{};
        (void)ks_snapshot_at(cut, i, &entry);
        took(call.items[i], entry.status, entry.value.data, entry.value.size, entry.stamp);
    }
    ks_snapshot_close(cut);
    done(call, end, status);
}

void Worker::snapshot_prefix() {
    Call& call = draft(Op::kSnapshot);
    for (int key = 0; key < plan_.keys; ++key) {
        Item& item = call.items[call.count++];
        item.key = static_cast<std::int8_t>(key);
        item.status = KS_NOT_FOUND;  // whom it leaves out has no value; the version is not told
    }
    ks_snapshot* cut = nullptr;
    go(call);
    const ks_status status = ks_snapshot_prefix(session_, {"h", 1}, &cut);
    const std::uint64_t end = now_ns();
    for (std::size_t i = 0; i < ks_snapshot_size(cut); ++i) {
        ks_snapshot_entry entry{};
        (void)ks_snapshot_at(cut, i, &entry);
        Item& item = call.items[key_of(entry.key)];
        took(item, entry.status, entry.value.data, entry.value.size, entry.stamp);
    }
    ks_snapshot_close(cut);
    done(call, end, status);
}

// ---- Writing

// Mostly a fresh look, else what this process remembers: that is stale then, and must be refused.
void Worker::look(int key) {
    if (memory_[key].is_fresh && dice_.one_in(static_cast<std::uint64_t>(plan_.stale))) return;
    get(key);
}

void Worker::commit(int key, const Hold& hold, bool is_releasing) {
    look(key);
    Call& call = draft(Op::kCommit);
    Item& item = call.items[call.count++];
    const ks_stamp seen = memory_[key].stamp;
    item.key = static_cast<std::int8_t>(key);
    item.is_expecting = true;
    item.seen = {seen.version, seen.epoch & kEpochMask};
    item.write = dice_.one_in(static_cast<std::uint64_t>(plan_.deletes)) ? Write::kDelete : Write::kPut;
    item.grant = hold.grant.stamp.epoch & kEpochMask;
    item.grant_of = hold.of;
    item.is_releasing = is_releasing;
    ks_bytes value{};
    if (item.write == Write::kPut) value = make_value(&item.value);
    const ks_bytes name = bytes_of(key_name(key));
    const ks_commit_options options{sizeof options, is_releasing ? KS_COMMIT_RELEASE : 0, 0, &hold.grant};
    const ks_commit_options* const given = hold.of != 0 ? &options : nullptr;
    ks_receipt receipt{};
    go(call);
    const ks_status status = item.write == Write::kPut
                                 ? ks_commit(session_, name, seen, value, given, &receipt)
                                 : ks_delete(session_, name, seen, given, &receipt);
    const std::uint64_t end = now_ns();
    told(item, status, receipt.stamp, receipt.owner);
    lose(key, item);
    done(call, end, status);
}

void Worker::multi(const std::vector<int>& keys) {
    ks_multi_reset(multi_);
    Call planned{};
    for (const int key : keys) multi_step(planned, key);
    Call& call = draft(Op::kMulti);
    call.count = planned.count;
    std::copy(std::begin(planned.items), std::end(planned.items), std::begin(call.items));
    go(call);
    const ks_status status = ks_multi_commit(multi_);
    const std::uint64_t end = now_ns();
    call.status = static_cast<std::int16_t>(status);
    multi_told(call);
    done(call, end, status);
}

// One key of a transaction: expected and left alone, expected and written, or written blindly; under a claim, if
// there is one.
void Worker::multi_step(Call& commit, int key) {
    Item& item = commit.items[commit.count++];
    const ks_bytes name = bytes_of(key_name(key));
    item.key = static_cast<std::int8_t>(key);
    item.is_expecting = !dice_.one_in(static_cast<std::uint64_t>(plan_.blind));
    if (item.is_expecting && dice_.one_in(2)) {  // read in the transaction
        Call& read = draft(Op::kGets);
        read.items[read.count++].key = item.key;
        std::size_t size = 0;
        ks_stamp seen{};
        go(read);
        const ks_status status =
            ks_multi_read(multi_, name, in_.data(), kWordsMax * sizeof in_[0], &size, &seen);
        const std::uint64_t end = now_ns();
        took(read.items[0], status, in_.data(), size, seen);
        done(read, end, status);
        item.seen = {seen.version, seen.epoch & kEpochMask};
    } else if (item.is_expecting) {
        look(key);
        item.seen = {memory_[key].stamp.version, memory_[key].stamp.epoch & kEpochMask};
        (void)ks_multi_expect(multi_, name, memory_[key].stamp);
    }
    if (multi_step_of_claim(item)) return;
    if (item.is_expecting && item.grant == 0 && dice_.one_in(4)) return;
    item.write = dice_.one_in(static_cast<std::uint64_t>(plan_.deletes)) ? Write::kDelete : Write::kPut;
    const ks_commit_options options{sizeof options, item.is_releasing ? KS_COMMIT_RELEASE : 0, 0,
                                    &held_[key].grant};
    const ks_commit_options* const given = item.grant_of != 0 ? &options : nullptr;
    if (item.write == Write::kDelete) {
        (void)ks_multi_delete(multi_, name, given);
    } else {
        const ks_bytes value = make_value(&item.value);
        (void)ks_multi_put(multi_, name, value, given);
    }
}

void Worker::multi_told(Call& commit) {
    for (std::size_t i = 0; i < ks_multi_size(multi_); ++i) {
        ks_multi_result result{};
        (void)ks_multi_item(multi_, i, &result);
        for (Item& item : commit.items) {
            if (&item - commit.items >= commit.count || item.key != key_of(result.key)) continue;
            told(item, result.status, result.stamp, result.owner);
            if (commit.status == KS_OK || result.status == KS_FENCED) lose(item.key, item);
        }
    }
}

}  // namespace keystile::history
