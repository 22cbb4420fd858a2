#include "swarm/run.hpp"

#include <fmt/format.h>

#include <memory>
#include <optional>

#include "swarm/crew.hpp"
#include "swarm/failure.hpp"
#include "swarm/interrupt.hpp"
#include "swarm/judgement.hpp"
#include "swarm/keys.hpp"
#include "swarm/lookout.hpp"
#include "swarm/progress_bar.hpp"
#include "swarm/saboteur.hpp"
#include "swarm/scoreboard.hpp"
#include "swarm/worker.hpp"

namespace keystile::cli::swarm {
namespace {

constexpr uint64_t kChunksWanted =
    800;  // enough to spread stops and kills, few enough that each is real work
constexpr uint64_t kChunkBytesMin = 1024;
constexpr uint64_t kChunksMax = 100'000;  // the notes carry a bit of each, and are rewritten as often
constexpr uint64_t kStepNs = 1'000'000;
constexpr uint64_t kSilentSteps = 60'000;  // and two leases without a commit: a watchdog against our own bugs

std::vector<Chunk> make_chunks(const Options& options, const Text& text) {
    const uint64_t automatic = std::max(text.bytes.size() / kChunksWanted, kChunkBytesMin);
    std::vector<Chunk> chunks =
        cut_into_chunks(text.bytes, options.chunk_bytes != 0 ? options.chunk_bytes : automatic);
    if (options.is_atomic) {
        chunks = split_to_words(text.bytes, chunks, KS_MULTI_KEYS_MAX - kKeysBesideWords);
    }
    if (chunks.empty()) {
        throw Failure(ExitCode::usage, "the input is empty");
    }
    if (chunks.size() > kChunksMax) {
        throw Failure(ExitCode::usage, fmt::format("{} chunks, at most {}: use a larger --chunk-bytes",
                                                   chunks.size(), kChunksMax));
    }
    if (chunks.size() < 2 * (uint64_t{options.stops} + options.kills)) {
        throw Failure(
            ExitCode::usage,
            fmt::format("{} chunks are too few for {} stops and {} kills: use more text or a smaller "
                        "--chunk-bytes",
                        chunks.size(), options.stops, options.kills));
    }
    return chunks;
}

// Makes the store if need be, and refuses one with the keys of an earlier swarm: they would be counted again.
void prepare(const std::string& url) {
    const Lane lane(url, 0, "swarm supervisor");
    uint64_t keys = lane.stamp_of(kNotesKey).version != 0 ? 1 : 0;
    for (const std::string_view prefix : {kWordPrefix, kChunkPrefix}) {
        lane.list(prefix, KS_LIST_ALL, [&](const ks_entry&) { ++keys; });
    }
    if (keys != 0) {
        throw Failure(ExitCode::usage,
                      fmt::format("the store {} has {} keys of a swarm already (notes, word/, chunk/): "
                                  "use another, or destroy it",
                                  url, keys));
    }
}

class Supervisor {
public:
    Supervisor(const Options& options, const Text& text, const std::vector<Chunk>& chunks,
               const std::string& url)
        : options_(options),
          text_(text),
          chunks_(chunks),
          board_(options.workers),
          crew_(options.workers,
                [&](uint32_t number) { return work(number, url, options, text, chunks, board_); }),
          lane_(url, KS_OPEN_MUST_EXIST, "swarm supervisor"),
          lookout_(lane_, crew_, options.is_unguarded),
          saboteur_(options, static_cast<uint32_t>(chunks.size()), crew_, board_, lookout_) {}

    Outcome run(const Interrupt& interrupt) {
        saboteur_.step(false);
        const uint64_t begin_ns = monotonic_ns();
        crew_.go();
        watch(interrupt);
        const uint64_t elapsed_ns = monotonic_ns() - begin_ns;
        return judge({options_, chunks_.size(), board_, crew_, saboteur_,
                      audit(lane_, text_, chunks_, options_.is_atomic), elapsed_ns});
    }

private:
    void watch(const Interrupt& interrupt) {
        ProgressBar bar(!options_.is_quiet && !options_.is_json);
        while (crew_.collect(), !crew_.is_over()) {
            throw_if_ended(interrupt);
            saboteur_.step(is_out_of_work());
            bar.draw(board_.chunks_done(), chunks_.size(), crew_);
            watch_silence();
            nap(kStepNs);
        }
        throw_if_ended(interrupt);
    }

    // Of the chunks handed out, none is left to do but those that frozen workers hold. The counters, which are
    // cheap, tell when to ask the store, which knows: a killed worker may have missed to count its last chunk.
    bool is_out_of_work() {
        const uint32_t open = board_.open_chunks();
        const uint32_t frozen = crew_.count(Condition::frozen);
        return board_.chunks_done() + frozen + crew_.count(Condition::killed) >= open &&
               lookout_.count_done(open) + frozen >= open;
    }

    void throw_if_ended(const Interrupt& interrupt) const {
        if (interrupt.signal_number() != 0) {
            throw Failure(static_cast<ExitCode>(128 + interrupt.signal_number()), "interrupted");
        }
        for (uint32_t number = 0; number < crew_.size(); ++number) {
            if (crew_.condition(number) == Condition::failed) {
                const char* const fault = board_.workers()[number].fault.data();
                throw Failure(ExitCode::fault,
                              fmt::format("worker {} gave up: {}", number,
                                          *fault != '\0' ? fault : "it died of a signal not ours"));
            }
        }
    }

    void watch_silence() {
        uint64_t commits = 0;
        for (const WorkerScore& score : board_.workers()) {
            commits += score.commits.get();
        }
        silent_steps_ = commits == commits_before_ ? silent_steps_ + 1 : 0;
        commits_before_ = commits;
        if (silent_steps_ > kSilentSteps + 2 * options_.lease_ns / kStepNs) {
            throw Failure(ExitCode::fault, fmt::format("no commit for a long time; {} of {} chunks are done",
                                                       board_.chunks_done(), chunks_.size()));
        }
    }

    const Options& options_;
    const Text& text_;
    const std::vector<Chunk>& chunks_;
    Scoreboard board_;
    Crew crew_;  // forks here, before this process opens the store
    Lane lane_;
    Lookout lookout_;
    Saboteur saboteur_;
    uint64_t silent_steps_ = 0;
    uint64_t commits_before_ = 0;
};

}  // namespace

Outcome run(const Options& options, const Text& text) {
    const Interrupt interrupt;
    const std::vector<Chunk> chunks = make_chunks(options, text);
    std::optional<TemporaryStore> temporary;
    if (options.store_url.empty()) {
        temporary.emplace(options.seed);
    }
    const std::string url = temporary ? temporary->url() : options.store_url;
    prepare(url);
    return Supervisor(options, text, chunks, url).run(interrupt);
}

}  // namespace keystile::cli::swarm
