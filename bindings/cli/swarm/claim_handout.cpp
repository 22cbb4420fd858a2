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
    if (is_done(key_)) {  // finished between the look and the claim
        answer_of(ks_release(context_.lane.session(), &grant_, nullptr), "ks_release");
        return Take::done;
    }
    return Take::taken;
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

bool ClaimHandout::finish(uint64_t words) {
    ks_commit_options options{};
    options.struct_size = sizeof options;
    options.flags = KS_COMMIT_RELEASE;
    options.grant = &grant_;
    ks_receipt receipt{};
    const std::string value = done_value(context_.worker, words);
    for (;;) {
        switch (context_.ledger.commit(key_, grant_.stamp, value, &options, receipt)) {
            case KS_OK:
                return true;
            case KS_FENCED:
                context_.score.fenced.add();
                return false;
            case KS_CONFLICT:  // only we may write while the claim is ours
                throw Failure(ExitCode::unusable, key_ + " was written under our claim");
            default:  // KS_BUSY: ask again
                break;
        }
    }
}

}  // namespace keystile::cli::swarm
