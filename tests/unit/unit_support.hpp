// What unit tests of the inner layers share: a real small segment, seen from inside.
#pragma once

#include <gtest/gtest.h>

#include "abi/abi.hpp"
#include "support/test_store.hpp"

namespace keystile::testing {

class Inside : public ::testing::Test {
protected:
    Inside() {
        create_small(store_.url());
        at_ = std::make_unique<Attached>(store_.url());
    }

    engine::Store& store() { return *at_->store->store; }
    engine::Segment& segment() { return store().segment; }
    engine::Lane& lane() { return at_->session->session.lane; }
    ks_session* session() { return at_->session; }
    ks_store* handle() { return at_->store; }
    std::uint64_t hash(std::string_view key) {
        return engine::hash_of({key.data(), key.size()}, store().hash_seed);
    }
    ks_status put(std::string_view key, std::string_view value) {
        ks_stamp seen{};
        (void)ks_get(session(), bytes(key), nullptr, 0, nullptr, &seen);
        return ks_commit(session(), bytes(key), seen, bytes(value), nullptr, nullptr);
    }

private:
    TestStore store_;
    std::unique_ptr<Attached> at_;
};

}  // namespace keystile::testing
