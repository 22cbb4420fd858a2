// Death between any two instructions of any public call. Property, after each: the survivor reads the old
// value or the new one, commits, claims and inserts; `check` is clean, every block is accounted for,
// nothing of the dead is left after the reaping.
//
// Calls of up to kInstructionsMax instructions are killed after every one of them; longer ones after every
// store to the segment, locked instruction and system call. Calls that are not on the hot path are thinned
// in the ordinary run (some 150 instructions beside those with an effect); KEYSTILE_STEP_ALL=1 takes all.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "abi/abi.hpp"
#include "crash/stepper.hpp"
#include "support/child.hpp"
#include "support/test_store.hpp"

namespace keystile::testing {

namespace {

constexpr std::size_t kInstructionsMax = 5'000;
constexpr std::size_t kStrideMin = 7;
constexpr std::size_t kColdDeathsMax = 150;  // beside those with an effect
constexpr std::size_t kScanEvery =
    16;  // the full scan opens the store anew; in between the checks without that

// ---- What the victim has in hand ------------------------------------------------------------------------

struct Victim {
    const TestStore& store;
    ks_store* opened = nullptr;
    ks_session* session = nullptr;
    ks_stamp seen{};  // of "k"
    ks_grant grant{};
    ks_key key{};
    ks_multi* multi = nullptr;

    void attach() {
        if (open_small(store.url(), 0, &opened) != KS_OK || ks_session_open(opened, &session) != KS_OK)
            ::_exit(90);
        (void)ks_get(session, bytes("k"), nullptr, 0, nullptr, &seen);
    }
};

struct Call {
    const char* name;
    void (*act)(Victim& v);
    void (*prepare)(Victim& v) = nullptr;                                // by the victim, attached
    void (*before)(const TestStore&, ks_store*, ks_session*) = nullptr;  // by the survivor
    bool is_hot = false;
    bool is_attached = true;
    bool is_both = false;   // it commits "k" and "new" together
    bool has_store = true;  // there is a store before the call
    friend void PrintTo(const Call& call, std::ostream* out) { *out << call.name; }
};

const std::string long_key = "a key of more than sixteen bytes";
const std::string forty_kilobytes(40'000, 'r');  // one chunk: the shortest run

ks_commit_options under(const ks_grant* grant, std::uint32_t flags) {
    ks_commit_options options{};
    options.struct_size = sizeof options;
    options.grant = grant;
    options.flags = flags;
    return options;
}
void take(Victim& v) {
    if (ks_claim(v.session, bytes("k"), nullptr, &v.grant, nullptr) != KS_OK) ::_exit(91);
}
void take_detached(Victim& v) {
    ks_claim_options options{};
    options.struct_size = sizeof options;
    options.flags = KS_CLAIM_DETACHED;
    options.lease_ns = 1'000'000;
    if (ks_claim(v.session, bytes("k"), &options, &v.grant, nullptr) != KS_OK) ::_exit(91);
}
void resolve(Victim& v) {
    if (ks_resolve(v.session, bytes("k"), &v.key) != KS_OK) ::_exit(92);
}
void commit_k(Victim& v) {
    (void)ks_commit_k(v.session, v.key, v.seen, bytes("victim"), nullptr, nullptr);
}
void commit(Victim& v) {
    (void)ks_commit(v.session, bytes("k"), v.seen, bytes("victim"), nullptr, nullptr);
}
void commit_twice(Victim& v) {
    for (int i = 0; i < 2; ++i) {
        commit(v);
        (void)ks_get(v.session, bytes("k"), nullptr, 0, nullptr, &v.seen);
    }
}
void a_dead_owner(const TestStore& store, ks_store*, ks_session*) {
    (void)run_in_child([&] {
        Victim dead{store};
        dead.attach();
        take(dead);
        return 0;
    });
}
void a_dead_committer(const TestStore& store, ks_store*, ks_session*) {  // with a spare block and a session
    (void)run_in_child([&] {
        Victim dead{store};
        dead.attach();
        commit_twice(dead);
        return 0;
    });
}
// "k" and a second key at once; the keys are known to the transaction before, the commit alone is stepped.
void plan_two(Victim& v) {
    if (ks_multi_begin(v.session, &v.multi) != KS_OK) ::_exit(93);
    for (const char* key : {"k", "new"}) {
        if (ks_multi_put(v.multi, bytes(key), bytes("victim"), nullptr) != KS_OK) ::_exit(94);
    }
}
void commit_planned(Victim& v) {
    (void)ks_multi_commit(v.multi);
}
int nothing(void*, const ks_entry*) {
    return 0;
}

const Call kCalls[] = {
    {.name = "get",
     .act =
         [](Victim& v) {
             char buffer[64];
             (void)ks_get(v.session, bytes("k"), buffer, sizeof buffer, nullptr, nullptr);
         }},
    {.name = "get_k",
     .act =
         [](Victim& v) {
             char buffer[64];
             (void)ks_get_k(v.session, v.key, buffer, sizeof buffer, nullptr, nullptr);
         },
     .prepare = resolve},
    {.name = "get_many",
     .act =
         [](Victim& v) {
             ks_get_item items[2]{};
             items[0].key = bytes("k");
             items[1].key = bytes("none");
             (void)ks_get_many(v.session, items, 2);
         }},
    {.name = "resolve_new",
     .act = [](Victim& v) { (void)ks_resolve(v.session, bytes("new"), &v.key); },
     .is_hot = true},
    {.name = "resolve_new_long",
     .act = [](Victim& v) { (void)ks_resolve(v.session, bytes(long_key), &v.key); },
     .is_hot = true},
    {.name = "commit", .act = commit, .is_hot = true},
    {.name = "commit_with_spare", .act = commit, .prepare = commit_twice, .is_hot = true},
    {.name = "commit_k", .act = commit_k, .prepare = resolve, .is_hot = true},
    {.name = "commit_refused", .act = commit, .prepare = [](Victim& v) { v.seen.version += 1; }},
    {.name = "commit_new",
     .act =
         [](Victim& v) {
             (void)ks_commit(v.session, bytes("new"), {0, 0}, bytes("victim"), nullptr, nullptr);
         },
     .is_hot = true},
    {.name = "commit_run",
     .act =
         [](Victim& v) {
             (void)ks_commit(v.session, bytes("k"), v.seen, bytes(forty_kilobytes), nullptr, nullptr);
         }},
    {.name = "overwrite_run",
     .act = commit,
     .prepare =
         [](Victim& v) {
             (void)ks_commit(v.session, bytes("k"), v.seen, bytes(forty_kilobytes), nullptr, nullptr);
             (void)ks_get(v.session, bytes("k"), nullptr, 0, nullptr, &v.seen);
         }},
    {.name = "delete",
     .act = [](Victim& v) { (void)ks_delete(v.session, bytes("k"), v.seen, nullptr, nullptr); },
     .is_hot = true},
    {.name = "commit_granted",
     .act =
         [](Victim& v) {
             const ks_commit_options options = under(&v.grant, 0);
             (void)ks_commit(v.session, bytes("k"), v.grant.stamp, bytes("victim"), &options, nullptr);
         },
     .prepare = take,
     .is_hot = true},
    {.name = "commit_and_release",
     .act =
         [](Victim& v) {
             const ks_commit_options options = under(&v.grant, KS_COMMIT_RELEASE);
             (void)ks_commit(v.session, bytes("k"), v.grant.stamp, bytes("victim"), &options, nullptr);
         },
     .prepare = take,
     .is_hot = true},
    {.name = "multi_commit", .act = commit_planned, .prepare = plan_two, .is_both = true},
    {.name = "multi_commit_again",
     .act = commit_planned,
     .prepare =
         [](Victim& v) {  // replacing blocks of an operation that is recycled already
             plan_two(v);
             commit_planned(v);
             plan_two(v);
         },
     .is_both = true},
    {.name = "snapshot_keys",
     .act =
         [](Victim& v) {
             const ks_bytes keys[] = {bytes("k"), bytes("none")};
             ks_snapshot* snapshot = nullptr;
             (void)ks_snapshot_keys(v.session, keys, 2, &snapshot);
         }},
    {.name = "claim", .act = take, .is_hot = true},
    {.name = "claim_of_the_dead", .act = take, .before = a_dead_owner, .is_hot = true},
    {.name = "renew",
     .act = [](Victim& v) { (void)ks_renew(v.session, &v.grant, 0, nullptr); },
     .prepare = take,
     .is_hot = true},
    {.name = "release",
     .act = [](Victim& v) { (void)ks_release(v.session, &v.grant, nullptr); },
     .prepare = take,
     .is_hot = true},
    {.name = "reclaim",
     .act =
         [](Victim& v) {
             (void)ks_reclaim(v.session, bytes("k"), v.grant.stamp.epoch, KS_RECLAIM_LIVE, nullptr);
         },
     .prepare = take,
     .is_hot = true},
    {.name = "grant_format_and_parse",
     .act =
         [](Victim& v) {
             char token[KS_TOKEN_SIZE];
             (void)ks_grant_format(&v.grant, token, sizeof token);
             (void)ks_grant_parse(v.session, bytes("k"), token, &v.grant);
         },
     .prepare = [](Victim& v) { take_detached(v); }},
    {.name = "watch_a_change",
     .act = [](Victim& v) { (void)ks_watch(v.session, bytes("k"), {0, 0}, 0, nullptr); }},
    {.name = "list",
     .act = [](Victim& v) { (void)ks_list(v.session, {nullptr, 0}, KS_LIST_ALL, nothing, nullptr); }},
    {.name = "stat",
     .act =
         [](Victim& v) {
             ks_stats stats{};
             stats.struct_size = sizeof stats;
             (void)ks_stat(v.opened, &stats);
         }},
    {.name = "participants",
     .act =
         [](Victim& v) {
             (void)ks_participants(v.opened, [](void*, const ks_participant*) { return 0; }, nullptr);
         }},
    {.name = "reap", .act = [](Victim& v) { (void)ks_reap(v.opened, nullptr); }},
    {.name = "reap_a_dead_one",
     .act = [](Victim& v) { (void)open_small(v.store.url(), KS_OPEN_MUST_EXIST, &v.opened); },
     .before = a_dead_committer,
     .is_attached = false},
    {.name = "check", .act = [](Victim& v) { (void)ks_check(v.opened, nullptr, nullptr, nullptr); }},
    {.name = "session_open",
     .act = [](Victim& v) { (void)ks_session_open(v.opened, &v.session); },
     .is_hot = true},
    {.name = "session_close",
     .act = [](Victim& v) { ks_session_close(v.session); },
     .prepare = commit_twice,
     .is_hot = true},
    {.name = "default_session", .act = [](Victim& v) { (void)ks_default_session(v.opened); }},
    {.name = "open",
     .act = [](Victim& v) { (void)open_small(v.store.url(), KS_OPEN_MUST_EXIST, &v.opened); },
     .is_attached = false},
    {.name = "create",
     .act = [](Victim& v) { (void)open_small(v.store.url(), 0, &v.opened); },
     .is_attached = false,
     .has_store = false},
    {.name = "close", .act = [](Victim& v) { ks_close(v.opened); }, .prepare = commit_twice},
    {.name = "destroy",
     .act = [](Victim& v) { (void)ks_destroy(v.store.url().c_str(), KS_DESTROY_FORCE); },
     .is_attached = false},
};

// ---- The segment, as the survivor has it mapped ---------------------------------------------------------

class Snapshot {
public:
    explicit Snapshot(ks_store* store) : store_(store) {}
    // Every byte that is allocated, wherever the layout puts it.
    bool has_changed() {
        if (store_ == nullptr) return false;
        const auto& segment = store_->store->segment;
        const auto* base = reinterpret_cast<const char*>(&segment.header());
        const int fd = segment.file().fd();
        bool is_changed = false;
        std::size_t at = 0;
        for (off_t end = 0;;) {
            const off_t begin = ::lseek(fd, end, SEEK_DATA);
            if (begin < 0) return is_changed;
            end = ::lseek(fd, begin, SEEK_HOLE);
            const auto size = static_cast<std::size_t>(end - begin);
            if (bytes_.size() < at + size) bytes_.resize(at + size);
            if (std::memcmp(bytes_.data() + at, base + begin, size) != 0) {
                std::memcpy(bytes_.data() + at, base + begin, size);
                is_changed = true;
            }
            at += size;
        }
    }

private:
    ks_store* store_;
    std::vector<char> bytes_;
};

// ---- The survivor ---------------------------------------------------------------------------------------

std::string survive_destroy(const TestStore& store) {
    ks_store* again = nullptr;
    const ks_status s = open_small(store.url(), 0, &again);
    if (s == KS_OK) ks_close(again);
    if (s != KS_OK && s != KS_E_DESTROYED) return std::string("after destroy: ") + ks_status_name(s);
    const ks_status destroyed = ks_destroy(store.url().c_str(), KS_DESTROY_FORCE);
    return destroyed == KS_OK ? "" : std::string("destroying again: ") + ks_status_name(destroyed);
}

ks_status put(ks_session* session, std::string_view key, std::string_view value) {
    for (;;) {  // once more after a claim of the dead was reclaimed on the way
        ks_stamp seen{};
        (void)ks_get(session, bytes(key), nullptr, 0, nullptr, &seen);
        const ks_status s = ks_commit(session, bytes(key), seen, bytes(value), nullptr, nullptr);
        if (s != KS_FENCED) return s;
    }
}

std::string survive(ks_store* store, ks_session* session) {
    std::string wrong;
    const auto demand = [&](bool is_so, const char* what) {
        if (!is_so) wrong += std::string(what) + "\n";
    };
    (void)ks_reap(store, nullptr);
    wrong += check_now(store);
    std::string value(50'000, '\0');
    std::size_t size = 0;
    ks_stamp seen{};
    const ks_status read = ks_get(session, bytes("k"), value.data(), value.size(), &size, &seen);
    value.resize(size);
    demand(read == KS_OK || read == KS_NOT_FOUND, "k cannot be read");
    const bool is_known =
        value == "first" || value == "victim" || value == forty_kilobytes || read == KS_NOT_FOUND;
    demand(is_known, "k has a value that nobody committed");
    demand((seen.version == 1) == (value == "first"), "version and value of k belong to different commits");
    ks_grant grant{};
    ks_claim_options wait{};  // a detached claim of the dead stands until its lease is over
    wait.struct_size = sizeof wait;
    wait.wait_ns = KS_FOREVER;
    demand(ks_claim(session, bytes("k"), &wait, &grant, nullptr) == KS_OK, "k cannot be claimed");
    demand(ks_release(session, &grant, nullptr) == KS_OK, "k cannot be released");
    for (const std::string_view key :
         {std::string_view("k"), std::string_view("new"), std::string_view(long_key)}) {
        demand(put(session, key, "survivor") == KS_OK, "a key cannot be committed");
    }
    return wrong + check_now(store);
}

// "k" had one commit more than "new", which had none; together they went on.
std::string survive_both(ks_session* session) {
    ks_stamp k{}, other{};
    (void)ks_get(session, bytes("k"), nullptr, 0, nullptr, &k);
    (void)ks_get(session, bytes("new"), nullptr, 0, nullptr, &other);
    if (k.version == other.version + 1) return {};
    return "half a transaction: k is at " + std::to_string(k.version) + ", new at " +
           std::to_string(other.version) + "\n";
}

class InstructionStep : public ::testing::TestWithParam<Call> {};

// One store, one victim, its death, the survivor. n = SIZE_MAX: record the path instead.
std::string run(const Call& call, Path* path, std::size_t n, bool* is_there_out) {
    const TestStore store("step-" + std::to_string(::getpid()));
    std::unique_ptr<Attached> self;
    if (call.has_store) {
        create_small(store.url());
        self = std::make_unique<Attached>(store.url());
        if (put(self->session, "k", "first") != KS_OK) return "setup";
        if (call.before != nullptr) call.before(store, self->store, self->session);
    }
    Victim victim{store};
    Traced child(
        [&] {
            if (call.is_attached) victim.attach();
            if (call.prepare != nullptr) call.prepare(victim);
        },
        [&] { call.act(victim); });
    if (!child.is_at_begin()) return "the victim ended before its call";
    if (n == SIZE_MAX) {
        Snapshot snapshot(self != nullptr ? self->store : nullptr);
        *path = record_path(child, [&] { return snapshot.has_changed(); });
        child.kill();
    } else {
        *is_there_out = kill_after(child, *path, n);
    }
    if (std::string_view(call.name) == "destroy") return survive_destroy(store);
    if (self == nullptr) {
        self = std::make_unique<Attached>(store.url());
        if (put(self->session, "k", "first") != KS_OK) return "the store cannot be used";
    }
    std::string wrong = call.is_both ? survive_both(self->session) : "";
    wrong += survive(self->store, self->session);
    if (n % kScanEvery == 0) {
        self.reset();
        wrong += scan(store.url());
    }
    return wrong;
}

TEST_P(InstructionStep, DeathAfterAnyInstructionIsSurvived) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a sanitizer's own instructions are none of ours";
#endif
    const Call& call = GetParam();
    Path path;  // the shortest of three: the kernel's clock sometimes takes an extra turn
    for (int i = 0; i < 3; ++i) {
        Path again;
        ASSERT_EQ(run(call, &again, SIZE_MAX, nullptr), "");
        if (i == 0 || again.address.size() < path.address.size()) path = std::move(again);
        if (path.address.size() > kInstructionsMax) break;  // there the clock's turns are lost in the length
    }
    const std::size_t length = path.address.size();
    ASSERT_GT(length, 1u);
    const bool is_all =
        length <= kInstructionsMax && (call.is_hot || std::getenv("KEYSTILE_STEP_ALL") != nullptr);
    const bool is_thinned = length <= kInstructionsMax && !is_all;
    const std::size_t stride = std::max(kStrideMin, length / kColdDeathsMax);
    std::size_t kills = 0, strays = 0;
    for (std::size_t n = 0; n < length; ++n) {
        if (!is_all && !path.is_effect[n] && !(is_thinned && n % stride == 0)) continue;
        bool is_there = false;
        const std::string wrong = run(call, &path, n, &is_there);
        ++kills;
        if (!is_there) ++strays;
        ASSERT_EQ(wrong, "") << call.name << ", killed after " << n << " of " << length - 1
                             << " instructions";
    }
    std::printf("%s: %zu instructions, %zu deaths, %zu of them elsewhere\n", call.name, length - 1, kills,
                strays);
    RecordProperty("instructions", static_cast<int>(length - 1));
    RecordProperty("deaths", static_cast<int>(kills));
    EXPECT_LE(strays * 5, kills)
        << "the path is not the same in each run: deaths where they were not meant to be";
}

INSTANTIATE_TEST_SUITE_P(Calls, InstructionStep, ::testing::ValuesIn(kCalls),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace

}  // namespace keystile::testing
