#include "write_loop.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "quantity.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

bool is_claimed(ks_stamp stamp) {
    return stamp.epoch % 2 != 0;
}

}  // namespace

void WriteLoop::await_free(uint64_t epoch, uint64_t deadline_ns) const {
    for (;;) {
        ks_receipt receipt{};
        const ks_status status = ks_reclaim(session, bytes_of(key), epoch, 0, &receipt);
        if (status == KS_OK || status == KS_FENCED || status == KS_NOT_FOUND) return;
        if (status != KS_HELD || wait_ns == 0) throw refusal(status, key, receipt, false);
        const uint64_t now = now_ns();
        if (now >= deadline_ns) throw refusal(KS_TIMEOUT, key, receipt, false);
        const uint64_t left =
            std::min({deadline_ns - now, receipt.owner.lease_left_ns, kLivenessNs}) + kLatestNs;
        ks_stamp ignored{};
        const ks_status waited = ks_watch(session, bytes_of(key), receipt.stamp, left, &ignored);
        if (waited < 0) throw fault(waited, escaped(key));
    }
}

ks_receipt WriteLoop::run(bool needs_value, const Commit& commit) const {
    const uint64_t start = now_ns();
    const uint64_t deadline_ns = wait_ns > KS_FOREVER - start ? KS_FOREVER : start + wait_ns;
    for (uint64_t tries = 0; tries < tries_max;) {
        const Read seen = needs_value ? read_value(session, key) : read_stamp(session, key);
        const ks_stamp now = watched_stamp(session, key, seen);
        if (grant == nullptr && is_claimed(now)) {
            await_free(now.epoch, deadline_ns);  // before the work, not after it in vain
            continue;
        }
        ks_receipt receipt{};
        if (grant != nullptr &&
            now.epoch != grant->stamp.epoch) {  // lost for ever: the work would be in vain
            receipt.stamp = now;
            throw refusal(KS_FENCED, key, receipt, true);
        }
        const ks_status status = commit(seen, receipt);
        if (status == KS_OK) return receipt;
        const bool is_lost_try =
            status == KS_CONFLICT || status == KS_HELD || (status == KS_FENCED && grant == nullptr);
        if (!is_lost_try) throw refusal(status, key, receipt, grant != nullptr);
        ++tries;
    }
    Json details{{"tries", tries_max}};
    add_key(details, key);
    throw Failure{ExitCode::busy,
                  fmt::format("busy: {} was changed by others in each of {} tries", escaped(key), tries_max),
                  std::move(details)};
}

}  // namespace keystile::cli
