#include "harness/race.hpp"

#include <x86intrin.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <thread>

#include "harness/histogram.hpp"
#include "rig/crew.hpp"
#include "rig/place.hpp"

namespace keystile::bench {
namespace {

constexpr int kRounds = 10;  // turns of each engine, behind one that only warms up

struct Entrant {
    std::string name;
    std::function<std::unique_ptr<Work>(unsigned rank)> make_work;
    std::function<std::uint64_t()> sum_of_versions;
};

template <class Engine>
Entrant enter(const Options& options) {
    auto place = std::make_shared<Place<Engine>>("harness", options.keys, options.value_bytes);
    const auto make_work = [place, options](unsigned rank) {
        return drawn_work(place->engine(rank), options.distribution, options.op, options.keys,
                          options.value_bytes, rank, options.processes);
    };
    const auto sum = [place, options] {
        const auto versions = versions_now(*place->engine(0), options.keys, options.value_bytes);
        return std::accumulate(versions.begin(), versions.end(), std::uint64_t{0});
    };
    return {Engine::kName, make_work, sum};
}

template <class... Engine>
std::vector<Entrant> entrants(const Options& options) {
    std::vector<Entrant> all;
    const auto add_if_named = [&]<class One>(const One*) {
        const auto& names = options.engines;
        if (std::find(names.begin(), names.end(), One::kName) != names.end())
            all.push_back(enter<One>(options));
    };
    (add_if_named(static_cast<const Engine*>(nullptr)), ...);
    return all;
}

using Time = std::chrono::steady_clock;
double seconds_since(Time::time_point start) {
    return std::chrono::duration<double>(Time::now() - start).count();
}

double ticks_per_ns() {
    const auto start = Time::now();
    const std::uint64_t ticks = __rdtsc();
    while (seconds_since(start) < 0.05) engine::pause();
    return static_cast<double>(__rdtsc() - ticks) / (seconds_since(start) * 1e9);
}

class Race {
public:
    explicit Race(const Options& options)
        : options_(options),
          entrants_(entrants<KeystileEngine, Mutex, Seqlock, MutexInPlace, SeqlockInPlace>(options)),
          histograms_(options.processes * entrants_.size()),
          is_recording_(1) {}

    std::vector<Result> run() {
        std::vector<std::uint64_t> versions_before;
        for (const Entrant& entrant : entrants_) versions_before.push_back(entrant.sum_of_versions());
        const auto make_works = [this](unsigned rank) {
            std::vector<std::unique_ptr<Work>> works;
            for (const Entrant& entrant : entrants_) works.push_back(entrant.make_work(rank));
            return works;
        };
        const auto burst = [this](unsigned rank, std::uint64_t which, Work& work) {
            stamp(rank, which, work);
        };
        Crew crew(options_.processes, 0, make_works, burst);

        std::vector<double> seconds(entrants_.size());
        std::vector<std::vector<std::uint64_t>> done(entrants_.size(),
                                                     std::vector<std::uint64_t>(options_.processes));
        for (int round = 0; round <= kRounds; ++round) {
            is_recording_[0].store(round != 0 ? 1 : 0, std::memory_order_relaxed);
            for (std::size_t i = 0; i < entrants_.size(); ++i) {
                const double spent = turn(crew, i, round != 0 ? &done[i] : nullptr);
                if (round != 0) seconds[i] += spent;
            }
        }

        std::vector<Result> results;
        const double rate = ticks_per_ns();
        for (std::size_t i = 0; i < entrants_.size(); ++i) {
            Result result = judge(crew, i, entrants_[i].sum_of_versions() - versions_before[i]);
            const std::uint64_t sum = std::accumulate(done[i].begin(), done[i].end(), std::uint64_t{0});
            result.per_second = static_cast<double>(sum) / seconds[i];
            result.slowest_share = static_cast<double>(*std::min_element(done[i].begin(), done[i].end())) /
                                   static_cast<double>(sum);
            Histogram all{};
            for (unsigned rank = 0; rank < options_.processes; ++rank) all.merge(histogram(rank, i));
            result.p50_ns = static_cast<double>(all.percentile(0.5)) / rate;
            result.p99_ns = static_cast<double>(all.percentile(0.99)) / rate;
            result.p999_ns = static_cast<double>(all.percentile(0.999)) / rate;
            results.push_back(result);
        }
        return results;
    }

private:
    Histogram& histogram(unsigned rank, std::size_t which) const {
        return histograms_[rank * entrants_.size() + which];
    }

    // In a worker: a few operations, each with its time.
    void stamp(unsigned rank, std::uint64_t which, Work& work) const {
        const bool is_recording = is_recording_[0].load(std::memory_order_relaxed) != 0;
        for (int i = 0; i < 32; ++i) {
            const std::uint64_t start = __rdtsc();
            work.run(1);
            const std::uint64_t ticks = __rdtsc() - start;
            if (is_recording) histogram(rank, which).add(ticks);
        }
    }

    // Let all work on one engine for a while. Returns how long; adds to `done` what each did.
    double turn(Crew& crew, std::size_t which, std::vector<std::uint64_t>* done) const {
        crew.command(which);
        std::vector<std::uint64_t> before;
        for (unsigned rank = 0; rank < options_.processes; ++rank)
            before.push_back(crew.tally(rank, which).done);
        const auto start = Time::now();
        std::this_thread::sleep_for(std::chrono::duration<double>(options_.seconds / kRounds));
        for (unsigned rank = 0; done != nullptr && rank < options_.processes; ++rank) {
            (*done)[rank] += crew.tally(rank, which).done - before[rank];
        }
        const double spent = seconds_since(start);
        crew.command(kIdle);
        return spent;
    }

    Result judge(const Crew& crew, std::size_t which, std::uint64_t raised) const {
        Result result;
        result.engine = entrants_[which].name;
        for (unsigned rank = 0; rank < options_.processes; ++rank) {
            const Tally tally = crew.tally(rank, which);
            if (tally.wins + tally.conflicts != tally.attempts) result.fault = "wins + conflicts != attempts";
            result.total.wins += tally.wins;
            result.total.conflicts += tally.conflicts;
            result.total.attempts += tally.attempts;
        }
        if (raised != result.total.wins) result.fault = "the versions do not add up to the wins";
        return result;
    }

    Options options_;
    std::vector<Entrant> entrants_;
    Shared<Histogram> histograms_;
    Shared<std::atomic<std::uint64_t>> is_recording_;
};

}  // namespace

std::vector<Result> run_race(const Options& options) {
    return Race(options).run();
}

}  // namespace keystile::bench
