#include "swarm/run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "swarm/atomic_fold.hpp"
#include "swarm/crash.hpp"
#include "swarm/failure.hpp"
#include "swarm/interrupt.hpp"
#include "swarm/judgement.hpp"
#include "swarm/keys.hpp"
#include "swarm/shift.hpp"

namespace keystile::cli::swarm {
namespace {

constexpr uint64_t kChunksWanted =
    800;  // enough to spread stops and kills, few enough that each is real work
constexpr uint64_t kChunkBytesMin = 1024;
constexpr uint64_t kChunksMax = 100'000;  // the notes carry a bit of each, and are rewritten as often

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
    if (chunks.size() < 2 * (uint64_t{options.stops} + options.kills + (options.is_crash ? 1 : 0))) {
        throw Failure(ExitCode::usage,
                      fmt::format("{} chunks are too few for {}: use more text or a smaller --chunk-bytes",
                                  chunks.size(),
                                  options.is_crash
                                      ? "a crash"
                                      : fmt::format("{} stops and {} kills", options.stops, options.kills)));
    }
    return chunks;
}

// A folder with other things in it, which no store has ever been in.
void refuse_foreign_folder(const std::string& url) {
    const std::filesystem::path folder = url.substr(url.find(':') + 1);
    std::error_code absent;
    if (std::filesystem::is_directory(folder, absent) && !std::filesystem::is_empty(folder, absent) &&
        !std::filesystem::exists(folder / "lock", absent)) {
        throw Failure(ExitCode::usage, fmt::format("{} holds something else than a store", folder.string()));
    }
}

// A crash takes the memory of all who have the store open: it must be nobody else's.
void make_for_crash(const std::string& url, const MemoryFolder& memory) try {
    const Lane lane(url, KS_OPEN_MUST_CREATE, "swarm supervisor", memory.path());
} catch (const Failure&) {
    if (ks_last_status() != KS_E_EXISTS) {
        throw;
    }
    throw Failure(ExitCode::usage, fmt::format("there is a store {} already: --crash needs a new one", url));
}

// Makes the store if need be, and refuses one with the keys of an earlier swarm: they would be counted again.
void prepare(const std::string& url, const MemoryFolder* memory) {
    if (is_durable(url)) {
        refuse_foreign_folder(url);
    }
    if (memory != nullptr) {
        make_for_crash(url, *memory);
        return;
    }
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

}  // namespace

Outcome run(const Options& options, const Text& text) {
    const Interrupt interrupt;
    const std::vector<Chunk> chunks = make_chunks(options, text);
    std::optional<TemporaryStore> temporary;
    if (options.store_url.empty()) {
        temporary.emplace(options.seed);
    }
    const std::string url = temporary ? temporary->url() : options.store_url;
    std::optional<MemoryFolder> memory;
    if (options.is_crash) {
        memory.emplace();
    }
    prepare(url, memory ? &*memory : nullptr);

    Scoreboard board(options.workers, chunks.size());
    const Job job{options, text, chunks, url, board};
    Plan plan = make_plan(options, static_cast<uint32_t>(chunks.size()));
    std::vector<std::string> events;
    std::optional<Crash> crash;
    const uint64_t begin_ns = monotonic_ns();
    if (memory) {
        Shift first(job, std::exchange(plan, {}));
        first.run(interrupt);
        events = first.saboteur().events();
        crash = recover(url, *memory, board);
    }
    Shift shift(job, std::move(plan));
    shift.run(interrupt);
    const uint64_t elapsed_ns = monotonic_ns() - begin_ns;
    events.insert(events.end(), shift.saboteur().events().begin(), shift.saboteur().events().end());
    return judge({job, shift, shift.look_through_store(), std::move(crash), std::move(events), elapsed_ns});
}

}  // namespace keystile::cli::swarm
