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
        Hold hold{.chunk = chunk_of_key(key).value_or(0), .worker = crew_.size(), .epoch = entry.owner.epoch};
        if (is_unguarded_) {
            lane_.read(key, value);
            const ChunkState state = parse_chunk_value(value);
            hold.worker = state.is_taken ? state.worker : crew_.size();
        } else if (entry.is_claimed != 0 && entry.owner.detached == 0) {
            hold.worker = crew_.number_of(entry.owner.pid);
        }
        if (hold.worker < crew_.size()) {
            holds.push_back(hold);
        }
    });
    return holds;
}

bool Lookout::is_over(const Hold& hold) const {
    const std::string key = chunk_key(hold.chunk);
    if (!is_unguarded_) {
        const ks_stamp now = lane_.stamp_of(key);
        return now.version != 0 && now.epoch != hold.epoch;  // its heir wrote that it took it
    }
    std::string value;
    lane_.read(key, value);
    const ChunkState state = parse_chunk_value(value);
    return !state.is_taken || state.worker != hold.worker;
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
