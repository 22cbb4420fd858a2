// Records and checkpoint entries, written.
//
//   begin(head) · for each entry: entry(head, key), then its value through out(), all of value_size · end()
//
// The bytes are a function of what is passed, of nothing else: two flushers write the same.
#pragma once

#include "journal/format.hpp"
#include "journal/out_buffer.hpp"

namespace keystile::engine {

// What a commit's record says of it.
struct RecordHead {
    Position position = 0;
    Signature signature;
    std::uint32_t entries = 0;
    std::uint64_t bytes = 0;  // record_bytes()
};

// What a commit did to one key; in a checkpoint: what the key is.
struct EntryHead {
    std::size_t key_size = 0;
    std::uint64_t value_size = 0;
    std::uint64_t version = 0;  // expected by the commit; in a checkpoint: the key's
    std::uint64_t epoch = 0;    // after the commit, without the incarnation
    std::uint32_t flags = 0;    // EntryFlag
};

class RecordWriter {
public:
    RecordWriter(OutBuffer& out, std::uint64_t seed) noexcept : out_(out), seed_(seed) {}

    Status begin(const RecordHead& head) noexcept;
    Status entry(const EntryHead& head, const void* key) noexcept;
    // For the values: put(), or room() and advance().
    OutBuffer& out() noexcept { return out_; }
    // kCorrupt: it is not as long as its head says.
    Status end() noexcept;

private:
    OutBuffer& out_;
    std::uint64_t seed_;
    std::uint64_t bytes_ = 0;
};

// Head and key: what records and checkpoints have in common.
Status put_entry(OutBuffer& out, const EntryHead& head, const void* key) noexcept;

}  // namespace keystile::engine
