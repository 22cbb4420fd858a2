// keystile renew, release, reclaim: what happens to a claim after it was given out.
#include <fmt/format.h>

#include "commands.hpp"
#include "quantity.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kRenewExamples =
    R"(Also after the lease ran out, as long as nobody took the claim. Exit code 11 if somebody did.

Examples:
  keystile renew jobs/17 --claim "$token" --lease 1m)";

constexpr const char* kReleaseExamples = R"(Exit code 11 if the claim was over already.

Examples:
  keystile release jobs/17 --claim "$token")";

constexpr const char* kReclaimExamples =
    R"(Needed only to hurry: whoever wants the key takes a dead owner's claim, or one whose lease
is over, on the way. Its owner is fenced from then on. Exit code 12 if the owner lives and
its lease runs, unless --live; 11 if the claim that --epoch names is over already. Without
--epoch it is the claim that is there now, and none is success, too.

Examples:
  keystile reclaim jobs/17
  keystile reclaim jobs/17 --epoch 5 --live)";

struct ClaimUse {
    std::string key;
    ClaimOption claim;
    std::optional<uint64_t> lease_ns;
};

struct ReclaimOptions {
    std::string key;
    std::optional<uint64_t> epoch;
    bool live = false;
};

// The store, the key and the claim that renew and release are about.
struct Claimed {
    std::string key;
    Store store;
    ks_grant grant;

    Claimed(const Globals& globals, const ClaimUse& use, std::string_view command)
        : key(key_of(globals, use.key)), store(Store::attach(globals.store, command)), grant{} {
        const auto given = use.claim.grant(globals, store.session(), key);
        if (!given)
            throw Failure{ExitCode::usage, "which claim? Give --claim TOKEN, as `keystile claim` printed it"};
        grant = *given;
    }
};

void renew(const Globals& globals, const ClaimUse& use) {
    if (use.lease_ns == KS_FOREVER)
        throw Failure{ExitCode::usage, "--lease forever: a claim with a token needs an end"};
    Claimed claimed(globals, use, "renew");
    const uint64_t lease_ns = use.lease_ns.value_or(30'000'000'000);
    ks_receipt receipt{};
    const ks_status status = ks_renew(claimed.store.session(), &claimed.grant, lease_ns, &receipt);
    if (status != KS_OK) throw refusal(status, claimed.key, receipt, true);
    Json members;
    add_key(members, claimed.key);
    members["lease_ns"] = lease_ns;
    print_result(globals, members, fmt::format("renewed for {}", duration_text(lease_ns)));
}

void release(const Globals& globals, const ClaimUse& use) {
    Claimed claimed(globals, use, "release");
    ks_receipt receipt{};
    const ks_status status = ks_release(claimed.store.session(), &claimed.grant, &receipt);
    if (status != KS_OK) throw refusal(status, claimed.key, receipt, true);
    Json members;
    add_key(members, claimed.key);
    add_stamp(members, receipt.stamp);
    print_result(globals, members, stamp_text(receipt.stamp));
}

void reclaim(const Globals& globals, const ReclaimOptions& options) {
    const std::string key = key_of(globals, options.key);
    Store store = Store::attach(globals.store, "reclaim");
    Json members;
    add_key(members, key);
    const ks_stamp now = watched_stamp(store.session(), key, read_stamp(store.session(), key));
    if (!options.epoch && now.epoch % 2 == 0) {
        add_stamp(members, now);
        members["reclaimed"] = false;
        return print_result(globals, members, fmt::format("{} is not claimed", escaped(key)));
    }
    ks_receipt receipt{};
    const ks_status status = ks_reclaim(store.session(), bytes_of(key), options.epoch.value_or(now.epoch),
                                        options.live ? KS_RECLAIM_LIVE : 0u, &receipt);
    if (status != KS_OK) throw refusal(status, key, receipt, true);
    add_stamp(members, receipt.stamp);
    members["reclaimed"] = true;
    print_result(globals, members, stamp_text(receipt.stamp));
}

}  // namespace

void add_claim_commands(CLI::App& app, const Globals& globals) {
    CLI::App* const renew_command = app.add_subcommand("renew", "Let a claim's lease run anew from now");
    const auto renewed = std::make_shared<ClaimUse>();
    add_key_argument(renew_command, renewed->key);
    renewed->claim.add_to(renew_command);
    add_duration(renew_command, "--lease", renewed->lease_ns, "How long it holds from now [30s]");
    renew_command->footer(kRenewExamples);
    renew_command->callback([&globals, renewed] { renew(globals, *renewed); });

    CLI::App* const release_command = app.add_subcommand("release", "Give a claim back");
    const auto released = std::make_shared<ClaimUse>();
    add_key_argument(release_command, released->key);
    released->claim.add_to(release_command);
    release_command->footer(kReleaseExamples);
    release_command->callback([&globals, released] { release(globals, *released); });

    CLI::App* const reclaim_command =
        app.add_subcommand("reclaim", "Take a claim from an owner who is dead or late");
    const auto reclaimed = std::make_shared<ReclaimOptions>();
    add_key_argument(reclaim_command, reclaimed->key);
    add_number(reclaim_command, "--epoch", reclaimed->epoch,
               "The claim's epoch, as ls shows it [the claim there is now]");
    reclaim_command->add_flag("--live", reclaimed->live, "Also if its owner lives and its lease runs");
    reclaim_command->footer(kReclaimExamples);
    reclaim_command->callback([&globals, reclaimed] { reclaim(globals, *reclaimed); });
}

}  // namespace keystile::cli
