// What put and del have in common: the ways to say what the writer has seen.
#pragma once

#include "options.hpp"
#include "write_loop.hpp"

namespace keystile::cli {

struct WriteOptions {
    std::string key;
    StampOptions seen;
    ClaimOption claim;
    bool force = false;
    bool release = false;
    std::optional<uint64_t> tries;
    std::optional<uint64_t> wait_ns;

    void add_to(CLI::App* command);
};

// One write on its way: key, session and claim resolved.
class Write {
public:
    Write(const Globals& globals, const WriteOptions& options, std::string_view command);

    const std::string& key() const { return key_; }
    ks_session* session() { return store_.session(); }
    bool has_grant() const { return grant_.has_value(); }
    std::string token() const;  // of the claim in use; empty without one
    const ks_commit_options* commit_options() const { return &commit_options_; }
    WriteLoop loop();

    void print(const ks_receipt& receipt) const;  // the new stamp

private:
    const Globals& globals_;
    const WriteOptions& options_;
    std::string key_;
    Store store_;
    std::optional<ks_grant> grant_;
    ks_commit_options commit_options_{};
};

}  // namespace keystile::cli
