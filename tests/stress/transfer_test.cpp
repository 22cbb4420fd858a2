// Processes move units between a few keys, several keys at a time, and are killed, stopped and continued at random;
// others take snapshots, commit to single keys, claim, create and delete. No unit is ever seen twice or missing, not in
// any snapshot and not at the end; nobody waits for whoever is stopped; what the dead leave behind is reaped.
//
// KEYSTILE_STRESS_SECONDS: how long (4). KEYSTILE_STRESS_SEED: another schedule.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <ctime>
#include <memory>
#include <vector>

#include "stress/dice.hpp"
#include "stress/history.hpp"
#include "support/child.hpp"
#include "support/test_store.hpp"

namespace keystile::testing {

namespace {

constexpr std::uint64_t kTransferPatienceNs = 40 * kSecond;  // for a few commits; the machine may be busy
constexpr std::uint64_t kProgress = 20;  // commits of others that each stop must let through
constexpr int kUnits = 1000;             // of each account at the beginning
constexpr int kPairs = 6;
constexpr std::size_t kWorkersMax = 8;

// What workers tell, in memory that survives them. Each has its own numbers; a dead one's place is taken over.
struct Told {
    std::atomic<std::uint32_t> is_over;
    struct alignas(64) Counts {
        std::atomic<std::uint64_t> transfers, refusals, snapshots, busy, singles, claims;
    } counts[kWorkersMax];
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

void count(std::atomic<std::uint64_t>& counter) {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

struct Round {
    std::string url;
    Told* told;
    int accounts;
};

std::string account(std::uint64_t number) {
    return "bank/" + std::to_string(number);
}

class TransferWorker {
public:
    TransferWorker(const Round& round, std::size_t number, std::uint64_t seed)
        : round_(round),
          counts_(round.told->counts[number]),
          own_("own/" + std::to_string(number)),
          dice_(seed) {}

    int run() {
        demand(open_small(round_.url, KS_OPEN_MUST_EXIST, &store_), "open");
        demand(ks_session_open(store_, &session_), "session");
        demand(ks_multi_begin(session_, &multi_), "begin");
        while (round_.told->is_over.load(std::memory_order_relaxed) == 0) step();
        ks_multi_end(multi_);
        ks_close(store_);
        return 0;
    }

private:
    [[noreturn]] void fail(const std::string& what) {
        std::fprintf(stderr, "%s (last fault: %s)\n", what.c_str(), ks_last_error());
        ::_exit(1);
    }
    void demand(ks_status status, const char* what) {
        if (status != KS_OK) fail(std::string(what) + ": " + ks_status_name(status));
    }
    // Of these answers no harm is done; every other is a failure.
    bool is_done(ks_status status, const char* what) {
        if (status == KS_CONFLICT || status == KS_HELD || status == KS_FENCED) return false;
        demand(status, what);
        return true;
    }
    long number_in(ks_bytes value) {
        return std::strtol(std::string(static_cast<const char*>(value.data), value.size).c_str(), nullptr,
                           10);
    }
    std::string text_of(long number) {  // of a size that varies, so that blocks of all kinds come and go
        std::string text = std::to_string(number);
        if (dice_.one_in(4)) text.append(dice_.roll(300), ' ');
        return text;
    }

    void step() {
        switch (dice_.roll(16)) {
            case 0:
            case 1:
                return look();
            case 2:
            case 3:
                return commit_single();
            case 4:
                return pair();
            case 5:
                return claim();
            default:
                return transfer();
        }
    }

    void transfer() {
        std::vector<std::uint64_t> from(static_cast<std::size_t>(round_.accounts));
        for (std::size_t i = 0; i < from.size(); ++i) from[i] = i;
        for (std::size_t i = from.size() - 1; i > 0; --i) std::swap(from[i], from[dice_.roll(i + 1)]);
        from.resize(dice_.between(2, from.size()));
        std::vector<long> units(from.size());
        ks_multi_reset(multi_);
        for (std::size_t i = 0; i < from.size(); ++i) {
            char buf[400];
            std::size_t size = 0;
            const std::string key = account(from[i]);
            if (!is_done(ks_multi_read(multi_, bytes(key), buf, sizeof buf, &size, nullptr), "reading"))
                return;
            units[i] = number_in({buf, size});
        }
        const long all_but_one = static_cast<long>(from.size()) - 1;
        for (std::size_t i = 0; i < from.size(); ++i) {
            const std::string value = text_of(units[i] + (i == 0 ? all_but_one : -1));
            demand(ks_multi_put(multi_, bytes(account(from[i])), bytes(value), nullptr), "putting");
        }
        count(is_done(ks_multi_commit(multi_), "a transfer") ? counts_.transfers : counts_.refusals);
    }

    // Two keys that are there together or not at all, and together are worth nothing.
    void pair() {
        const std::string key = "bank/pair " + std::to_string(dice_.roll(kPairs));
        const bool is_made = dice_.one_in(2);
        ks_multi_reset(multi_);
        for (const char* half : {"+", "-"}) {
            const std::string name = key + half;
            demand(is_made ? ks_multi_put(multi_, bytes(name), bytes(std::string(half) + "7"), nullptr)
                           : ks_multi_delete(multi_, bytes(name), nullptr),
                   "a pair");
        }
        (void)is_done(ks_multi_commit(multi_), "a pair");
    }

    void look() {
        ks_snapshot* snapshot = nullptr;
        std::vector<std::string> names;
        std::vector<ks_bytes> keys;
        for (int i = 0; i < round_.accounts; ++i) names.push_back(account(static_cast<std::uint64_t>(i)));
        for (const std::string& name : names) keys.push_back(bytes(name));
        const bool is_prefix = dice_.one_in(2);
        const ks_status s = is_prefix ? ks_snapshot_prefix(session_, bytes("bank/"), &snapshot)
                                      : ks_snapshot_keys(session_, keys.data(), keys.size(), &snapshot);
        if (s == KS_BUSY && is_prefix) return count(counts_.busy);
        demand(s, "a snapshot");
        long sum = 0;
        std::string told;
        for (std::size_t i = 0; i < ks_snapshot_size(snapshot); ++i) {
            ks_snapshot_entry entry{};
            demand(ks_snapshot_at(snapshot, i, &entry), "an entry");
            sum += number_in(entry.value);
            told.append(static_cast<const char*>(entry.key.data), entry.key.size);
            told += " = " + std::to_string(number_in(entry.value)) + ", ";
        }
        if (sum != static_cast<long>(kUnits) * round_.accounts) {
            fail("a snapshot that never was: " + told + "together " + std::to_string(sum));
        }
        ks_snapshot_close(snapshot);
        count(counts_.snapshots);
    }

    // A key of one's own, and one that all share: the value is the number of its commits.
    void commit_single() {
        const std::string key = dice_.one_in(2) ? own_ : "shared";
        ks_stamp seen{};
        char buf[400];
        std::size_t size = 0;
        const ks_status read = ks_get(session_, bytes(key), buf, sizeof buf, &size, &seen);
        if (read != KS_NOT_FOUND) demand(read, "get");
        if (read == KS_OK && static_cast<std::uint64_t>(number_in({buf, size})) != seen.version) {
            fail(key + ": a value of another version");
        }
        const std::string value = text_of(static_cast<long>(seen.version) + 1);
        if (is_done(ks_commit(session_, bytes(key), seen, bytes(value), nullptr, nullptr), "a commit"))
            count(counts_.singles);
    }

    // An account is claimed for a moment; who is stopped meanwhile loses it.
    void claim() {
        const std::string key = account(dice_.roll(static_cast<std::uint64_t>(round_.accounts)));
        ks_claim_options options{};
        options.struct_size = sizeof options;
        options.lease_ns = 1'000'000;
        ks_grant grant{};
        if (!is_done(ks_claim(session_, bytes(key), &options, &grant, nullptr), "a claim")) return;
        count(counts_.claims);
        if (dice_.one_in(2)) {
            (void)is_done(ks_release(session_, &grant, nullptr), "a release");
            return;
        }
        ks_multi_reset(multi_);
        demand(ks_multi_release(multi_, bytes(key), &grant), "a release in a transaction");
        demand(ks_multi_put(multi_, bytes("touched"), bytes(own_), nullptr), "touching");
        (void)is_done(ks_multi_commit(multi_), "a release in a transaction");
    }

    const Round& round_;
    Told::Counts& counts_;
    std::string own_;
    Dice dice_;
    ks_store* store_ = nullptr;
    ks_session* session_ = nullptr;
    ks_multi* multi_ = nullptr;
};

class TransferSupervisor {
public:
    TransferSupervisor(std::uint64_t seed, Told* told) : dice_(seed) {
        std::memset(static_cast<void*>(told), 0, sizeof *told);
        round_ = {store_.url(), told, static_cast<int>(dice_.between(2, 8))};
        create_small(store_.url());
    }

    void run(std::uint64_t duration_ns) {
        found();
        children_.resize(dice_.between(3, 6));
        for (std::size_t i = 0; i < children_.size(); ++i) start(i);
        const std::uint64_t end = now_ns() + duration_ns;
        while (now_ns() < end && !::testing::Test::HasFailure()) disturb();
        round_.told->is_over.store(1, std::memory_order_relaxed);
        for (auto& child : children_) EXPECT_EQ(child->await_end(), 0);
        judge();
    }

    std::string text() const {
        Told::Counts& counts = round_.told->counts[0];
        return std::to_string(round_.accounts) + " accounts, " + std::to_string(children_.size()) +
               " workers, " + std::to_string(sum(&Told::Counts::transfers)) +
               " transfers (the first worker " + std::to_string(counts.transfers) + "), " +
               std::to_string(sum(&Told::Counts::refusals)) + " refusals, " +
               std::to_string(sum(&Told::Counts::snapshots)) + " snapshots, " +
               std::to_string(sum(&Told::Counts::busy)) + " busy, " +
               std::to_string(sum(&Told::Counts::singles)) + " single commits, " +
               std::to_string(sum(&Told::Counts::claims)) + " claims, " + std::to_string(kills_) +
               " kills, " + std::to_string(stops_) + " stops\n";
    }
    std::uint64_t transfers() const { return sum(&Told::Counts::transfers); }
    std::uint64_t snapshots() const { return sum(&Told::Counts::snapshots); }

private:
    void found() {
        const Attached at(store_.url());
        ks_multi* multi = nullptr;
        ASSERT_EQ(ks_multi_begin(at.session, &multi), KS_OK);
        const std::string units = std::to_string(kUnits);
        for (int i = 0; i < round_.accounts; ++i)
            ASSERT_EQ(
                ks_multi_put(multi, bytes(account(static_cast<std::uint64_t>(i))), bytes(units), nullptr),
                KS_OK);
        ASSERT_EQ(ks_multi_commit(multi), KS_OK);
        ks_multi_end(multi);
    }
    void start(std::size_t i) {
        const std::uint64_t seed = dice_.next();
        children_[i] = std::make_unique<Child>([this, i, seed](const Child::Line&) {
            ::alarm(600);  // the supervisor notices who hangs
            return TransferWorker(round_, i, seed).run();
        });
    }
    void disturb() {
        (void)::poll(nullptr, 0, static_cast<int>(dice_.roll(8)));
        const std::size_t i = dice_.roll(children_.size());
        if (dice_.one_in(2)) {
            EXPECT_EQ(children_[i]->kill(), 128 + SIGKILL) << "it had failed before";
            ++kills_;
            start(i);
            return;
        }
        ::kill(children_[i]->pid(), SIGSTOP);
        if (!children_[i]->await_stop()) {
            ADD_FAILURE() << "worker " << i << " ended with " << children_[i]->await_end();
            return;
        }
        ++stops_;
        std::size_t another =
            i;  // mostly nobody else; sometimes two at once, or a death beside one who is stopped
        if (children_.size() > 3 && dice_.one_in(3)) another = (i + 1) % children_.size();
        if (another != i) {
            EXPECT_EQ(children_[another]->kill(), 128 + SIGKILL) << "it had failed before";
            ++kills_;
        }
        expect_progress();
        if (another != i) start(another);
        children_[i]->resume();
    }
    // Whoever is stopped, the others go on.
    void expect_progress() {
        const std::uint64_t before = transfers(), end = now_ns() + kTransferPatienceNs;
        while (transfers() < before + kProgress) {
            if (now_ns() > end) {
                ADD_FAILURE() << "nobody gets on while one is stopped: " << transfers() - before
                              << " transfers";
                return;
            }
            (void)::poll(nullptr, 0, 1);
        }
    }
    void judge() {
        {
            const Attached at(store_.url());
            long sum = 0;
            for (int i = 0; i < round_.accounts; ++i)
                sum += number_of(at.session, account(static_cast<std::uint64_t>(i)), nullptr);
            EXPECT_EQ(sum, static_cast<long>(kUnits) * round_.accounts);
            std::vector<std::string> counted{"shared"};
            for (std::size_t i = 0; i < children_.size(); ++i) counted.push_back("own/" + std::to_string(i));
            for (const std::string& key : counted) {
                std::uint64_t version = 0;
                const long number = number_of(at.session, key, &version);
                EXPECT_EQ(number, static_cast<long>(version)) << key;
            }
            for (int i = 0; i < kPairs; ++i) {
                const std::string pair = "bank/pair " + std::to_string(i);
                EXPECT_EQ(number_of(at.session, pair + "+", nullptr),
                          -number_of(at.session, pair + "-", nullptr));
            }
        }
        EXPECT_EQ(scan(store_.url()), "");
    }
    static long number_of(ks_session* session, const std::string& key, std::uint64_t* version_out) {
        char buf[400] = "";
        std::size_t size = 0;
        ks_stamp seen{};
        const ks_status s = ks_get(session, bytes(key), buf, sizeof buf - 1, &size, &seen);
        EXPECT_TRUE(s == KS_OK || s == KS_NOT_FOUND) << key << ": " << ks_status_name(s);
        if (version_out != nullptr) *version_out = seen.version;
        return std::strtol(std::string(buf, size).c_str(), nullptr, 10);
    }
    std::uint64_t sum(std::atomic<std::uint64_t> Told::Counts::* what) const {
        std::uint64_t all = 0;
        for (const auto& counts : round_.told->counts) all += (counts.*what).load(std::memory_order_relaxed);
        return all;
    }

    Dice dice_;
    TestStore store_;
    Round round_{};
    std::vector<std::unique_ptr<Child>> children_;
    std::uint64_t kills_ = 0, stops_ = 0;
};

TEST(Transfer, NoUnitIsLostWhoeverDiesOrStops) {
    const std::uint64_t seed =
        number_from_env("KEYSTILE_STRESS_SEED", static_cast<std::uint64_t>(::time(nullptr)));
    std::printf("KEYSTILE_STRESS_SEED=%llu\n", static_cast<unsigned long long>(seed));
    auto* told = static_cast<Told*>(
        ::mmap(nullptr, sizeof(Told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(told, MAP_FAILED);
    Dice dice(seed);
    const std::uint64_t end = now_ns() + number_from_env("KEYSTILE_STRESS_SECONDS", 4) * kSecond;
    std::uint64_t transfers = 0, snapshots = 0;
    do {
        TransferSupervisor supervisor(dice.next(), told);
        supervisor.run(kSecond);
        std::fputs(supervisor.text().c_str(), stdout);
        transfers += supervisor.transfers();
        snapshots += supervisor.snapshots();
    } while (now_ns() < end && !HasFailure());
    EXPECT_GT(transfers, 100u);
    EXPECT_GT(snapshots, 10u);
    ::munmap(told, sizeof(Told));
}

}  // namespace

}  // namespace keystile::testing
