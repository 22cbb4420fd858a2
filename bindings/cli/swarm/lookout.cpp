#include "swarm/lookout.hpp"

#include <algorithm>
#include <string>

#include "swarm/keys.hpp"

namespace keystile::cli::swarm {

std::vector<Hold> Lookout::holds() const {
    std::vector<Hold> holds;
    std::string value;
    lane_.list(kChunkPrefix, KS_LIST_ALL, [&](const ks_entry& entry) {
        const std::string key(static_cast<const char*>(entry.key.data), entry.key.size);
        const bool is_claimed = entry.is_claimed != 0 && entry.owner.detached == 0;
        if (!is_claimed && !is_unguarded_) {
            return;
        }
        lane_.read(key, value);
        const ChunkState state = parse_chunk_value(value);
        const bool is_owner = is_unguarded_ || crew_.number_of(entry.owner.pid) == state.worker;
        if (state.is_taken && is_owner) {
            holds.push_back({chunk_of_key(key).value_or(0), state.worker, entry.owner.epoch});
        }
    });
    return holds;
}

bool Lookout::is_over(const Hold& hold) const {
    const std::string key = chunk_key(hold.chunk);
    if (!is_unguarded_) {
        return lane_.stamp_of(key).epoch != hold.epoch;
    }
    std::string value;
    lane_.read(key, value);
    const ChunkState state = parse_chunk_value(value);
    return !state.is_taken || state.worker != hold.worker;
}

bool Lookout::is_finished(const Hold& hold) const {
    std::string value;
    lane_.read(chunk_key(hold.chunk), value);
    const ChunkState state = parse_chunk_value(value);
    return state.is_done && state.worker == hold.worker;
}

uint32_t Lookout::count_done(uint32_t end) {
    known_done_.resize(std::max<size_t>(known_done_.size(), end));
    uint32_t done = 0;
    std::string value;
    for (uint32_t chunk = 0; chunk < end; ++chunk) {
        if (!known_done_[chunk]) {
            lane_.read(chunk_key(chunk), value);
            known_done_[chunk] = parse_chunk_value(value).is_done;
        }
        done += known_done_[chunk] ? 1u : 0u;
    }
    return done;
}

bool Lookout::is_untouched(uint32_t chunk) const {
    return lane_.stamp_of(chunk_key(chunk)).version == 0;
}

}  // namespace keystile::cli::swarm
