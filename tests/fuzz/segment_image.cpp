#include "fuzz/segment_image.hpp"

#include <fcntl.h>
#include <keystile.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "abi/abi.hpp"  // tidy-allow(include): the handle's inside, to find the words
#include "stress/dice.hpp"

// Store ids, hash seeds and nonces come from here, the same in every run: so a seed names one image and one
// damage.
extern "C" ssize_t getrandom(void* buffer, size_t bytes, unsigned) {
    static keystile::testing::Dice dice(1);
    auto* out = static_cast<unsigned char*>(buffer);
    for (size_t i = 0; i < bytes; ++i) out[i] = static_cast<unsigned char>(dice.next());
    return static_cast<ssize_t>(bytes);
}

namespace keystile::testing {

using namespace keystile::engine;

namespace {

constexpr std::uint64_t kSegmentBytes = 32u << 20;
constexpr std::uint64_t kHour = 3'600'000'000'000u;

[[noreturn]] void give_up(const char* what) {
    std::fprintf(stderr, "fuzz image: %s (%s)\n", what, ks_last_error());
    std::abort();
}
#define NEED(condition)                        \
    do {                                       \
        if (!(condition)) give_up(#condition); \
    } while (false)

ks_bytes view_of(const std::string& text) {
    return {text.data(), text.size()};
}

void put(ks_session* session, const std::string& key, std::size_t size) {
    ks_stamp seen{};
    (void)ks_get(session, view_of(key), nullptr, 0, nullptr, &seen);
    const std::string value(size, 'v');
    NEED(ks_commit(session, view_of(key), seen, view_of(value), nullptr, nullptr) == KS_OK);
}

std::vector<std::string> make_keys() {
    std::vector<std::string> keys;
    for (int i = 0; i < 300; ++i) keys.push_back("key " + std::to_string(i));
    for (int i = 0; i < 20; ++i)
        keys.push_back(std::string(static_cast<std::size_t>(17 + i * 52), 'k') + std::to_string(i));
    return keys;
}

const char* die_at = nullptr;
void die_here(const char* name) {
    if (std::strcmp(name, die_at) == 0) ::kill(::getpid(), SIGKILL);
}

// Another process, that ends as `act` makes it end, with an open session.
void in_process(const std::string& url, const char* point, const std::function<void(ks_session*)>& act) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    NEED(child >= 0);
    if (child == 0) {
        ks_store* store = nullptr;
        ks_session* session = nullptr;
        if (ks_open(url.c_str(), nullptr, &store) == KS_OK && ks_session_open(store, &session) == KS_OK) {
            die_at = point;
            checked::on_point = die_here;
            act(session);
        }
        ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    NEED(::waitpid(child, &status, 0) == child && WIFSIGNALED(status));
}

// Two keys in one commit.
void put_both(ks_session* session, const std::string& first, const std::string& second) {
    ks_multi* multi = nullptr;
    if (ks_multi_begin(session, &multi) != KS_OK) return;
    for (const std::string* key : {&first, &second})
        (void)ks_multi_put(multi, view_of(*key), view_of("both"), nullptr);
    (void)ks_multi_commit(multi);
    ks_multi_end(multi);
}

// One corpse for each kind of thing that a death leaves. Opening a store reaps, so all of them open it
// before the first one dies: each is the parent of the next, and waits for its end.
void leave_corpses(const std::string& url, const std::vector<std::string>& keys) {
    struct Death {
        const char* point;
        std::function<void(ks_session*)> act;
    };
    const Death deaths[] = {
        {"operations.commit.before_cas", [&](ks_session* s) { put(s, keys[1], 100); }},
        {"operations.commit.after_cas", [&](ks_session* s) { put(s, keys[2], 100); }},
        {"operations.commit.after_cas", [&](ks_session* s) { put(s, keys[3], 100'000); }},
        {"arena.run.before_ctl", [&](ks_session* s) { put(s, keys[4], 200'000); }},
        {"slots.insert.before_cas", [&](ks_session* s) { put(s, "never seen", 10); }},
        {"slots.insert.before_placed", [&](ks_session* s) { put(s, std::string(200, 'p'), 10); }},
        {"slots.claim.after_bid",
         [&](ks_session* s) {
             ks_grant grant;
             (void)ks_claim(s, view_of(keys[5]), nullptr, &grant, nullptr);
         }},
        {"operations.decide.after_mark", [&](ks_session* s) { put_both(s, keys[18], keys[19]); }},
        {"operations.decide.before_mark", [&](ks_session* s) { put_both(s, keys[16], keys[17]); }},
        {"operations.publish.after_cas", [&](ks_session* s) { put_both(s, keys[14], keys[15]); }},
        {"operations.publish.before_cas", [&](ks_session* s) { put_both(s, keys[14], keys[16]); }},
        {"",
         [&](ks_session* s) {
             ks_grant grant;
             for (std::size_t i = 6; i < 12; ++i)
                 (void)ks_claim(s, view_of(keys[i]), nullptr, &grant, nullptr);
         }},
    };
    std::function<void(std::size_t)> nest = [&](std::size_t i) {
        if (i == std::size(deaths)) return;
        in_process(url, deaths[i].point, [&](ks_session* session) {
            nest(i + 1);
            deaths[i].act(session);
        });
    };
    nest(0);
}

void add_words(std::vector<std::uint64_t>& list, const Segment& segment, const void* address,
               std::size_t bytes) {
    const auto base = static_cast<std::uint64_t>(static_cast<const std::byte*>(address) -
                                                 reinterpret_cast<const std::byte*>(&segment.header()));
    for (std::size_t at = 0; at + 8 <= bytes; at += 8) list.push_back(base + at);
}

}  // namespace

SegmentImage::SegmentImage() {
    const std::string name = "fuzz-" + std::to_string(::getpid());
    url_ = "shm:" + name;
    path_ = "/dev/shm/keystile." + name;
    keys_ = make_keys();
    fill();
    copy_extents();
    find_targets();
    restore();
}

SegmentImage::~SegmentImage() {
    ::unlink(path_.c_str());
}

void SegmentImage::fill() {
    ks_open_options options{};
    options.struct_size = sizeof options;
    options.expected_keys = 1;  // the smallest root: so that there are nodes
    options.max_bytes = kSegmentBytes;
    ks_store* store = nullptr;
    ks_session* session = nullptr;
    NEED(ks_open(url_.c_str(), &options, &store) == KS_OK && ks_session_open(store, &session) == KS_OK);
    constexpr std::size_t kSizes[] = {0, 8, 40, 100, 300, 700, 3000};
    for (std::size_t i = 0; i < keys_.size(); ++i) put(session, keys_[i], kSizes[i % std::size(kSizes)]);
    put(session, keys_[0], 40'000);
    put(session, keys_[3], 100'000);
    put(session, keys_[13], 300'000);
    for (std::size_t i = 20; i < 30; ++i) {
        ks_stamp seen{};
        (void)ks_get(session, view_of(keys_[i]), nullptr, 0, nullptr, &seen);
        NEED(ks_delete(session, view_of(keys_[i]), seen, nullptr, nullptr) == KS_OK);
    }
    ks_claim_options detached{};
    detached.struct_size = sizeof detached;
    detached.flags = KS_CLAIM_DETACHED;
    detached.lease_ns = kHour;
    ks_grant grant;
    for (std::size_t i = 30; i < 34; ++i) {
        NEED(ks_claim(session, view_of(keys_[i]), &detached, &grant, nullptr) == KS_OK);
    }
    leave_corpses(url_, keys_);
    ks_close(store);
}

void SegmentImage::copy_extents() {
    const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    NEED(fd >= 0);
    file_bytes_ = static_cast<std::uint64_t>(::lseek(fd, 0, SEEK_END));
    for (off_t at = 0; (at = ::lseek(fd, at, SEEK_DATA)) >= 0;) {
        const off_t end = ::lseek(fd, at, SEEK_HOLE);
        Extent extent{static_cast<std::uint64_t>(at),
                      std::vector<std::byte>(static_cast<std::size_t>(end - at))};
        NEED(::pread(fd, extent.bytes.data(), extent.bytes.size(), at) == end - at);
        word_count_ += extent.bytes.size() / 8;
        extents_.push_back(std::move(extent));
        at = end;
    }
    ::close(fd);
}

std::uint64_t SegmentImage::word_offset(std::uint64_t n) const noexcept {
    for (const Extent& extent : extents_) {
        if (n < extent.bytes.size() / 8) return extent.offset + n * 8;
        n -= extent.bytes.size() / 8;
    }
    return 0;
}

void SegmentImage::restore() const {
    const int fd = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    NEED(fd >= 0);
    std::uint64_t at = 0;
    const auto punch = [&](std::uint64_t from, std::uint64_t to) {
        NEED(from == to || ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                       static_cast<off_t>(from), static_cast<off_t>(to - from)) == 0);
    };
    NEED(::ftruncate(fd, static_cast<off_t>(file_bytes_)) == 0);
    for (const Extent& extent : extents_) {
        punch(at, extent.offset);
        NEED(::pwrite(fd, extent.bytes.data(), extent.bytes.size(), static_cast<off_t>(extent.offset)) ==
             static_cast<ssize_t>(extent.bytes.size()));
        at = extent.offset + extent.bytes.size();
    }
    punch(at, file_bytes_);
    ::close(fd);
}

void SegmentImage::find_targets() {
    ks_open_options options{};
    options.struct_size = sizeof options;
    options.flags = KS_OPEN_READ_ONLY;  // no participant, and nobody is reaped
    ks_store* store = nullptr;
    NEED(ks_open(url_.c_str(), &options, &store) == KS_OK);
    const Segment& segment = store->store->segment;
    add_words(targets_.header, segment, &segment.header(), sizeof(shm::Header));
    add_words(targets_.participants, segment, segment.participant(0), 12 * sizeof(shm::Participant));
    for (std::uint32_t i = 0; i < 12; ++i) {
        add_words(targets_.sessions, segment, segment.session(i), sizeof(shm::Lane));
    }
    add_words(targets_.cells, segment, segment.root(), 8u << segment.root_bits());
    add_words(targets_.cells, segment,
              reinterpret_cast<const std::byte*>(&segment.header()) + segment.regions().home_map, 64);
    add_words(targets_.chunks, segment, segment.chunk(0), segment.chunk_count() * sizeof(shm::Chunk));
    add_words(targets_.ring, segment, segment.ring_cell(0), 8 * sizeof(Word128));
    for (Position p = 1; p <= ring_tail(segment); ++p) {
        const Ref ref = load_cell(segment, p).operation();
        const auto* descriptor = ref != 0 ? segment.at<shm::Descriptor>(ref, descriptor_bytes(2)) : nullptr;
        if (descriptor == nullptr) continue;
        add_words(targets_.ring, segment, descriptor, descriptor_bytes(2));
        targets_.refs.push_back(ref);
    }
    NEED(targets_.refs.size() == 3);  // operations that were left in the ring
    struct Collector {
        Targets& targets;
        const Segment& segment;
    } collector{targets_, segment};
    const auto on_slot = [](void* user, shm::Slot& slot) {
        auto& [targets, in] = *static_cast<Collector*>(user);
        add_words(targets.slots, in, &slot, sizeof slot);
        targets.refs.push_back(in.ref_of(&slot));
        const Ref value = load_word(slot).ref();
        const auto* head = in.at<shm::BlockHead>(value);
        if (head != nullptr) add_words(targets.heads, in, head, sizeof *head);
        if (head != nullptr) targets.refs.push_back(value);
        return true;
    };
    const auto on_node = [](void* user, shm::Node& node) {
        auto& [targets, in] = *static_cast<Collector*>(user);
        add_words(targets.cells, in, node.cell, sizeof node.cell);
        add_words(targets.heads, in, &node.head, sizeof node.head);
        targets.refs.push_back(in.ref_of(&node));
    };
    NEED(visit_all(segment, Visitor{&collector, on_slot, on_node}) == Status::kOk);
    ks_close(store);
}

}  // namespace keystile::testing
