#include "swarm/worker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <exception>

#include "swarm/failure.hpp"
#include "swarm/keys.hpp"
#include "swarm/notes.hpp"
#include "swarm/word_value.hpp"
#include "swarm/words.hpp"

namespace keystile::cli::swarm {
namespace {

constexpr uint64_t kIdleWaitNs =
    20'000'000;  // for a chunk that another has, before looking at all of them again
constexpr uint64_t kClosedNapNs = 500'000;  // when no chunk is handed out at the moment

std::string note_about(uint32_t worker, uint32_t chunk, const std::vector<WordPlaces>& words,
                       uint64_t count) {
    if (words.empty()) {
        return fmt::format("worker {}: chunk {}, no words", worker, chunk);
    }
    const auto most = std::max_element(
        words.begin(), words.end(),
        [](const WordPlaces& a, const WordPlaces& b) { return a.offsets.size() < b.offsets.size(); });
    return fmt::format("worker {}: chunk {}, {} words, {} different, most often \"{}\" ({})", worker, chunk,
                       count, words.size(), most->word, most->offsets.size());
}

}  // namespace

Worker::Worker(uint32_t number, const std::string& url, const Options& options, const Text& text,
               const std::vector<Chunk>& chunks, Scoreboard& board)
    : number_(number),
      text_(text.bytes),
      chunks_(chunks),
      board_(board),
      options_(options),
      score_(board.workers()[number]),
      lane_(url, KS_OPEN_MUST_EXIST, fmt::format("swarm worker {}", number)),
      ledger_(lane_, score_, options),
      claims_({lane_, ledger_, score_, number, options.lease_ns}),
      plain_({lane_, ledger_, score_, number, options.lease_ns}),
      handout_(options.is_unguarded ? static_cast<Handout&>(plain_) : claims_),
      atomic_({lane_, ledger_, score_, number, options.lease_ns}, board, options),
      is_done_(chunks.size()) {}

void Worker::run() {
    while (const std::optional<uint32_t> chunk = take_next()) {
        is_done_[*chunk] = fold(*chunk);
    }
}

// The first chunk that can be had; waits while there is none; nothing when all chunks are done.
std::optional<uint32_t> Worker::take_next() {
    const auto count = static_cast<uint32_t>(chunks_.size());
    while (first_open_ < count) {
        const uint32_t open = std::min(count, board_.open_chunks());
        for (uint32_t chunk = first_open_; chunk < open; ++chunk) {
            if (!is_done_[chunk] && try_take(chunk, 0)) {
                return chunk;
            }
        }
        while (first_open_ < count && is_done_[first_open_]) {
            ++first_open_;
        }
        if (first_open_ < open && try_take(first_open_, kIdleWaitNs)) {
            return first_open_;
        }
        if (first_open_ == open && open < count) {
            nap(kClosedNapNs);
        }
    }
    return std::nullopt;
}

bool Worker::try_take(uint32_t chunk, uint64_t wait_ns) {
    const Take take = handout_.take(chunk, wait_ns);
    is_done_[chunk] = take == Take::done;
    return take == Take::taken;
}

// False: the chunk was taken from us.
bool Worker::fold(uint32_t chunk) {
    const auto [begin, end] = chunks_[chunk];
    const std::vector<WordPlaces> words = distinct_words(text_.substr(begin, end - begin));
    uint64_t count = 0;
    for (const WordPlaces& word : words) {
        count += word.offsets.size();
    }
    const ChunkWork work{chunk, begin, words, count, note_about(number_, chunk, words, count)};
    const bool is_finished = options_.is_atomic ? atomic_.fold(work, claims_) : fold_word_by_word(work);
    score_.chunks.add(is_finished ? 1 : 0);
    return is_finished;
}

bool Worker::fold_word_by_word(const ChunkWork& work) {
    bool is_ours = true;
    for (const WordPlaces& word : work.words) {
        ledger_.update(word_key(word.word), [&](std::string& value) {
            if (has_chunk(value, work.chunk)) {
                score_.already_in.add();
                return false;
            }
            append_section(value, work.chunk, word.offsets);
            return true;
        });
        if (board_.is_slow()) {
            nap(kSlowNapNs);
        }
        is_ours = handout_.renew_if_due();
        if (!is_ours) {
            break;
        }
    }
    if (is_ours) {
        ledger_.update(kNotesKey, [&](std::string& value) { return add_note(value, work.chunk, work.note); });
    }
    // Tried even if we know that the claim is lost: this commit is the one that must be refused.
    const bool is_finished = handout_.finish(work.count);
    if (is_finished && !is_ours) {
        score_.zombie_writes.add();
    }
    return is_finished;
}

int work(uint32_t number, const std::string& url, const Options& options, const Text& text,
         const std::vector<Chunk>& chunks, Scoreboard& board) {
    std::string fault;
    try {
        Worker(number, url, options, text, chunks, board).run();
        return 0;
    } catch (const std::exception& error) {
        fault = error.what();
    }
    auto& place = board.workers()[number].fault;
    std::memcpy(place.data(), fault.data(), std::min(fault.size(), place.size() - 1));
    return 1;
}

}  // namespace keystile::cli::swarm
