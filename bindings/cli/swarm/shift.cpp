#include "swarm/shift.hpp"

#include <fmt/format.h>

#include <utility>

#include "swarm/failure.hpp"
#include "swarm/progress_bar.hpp"
#include "swarm/worker.hpp"

namespace keystile::cli::swarm {
namespace {

constexpr uint64_t kStepNs = 1'000'000;
constexpr uint64_t kSilentSteps = 60'000;  // and two leases without a commit: a watchdog against our own bugs

}  // namespace

Shift::Shift(const Job& job, Plan plan)
    : job_(job),
      crew_(job.options.workers,
            [&](uint32_t number) {
                return work(number, job.url, job.options, job.text, job.chunks, job.board);
            }),
      lane_(job.url, KS_OPEN_READ_ONLY, "swarm supervisor"),
      lookout_(lane_, crew_, job.options.is_unguarded),
      saboteur_(std::move(plan), job.options, static_cast<uint32_t>(job.chunks.size()), crew_, job.board,
                lookout_) {}

void Shift::run(const Interrupt& interrupt) {
    saboteur_.step(false);
    crew_.go();
    watch(interrupt);
}

void Shift::watch(const Interrupt& interrupt) {
    ProgressBar bar(!job_.options.is_quiet && !job_.options.is_json);
    while (crew_.collect(), !crew_.is_over()) {
        throw_if_ended(interrupt);
        saboteur_.step(is_out_of_work());
        bar.draw(job_.board.chunks_done(), job_.chunks.size(), crew_);
        watch_silence();
        nap(kStepNs);
    }
    throw_if_ended(interrupt);
}

// Of the chunks handed out, none is left to do but those that frozen workers hold. The counters, which are
// cheap, tell when to ask the store, which knows: a killed worker may have missed to count its last chunk.
bool Shift::is_out_of_work() {
    const uint32_t open = job_.board.open_chunks();
    const uint32_t frozen = crew_.count(Condition::frozen);
    return job_.board.chunks_done() + frozen + crew_.count(Condition::killed) >= open &&
           lookout_.count_done(open) + frozen >= open;
}

void Shift::throw_if_ended(const Interrupt& interrupt) const {
    if (interrupt.signal_number() != 0) {
        throw Failure(static_cast<ExitCode>(128 + interrupt.signal_number()), "interrupted");
    }
    for (uint32_t number = 0; number < crew_.size(); ++number) {
        if (crew_.condition(number) == Condition::failed) {
            const char* const fault = job_.board.workers()[number].fault.data();
            throw Failure(ExitCode::fault,
                          fmt::format("worker {} gave up: {}", number,
                                      *fault != '\0' ? fault : "it died of a signal not ours"));
        }
    }
}

void Shift::watch_silence() {
    uint64_t commits = 0;
    for (const WorkerScore& score : job_.board.workers()) {
        commits += score.commits.get();
    }
    silent_steps_ = commits == commits_before_ ? silent_steps_ + 1 : 0;
    commits_before_ = commits;
    if (silent_steps_ > kSilentSteps + 2 * job_.options.lease_ns / kStepNs) {
        throw Failure(ExitCode::fault, fmt::format("no commit for a long time; {} of {} chunks are done",
                                                   job_.board.chunks_done(), job_.chunks.size()));
    }
}

}  // namespace keystile::cli::swarm
