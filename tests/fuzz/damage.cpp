#include "fuzz/damage.hpp"

#include <fcntl.h>
#include <keystile.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace keystile::testing {

namespace {

constexpr std::uint64_t kRefUnit = 32;

ks_bytes bytes_of(const std::string& text) {
    return {text.data(), text.size()};
}

std::uint64_t load(const std::byte* at) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    return word;
}

std::uint64_t pick_offset(const SegmentImage& image, Dice& dice) {
    const Targets& targets = image.targets();
    const std::vector<std::uint64_t>* const lists[] = {
        &targets.header, &targets.participants, &targets.sessions, &targets.cells, &targets.chunks,
        &targets.slots,  &targets.slots,        &targets.heads,    &targets.ring};
    const std::uint64_t which = dice.roll(std::size(lists) + 2);
    if (which >= std::size(lists)) return image.word_offset(dice.roll(image.word_count()));
    return (*lists[which])[dice.roll(lists[which]->size())];
}

std::uint64_t pick_value(const SegmentImage& image, Dice& dice, std::uint64_t offset) {
    const auto& refs = image.targets().refs;
    const std::uint64_t other = refs[dice.roll(refs.size())];
    const std::uint64_t end = image.file_bytes() / kRefUnit;
    switch (dice.roll(12)) {
        case 0:
            return 0;
        case 1:
            return UINT64_MAX;
        case 2:
            return dice.roll(16);
        case 3:
            return 1ull << dice.roll(64);
        case 4:
            return offset / kRefUnit;  // itself
        case 5:
            return (offset / kRefUnit) << 32 | dice.roll(4);  // itself, in a cell
        case 6:
            return other;
        case 7:
            return other << 32 | dice.roll(4);
        case 8:
            return end - dice.roll(4);
        case 9:
            return (end - dice.roll(4)) << 32 | dice.roll(4);
        case 10:
            return UINT32_MAX;
        default:
            return dice.next();
    }
}

int on_entry(void* user, const ks_entry* entry) {
    // Touch every byte that was handed out.
    auto& sum = *static_cast<unsigned*>(user);
    const auto* bytes = static_cast<const unsigned char*>(entry->key.data);
    for (std::size_t i = 0; i < entry->key.size; ++i) sum += bytes[i];
    return 0;
}
int on_participant(void* user, const ks_participant* participant) {
    *static_cast<unsigned*>(user) += static_cast<unsigned>(std::strlen(participant->label));
    return 0;
}
void on_problem(void* user, const char* text) {
    *static_cast<unsigned*>(user) += static_cast<unsigned>(std::strlen(text));
}

}  // namespace

Change pick_change(const SegmentImage& image, Dice& dice) {
    const std::uint64_t offset = pick_offset(image, dice);
    if (dice.one_in(2)) {
        const std::uint64_t bit = 1ull << dice.roll(64);
        return {offset, bit, dice.next()};
    }
    const std::uint64_t value = pick_value(image, dice, offset);
    // Refs are the low half of some words and the high half of others: leave the other half alone
    // sometimes.
    const std::uint64_t masks[] = {UINT64_MAX, UINT64_MAX, UINT32_MAX, UINT64_MAX << 32};
    return {offset, masks[dice.roll(4)], value};
}

void apply(std::byte* base, const Change& change) {
    const std::uint64_t was = load(base + change.offset);
    const bool is_flip = (change.mask & (change.mask - 1)) == 0;
    const std::uint64_t word =
        is_flip ? was ^ change.mask : (was & ~change.mask) | (change.value & change.mask);
    std::memcpy(base + change.offset, &word, 8);
}

std::string describe(const Change& change, const std::byte* base) {
    char text[128];
    std::snprintf(text, sizeof text, "  word at 0x%" PRIx64 ", now %016" PRIx64 "\n", change.offset,
                  load(base + change.offset));
    return text;
}

RawMapping::RawMapping(const SegmentImage& image) : bytes_(image.file_bytes()) {
    const int fd = ::open(image.path().c_str(), O_RDWR | O_CLOEXEC);
    void* const at = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || at == MAP_FAILED) std::abort();
    ::close(fd);
    base_ = static_cast<std::byte*>(at);
}
RawMapping::~RawMapping() {
    ::munmap(base_, bytes_);
}

Calls::Tally* Calls::tally = nullptr;

bool Calls::is_typed(int status, const char* call) {
    if (tally != nullptr && status > -256) ++(*tally)[status < 0 ? -status : 0];
    if (std::strcmp(ks_status_name(static_cast<ks_status>(status)), "KS_UNKNOWN") == 0) {
        wrong_ += std::string(call) + " answered " + std::to_string(status) + "\n";
    }
    return status == KS_OK;
}

void Calls::open() {
    if (!is_typed(ks_open(image_.url().c_str(), nullptr, &store_), "ks_open")) return;
    is_typed(ks_session_open(store_, &session_), "ks_session_open");
}

void Calls::use_key(const std::string& key) {
    std::size_t size = 0;
    ks_stamp seen{};
    const ks_status got = ks_get(session_, bytes_of(key), buffer_.data(), buffer_.size(), &size, &seen);
    is_typed(got, "ks_get");
    if (got == KS_OK && size > buffer_.size()) wrong_ += "ks_get told a size beyond its buffer\n";
    ks_key handle{};
    if (is_typed(ks_resolve(session_, bytes_of(key), &handle), "ks_resolve")) {
        is_typed(ks_get_k(session_, handle, nullptr, 0, &size, &seen), "ks_get_k");
        is_typed(ks_watch_k(session_, handle, seen, 0, nullptr), "ks_watch_k");
    }
    ks_receipt receipt{};
    const std::string value(dice_.one_in(8) ? dice_.roll(100'000) : dice_.roll(600), 'n');
    is_typed(ks_commit(session_, bytes_of(key), seen, bytes_of(value), nullptr, &receipt), "ks_commit");
    is_typed(ks_commit(session_, bytes_of(key), receipt.stamp, bytes_of(key), nullptr, &receipt),
             "ks_commit");
    if (dice_.one_in(4)) {
        is_typed(ks_delete(session_, bytes_of(key), receipt.stamp, nullptr, &receipt), "ks_delete");
    }
    is_typed(ks_watch(session_, bytes_of(key), receipt.stamp, dice_.one_in(64) ? 1000 : 0, nullptr),
             "ks_watch");
}

void Calls::use_claim(const std::string& key) {
    ks_claim_options options{};
    options.struct_size = sizeof options;
    options.lease_ns = dice_.one_in(2) ? 0 : 1'000'000;
    options.wait_ns = dice_.one_in(16) ? 1000 : 0;
    if (dice_.one_in(4)) {
        options.flags = KS_CLAIM_DETACHED;
        options.lease_ns = 1'000'000;
    }
    ks_grant grant{};
    ks_receipt receipt{};
    const bool is_ours = is_typed(ks_claim(session_, bytes_of(key), &options, &grant, &receipt), "ks_claim");
    const std::uint64_t epoch = (is_ours ? grant.stamp.epoch : receipt.owner.epoch) | 1u;
    if (is_ours) {
        char token[KS_TOKEN_SIZE];
        if (options.flags != 0 && is_typed(ks_grant_format(&grant, token, sizeof token), "ks_grant_format")) {
            is_typed(ks_grant_parse(session_, bytes_of(key), token, &grant), "ks_grant_parse");
        }
        ks_commit_options under{};
        under.struct_size = sizeof under;
        under.grant = &grant;
        under.flags = dice_.one_in(2) ? KS_COMMIT_RELEASE : 0;
        is_typed(ks_renew(session_, &grant, 2'000'000, &receipt), "ks_renew");
        is_typed(ks_commit(session_, bytes_of(key), receipt.stamp, bytes_of(key), &under, &receipt),
                 "ks_commit");
        if (dice_.one_in(2)) is_typed(ks_release(session_, &grant, &receipt), "ks_release");
    }
    is_typed(ks_reclaim(session_, bytes_of(key), epoch, dice_.one_in(2) ? KS_RECLAIM_LIVE : 0, &receipt),
             "ks_reclaim");
}

void Calls::use_many() {
    std::vector<ks_get_item> items;
    for (int i = 0; i < 100; ++i) {
        ks_get_item item{};
        item.key = bytes_of(image_.keys()[dice_.roll(image_.keys().size())]);
        item.buf = buffer_.data();
        item.capacity = buffer_.size();
        items.push_back(item);
    }
    is_typed(ks_get_many(session_, items.data(), items.size()), "ks_get_many");
    for (const ks_get_item& item : items) is_typed(item.status, "an item of ks_get_many");
    unsigned sum = 0;
    is_typed(ks_list(session_, {nullptr, 0}, KS_LIST_ALL, on_entry, &sum), "ks_list");
}

void Calls::use_multi() {
    ks_multi* multi = nullptr;
    if (!is_typed(ks_multi_begin(session_, &multi), "ks_multi_begin")) return;
    for (int round = 0; round < 4; ++round) {
        ks_multi_reset(multi);
        for (std::uint64_t i = dice_.between(1, 8); i > 0; --i) {
            // Often those that an operation in the ring names.
            const std::string& key =
                image_.keys()[dice_.one_in(2) ? dice_.between(14, 19) : dice_.roll(image_.keys().size())];
            switch (dice_.roll(3)) {
                case 0:
                    is_typed(
                        ks_multi_read(multi, bytes_of(key), buffer_.data(), buffer_.size(), nullptr, nullptr),
                        "ks_multi_read");
                    break;
                case 1:
                    is_typed(ks_multi_delete(multi, bytes_of(key), nullptr), "ks_multi_delete");
                    break;
                default:
                    is_typed(ks_multi_put(multi, bytes_of(key), bytes_of("fuzz"), nullptr), "ks_multi_put");
            }
        }
        is_typed(ks_multi_commit(multi), "ks_multi_commit");
        ks_multi_result result{};
        for (std::size_t i = 0; i < ks_multi_size(multi); ++i)
            is_typed(ks_multi_item(multi, i, &result), "ks_multi_item");
    }
    ks_multi_end(multi);
    use_snapshot(session_);
}

void Calls::use_snapshot(ks_session* session) {
    ks_snapshot* snapshot = nullptr;
    if (!is_typed(ks_snapshot_prefix(session, {nullptr, 0}, &snapshot), "ks_snapshot_prefix")) return;
    unsigned sum = 0;
    for (std::size_t i = 0; i < ks_snapshot_size(snapshot); ++i) {
        ks_snapshot_entry entry{};
        is_typed(ks_snapshot_at(snapshot, i, &entry), "ks_snapshot_at");
        for (std::size_t at = 0; at < entry.value.size; ++at)
            sum += static_cast<const unsigned char*>(entry.value.data)[at];
    }
    ks_snapshot_close(snapshot);
    buffer_[0] = static_cast<char>(sum);
}

void Calls::look_after() {
    unsigned sum = 0;
    ks_stats stats{};
    stats.struct_size = sizeof stats;
    is_typed(ks_stat(store_, &stats), "ks_stat");
    is_typed(ks_participants(store_, on_participant, &sum), "ks_participants");
    is_typed(ks_reap(store_, nullptr), "ks_reap");
    is_typed(ks_check(store_, on_problem, &sum, nullptr), "ks_check");
}

void Calls::read_only() {
    ks_open_options options{};
    options.struct_size = sizeof options;
    options.flags = KS_OPEN_READ_ONLY;
    ks_store* store = nullptr;
    if (!is_typed(ks_open(image_.url().c_str(), &options, &store), "ks_open")) return;
    ks_session* session = nullptr;
    if (is_typed(ks_session_open(store, &session), "ks_session_open")) {
        unsigned sum = 0;
        ks_stamp seen{};
        for (const std::string& key : image_.keys()) {
            is_typed(ks_get(session, bytes_of(key), buffer_.data(), buffer_.size(), nullptr, &seen),
                     "ks_get");
            is_typed(ks_watch(session, bytes_of(key), seen, 0, nullptr), "ks_watch");
        }
        is_typed(ks_list(session, {nullptr, 0}, 0, on_entry, &sum), "ks_list");
        use_snapshot(session);
        is_typed(ks_check(store, on_problem, &sum, nullptr), "ks_check");
    }
    ks_close(store);
}

void Calls::use() {
    if (session_ != nullptr) {
        if (dice_.one_in(3)) use_multi();
        if (dice_.one_in(2)) look_after();  // else writers are the first that meet the damage
        for (const std::string& key : image_.keys()) {
            if (dice_.one_in(2)) use_claim(key);
            use_key(key);
        }
        for (int i = 0; i < 40; ++i) use_key("new key " + std::to_string(i));
        use_many();
        use_multi();
    }
    if (store_ != nullptr) look_after();
    if (dice_.one_in(2)) read_only();
}

void Calls::close() {
    ks_close(store_);
    if (dice_.one_in(4)) is_typed(ks_destroy(image_.url().c_str(), 0), "ks_destroy");
}

}  // namespace keystile::testing
