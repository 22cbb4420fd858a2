#include "multi_loop.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "json_lines.hpp"
#include "quantity.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

constexpr size_t kNamedMax = 10;  // keys in a message for people

struct EndMulti {
    void operator()(ks_multi* multi) const { ks_multi_end(multi); }
};

MultiOutcome outcome_of(const ks_multi* multi, ks_status status) {
    MultiOutcome outcome{status, {}};
    for (size_t i = 0; i < ks_multi_size(multi); ++i) {
        ks_multi_result told{};
        if (const ks_status asked = ks_multi_item(multi, i, &told); asked != KS_OK)
            throw fault(asked, "multi");
        outcome.keys.push_back({{static_cast<const char*>(told.key.data), told.key.size},
                                told.status,
                                told.stamp,
                                told.owner,
                                told.has_grant != 0});
    }
    return outcome;
}

// Until the claim may be over: changed, or worth another look.
void await_change(ks_session* session, const KeyOutcome& held, uint64_t left_ns) {
    const uint64_t wait_ns = std::min({left_ns, held.owner.lease_left_ns, kLivenessNs}) + kLatestNs;
    const ks_status status = ks_watch(session, bytes_of(held.key), held.stamp, wait_ns, nullptr);
    if (status < 0) throw fault(status, escaped(held.key));
}

std::string story_of(const KeyOutcome& key) {
    switch (key.status) {
        case KS_CONFLICT:
            return fmt::format("{} is at {} now", escaped(key.key), stamp_text(key.stamp));
        case KS_FENCED:
            return fmt::format(
                "{}: the claim, or the read, is from before another ownership; it is at {} now",
                escaped(key.key), stamp_text(key.stamp));
        case KS_HELD:
            return fmt::format("{} is claimed by {}, {}", escaped(key.key), owner_text(key.owner),
                               lease_text(key.owner));
        default:
            return fmt::format("{}: {}", escaped(key.key), ks_status_name(key.status));
    }
}

}  // namespace

// Of one key, if it is one's: then that key was told it.
Failure MultiLoop::commit_fault(const ks_multi* multi, ks_status status) const {
    for (size_t i = 0; i < ks_multi_size(multi); ++i) {
        ks_multi_result told{};
        if (ks_multi_item(multi, i, &told) != KS_OK || told.status >= 0) continue;
        const std::string key(static_cast<const char*>(told.key.data), told.key.size);
        return at_line(line_of(key), fault(status, "key " + escaped(key)));
    }
    return fault(status, "multi");
}

MultiOutcome MultiLoop::run(const Fill& fill, const MayRetry& may_retry) const {
    ks_multi* raw = nullptr;
    if (const ks_status status = ks_multi_begin(session, &raw); status != KS_OK) throw fault(status, "multi");
    const std::unique_ptr<ks_multi, EndMulti> multi(raw);
    const uint64_t start = now_ns();
    const uint64_t deadline = wait_ns > KS_FOREVER - start ? KS_FOREVER : start + wait_ns;
    for (uint64_t tries = 0;; ks_multi_reset(raw)) {
        fill(raw);
        const ks_status status = ks_multi_commit(raw);
        if (status < 0) throw commit_fault(raw, status);
        MultiOutcome outcome = outcome_of(raw, status);
        if (status == KS_OK) return outcome;

        const KeyOutcome* held = nullptr;
        for (const KeyOutcome& key : outcome.keys) {
            if (key.status == KS_OK) continue;
            if (key.status == KS_HELD && wait_ns != 0) {
                held = &key;
            } else if (key.status == KS_HELD || !may_retry(key)) {
                return outcome;
            }
        }
        if (held == nullptr) {
            if (++tries < tries_max) continue;
            outcome.status = KS_BUSY;
            return outcome;
        }
        const uint64_t now = now_ns();
        if (now >= deadline) {
            outcome.status = KS_TIMEOUT;
            return outcome;
        }
        await_change(session, *held, deadline - now);
    }
}

Failure MultiLoop::refusal(const MultiOutcome& outcome, std::string_view sentence) const {
    const ExitCode code = exit_code_of(outcome.status);
    std::string message = fmt::format("{}: {}", name_of(code), sentence);
    Json keys = Json::array();
    size_t count = 0;
    for (const KeyOutcome& key : outcome.keys) {
        if (key.status == KS_OK) continue;
        const size_t line = line_of(key.key);
        if (++count <= kNamedMax) message += fmt::format("\n  line {}: {}", line, story_of(key));
        Json object;
        add_key(object, key.key);
        object["line"] = line;
        object["status"] = name_of(exit_code_of(key.status));
        add_stamp(object, key.stamp);
        if (key.status == KS_HELD) object["owner"] = owner_json(key.owner);
        keys.push_back(std::move(object));
    }
    if (count > kNamedMax) message += fmt::format("\n  and {} more keys", count - kNamedMax);
    return {code, std::move(message), Json{{"keys", std::move(keys)}}};
}

}  // namespace keystile::cli
