// claim, renew, release.
#include <algorithm>

#include "claims.hpp"
#include "outcome.hpp"
#include "schema.hpp"
#include "target.hpp"
#include "tools.hpp"

namespace keystile::mcp {
namespace {

// Clients give up on a call after 60 s, mostly.
constexpr uint64_t kWaitSecondsMax = 50;
// How long a cancelled call goes on waiting, at most.
constexpr uint64_t kWaitSliceNs = 50'000'000;

uint64_t lease_ns_of(Arguments& arguments) {
    return arguments.number("lease_seconds", kLeaseSecondsDefault, 1, kLeaseSecondsMax) * kNsPerSecond;
}

Json claim(Call& call) {
    Arguments& arguments = call.arguments;
    const Target target = any_target(call.workspace, arguments);
    const uint64_t lease_ns = lease_ns_of(arguments);
    const uint64_t wait_ns = arguments.number("wait_seconds", 0, 0, kWaitSecondsMax) * kNsPerSecond;
    arguments.end();

    const Claimed claimed = try_claim(call.workspace, target, lease_ns, wait_ns, call.stop);
    if (claimed.status != KS_OK) {
        Json outcome = refusal_of(claimed.status, target.name, claimed.receipt, false);
        add_target(outcome, target);
        return outcome;
    }
    Json outcome = ok();
    add_target(outcome, target);
    outcome["claim"] = token_of(claimed.grant);
    add_stamp(outcome, claimed.grant.stamp);
    outcome["lease_seconds"] = lease_ns / kNsPerSecond;
    return outcome;
}

// What renew and release have in common: they act on one's claim, and learn if it is over.
Json under_claim(Call& call, const auto& act) {
    const Target target = any_target(call.workspace, call.arguments);
    ks_session* const session = call.workspace.session();
    const ks_grant grant = parse_grant(session, target, call.arguments.text("claim"));
    ks_receipt receipt{};
    Json outcome = ok();
    const ks_status status = act(session, grant, receipt, outcome);
    if (status == KS_E_GRANT) throw InvalidArguments{"\"claim\" is another claim's token"};
    if (status == KS_OK) {
        add_stamp(outcome, receipt.stamp);
    } else {
        outcome = refusal_of(status, target.name, receipt, true);
    }
    add_target(outcome, target);
    return outcome;
}

Json renew(Call& call) {
    const uint64_t lease_ns = lease_ns_of(call.arguments);
    return under_claim(call,
                       [&](ks_session* session, const ks_grant& grant, ks_receipt& receipt, Json& outcome) {
                           call.arguments.end();
                           outcome["lease_seconds"] = lease_ns / kNsPerSecond;
                           return ks_renew(session, &grant, lease_ns, &receipt);
                       });
}

Json release(Call& call) {
    return under_claim(call, [&](ks_session* session, const ks_grant& grant, ks_receipt& receipt, Json&) {
        call.arguments.end();
        return ks_release(session, &grant, &receipt);
    });
}

}  // namespace

Claimed try_claim(const Workspace& workspace, const Target& target, uint64_t lease_ns, uint64_t wait_ns,
                  const Stop& stop) {
    Claimed claimed{};
    ks_session* const session = workspace.session();
    for (uint64_t left_ns = wait_ns;;) {
        ks_claim_options options{};
        options.struct_size = sizeof options;
        options.flags = KS_CLAIM_DETACHED;
        options.lease_ns = lease_ns;
        options.wait_ns = std::min(left_ns, kWaitSliceNs);
        claimed.status = target.is_file ? ks_files_claim(workspace.files(), target.name.c_str(), &options,
                                                         &claimed.grant, &claimed.receipt)
                                        : ks_claim(session, bytes_of(target.key), &options, &claimed.grant,
                                                   &claimed.receipt);
        if (claimed.status == KS_TIMEOUT) claimed.status = KS_HELD;
        left_ns -= options.wait_ns;
        if (wait_ns != 0 && stop && stop()) {
            if (claimed.status == KS_OK)
                ks_release(session, &claimed.grant, nullptr);  // nobody will hear of its token
            throw Cancelled{};
        }
        if (claimed.status != KS_HELD || left_ns == 0) return claimed;
    }
}

std::string token_of(const ks_grant& grant) {
    char token[KS_TOKEN_SIZE];
    const ks_status status = ks_grant_format(&grant, token, sizeof token);
    if (status != KS_OK) throw Fault{status, "the claim's token"};
    return token;
}

bool may_wait(const Tool& tool, const Json* arguments) {
    if (tool.run != claim || arguments == nullptr || !arguments->is_object()) return false;
    const auto wait = arguments->find("wait_seconds");
    return wait != arguments->end() && *wait != 0;
}

void add_claim_tools(std::vector<Tool>& tools) {
    const Json about =
        schema::outcome({{"key", schema::text("The key.")},
                         {"path", schema::text("The path.")},
                         {"claim", schema::text("The token: give it to writes, renew and release.")},
                         {"lease_seconds", schema::number("Until it may be taken.", 1, kLeaseSecondsMax)}});
    const Json key = schema::text("What to claim, if it is state.");
    const Json path = schema::text("What to claim, if it is a file.");
    const Json token = schema::text("The token of the claim.");
    tools.push_back({"claim", "Claim",
                     "Claim the exclusive right to write a piece of state or a file, for work that must not "
                     "be done twice or takes "
                     "long. Returns a token (`claim`), and the stamp (version, epoch) to write with under "
                     "it. While it lasts, others' "
                     "writes are refused (held). It ends by `release`, by a write with release true, or when "
                     "another takes it, which he may lease_seconds after "
                     "the last renewal: from then on every write with the old token "
                     "is refused (fenced): "
                     "then stop. Read what you claimed after claiming it, not before. For a short "
                     "read-and-write no claim is needed.",
                     schema::object({{"key", key},
                                     {"path", path},
                                     {"lease_seconds", schema::lease_seconds()},
                                     {"wait_seconds",
                                      schema::number("Wait so long for another's claim to end. Default 0.", 0,
                                                     kWaitSecondsMax)}},
                                    {}),
                     about, schema::writes(false, false), claim});
    tools.push_back(
        {"renew", "Renew a claim",
         "Let a claim last lease_seconds from now. Do it well before its lease is over while the work goes "
         "on. fenced: the claim is over for ever; stop the work.",
         schema::object(
             {{"key", key}, {"path", path}, {"claim", token}, {"lease_seconds", schema::lease_seconds()}},
             {"claim"}),
         about, schema::writes(false, true), renew});
    tools.push_back(
        {"release", "Release a claim",
         "Give a claim back when its work is done, so that others need not wait for its lease. fenced: it "
         "was over already.",
         schema::object({{"key", key}, {"path", path}, {"claim", token}}, {"claim"}), about,
         schema::writes(false, false), release});
}

}  // namespace keystile::mcp
