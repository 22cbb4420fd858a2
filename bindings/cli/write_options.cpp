#include "write_options.hpp"

namespace keystile::cli {

void WriteOptions::add_to(CLI::App* command) {
    add_key_argument(command, key);
    seen.add_to(command, "The version it was computed from, as `get --stamp` printed it");
    claim.add_to(command);
    command->add_flag("--release", release, "Give the claim back in the same step");
    command->add_flag("--force", force, "Whatever is there: read the stamp and commit, the last writer wins");
    add_number(command, "--tries", tries, "Give up (exit code 15) after losing N tries to others [1000]");
    add_duration(command, "--wait", wait_ns, "Wait this long for someone else's claim to end [0]");
}

Write::Write(const Globals& globals, const WriteOptions& options, std::string_view command)
    : globals_(globals),
      options_(options),
      key_(key_of(globals, options.key)),
      store_(Store::attach(globals.store, command)),
      grant_(options.claim.grant(globals, store_.session(), key_)) {
    if (options.release && !grant_)
        throw Failure{ExitCode::usage, "--release gives a claim back: it needs --claim TOKEN"};
    commit_options_.struct_size = sizeof commit_options_;
    commit_options_.flags = options.release ? KS_COMMIT_RELEASE : 0u;
    commit_options_.grant = grant_ ? &*grant_ : nullptr;
}

std::string Write::token() const {
    if (!grant_) return {};
    char token[KS_TOKEN_SIZE];
    return ks_grant_format(&*grant_, token, sizeof token) == KS_OK ? token : "";
}

WriteLoop Write::loop() {
    WriteLoop loop{session(), key_};
    loop.grant = grant_ ? &*grant_ : nullptr;
    loop.tries_max = options_.tries.value_or(kTriesDefault);
    loop.wait_ns = options_.wait_ns.value_or(0);
    return loop;
}

void Write::print(const ks_receipt& receipt) const {
    Json members;
    add_key(members, key_);
    add_stamp(members, receipt.stamp);
    print_result(globals_, members, stamp_text(receipt.stamp));
}

}  // namespace keystile::cli
