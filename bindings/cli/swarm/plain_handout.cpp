#include "swarm/failure.hpp"
#include "swarm/handout.hpp"
#include "swarm/keys.hpp"

namespace keystile::cli::swarm {

Take PlainHandout::take(uint32_t chunk, uint64_t wait_ns) {
    key_ = chunk_key(chunk);
    const ks_stamp seen = context_.lane.read(key_, value_);
    const ChunkState state = parse_chunk_value(value_);
    if (state.is_done) {
        return Take::done;
    }
    if (state.is_taken && boottime_ns() < state.deadline_ns) {
        if (wait_ns != 0) {
            answer_of(ks_watch(context_.lane.session(), bytes_of(key_), seen, wait_ns, nullptr), "ks_watch");
        }
        return Take::busy;
    }
    write_taken();
    return Take::taken;
}

void PlainHandout::write_taken() {
    renewed_ns_ = monotonic_ns();
    context_.ledger.overwrite(key_, taken_until_value(context_.worker, boottime_ns() + context_.lease_ns));
}

bool PlainHandout::renew_if_due() {
    if (monotonic_ns() - renewed_ns_ >= context_.lease_ns / 3) {
        write_taken();
    }
    return true;  // nobody tells
}

std::optional<uint64_t> PlainHandout::finish(uint64_t words) {
    return context_.ledger.overwrite(key_, done_value(context_.worker, words));
}

}  // namespace keystile::cli::swarm
