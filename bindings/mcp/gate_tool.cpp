// gate: does what a decision rests on still hold, all of it at one instant; and, if asked, may it be kept so while the
// decision is carried out elsewhere.
//
// Without claims the answer is true of an instant that is over when it arrives. With them each target is claimed first
// and looked at then: nobody can write it any more through Keystile, so what was seen stays true until a claim is
// released or its lease is over. Order of claims: by key. Nobody waits for anybody here, so no order can deadlock; one
// order lets one of two gates through where two orders might refuse both.
#include <algorithm>
#include <memory>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "claims.hpp"
#include "outcome.hpp"
#include "schema.hpp"
#include "target.hpp"
#include "text.hpp"
#include "tools.hpp"

namespace keystile::mcp {
namespace {

constexpr uint64_t kExpectationsMax = 256;

struct EndMulti {
    void operator()(ks_multi* multi) const { ks_multi_end(multi); }
};

struct Expectation {
    Target target;
    ks_stamp seen{};
    bool is_held = false;     // by the caller, as the token in the call shows
    bool is_claimed = false;  // by this call
    bool is_checked = false;  // KS_OK is an answer, and not for want of one
    ks_grant grant{};
    ks_status status = KS_OK;
    ks_receipt receipt{};

    bool has_grant() const { return is_held || is_claimed; }
};

using Expectations = std::vector<Expectation>;

Expectations read_expectations(Call& call, bool is_claiming) {
    ks_session* const session = call.workspace.session();
    const Json& list = call.arguments.take("expect");
    if (!list.is_array() || list.empty() || list.size() > kExpectationsMax) {
        throw InvalidArguments{fmt::format("\"expect\" is a list of 1 to {} objects", kExpectationsMax)};
    }
    Expectations expectations;
    std::set<std::string> keys;
    for (const Json& item : list) {
        if (!item.is_object()) throw InvalidArguments{"\"expect\" is a list of objects"};
        Arguments members(&item);
        Expectation one{.target = any_target(call.workspace, members)};
        one.seen = members.stamp();
        one.receipt.stamp = one.seen;
        if (members.has("claim")) {
            if (!is_claiming)
                throw InvalidArguments{"a \"claim\" in \"expect\" needs \"claim\": true beside it"};
            one.grant = parse_grant(session, one.target, members.text("claim"));
            one.is_held = true;
            if (one.grant.stamp.epoch != one.seen.epoch) {
                throw InvalidArguments{fmt::format("{}: \"claim\" is of another epoch than \"epoch\"",
                                                   cli::escaped(one.target.name))};
            }
        }
        members.end();
        if (!keys.insert(one.target.key).second) {
            throw InvalidArguments{
                fmt::format("{} stands in \"expect\" twice", cli::escaped(one.target.name))};
        }
        expectations.push_back(std::move(one));
    }
    return expectations;
}

// The worst of them, as ks_files_gate() orders.
ks_status worst_of(const Expectations& expectations) {
    for (const ks_status status : {KS_FENCED, KS_CONFLICT, KS_HELD, KS_FOREIGN_EDIT}) {
        const bool is_there = std::any_of(expectations.begin(), expectations.end(),
                                          [=](const Expectation& one) { return one.status == status; });
        if (is_there) return status;
    }
    return KS_OK;
}

// What a stamp does not say: that the file itself is still what was written through us.
void look_at_disk(const Workspace& workspace, Expectation& one) {
    if (!one.target.is_file || one.status != KS_OK) return;
    ks_stamp stamp{};
    size_t size = 0;
    const ks_status status =
        ks_files_read(workspace.files(), one.target.name.c_str(), nullptr, 0, &size, &stamp);
    if (status < 0 || status == KS_BUSY) throw Fault{status, one.target.name};
    if (status != KS_FOREIGN_EDIT) return;
    one.status = status;
    one.receipt.stamp = stamp;
}

// All at one instant.
void compare(const Workspace& workspace, Expectations& expectations) {
    ks_session* const session = workspace.session();
    ks_multi* begun = nullptr;
    if (const ks_status status = ks_multi_begin(session, &begun); status != KS_OK)
        throw Fault{status, "gate"};
    const std::unique_ptr<ks_multi, EndMulti> multi(begun);
    for (const Expectation& one : expectations) {
        const ks_status status = ks_multi_expect(multi.get(), bytes_of(one.target.key), one.seen);
        if (status != KS_OK) throw Fault{status, one.target.name};
    }
    if (const ks_status status = ks_multi_commit(multi.get()); status < 0 || status == KS_BUSY)
        throw Fault{status, "gate"};
    for (size_t i = 0; i < expectations.size(); ++i) {
        ks_multi_result result{};
        if (const ks_status status = ks_multi_item(multi.get(), i, &result); status != KS_OK) {
            throw Fault{status, "gate"};
        }
        expectations[i].status = result.status;
        expectations[i].is_checked = true;
        expectations[i].receipt.stamp = result.stamp;
        expectations[i].receipt.owner = result.owner;
    }
}

// Was this claim granted on what the caller saw? A key that was never written is read as {0, 0}, whatever its epoch.
ks_status judge(const Expectation& one) {
    const ks_stamp now = one.grant.stamp;
    if (now.version != one.seen.version) return KS_CONFLICT;
    const bool is_untouched = now.version == 0 && one.seen.epoch == 0;
    return is_untouched || now.epoch == one.seen.epoch + 1 ? KS_OK : KS_FENCED;
}

void give_back(ks_session* session, Expectations& expectations) {
    for (Expectation& one : expectations) {
        if (!one.is_claimed) continue;
        ks_receipt receipt{};
        // KS_FENCED: its lease was over already; nothing is left to be given back.
        if (ks_release(session, &one.grant, &receipt) == KS_OK && one.status == KS_OK)
            one.receipt.stamp = receipt.stamp;
        one.is_claimed = false;
    }
}

void claim_one(const Workspace& workspace, Expectation& one, uint64_t lease_ns) {
    if (!one.is_held) {
        const Claimed claimed = try_claim(workspace, one.target, lease_ns, 0, Stop());
        one.status = claimed.status;
        one.receipt = claimed.receipt;
        if (claimed.status == KS_OK) {
            one.is_claimed = true;
            one.grant = claimed.grant;
            one.receipt.stamp = claimed.grant.stamp;
            one.status = judge(one);
            one.is_checked = true;
        }
        if (one.status < 0 || one.status == KS_BUSY) throw Fault{one.status, one.target.name};
    }
    look_at_disk(workspace, one);
}

// A renewal that succeeds says that its claim has stood without a break: so between the last claim and the first
// renewal all of them stood together.
void confirm(ks_session* session, Expectations& expectations, uint64_t lease_ns) {
    for (Expectation& one : expectations) {
        one.is_checked = true;
        one.status = ks_renew(session, &one.grant, lease_ns, &one.receipt);
        if (one.status == KS_E_GRANT) {
            throw InvalidArguments{
                fmt::format("{}: \"claim\" is another claim's token", cli::escaped(one.target.name))};
        }
        if (one.status < 0) throw Fault{one.status, one.target.name};
        const bool is_changed = one.is_held && one.receipt.stamp.version != one.seen.version;
        if (one.status == KS_OK && is_changed) one.status = KS_CONFLICT;
    }
}

// All claimed and unchanged, or none claimed.
void claim_all(const Workspace& workspace, Expectations& expectations, uint64_t lease_ns) {
    ks_session* const session = workspace.session();
    std::vector<size_t> order(expectations.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](size_t left, size_t right) {
        return expectations[left].target.key < expectations[right].target.key;
    });
    try {
        for (const size_t index : order) {
            claim_one(workspace, expectations[index], lease_ns);
            if (expectations[index].status != KS_OK) break;
        }
        if (worst_of(expectations) == KS_OK) confirm(session, expectations, lease_ns);
    } catch (...) {
        give_back(session, expectations);
        throw;
    }
    if (worst_of(expectations) != KS_OK) give_back(session, expectations);
}

Json report(const Expectations& expectations) {
    Json checked = Json::array();
    for (const Expectation& one : expectations) {
        const bool is_ok = one.status == KS_OK;
        Json item = is_ok ? Json{{"status", one.is_checked ? "ok" : "unchecked"}}
                          : Json{{"status", refusal_of(one.status, one.target.name, one.receipt,
                                                       one.is_held)["status"]}};
        add_target(item, one.target);
        if (!is_ok || one.is_checked) add_stamp(item, one.receipt.stamp);
        if (one.status == KS_HELD) add_owner(item, one.receipt.owner);
        if (is_ok && one.has_grant()) item["claim"] = token_of(one.grant);
        checked.push_back(std::move(item));
    }
    return checked;
}

Json gate(Call& call) {
    Arguments& arguments = call.arguments;
    const bool is_claiming = arguments.flag("claim");
    const uint64_t lease_seconds =
        arguments.number("lease_seconds", kLeaseSecondsDefault, 1, kLeaseSecondsMax);
    Expectations expectations = read_expectations(call, is_claiming);
    arguments.end();

    if (is_claiming) {
        claim_all(call.workspace, expectations, lease_seconds * kNsPerSecond);
    } else {
        for (Expectation& one : expectations) look_at_disk(call.workspace, one);
        if (worst_of(expectations) == KS_OK) compare(call.workspace, expectations);
    }
    const ks_status worst = worst_of(expectations);
    Json outcome = ok();
    if (worst != KS_OK) {
        const auto bad = std::find_if(expectations.begin(), expectations.end(),
                                      [=](const Expectation& one) { return one.status == worst; });
        outcome = refusal_of(worst, bad->target.name, bad->receipt, bad->is_held);
        outcome["message"] = fmt::format("do not act: {}", outcome["message"].get_ref<const std::string&>());
    }
    outcome["checked"] = report(expectations);
    if (worst == KS_OK && is_claiming) outcome["lease_seconds"] = lease_seconds;
    return outcome;
}

}  // namespace

void add_gate_tool(std::vector<Tool>& tools) {
    const Json item =
        schema::object({{"key", schema::text("Of state,")},
                        {"path", schema::text("or of a file.")},
                        {"version", schema::version()},
                        {"epoch", schema::epoch()},
                        {"claim", schema::text("Its token, if you hold a claim of it already.")}},
                       {"version", "epoch"});
    const Json checked = schema::object(
        {{"status", schema::text("\"ok\", why it does not hold, or \"unchecked\": another did not hold "
                                 "before its turn came; it has no stamp then.")},
         {"key", schema::text("Of state,")},
         {"path", schema::text("or of a file.")},
         {"version", schema::version()},
         {"epoch", schema::epoch()},
         {"claim", schema::text("The token of its claim.")},
         {"owner", Json{{"type", "object"}}},
         {"lease_left_ms", Json{{"type", "integer"}}}},
        {"status"});
    tools.push_back(
        {"gate", "Gate an effect",
         "Call this right before an effect that cannot be taken back (send, deploy, pay, run): give the "
         "stamps of all that "
         "the decision was made on. ok: all of it was still true at one instant. Anything else: do not act; "
         "read again "
         "and decide anew. With claim true every target is claimed too, and ok means that it stays true "
         "while you act: run "
         "the effect, then write or `release` each with its token. Choose lease_seconds longer than the "
         "effect can take, "
         "or `renew` meanwhile; if a renewal answers fenced, stop. Nothing is claimed unless the answer is "
         "ok. A claim "
         "stops who writes through Keystile, not a program that ignores it. A target you claimed yourself is "
         "given with "
         "its `claim` and the odd epoch of the claim. What was never written stays so (\"0\", \"0\") until "
         "it is written: a gate "
         "on it is ok each time.",
         schema::object(
             {{"expect", schema::list(item, "What must still be as you read it.", kExpectationsMax)},
              {"claim", schema::flag("True keeps it so: claim every target.")},
              {"lease_seconds", schema::lease_seconds()}},
             {"expect"}),
         schema::outcome(
             {{"checked", schema::list(checked, "Each target, in the order given.", kExpectationsMax)},
              {"lease_seconds", schema::number("Of the claims taken.", 1, kLeaseSecondsMax)}}),
         schema::writes(false, false), gate});
}

}  // namespace keystile::mcp
