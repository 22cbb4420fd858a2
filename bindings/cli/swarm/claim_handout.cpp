#include "swarm/failure.hpp"
#include "swarm/handout.hpp"
#include "swarm/keys.hpp"

namespace keystile::cli::swarm {

Take ClaimHandout::take(uint32_t chunk, uint64_t wait_ns) {
    key_ = chunk_key(chunk);
    if (is_done(key_)) {  // the usual end of a look at a chunk: costs no claim
        return Take::done;
    }
    ks_claim_options options{};
    options.struct_size = sizeof options;
    options.lease_ns = context_.lease_ns;
    options.wait_ns = wait_ns;
    renewed_ns_ = monotonic_ns();
    ks_receipt receipt{};
    switch (answer_of(ks_claim(context_.lane.session(), bytes_of(key_), &options, &grant_, &receipt),
                      "ks_claim")) {
        case KS_OK:
            break;
        case KS_HELD:
            context_.score.held.add();
            return Take::busy;
        default:  // KS_TIMEOUT, KS_BUSY
            return Take::busy;
    }
    seen_ = grant_.stamp;
    if (is_done(key_)) {  // finished between the look and the claim
        const ks_status status = ks_release(context_.lane.session(), &grant_, nullptr);
        if (answer_of(status, "ks_release") == KS_FENCED) {
            context_.score.fenced.add();
        }
        return Take::done;
    }
    return write_taken() ? Take::taken : Take::busy;
}

// For people who look into the store, and for the supervisor: now we know that the claim is ours.
bool ClaimHandout::write_taken() {
    return commit_under_claim(taken_value(context_.worker), 0).has_value();
}

bool ClaimHandout::is_done(std::string_view key) {
    context_.lane.read(key, value_);
    return parse_chunk_value(value_).is_done;
}

bool ClaimHandout::renew_if_due() {
    const uint64_t now_ns = monotonic_ns();
    if (now_ns - renewed_ns_ < context_.lease_ns / 3) {
        return true;
    }
    renewed_ns_ = now_ns;
    const ks_status status = ks_renew(context_.lane.session(), &grant_, context_.lease_ns, nullptr);
    return answer_of(status, "ks_renew") != KS_FENCED;
}

std::optional<uint64_t> ClaimHandout::finish(uint64_t words) {
    return commit_under_claim(done_value(context_.worker, words), KS_COMMIT_RELEASE);
}

// The commit's lsn. Nothing: told KS_FENCED.
std::optional<uint64_t> ClaimHandout::commit_under_claim(const std::string& value, uint32_t flags) {
    ks_commit_options options{};
    options.struct_size = sizeof options;
    options.flags = flags;
    options.grant = &grant_;
    ks_receipt receipt{};
    for (;;) {
        switch (context_.ledger.commit(key_, seen_, value, &options, receipt)) {
            case KS_OK:
                seen_ = receipt.stamp;
                return receipt.lsn;
            case KS_FENCED:
                context_.score.fenced.add();
                return std::nullopt;
            case KS_CONFLICT:  // only we may write while the claim is ours
                throw Failure(ExitCode::unusable, key_ + " was written under our claim");
            default:  // KS_BUSY: ask again
                break;
        }
    }
}

}  // namespace keystile::cli::swarm
