#include "disk/opener.hpp"

namespace keystile::testing {

using namespace engine;

Status Opener::open(const std::string& folder, const std::string& segments) {
    SegmentOptions options;
    options.max_bytes = 64u << 20;
    Recovery recovery;
    const Status s = open_durable_store(folder, segments, options, "test", &store, &recovery);
    return s == Status::kOk ? open_session(store, &session) : s;
}

void Opener::leave() noexcept {
    if (session.store == nullptr) return;
    close_session(session);
    close_store(store);
    session.store = nullptr;
}

Status Opener::put(const std::string& key, const std::string& value) {
    CommitRequest request;
    request.data = value.data();
    request.size = value.size();
    return commit(key, request);
}

Status Opener::remove(const std::string& key) {
    CommitRequest request;
    request.is_delete = true;
    return commit(key, request);
}

Status Opener::commit(const std::string& name, CommitRequest request) {
    const KeyBytes key{reinterpret_cast<const std::byte*>(name.data()), name.size()};
    const std::uint64_t hash = hash_of(key, store.hash_seed);
    shm::Slot* slot = nullptr;
    Status s = find_slot(store.segment, key, hash, &slot);
    if (s == Status::kNotFound) s = insert_slot(session.lane, key, hash, &slot);
    if (s != Status::kOk) return s;
    const ReadResult now = read_slow(store.segment, *slot, nullptr, 0);
    request.seen = store.stamp_of(now.word);
    Receipt receipt;
    return engine::commit(session, *slot, request, &receipt);
}

}  // namespace keystile::testing
