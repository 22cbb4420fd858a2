#include "support/test_store.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <set>

#include "abi/abi.hpp"

namespace keystile::testing {

using namespace keystile::engine;

namespace {

std::string fresh_name() {
    static int count = 0;
    return "test-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
}

}  // namespace

TestStore::TestStore() : TestStore(fresh_name()) {}

TestStore::TestStore(std::string name) : name_(std::move(name)), url_("shm:" + name_) {}

TestStore::~TestStore() {
    (void)ks_destroy(url_.c_str(), KS_DESTROY_FORCE);
    ::unlink(path().c_str());
}

std::string TestStore::path() const {
    return "/dev/shm/keystile." + name_;
}

ks_status open_small(const std::string& url, std::uint32_t flags, ks_store** store_out) {
    ks_open_options options{};
    options.struct_size = sizeof options;
    options.flags = flags;
    options.expected_keys = 1;
    options.max_bytes = 32u << 20;
    options.label = "test";
    return ks_open(url.c_str(), &options, store_out);
}

void create_small(const std::string& url, bool is_durable) {
    // Of the two pages of home slots, "k" and "other" lie in one and "new" in the other, which is not there yet.
    constexpr std::uint64_t kSeed = 0x6B657975;
    ks_store* store = nullptr;
    const ks_status s = open_small(url, KS_OPEN_MUST_CREATE, &store);
    if (s != KS_OK) {
        std::fprintf(stderr, "cannot create %s: %s, %s\n", url.c_str(), ks_status_name(s), ks_last_error());
        std::abort();
    }
    // Before the first key; whoever opens the store from now on reads it.
    store->store->segment.header().hash_seed = kSeed;
    store->store->segment.header().is_durable = is_durable ? 1 : 0;
    ks_close(store);
}

Attached::Attached(const std::string& url) {
    ks_status s = open_small(url, 0, &store);
    if (s == KS_OK) s = ks_session_open(store, &session);
    if (s == KS_OK) return;
    std::fprintf(stderr, "cannot attach to %s: %s, %s\n", url.c_str(), ks_status_name(s), ks_last_error());
    std::abort();
}

Attached::~Attached() {
    ks_close(store);
}

namespace {

// What the index leads to, counted apart from ks_check.
struct Census {
    const Segment& segment;
    std::set<Ref> blocks;
    std::string wrong;

    void add(Ref ref) {
        if (!blocks.insert(ref).second) wrong += "block " + std::to_string(ref) + " is named twice\n";
    }
    static bool on_slot(void* user, shm::Slot& slot) {
        auto& census = *static_cast<Census*>(user);
        const Ref value = load_word(slot).ref();
        if (value != 0) census.add(value);
        if (inline_length_of(peek(slot.turn)) == 0) census.add(unpack_key_place(peek(slot.key[1])).ref);
        return true;
    }
    static void on_node(void* user, shm::Node& node) {
        auto& census = *static_cast<Census*>(user);
        census.add(census.segment.ref_of(&node));
    }
};

// Blocks of classed chunks, and runs that somebody holds.
std::uint64_t count_blocks(const Segment& segment) {
    std::uint64_t count = 0;
    for (std::uint64_t i = 0; i < segment.chunk_count(); ++i) {
        const std::uint64_t use = peek(segment.chunk(i)->use);
        const SizeClass size_class = class_at(segment, segment.chunk_ref(i));
        if (size_class != kClasses) count += kChunkBytes / bytes_of(size_class);
        if (tag_of(use) == Tag::kHeld && unpack_run(peek(segment.chunk(i)->run)).position == 0) ++count;
    }
    return count;
}

std::uint64_t count_open_sessions(const Segment& segment) {
    std::uint64_t count = 0;
    for (std::uint32_t i = 0; i < segment.session_count(); ++i) {
        if (unpack_session(session_state(segment, i)).is_open) ++count;
    }
    return count;
}

std::string expect_equal(const char* what, std::uint64_t is, std::uint64_t should) {
    if (is == should) return {};
    return std::string(what) + ": " + std::to_string(is) + ", not " + std::to_string(should) + "\n";
}

// What both demand.
ks_check_report check(ks_store* store, std::string* wrong) {
    ks_check_report report{};
    report.struct_size = sizeof report;
    const auto tell = [](void* user, const char* text) {
        *static_cast<std::string*>(user) += std::string(text) + "\n";
    };
    const ks_status checked = ks_check(store, tell, wrong, &report);
    if (checked != KS_OK) *wrong += std::string("check: ") + ks_status_name(checked) + "\n";
    *wrong += expect_equal("problems", report.problems, 0);
    *wrong += expect_equal("blocks not reaped", report.blocks_unreaped, 0);
    *wrong += expect_equal("live, free and kept blocks",
                           report.blocks_live + report.blocks_free + report.blocks_in_flight,
                           count_blocks(store->store->segment));
    return report;
}

}  // namespace

std::string check_now(ks_store* store) {
    std::string wrong;
    (void)check(store, &wrong);
    return wrong;
}

std::string scan(const std::string& url) {
    ks_store* store = nullptr;
    if (const ks_status s = open_small(url, KS_OPEN_MUST_EXIST, &store); s != KS_OK) {
        return std::string("the scan cannot open the store: ") + ks_status_name(s) + "\n";
    }
    std::string wrong;
    if (ks_reap(store, nullptr) != KS_OK) wrong += "reaping failed\n";
    ks_check_report report = check(store, &wrong);
    wrong += expect_equal("blocks in flight", report.blocks_in_flight, 0);

    const Segment& segment = store->store->segment;
    Census census{segment, {}, {}};
    if (visit_all(segment, Visitor{&census, Census::on_slot, Census::on_node}) != Status::kOk)
        wrong += "index: corrupt\n";
    wrong += census.wrong;
    wrong += expect_equal("live blocks", report.blocks_live, census.blocks.size());
    wrong += expect_equal("open sessions", count_open_sessions(segment), 0);
    ks_stats stats{};
    stats.struct_size = sizeof stats;
    if (ks_stat(store, &stats) != KS_OK) wrong += "stat failed\n";
    wrong += expect_equal("participants", stats.participants, 1);
    ks_close(store);
    return wrong;
}

}  // namespace keystile::testing
