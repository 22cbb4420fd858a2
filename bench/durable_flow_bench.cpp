// A durable store over a while: how fast history goes to disk, what a checkpoint does to those who commit meanwhile,
// how fast a store comes back. By the clock on the wall. Keys 16 bytes.
//
//   durable/sustained/V        relaxed commits of V bytes by one thread, until the last is on disk (time = one commit).
//                              bare: as many bytes of records written to a file over zeros, 1 MiB at a time, and
//                              fdatasync at the end; appended: the same to the end of a new file
//   durable/checkpoint         relaxed commits of 64 bytes to one key while checkpoints of 50,000 keys are made,
//                              in turn (ns = the 99.9th percentile of one). quiet: that of as many without checkpoints
//   durable/recovery           opening a store whose segment is gone: 200,000 commits of 64 bytes to 50,000 keys, no
//                              checkpoint (time = one commit). read: reading the same files, and XXH3 of their bytes
// Counters: rig/contest.hpp; mb_per_second: of records.
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "rig/contest.hpp"
#include "rig/durable.hpp"

namespace keystile::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kFlowBytes = 32u << 20;
constexpr std::size_t kPieceBytes = 1u << 20;
constexpr std::uint64_t kKeys = 50'000;
constexpr std::uint64_t kRecoveredCommits = 200'000;
constexpr std::uint64_t kFlushEach = 16'384;  // a quarter of the ring
constexpr int kCheckpoints = 3;               // one after the other, so that a turn is no matter of one fsync
constexpr std::size_t kTimesMin = 2'000;

// Many keys of one store, overwritten in turn.
class Rounds {
public:
    Rounds(ks_store* store, std::uint64_t keys, std::size_t value_bytes, std::uint32_t flags)
        : value_(value_bytes, 'w') {
        need(ks_session_open(store, &session_) == KS_OK, "ks_session_open");
        options_.struct_size = sizeof options_;
        options_.flags = flags;
        stamps_.resize(keys);
        for (std::uint64_t i = 0; i < keys; ++i) commit();
    }
    ~Rounds() { ks_session_close(session_); }
    Rounds(const Rounds&) = delete;
    Rounds& operator=(const Rounds&) = delete;

    void commit() noexcept {
        const KeyName name = key_name(next_);
        ks_receipt receipt{};
        const ks_status s = ks_commit(session_, {&name, sizeof name}, stamps_[next_],
                                      {value_.data(), value_.size()}, &options_, &receipt);
        if (s != KS_OK) [[unlikely]]
            need(false, ks_status_name(s));
        stamps_[next_] = receipt.stamp;
        next_ = next_ + 1 == stamps_.size() ? 0 : next_ + 1;
    }

private:
    ks_session* session_ = nullptr;
    ks_commit_options options_{};
    std::vector<char> value_;
    std::vector<ks_stamp> stamps_;
    std::uint64_t next_ = 0;
};

// The same bytes as the records of so many commits.
void write_bare(BareFile& file, std::uint64_t bytes) {
    static const std::string piece(kPieceBytes, 'p');
    for (std::uint64_t left = bytes; left != 0;) {
        const std::uint64_t now = std::min<std::uint64_t>(left, piece.size());
        file.write(piece.data(), now);
        left -= now;
    }
    file.sync();
}

void run_sustained(benchmark::State& state, std::size_t value_bytes) {
    const std::uint64_t record = record_bytes_of(value_bytes);
    const auto commits = static_cast<std::int64_t>(kFlowBytes / record);
    const Scratch folder = Scratch::on_disk();
    const DurableStore store(folder.path());
    Rounds rounds(store.get(), std::min<std::uint64_t>(1024, kFlowBytes / record), value_bytes,
                  KS_COMMIT_RELAXED);
    BareFile filled(kFlowBytes);
    const auto contestant = [commits](const std::string& name, const std::function<void()>& run) {
        return Contestant{name,  commits,
                          [] {}, [run, commits] { return run(), static_cast<std::uint64_t>(commits); },
                          [] {}, Clock::kWall};
    };
    run_contest(state,
                {contestant("sustained",
                            [&] {
                                for (std::int64_t i = 0; i < commits; ++i) rounds.commit();
                                need(ks_flush(store.get()) == KS_OK, "ks_flush");
                            }),
                 contestant("bare", [&] { write_bare(filled, kFlowBytes); }), contestant("appended", [&] {
                     BareFile fresh(0);
                     write_bare(fresh, kFlowBytes);
                 })});
    state.counters["mb_per_second"] = static_cast<double>(record) * 1e3 / state.counters["ns"];
}

double percentile(std::vector<double> times, double share) {
    const auto place =
        times.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(times.size() - 1));
    std::nth_element(times.begin(), place, times.end());
    return *place;
}

// Until `is_over` says so.
template <class IsOver>
std::vector<double> time_commits(Committer& committer, const IsOver& is_over) {
    std::vector<double> times;
    while (!is_over(times.size())) {
        const double began = seconds_now(Clock::kWall);
        committer.commit();
        times.push_back(seconds_now(Clock::kWall) - began);
    }
    return times;
}

void make_checkpoint(ks_store* store) {
    ks_status s = KS_BUSY;
    while (s == KS_BUSY) s = ks_checkpoint(store);
    need(s == KS_OK, "ks_checkpoint");
}

void run_checkpoint(benchmark::State& state) {
    const Scratch folder = Scratch::on_disk();
    const DurableStore store(folder.path(), 0, kKeys);
    {
        const Rounds filled(store.get(), kKeys, kValueBytes, KS_COMMIT_RELAXED);
    }
    Committer committer(store.get(), kKeys, kValueBytes, KS_COMMIT_RELAXED);
    std::vector<double> tails, quiet_tails, ratios;
    for (auto _ : state) {
        std::atomic<bool> is_made{false};
        std::thread maker([&] {
            for (int i = 0; i < kCheckpoints; ++i) make_checkpoint(store.get());
            is_made.store(true, std::memory_order_relaxed);
        });
        const std::vector<double> times = time_commits(committer, [&](std::size_t count) {
            return count >= kTimesMin && is_made.load(std::memory_order_relaxed);
        });
        maker.join();
        const std::vector<double> quiet =
            time_commits(committer, [&](std::size_t count) { return count >= times.size(); });
        tails.push_back(percentile(times, 0.999));
        quiet_tails.push_back(percentile(quiet, 0.999));
        ratios.push_back(tails.back() / quiet_tails.back());
        state.counters["p50_ns"] = percentile(times, 0.5) * 1e9;
        state.counters["quiet_p50_ns"] = percentile(quiet, 0.5) * 1e9;
    }
    state.counters["ns"] = median(tails) * 1e9;
    state.counters["quiet_ns"] = median(quiet_tails) * 1e9;
    state.counters["x_quiet"] = median(ratios);
    state.counters["best_quiet"] = *std::min_element(tails.begin(), tails.end()) /
                                   *std::min_element(quiet_tails.begin(), quiet_tails.end());
}

// The history of a store that was closed, as files.
class History {
public:
    History() {
        DurableStore store(folder_.path(), KS_OPEN_NO_FLUSHER, kKeys);  // so that no checkpoint is made
        Rounds rounds(store.get(), kKeys, kValueBytes, KS_COMMIT_RELAXED);
        for (std::uint64_t i = kKeys; i < kRecoveredCommits; ++i) {
            rounds.commit();
            if (i % kFlushEach == 0) need(ks_flush(store.get()) == KS_OK, "ks_flush");
        }
        need(ks_flush(store.get()) == KS_OK, "ks_flush");
        for (const auto& entry : fs::directory_iterator(folder_.path())) {
            std::string bytes(fs::file_size(entry), '\0');
            const std::uint64_t size = read_file(entry.path(), bytes.data(), bytes.size());
            // Behind the last record there are zeros, which nobody reads.
            const std::size_t end = bytes.find_last_not_of('\0', size) + 1;
            files_.emplace_back(entry.path(), end);
            bytes_ += end;
        }
    }
    const std::string& folder() const noexcept { return folder_.path(); }
    std::uint64_t bytes() const noexcept { return bytes_; }

    void read_and_sum() const {
        static std::string piece(kPieceBytes, '\0');
        for (const auto& [path, bytes] : files_) {
            engine::DiskFile file;
            need(engine::disk_open(path, engine::Access::kReadOnly, &file), "a journal file");
            XXH3_state_t sum;
            XXH3_64bits_reset(&sum);
            for (std::uint64_t at = 0; at < bytes; at += piece.size()) {
                std::size_t got = 0;
                const std::size_t wanted = std::min<std::size_t>(piece.size(), bytes - at);
                need(engine::disk_read(file, at, piece.data(), wanted, &got), "reading a journal file");
                XXH3_64bits_update(&sum, piece.data(), got);
            }
            benchmark::DoNotOptimize(XXH3_64bits_digest(&sum));
        }
    }

private:
    static std::uint64_t read_file(const std::string& path, char* to, std::size_t bytes) {
        engine::DiskFile file;
        std::size_t got = 0;
        need(engine::disk_open(path, engine::Access::kReadOnly, &file), "a journal file");
        need(engine::disk_read(file, 0, to, bytes, &got), "reading a journal file");
        return got;
    }

    Scratch folder_ = Scratch::on_disk();
    std::vector<std::pair<std::string, std::uint64_t>> files_;
    std::uint64_t bytes_ = 0;
};

void run_recovery(benchmark::State& state) {
    const History history;
    std::unique_ptr<Scratch> copy;
    std::unique_ptr<DurableStore> store;
    const auto once = [](const std::string& name, const std::function<void()>& start,
                         const std::function<void()>& run, const std::function<void()>& stop) {
        return Contestant{name,
                          1,
                          start,
                          [run] {
                              run();
                              return static_cast<std::uint64_t>(kRecoveredCommits);
                          },
                          stop,
                          Clock::kWall};
    };
    run_contest(state,
                {once(
                     "recovery",
                     [&] {
                         copy = std::make_unique<Scratch>(fs::path(history.folder()).parent_path());
                         fs::copy(history.folder(), copy->path(), fs::copy_options::recursive);
                         ::sync();  // else the recovery's first fsync pays for the copying
                     },
                     [&] { store = std::make_unique<DurableStore>(copy->path(), KS_OPEN_NO_FLUSHER, kKeys); },
                     [&] {
                         store.reset();
                         copy.reset();
                     }),
                 once("read", [] {}, [&] { history.read_and_sum(); }, [] {})});
    state.counters["mb_per_second"] =
        static_cast<double>(history.bytes()) / kRecoveredCommits * 1e3 / state.counters["ns"];
}

[[maybe_unused]] const bool is_added = [] {
    for (const std::size_t value_bytes : {64, 1024, 16384}) {
        benchmark::RegisterBenchmark(("durable/sustained/" + std::to_string(value_bytes)).c_str(),
                                     [=](benchmark::State& state) { run_sustained(state, value_bytes); })
            ->UseRealTime();
    }
    benchmark::RegisterBenchmark("durable/checkpoint", run_checkpoint)->UseRealTime();
    benchmark::RegisterBenchmark("durable/recovery", run_recovery)->UseRealTime();
    return true;
}();

}  // namespace
}  // namespace keystile::bench
