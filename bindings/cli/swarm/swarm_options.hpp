// What the command line asked for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace keystile::cli::swarm {

inline constexpr uint64_t kSlowNapNs = 2'000'000;  // with it a chunk takes long enough to be met at
inline constexpr uint64_t kHeldWaitNsMax =
    50'000'000;  // a stranger's claim on our key: look again this often

struct Options {
    uint32_t workers = 0;
    uint32_t stops = 0;         // workers to freeze while they hold a chunk; each is woken again
    uint32_t kills = 0;         // workers to kill; nobody replaces them
    uint64_t chunk_bytes = 0;   // 0 = an eight-hundredth of the text, at least 1 KiB
    uint64_t lease_ns = 0;      // of the claim on a chunk, renewed while the worker folds it
    uint64_t think_ns = 0;      // slept between reading a value and writing it: a model at work
    uint64_t seed = 0;          // whom the stops and kills meet, and when
    bool is_unguarded = false;  // plain read-then-write, no claims
    bool is_atomic = true;      // a chunk is one commit; else one for each word. Never with is_unguarded
    bool is_json = false;
    bool is_quiet = false;            // no progress bar
    std::string store_url;            // empty = a temporary store, destroyed at the end
    std::vector<std::string> inputs;  // empty = the shipped text
};

}  // namespace keystile::cli::swarm
