// One atomic commit of many keys, tried again where that is asked for: behind `multi` and `import`.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "store.hpp"
#include "write_loop.hpp"

namespace keystile::cli {

struct KeyOutcome {
    std::string key;
    ks_status status = KS_OK;
    ks_stamp stamp{};  // the key's now
    ks_owner owner{};  // KS_HELD only
    bool has_grant = false;
};

struct MultiOutcome {
    ks_status status =
        KS_OK;  // or what kept it from being written: KS_CONFLICT, KS_FENCED, KS_HELD, KS_TIMEOUT,
                // KS_BUSY
    std::vector<KeyOutcome> keys;  // all of them, in the order in which they were named
};

struct MultiLoop {
    using LineOf = std::function<size_t(const std::string& key)>;

    ks_session* session;
    LineOf line_of;  // the line of the input that named the key
    uint64_t tries_max = kTriesDefault;
    uint64_t wait_ns = 0;  // for others' claims to end

    using Fill = std::function<void(ks_multi*)>;  // names the keys, anew for each try
    using MayRetry =
        std::function<bool(const KeyOutcome&)>;  // of a key that was told KS_CONFLICT or KS_FENCED

    // Faults are a Failure.
    MultiOutcome run(const Fill& fill, const MayRetry& may_retry) const;

    // What kept a commit from being written, with each key that stood in the way; `sentence` says what was not done.
    Failure refusal(const MultiOutcome& outcome, std::string_view sentence) const;

private:
    Failure commit_fault(const ks_multi* multi, ks_status status) const;
};

}  // namespace keystile::cli
