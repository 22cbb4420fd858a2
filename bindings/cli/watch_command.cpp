// keystile watch
#include <fmt/format.h>

#include "commands.hpp"
#include "quantity.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kWatchExamples =
    R"(One line a change: what happened and the stamp after it. Changes in quick succession may be
seen as one. Ends after --count changes (exit code 0), when --timeout is over (exit code 14),
or when the store is destroyed (exit code 65).

Examples:
  keystile watch jobs/next
  keystile watch jobs/next --once --timeout 30s && echo changed
  keystile watch config --version $version --epoch $epoch --once    since that read, nothing is missed
  keystile watch jobs/next --value --json | jq -r .value)";

struct WatchOptions {
    std::string key;
    StampOptions since;
    std::optional<uint64_t> count;
    std::optional<uint64_t> timeout_ns;
    bool once = false;
    bool wants_value = false;
};

// Value and stamp of one moment, the epoch of a key without value included.
Read read_now(ks_session* session, const std::string& key, bool wants_value) {
    for (;;) {  // again only if the key was written for the first time just now
        Read now = wants_value ? read_value(session, key) : read_stamp(session, key);
        const ks_stamp stamp = watched_stamp(session, key, now);
        if (stamp.version != now.stamp.version) continue;
        now.stamp = stamp;
        return now;
    }
}

const char* event_name(ks_stamp before, const Read& now) {
    if (before.version != now.stamp.version) return now.is_found ? "put" : "delete";
    if (before.epoch == now.stamp.epoch) return "same";
    return now.stamp.epoch % 2 != 0 ? "claim" : "release";
}

void print_change(const Globals& globals, const std::string& key, ks_stamp before, const Read& now,
                  bool wants_value) {
    const bool shows_value = wants_value && now.is_found;
    Json members{{"event", event_name(before, now)}};
    add_key(members, key);
    if (shows_value) add_value(members, now.value);
    add_stamp(members, now.stamp);
    members["claimed"] = now.stamp.epoch % 2 != 0;
    print_result(globals, members,
                 fmt::format("{:<7} {}{}{}", event_name(before, now), stamp_text(now.stamp),
                             shows_value ? "  " : "", shows_value ? escaped(now.value) : ""));
}

void watch(const Globals& globals, const WatchOptions& options) {
    const std::string key = key_of(globals, options.key);
    Store store = Store::attach(globals.store, "watch");
    ks_session* const session = store.session();
    const uint64_t start = now_ns();
    const uint64_t timeout = options.timeout_ns.value_or(KS_FOREVER);
    const uint64_t count = options.once ? 1 : options.count.value_or(UINT64_MAX);
    const auto given = options.since.stamp();
    ks_stamp seen = given ? *given : read_now(session, key, false).stamp;

    for (uint64_t changes = 0; changes < count; ++changes) {
        const uint64_t passed = now_ns() - start;
        const uint64_t left = timeout == KS_FOREVER ? KS_FOREVER : timeout > passed ? timeout - passed : 0;
        ks_stamp now{};
        const ks_status status = ks_watch(session, bytes_of(key), seen, left, &now);
        if (status == KS_TIMEOUT) {
            Json details;
            add_key(details, key);
            add_stamp(details, seen);
            throw Failure{ExitCode::timeout,
                          fmt::format("timeout: {} changed {} times in {}", escaped(key), changes,
                                      duration_text(timeout)),
                          details};
        }
        if (status != KS_OK) throw fault(status, escaped(key));
        const Read after = read_now(session, key, options.wants_value);
        print_change(globals, key, seen, after, options.wants_value);
        seen = after.stamp;
    }
}

}  // namespace

void add_watch_command(CLI::App& app, const Globals& globals) {
    CLI::App* const command = app.add_subcommand("watch", "Print the changes of a key as they happen");
    const auto options = std::make_shared<WatchOptions>();
    add_key_argument(command, options->key);
    options->since.add_to(command, "Watch from this version on, not from now");
    CLI::Option* const count = add_number(command, "-n,--count", options->count, "End after N changes");
    command->add_flag("--once", options->once, "End after the first change")->excludes(count);
    add_duration(command, "--timeout", options->timeout_ns, "End after this time [forever]");
    command->add_flag("--value", options->wants_value, "Print the value, too");
    command->footer(kWatchExamples);
    command->callback([&globals, options] { watch(globals, *options); });
}

}  // namespace keystile::cli
