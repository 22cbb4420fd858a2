// Somebody who has a durable store open, below the C ABI: no flusher thread, so that a test says when what is written.
#pragma once

#include <string>

#include "operations/operations.hpp"

namespace keystile::testing {

struct Opener {
    Opener() = default;
    Opener(const Opener&) = delete;
    Opener& operator=(const Opener&) = delete;
    ~Opener() { leave(); }

    engine::Status open(const std::string& folder, const std::string& segments);
    void leave() noexcept;  // what was committed stays where it is, written or not

    // Over whatever is there.
    engine::Status put(const std::string& key, const std::string& value);
    engine::Status remove(const std::string& key);

    engine::Position end() const { return engine::ring_tail(store.segment) + 1; }
    engine::Status flush_all() { return engine::flush(store, end(), true); }
    engine::Status write_all() { return engine::flush(store, end(), false); }
    engine::JournalPoint durable() const { return engine::load_durable(store.segment); }
    engine::JournalPoint cursor() const { return engine::load_cursor(store.segment); }

    engine::Store store;
    engine::Session session;

private:
    engine::Status commit(const std::string& key, engine::CommitRequest request);
};

}  // namespace keystile::testing
