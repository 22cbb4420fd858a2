// keystile watch
#include <fmt/format.h>

#include "commands.hpp"
#include "feeds.hpp"
#include "quantity.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kWatchExamples =
    R"(One line a change: what happened and the stamp after it. Changes in quick succession may be
seen as one. Ends after --count changes (exit code 0), when --timeout is over (exit code 14),
or when the store is destroyed (exit code 65).

With --prefix, of a durable store: every commit of every key that starts with it, none left out,
from now on, when it is on disk. (Claims are no commits: they are seen with KEY alone.) Exit
code 17 if checkpoints replaced what was still to be shown: go on with keystile log --follow.

Examples:
  keystile watch jobs/next
  keystile watch jobs/next --once --timeout 30s && echo changed
  keystile watch config --version $version --epoch $epoch --once    since that read, nothing is missed
  keystile watch jobs/next --value --json | jq -r .value
  keystile watch --prefix jobs/ --store file:/var/lib/team)";

struct WatchOptions {
    std::string key;
    std::optional<std::string> prefix;
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

class Left {
public:
    explicit Left(uint64_t timeout_ns) : timeout_ns_(timeout_ns), start_ns_(now_ns()) {}
    uint64_t ns() const {
        const uint64_t passed = now_ns() - start_ns_;
        return timeout_ns_ == KS_FOREVER ? KS_FOREVER : timeout_ns_ > passed ? timeout_ns_ - passed : 0;
    }

private:
    uint64_t timeout_ns_, start_ns_;
};

Failure timeout_failure(std::string_view what, uint64_t changes, uint64_t timeout_ns, Json details) {
    return {ExitCode::timeout,
            fmt::format("timeout: {} changed {} times in {}", what, changes, duration_text(timeout_ns)),
            std::move(details)};
}

void print_commit_of_key(const Globals& globals, const ks_feed_entry& entry, bool wants_value) {
    const bool shows_value = wants_value && entry.is_deleted == 0;
    Json members{{"event", event_of(entry)}};
    add_key(members, view_of(entry.key));
    if (shows_value) add_value(members, view_of(entry.value));
    add_stamp(members, entry.stamp);
    members["claimed"] = entry.stamp.epoch % 2 != 0;
    print_result(
        globals, members,
        fmt::format("{:<7} {}  {}{}{}", event_of(entry), escaped(view_of(entry.key)), stamp_text(entry.stamp),
                    shows_value ? "  " : "", shows_value ? escaped(view_of(entry.value)) : ""));
}

void watch_prefix(const Globals& globals, const WatchOptions& options) {
    if (!options.key.empty()) throw Failure{ExitCode::usage, "watch: KEY or --prefix, not both"};
    require_url(globals.store);
    if (!globals.store.starts_with("file:")) {
        throw Failure{ExitCode::usage,
                      fmt::format("watch --prefix: {} keeps no history: only file: stores do; watch a KEY",
                                  escaped(globals.store))};
    }
    const std::string prefix = key_of(globals, options.prefix.value_or(""));
    const uint64_t timeout = options.timeout_ns.value_or(KS_FOREVER);
    const uint64_t count = options.once ? 1 : options.count.value_or(UINT64_MAX);
    const Left left(timeout);
    Feed feed(globals.store, KS_FEED_NOW);
    for (uint64_t changes = 0; changes < count;) {
        const ks_feed_commit* const commit = feed.next(left.ns());
        if (commit == nullptr)
            throw timeout_failure(fmt::format("{}*", escaped(prefix)), changes, timeout, Json::object());
        for (size_t i = 0; i < commit->size && changes < count; ++i) {
            if (!view_of(commit->entries[i].key).starts_with(prefix)) continue;
            print_commit_of_key(globals, commit->entries[i], options.wants_value);
            ++changes;
        }
    }
}

void watch(const Globals& globals, const WatchOptions& options) {
    if (options.prefix) return watch_prefix(globals, options);
    if (options.key.empty())
        throw Failure{ExitCode::usage, "watch: KEY is required; see keystile watch --help"};
    const std::string key = key_of(globals, options.key);
    Store store = Store::attach(globals.store, "watch");
    ks_session* const session = store.session();
    const uint64_t timeout = options.timeout_ns.value_or(KS_FOREVER);
    const uint64_t count = options.once ? 1 : options.count.value_or(UINT64_MAX);
    const Left left(timeout);
    const auto given = options.since.stamp();
    ks_stamp seen = given ? *given : read_now(session, key, false).stamp;

    for (uint64_t changes = 0; changes < count; ++changes) {
        ks_stamp now{};
        const ks_status status = ks_watch(session, bytes_of(key), seen, left.ns(), &now);
        if (status == KS_TIMEOUT) {
            Json details;
            add_key(details, key);
            add_stamp(details, seen);
            throw timeout_failure(escaped(key), changes, timeout, std::move(details));
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
    command->add_option("KEY", options->key, "The key: 1 to 1024 bytes")->type_name("");
    options->since.add_to(command, "Watch from this version on, not from now");
    command->add_option("--prefix", options->prefix, "Every key that starts with it, of a durable store")
        ->type_name("PREFIX")
        ->excludes("--version", "--epoch");
    CLI::Option* const count = add_number(command, "-n,--count", options->count, "End after N changes");
    command->add_flag("--once", options->once, "End after the first change")->excludes(count);
    add_duration(command, "--timeout", options->timeout_ns, "End after this time [forever]");
    command->add_flag("--value", options->wants_value, "Print the value, too");
    command->footer(kWatchExamples);
    command->callback([&globals, options] { watch(globals, *options); });
}

}  // namespace keystile::cli
