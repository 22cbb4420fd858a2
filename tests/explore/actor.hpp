// What a simulated process can do, with every answer checked for what it claims and written down for the judge.
#pragma once

#include "explore/world.hpp"

namespace keystile::explore {

struct Value {
    std::array<char, kValueBytes> text;
    std::size_t size = 0;
    engine::Stamp stamp;
    engine::Status status = engine::Status::kOk;
};

using Both = std::array<int, 2>;
inline constexpr Both kBoth{kMain, kOther}, kBothReversed{kOther, kMain};

class Actor {
public:
    explicit Actor(int process) noexcept
        : process_(process), session_(world().session(process)), store_(world().store(process)) {}

    // One from kNew on must have been made.
    engine::shm::Slot& slot(int key) noexcept { return key >= kNew ? *made_ : world().slot(process_, key); }
    // Find or insert such a key, as abi/data.cpp does it; one at a time.
    void make(int key) noexcept;
    engine::Session& session() noexcept { return session_; }
    engine::Store& store() noexcept { return store_; }

    Value get(int key) noexcept;
    // One attempt from what was read.
    engine::Status append(int key, const Value& seen, char letter, const engine::Grant* grant = nullptr,
                          bool is_releasing = false) noexcept;
    engine::Status erase(int key, const Value& seen) noexcept;
    // With somebody else's ticket: may be told anything but OK.
    void steal(int key, const Value& seen, char letter, const engine::Grant& grant) noexcept;
    // Read and append until it is done; HELD and faults end it too.
    engine::Status update(int key, char letter) noexcept;

    // Two keys together, given in this order: until it is done.
    engine::Status update_both(const Both& which, char letter) noexcept;
    // Whatever the key is by then.
    void overwrite(int key, char letter) noexcept;
    // kMain and kOther at one instant.
    void cut(std::array<Value, 2>* values_out) noexcept;

    engine::Status claim(int key, engine::Grant* grant_out, std::uint64_t lease_ns = 0) noexcept;
    engine::Status release(const engine::Grant& grant) noexcept;
    engine::Status renew(const engine::Grant& grant, std::uint64_t lease_ns) noexcept;
    engine::Status reclaim(int key, std::uint64_t epoch, bool is_forced) noexcept;

    void reap() noexcept;
    // Another session of this process: perhaps in a dead one's record.
    void reopen() noexcept;

private:
    engine::Status commit(int key, const engine::CommitRequest& request, char letter,
                          bool may_be_refused = false) noexcept;
    engine::Status append_both(const Both& which, const std::array<Value, 2>& seen, char letter) noexcept;
    void saw(int key, const Value& value) noexcept;
    engine::CommitRequest request_for(const Value& seen, char letter, const engine::Grant* grant) noexcept;

    int process_;
    engine::Session& session_;
    engine::Store& store_;
    engine::shm::Slot* made_ = nullptr;
    std::array<char, kValueBytes> text_;  // of the commit that is going on
};

}  // namespace keystile::explore
