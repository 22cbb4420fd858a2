#include "operations/claims.hpp"
#include "operations/read.hpp"

namespace keystile::engine {

namespace {

struct Listing {
    const Store* store;
    KeyBytes prefix;
    bool (*visit)(void* user, const Entry& entry);
    void* user;
    Status status = Status::kOk;
};

bool list_slot(void* user, shm::Slot& slot) {
    auto& listing = *static_cast<Listing*>(user);
    const Store& store = *listing.store;
    StoredKey key;
    if (!read_key(store.segment, slot, &key)) {
        listing.status = Status::kCorrupt;
        return true;
    }
    const KeyBytes bytes = key.bytes();
    if (bytes.size < listing.prefix.size) return true;
    if (listing.prefix.size != 0 && std::memcmp(bytes.data, listing.prefix.data, listing.prefix.size) != 0)
        return true;
    Entry entry{};
    entry.key = bytes;
    const ReadResult result = read_slow(store.segment, slot, nullptr, 0);  // the size, not the value
    const Status s = result.status;
    entry.value_size = result.size;
    entry.stamp = store.stamp_of(result.word);
    if (s != Status::kOk && s != Status::kTooSmall && s != Status::kNotFound) listing.status = s;
    entry.has_value = s == Status::kOk || s == Status::kTooSmall;
    entry.is_claimed = owner_of(store, slot, &entry.owner);
    return listing.visit(listing.user, entry);
}

}  // namespace

Status list(const Store& store, KeyBytes prefix, bool (*visit)(void* user, const Entry& entry),
            void* user) noexcept {
    Listing listing{&store, prefix, visit, user};
    const Status walked = visit_all(store.segment, Visitor{&listing, list_slot, nullptr});
    return walked != Status::kOk ? walked : listing.status;
}

}  // namespace keystile::engine
