#include "swarm/judgement.hpp"

#include <fmt/format.h>

#include "swarm/failure.hpp"

namespace keystile::cli::swarm {
namespace {

void add_up(const Scoreboard& board, Outcome& outcome) {
    LatencyHistogram latency;
    for (const WorkerScore& score : board.workers()) {
        outcome.commits += score.commits.get();
        outcome.conflicts += score.conflicts.get();
        outcome.retries += score.retries.get();
        outcome.held += score.held.get();
        outcome.fenced += score.fenced.get();
        outcome.already_in += score.already_in.get();
        latency.merge(score.latency);
    }
    outcome.p50_ns = latency.quantile_ns(0.5);
    outcome.p99_ns = latency.quantile_ns(0.99);
    outcome.p999_ns = latency.quantile_ns(0.999);
}

void complain_about_workers(const Evidence& evidence, std::vector<std::string>& complaints) {
    const Saboteur& saboteur = evidence.shift.saboteur();
    for (uint32_t number = 0; number < evidence.shift.crew().size(); ++number) {
        if (saboteur.was_stopped(number) && !saboteur.was_told_fenced(number)) {
            complaints.push_back(
                fmt::format("worker {} lost its chunk while it was stopped and was not told FENCED", number));
        }
        if (const uint64_t writes = evidence.job.board.workers()[number].zombie_writes.get(); writes != 0) {
            complaints.push_back(
                fmt::format("worker {} wrote {} times under a claim it had lost", number, writes));
        }
    }
}

void complain_about_store(const Audit& audit, uint64_t chunks, std::vector<std::string>& complaints) {
    const auto complain_if = [&](uint64_t count, const char* what) {
        if (count != 0) {
            complaints.push_back(fmt::format("{} {}", count, what));
        }
    };
    complain_if(audit.lost, "words are lost");
    complain_if(audit.doubled, "words are counted twice");
    complain_if(audit.misplaced, "places are wrong");
    complain_if(audit.malformed, "values are malformed");
    complain_if(chunks - audit.noted, "chunks are missing in the notes");
    complain_if(chunks - audit.done, "chunks are not marked as done");
    complain_if(audit.problems, "problems were found by ks_check");
    complaints.insert(complaints.end(), audit.problem_texts.begin(), audit.problem_texts.end());
}

}  // namespace

Outcome judge(Evidence evidence) {
    const Saboteur& saboteur = evidence.shift.saboteur();
    const Options& options = evidence.job.options;
    Outcome outcome;
    outcome.chunks = evidence.job.chunks.size();
    outcome.stopped = options.stops - saboteur.stops_left();
    outcome.killed = options.kills - saboteur.kills_left() + (options.is_crash ? options.workers : 0);
    for (const ChunkReceipt& receipt : evidence.job.board.receipts()) {
        outcome.on_disk += receipt.acknowledged.get();
    }
    if (saboteur.stops_left() != 0 || saboteur.kills_left() != 0) {
        throw Failure(
            ExitCode::usage,
            fmt::format("the text was done after {} of {} stops and {} of {} kills: use more text or a "
                        "smaller --chunk-bytes",
                        outcome.stopped, options.stops, outcome.killed, options.kills));
    }
    if (!options.is_unguarded) {
        complain_about_workers(evidence, outcome.complaints);
        complain_about_store(evidence.audit, outcome.chunks, outcome.complaints);
        if (is_durable(evidence.job.url) && outcome.on_disk != outcome.chunks) {
            outcome.complaints.push_back(
                fmt::format("{} chunks are not known to be on disk", outcome.chunks - outcome.on_disk));
        }
    }
    if (evidence.crash) {
        outcome.complaints.insert(outcome.complaints.end(), evidence.crash->complaints.begin(),
                                  evidence.crash->complaints.end());
    }
    add_up(evidence.job.board, outcome);
    outcome.crash = std::move(evidence.crash);
    outcome.elapsed_ns = evidence.elapsed_ns;
    outcome.events = std::move(evidence.events);
    outcome.audit = std::move(evidence.audit);
    return outcome;
}

}  // namespace keystile::cli::swarm
