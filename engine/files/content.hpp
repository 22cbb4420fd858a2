// A file as the store has it: the value of its content key.
//
//   head (64 bytes) | content
//
// The head says what is on disk once this version has landed (hash), and what may be there until then (before): that
// is how an unfinished write is told from a foreign edit (FILES.md, F3).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "abi/abi.hpp"
#include "path.hpp"

namespace keystile::engine::files {

using Hash = std::array<std::uint8_t, KS_FILES_HASH_SIZE>;

// XXH3-128, canonical. Against accidents: whoever wants to can make two contents of one hash.
Hash hash_of(const void* data, std::size_t size) noexcept;

// A file, or that there is none.
struct Look {
    bool is_there = false;
    Hash hash{};  // of no file: zero

    friend bool operator==(const Look&, const Look&) = default;
};

// A folder, a link, or what else no file can be read from. (No content has this hash.)
inline constexpr Look kNoFile{true, {}};

struct Stored {
    ks_stamp stamp{};
    bool is_known = false;  // false: nothing was ever committed; the rest is empty
    Look content;           // is_there = false: this version is a deletion
    Look before;            // on disk until it lands
    std::uint32_t mode = 0;
    std::vector<char> value;  // head and content

    std::string_view data() const noexcept;
    std::uint64_t version() const noexcept { return stamp.version; }
};

// Fill `stored` with what is to be committed. Throws bad_alloc.
void compose(std::string_view data, bool is_deleted, const Look& before, std::uint32_t mode,
             Stored* stored_out);

// Read the path's content key. KS_OK, also if it was never written; KS_E_CORRUPT: not a value of ours. Throws.
ks_status load(ks_session* session, const FilePath& path, Stored* stored_out);
// The stamp alone. KS_OK, also if it was never written.
ks_status load_stamp(ks_session* session, const std::string& key, ks_stamp* stamp_out);
// The same for who has a claim's grant: with the epoch, which others read as 0 where nothing was ever written.
// KS_E_GRANT: it is another key's.
ks_status load_claimed(ks_session* session, const std::string& key, const ks_grant& grant,
                       ks_stamp* stamp_out);

// The version that is known to have landed, 0: none. Then no older one can land any more (FILES.md, F2).
ks_status load_landed(ks_session* session, const FilePath& path, std::uint64_t* version_out);
// It only grows.
ks_status raise_landed(ks_session* session, const FilePath& path, std::uint64_t version);

}  // namespace keystile::engine::files
