// Numbers for people: counters, participants, memory. Relaxed; a moment's differences may be missing.
#pragma once

#include "operations/store.hpp"

namespace keystile::engine {

struct CounterValues {
    std::uint64_t value[shm::kCounters] = {};
};

struct Stats {
    std::uint64_t store_id, keys, bytes_reserved, bytes_used, participants, sessions;
    CounterValues total;
};
Status stat(const Store& store, Stats* stats_out) noexcept;

struct ParticipantInfo {
    std::int32_t pid;
    bool is_alive, is_self;
    std::uint32_t sessions;
    std::string label;
    CounterValues counters;
};
// `visit` returns false to stop.
void visit_participants(const Store& store, bool (*visit)(void* user, const ParticipantInfo& info),
                        void* user);

}  // namespace keystile::engine
