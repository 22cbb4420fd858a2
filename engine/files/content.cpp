#include "content.hpp"

#include <xxhash.h>

#include <cstring>

namespace keystile::engine::files {

using abi::fault;

namespace {

constexpr std::uint32_t kHeadMagic = 0x3146534Bu;  // "KSF1": the form is version 1
constexpr std::uint32_t kIsDeleted = 1, kWasThere = 2;

// Persistent: never changed, a new form gets a new magic.
struct Head {
    std::uint32_t magic;
    std::uint32_t flags;
    std::uint32_t mode;
    std::uint32_t reserved;
    std::uint8_t hash[KS_FILES_HASH_SIZE];
    std::uint8_t before[KS_FILES_HASH_SIZE];
    std::uint64_t reserved2[2];
};
static_assert(sizeof(Head) == 64 && KS_VALUE_SIZE_MAX - KS_FILES_SIZE_MAX == sizeof(Head));

// Nothing in a value is believed: whoever may write the store can write any.
bool parse(std::string_view value, Head* head_out) noexcept {
    Head& head = *head_out;
    if (value.size() < sizeof head) return false;
    std::memcpy(&head, value.data(), sizeof head);
    if (head.magic != kHeadMagic || (head.flags & ~(kIsDeleted | kWasThere)) != 0 || head.mode > 07777)
        return false;
    const std::string_view data = value.substr(sizeof head);
    const bool is_deleted = (head.flags & kIsDeleted) != 0;
    if (is_deleted && !data.empty()) return false;
    const Hash expected = is_deleted ? Hash{} : hash_of(data.data(), data.size());
    return std::memcmp(head.hash, expected.data(), expected.size()) == 0;
}

ks_status read_head(const FilePath& path, Stored& stored) {
    Head head;
    if (!parse({stored.value.data(), stored.value.size()}, &head))
        return fault(KS_E_CORRUPT, "the key %.80s has a value that no file's is", path.content_key.c_str());
    const bool is_deleted = (head.flags & kIsDeleted) != 0;
    stored.content.is_there = !is_deleted;
    std::memcpy(stored.content.hash.data(), head.hash, sizeof head.hash);
    stored.before.is_there = (head.flags & kWasThere) != 0;
    std::memcpy(stored.before.hash.data(), head.before, sizeof head.before);
    stored.mode = head.mode;
    return KS_OK;
}

}  // namespace

Hash hash_of(const void* data, std::size_t size) noexcept {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, size));
    Hash hash;
    std::memcpy(hash.data(), canonical.digest, hash.size());
    return hash;
}

std::string_view Stored::data() const noexcept {
    return {value.data() + sizeof(Head), value.size() - sizeof(Head)};
}

void compose(std::string_view data, bool is_deleted, const Look& before, std::uint32_t mode,
             Stored* stored_out) {
    Stored& stored = *stored_out;
    Head head{};
    stored.value.resize(sizeof head + data.size());
    if (!data.empty()) std::memcpy(stored.value.data() + sizeof head, data.data(), data.size());
    // Of the copy: the caller's memory may be written to meanwhile.
    stored.content = {!is_deleted, is_deleted ? Hash{} : hash_of(stored.data().data(), data.size())};
    stored.is_known = true;
    stored.before = before;
    stored.mode = mode;
    head.magic = kHeadMagic;
    head.flags = (is_deleted ? kIsDeleted : 0) | (before.is_there ? kWasThere : 0);
    head.mode = mode;
    std::memcpy(head.hash, stored.content.hash.data(), sizeof head.hash);
    std::memcpy(head.before, before.hash.data(), sizeof head.before);
    std::memcpy(stored.value.data(), &head, sizeof head);
}

ks_status load(ks_session* session, const FilePath& path, Stored* stored_out) {
    Stored& stored = *stored_out;
    constexpr std::size_t kFirstTry = 8192;  // most files of agents; a larger one costs a second lookup
    stored.value.resize(kFirstTry);
    for (;;) {
        std::size_t size = 0;
        const ks_status s = ks_get(session, bytes_of(path.content_key), stored.value.data(),
                                   stored.value.size(), &size, &stored.stamp);
        if (s < 0) return s;
        stored.is_known = s == KS_OK;
        if (s == KS_TOO_SMALL) {
            stored.value.resize(size);
            continue;
        }
        stored.value.resize(size);
        if (stored.is_known) return read_head(path, stored);
        stored.content = stored.before = {};
        stored.mode = 0;
        return KS_OK;
    }
}

ks_status load_stamp(ks_session* session, const std::string& key, ks_stamp* stamp_out) {
    std::size_t size = 0;
    const ks_status s = ks_get(session, bytes_of(key), nullptr, 0, &size, stamp_out);
    return s < 0 ? s : KS_OK;
}

ks_status load_claimed(ks_session* session, const std::string& key, const ks_grant& grant,
                       ks_stamp* stamp_out) {
    ks_key own{};
    ks_status s = ks_resolve(session, bytes_of(key), &own);
    if (s < 0) return s;
    if (s == KS_NOT_FOUND || own.slot != grant.key.slot || own.check != grant.key.check)
        return fault(KS_E_GRANT, "the grant is not of %.80s", key.c_str());
    s = ks_watch_k(session, own, grant.stamp, 0, stamp_out);  // just looks
    return s < 0 ? s : KS_OK;
}

namespace {

ks_status read_landed(ks_session* session, const FilePath& path, std::uint64_t* version_out,
                      ks_stamp* seen_out) {
    std::size_t size = 0;
    *version_out = 0;
    const ks_status s =
        ks_get(session, bytes_of(path.landed_key), version_out, sizeof *version_out, &size, seen_out);
    if (s < 0 || s == KS_NOT_FOUND) return s < 0 ? s : KS_OK;
    if (s == KS_OK && size == sizeof *version_out) return KS_OK;
    return fault(KS_E_CORRUPT, "the key %.80s has a value that no file's is", path.landed_key.c_str());
}

}  // namespace

ks_status load_landed(ks_session* session, const FilePath& path, std::uint64_t* version_out) {
    ks_stamp seen{};
    return read_landed(session, path, version_out, &seen);
}

ks_status raise_landed(ks_session* session, const FilePath& path, std::uint64_t version) {
    for (;;) {  // lock-free: who loses lost to somebody who raised it
        std::uint64_t landed = 0;
        ks_stamp seen{};
        if (const ks_status s = read_landed(session, path, &landed, &seen); s != KS_OK) return s;
        if (landed >= version) return KS_OK;
        // Relaxed: lost with the power, it only makes the next one look again.
        const ks_commit_options options{sizeof options, KS_COMMIT_RELAXED, 0, nullptr};
        const ks_status s = ks_commit(session, bytes_of(path.landed_key), seen, {&version, sizeof version},
                                      &options, nullptr);
        if (s <= 0) return s;
        if (s == KS_HELD)
            return fault(KS_E_CORRUPT, "somebody claims the key %.80s", path.landed_key.c_str());
    }
}

}  // namespace keystile::engine::files

using namespace keystile::engine::files;

ks_status ks_files_parse(ks_bytes value, ks_bytes* data_out, uint32_t* mode_out) {
    if (value.data == nullptr && value.size != 0)
        return keystile::engine::abi::fault(KS_E_ARGUMENT, "the value's data is NULL");
    const std::string_view all(static_cast<const char*>(value.data), value.size);
    Head head;
    if (!parse(all, &head)) return keystile::engine::abi::fault(KS_E_CORRUPT, "not the value of a file");
    if (data_out != nullptr) *data_out = bytes_of(all.substr(sizeof head));
    if (mode_out != nullptr) *mode_out = head.mode;
    return (head.flags & kIsDeleted) != 0 ? KS_NOT_FOUND : KS_OK;
}
