#include "swarm/ledger.hpp"

#include <algorithm>

#include "swarm/failure.hpp"

namespace keystile::cli::swarm {
void Ledger::update(std::string_view key, const std::function<bool(std::string&)>& recompute) {
    for (bool is_first = true;; is_first = false) {
        if (!is_first) {
            score_.retries.add();
        }
        const ks_stamp seen = lane_.read(key, value_);
        if (!recompute(value_)) {
            return;
        }
        if (options_.think_ns != 0) {
            nap(options_.think_ns);
        }
        if (options_.is_unguarded) {
            overwrite(key, value_);
            return;
        }
        if (try_commit(key, seen, value_)) {
            return;
        }
    }
}

bool Ledger::try_commit(std::string_view key, ks_stamp seen, std::string_view value) {
    ks_receipt receipt{};
    switch (commit(key, seen, value, nullptr, receipt)) {
        case KS_OK:
            return true;
        case KS_CONFLICT:
            score_.conflicts.add();
            return false;
        case KS_HELD: {
            score_.held.add();
            const uint64_t wait_ns = std::min(receipt.owner.lease_left_ns, kHeldWaitNsMax);
            answer_of(ks_watch(lane_.session(), bytes_of(key), receipt.stamp, wait_ns, nullptr), "ks_watch");
            return false;
        }
        default:  // KS_FENCED: somebody owned the key since the read. KS_BUSY: ask again.
            return false;
    }
}

void Ledger::overwrite(std::string_view key, std::string_view value) {
    ks_receipt receipt{};
    while (commit(key, lane_.stamp_of(key), value, nullptr, receipt) != KS_OK) {
        // Somebody wrote in this very moment: write over that too.
    }
}

ks_status Ledger::commit(std::string_view key, ks_stamp seen, std::string_view value,
                         const ks_commit_options* options, ks_receipt& receipt_out) {
    const uint64_t begin_ns = monotonic_ns();
    const ks_status status =
        ks_commit(lane_.session(), bytes_of(key), seen, bytes_of(value), options, &receipt_out);
    score_.latency.record(monotonic_ns() - begin_ns);
    if (answer_of(status, "ks_commit") == KS_OK) {
        score_.commits.add();
    }
    return status;
}

}  // namespace keystile::cli::swarm
