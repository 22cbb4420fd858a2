#include "swarm/atomic_fold.hpp"

#include <algorithm>

#include "swarm/failure.hpp"
#include "swarm/keys.hpp"
#include "swarm/notes.hpp"
#include "swarm/places_value.hpp"

namespace keystile::cli::swarm {
namespace {

constexpr size_t kFoldCapacity = 64 * 1024;  // nearly every value fits at the first try
constexpr uint64_t kFirstPauseNs = 100'000;  // a part of what a chunk takes: its winner is through soon
constexpr uint32_t kDoublingsMax = 5;        // so 3.2 ms at most, a few chunks of others

ks_multi* begin_multi(ks_session* session) {
    ks_multi* multi = nullptr;
    answer_of(ks_multi_begin(session, &multi), "ks_multi_begin");
    return multi;
}

}  // namespace

AtomicFold::AtomicFold(const HandoutContext& context, const Scoreboard& board, const Options& options)
    : context_(context),
      board_(board),
      options_(options),
      multi_(begin_multi(context.lane.session())),
      buffer_(kFoldCapacity, '\0'),
      random_(static_cast<uint32_t>(options.seed) + context.worker) {}

bool AtomicFold::fold(const ChunkWork& work, ClaimHandout& claim) {
    is_ours_ = true;
    for (uint32_t losses = 0;; ++losses) {
        if (losses != 0) {
            context_.score.retries.add();
            pause(losses);
        }
        ks_multi_reset(multi_.get());
        if (!fill(work, claim)) {
            context_.score.conflicts.add();
            continue;
        }
        if (options_.think_ns != 0) {
            nap(options_.think_ns);
        }
        // Tried even if we know that the claim is lost: this commit is the one that must be refused.
        switch (commit()) {
            case KS_OK:
                context_.score.zombie_writes.add(is_ours_ ? 0 : 1);
                return true;
            case KS_FENCED:
                if (is_claim_lost()) {
                    context_.score.fenced.add();
                    return false;
                }
                break;  // somebody owned one of the words since we read it
            case KS_CONFLICT:
                context_.score.conflicts.add();
                break;
            case KS_HELD:
                context_.score.held.add();
                await_held();
                break;
            default:  // KS_BUSY: ask again
                break;
        }
    }
}

// False: a key moved while we were reading it, so this try is lost already.
bool AtomicFold::fill(const ChunkWork& work, ClaimHandout& claim) {
    for (const WordPlaces& word : work.words) {
        const std::string key = word_key(word.word);
        if (!read(key)) {
            return false;
        }
        add_places(value_, work.begin, word.offsets);
        put(key, value_, nullptr);
        if (board_.is_slow()) {
            nap(kSlowNapNs);
        }
        is_ours_ = is_ours_ && claim.renew_if_due();
    }
    if (!read(kNotesKey)) {
        return false;
    }
    if (add_note(value_, work.chunk, work.note)) {  // else our heir was here, and we shall be fenced
        put(kNotesKey, value_, nullptr);
    }
    ks_commit_options options{};
    options.struct_size = sizeof options;
    options.flags = KS_COMMIT_RELEASE;
    options.grant = &claim.grant();
    put(claim.key(), done_value(context_.worker, work.count), &options);  // the last: see is_claim_lost()
    return true;
}

// The key's value into value_, empty if there is none. False: it changed between two looks.
bool AtomicFold::read(std::string_view key) {
    for (;;) {
        size_t size = 0;
        const ks_status status =
            ks_multi_read(multi_.get(), bytes_of(key), buffer_.data(), buffer_.size(), &size, nullptr);
        switch (answer_of(status, "ks_multi_read")) {
            case KS_CONFLICT:
                return false;
            case KS_TOO_SMALL:
                buffer_.resize(2 * size);  // room to grow
                break;
            default:
                value_.assign(buffer_.data(), status == KS_OK ? size : 0);
                return true;
        }
    }
}

void AtomicFold::put(std::string_view key, std::string_view value, const ks_commit_options* options) {
    answer_of(ks_multi_put(multi_.get(), bytes_of(key), bytes_of(value), options), "ks_multi_put");
}

ks_status AtomicFold::commit() {
    const uint64_t begin_ns = monotonic_ns();
    const ks_status status = ks_multi_commit(multi_.get());
    context_.score.latency.record(monotonic_ns() - begin_ns);
    if (answer_of(status, "ks_multi_commit") == KS_OK) {
        context_.score.commits.add();
    }
    return status;
}

bool AtomicFold::is_claim_lost() const {
    ks_multi_result told{};
    answer_of(ks_multi_item(multi_.get(), ks_multi_size(multi_.get()) - 1, &told), "ks_multi_item");
    return told.status == KS_FENCED;
}

void AtomicFold::await_held() const {
    for (size_t index = 0; index < ks_multi_size(multi_.get()); ++index) {
        ks_multi_result told{};
        answer_of(ks_multi_item(multi_.get(), index, &told), "ks_multi_item");
        if (told.status == KS_HELD) {
            const uint64_t wait_ns = std::min(told.owner.lease_left_ns, kHeldWaitNsMax);
            answer_of(ks_watch(context_.lane.session(), told.key, told.stamp, wait_ns, nullptr), "ks_watch");
            return;
        }
    }
}

// Random up to a bound that doubles, so that losers do not meet again at once.
void AtomicFold::pause(uint32_t losses) {
    const uint64_t bound_ns = kFirstPauseNs << std::min(losses - 1, kDoublingsMax);
    nap(std::uniform_int_distribution<uint64_t>(0, bound_ns)(random_));
}

}  // namespace keystile::cli::swarm
