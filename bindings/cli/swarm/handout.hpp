// Who works on which chunk: the worker's side of handing out.
//
// ClaimHandout: a chunk is worked on by whoever has the claim on its key. A worker that dies or is stopped
// loses it (at once, or when the lease is over), and is told KS_FENCED should it come back. PlainHandout: the
// chunk's value says who took it and until when; nothing keeps two workers from taking one chunk, or a
// stopped one from coming back.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "swarm/ledger.hpp"

namespace keystile::cli::swarm {

enum class Take { taken, busy, done };

class Handout {
public:
    virtual ~Handout() = default;

    // One attempt to get the chunk; waits up to wait_ns for another worker's end of it.
    virtual Take take(uint32_t chunk, uint64_t wait_ns) = 0;

    // Keeps the taken chunk ours for another lease, if a third of it has passed. False: it is not ours any
    // more.
    virtual bool renew_if_due() = 0;

    // Marks the taken chunk done and gives it back: the commit's lsn. Nothing: it is not ours any more, and nothing was
    // written.
    virtual std::optional<uint64_t> finish(uint64_t words) = 0;
};

struct HandoutContext {
    const Lane& lane;
    Ledger& ledger;
    WorkerScore& score;
    uint32_t worker;
    uint64_t lease_ns;
};

class ClaimHandout : public Handout {
public:
    explicit ClaimHandout(const HandoutContext& context) : context_(context) {}
    Take take(uint32_t chunk, uint64_t wait_ns) override;
    bool renew_if_due() override;
    std::optional<uint64_t> finish(uint64_t words) override;

    // Of the taken chunk: for who finishes it in a commit of his own.
    const std::string& key() const { return key_; }
    const ks_grant& grant() const { return grant_; }

private:
    bool is_done(std::string_view key);
    bool write_taken();
    std::optional<uint64_t> commit_under_claim(const std::string& value, uint32_t flags);

    HandoutContext context_;
    std::string key_;
    std::string value_;
    ks_grant grant_{};
    ks_stamp seen_{};
    uint64_t renewed_ns_ = 0;
};

class PlainHandout : public Handout {
public:
    explicit PlainHandout(const HandoutContext& context) : context_(context) {}
    Take take(uint32_t chunk, uint64_t wait_ns) override;
    bool renew_if_due() override;
    std::optional<uint64_t> finish(uint64_t words) override;

private:
    void write_taken();

    HandoutContext context_;
    std::string key_;
    std::string value_;
    uint64_t renewed_ns_ = 0;
};

}  // namespace keystile::cli::swarm
