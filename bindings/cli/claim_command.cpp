// keystile claim: a token for later commands, or a command run under the claim.
#include <signal.h>

#include <fmt/format.h>

#include "commands.hpp"
#include "process.hpp"
#include "quantity.hpp"
#include "run_under_claim.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kClaimExamples =
    R"(While a key is claimed nobody else can write it (they get "held"). The claim is held by
whoever has its token, which is printed; give it to put, del, renew and release as --claim
TOKEN. It ends with release, or may be taken by anyone once its lease is over.

With -- CMD: run CMD under the claim, renewed at a third of its lease, and release it at the
end. CMD finds KEYSTILE_STORE, KEYSTILE_KEY and KEYSTILE_CLAIM (the token), so that
`keystile put "$KEYSTILE_KEY"` in it writes under the claim. If the claim is lost, CMD and
its process group get SIGTERM, and SIGKILL after --grace; the exit code is then 11.
Otherwise it is CMD's own (128+N if signal N killed it, 127 if it was not found). SIGINT,
SIGTERM, SIGHUP and SIGQUIT are passed on to CMD; if keystile is killed by SIGKILL, so is CMD.
CMD must not release the claim itself.

Examples:
  token=$(keystile claim jobs/17 --lease 30s) && keystile put jobs/17 --value done --claim "$token" --release
  keystile claim nightly --lease 1m --wait 10m -- ./backup.sh
  keystile claim leader --lease 10s --wait forever -- sh -c 'date | keystile put "$KEYSTILE_KEY"; serve')";

constexpr uint64_t kLeaseDefault = 30'000'000'000;
constexpr uint64_t kGraceDefault = 10'000'000'000;

struct ClaimOptions {
    std::string key;
    std::optional<uint64_t> lease_ns;
    std::optional<uint64_t> wait_ns;
    std::optional<uint64_t> grace_ns;
};

ks_grant take(ks_session* session, const std::string& key, const ClaimOptions& options) {
    ks_claim_options claim{};
    claim.struct_size = sizeof claim;
    claim.flags = KS_CLAIM_DETACHED;
    claim.lease_ns = options.lease_ns.value_or(kLeaseDefault);
    claim.wait_ns = options.wait_ns.value_or(0);
    ks_grant grant{};
    ks_receipt receipt{};
    const ks_status status = ks_claim(session, bytes_of(key), &claim, &grant, &receipt);
    if (status != KS_OK) throw refusal(status, key, receipt, false);
    return grant;
}

std::string token_of(const ks_grant& grant) {
    char token[KS_TOKEN_SIZE];
    const ks_status status = ks_grant_format(&grant, token, sizeof token);
    if (status != KS_OK) throw fault(status, "the claim's token");
    return token;
}

Json claim_json(const std::string& key, const ks_grant& grant) {
    Json members;
    add_key(members, key);
    members["token"] = token_of(grant);
    add_stamp(members, grant.stamp);
    return members;
}

// A token that nobody has read is a claim that nobody can release.
void hand_out(const Globals& globals, ks_session* session, const std::string& key, const ks_grant& grant) {
    signal(SIGPIPE, SIG_IGN);
    try {
        print_result(globals.json, claim_json(key, grant), token_of(grant));
    } catch (const Failure&) {
        ks_release(session, &grant, nullptr);
        throw;
    }
}

void run(const Globals& globals, ks_session* session, const std::string& key, const ks_grant& grant,
         const ClaimOptions& options, const std::vector<std::string>& cmd, int& exit_status) {
    Environment environment({{"KEYSTILE_STORE", globals.store},
                             {"KEYSTILE_KEY", environment_key(key)},
                             {"KEYSTILE_CLAIM", token_of(grant)}});
    const uint64_t lease_ns = options.lease_ns.value_or(kLeaseDefault);
    const RunEnd end =
        run_under_claim(session, grant, lease_ns, options.grace_ns.value_or(kGraceDefault), cmd, environment);
    Json details;
    add_key(details, key);
    details["cmd_exit_code"] = exit_status_of(end.wait_status);
    if (end.lost != KS_OK) {
        const char* const story = end.was_stopped ? "CMD was stopped" : "CMD had ended meanwhile";
        Failure failure = refusal(end.lost, key, end.receipt, true);
        failure.message += fmt::format("; {} ({})", story, ending_text(end.wait_status));
        failure.details.update(details);
        throw failure;
    }
    add_stamp(details, end.receipt.stamp);
    if (globals.json) print_result(globals, details, "");
    exit_status = exit_status_of(end.wait_status);
}

void claim(const Globals& globals, const ClaimOptions& options, const std::vector<std::string>& cmd,
           int& exit_status) {
    if (options.lease_ns == KS_FOREVER) {
        throw Failure{
            ExitCode::usage,
            "--lease forever: a claim with a token needs an end, else nobody could ever take it over"};
    }
    const std::string key = key_of(globals, options.key);
    Store store = Store::attach(globals.store, "claim");
    const ks_grant grant = take(store.session(), key, options);
    if (cmd.empty()) return hand_out(globals, store.session(), key, grant);
    run(globals, store.session(), key, grant, options, cmd, exit_status);
}

}  // namespace

void add_claim_command(CLI::App& app, const Globals& globals, const std::vector<std::string>& cmd,
                       int& exit_status) {
    CLI::App* const command =
        app.add_subcommand("claim", "Claim a key; with -- CMD run a command under the claim");
    const auto options = std::make_shared<ClaimOptions>();
    add_key_argument(command, options->key);
    add_duration(command, "--lease", options->lease_ns, "How long it holds without renewal [30s]");
    add_duration(command, "--wait", options->wait_ns, "Wait this long for someone else's claim to end [0]");
    add_duration(command, "--grace", options->grace_ns,
                 "With CMD: from SIGTERM to SIGKILL when the claim is lost [10s]");
    command->footer(kClaimExamples);
    command->callback(
        [&globals, options, &cmd, &exit_status] { claim(globals, *options, cmd, exit_status); });
}

}  // namespace keystile::cli
