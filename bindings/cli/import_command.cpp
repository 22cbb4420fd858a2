// keystile import
#include <span>
#include <unordered_map>

#include <fmt/format.h>

#include "commands.hpp"
#include "json_lines.hpp"
#include "multi_loop.hpp"
#include "roots.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kImportForm =
    R"(Reads what `export` writes, one JSON object a line: {"key":KEY,"value":VALUE}, each a string
or {"base64":TEXT}. Nothing is overwritten unless you say so:
  (neither)     a key that has a value already: exit code 10, nothing is written
  --if-absent   such keys are left as they are, the others are written
  --replace     such keys are overwritten
A mistake in any line, or a key twice: exit code 64, nothing is written. Up to 1024 keys are
one atomic commit. More keys are several, each atomic in itself, and it says how many; should
one be refused, those before it stand, and it says so.

Examples:
  keystile import --file backup.jsonl
  keystile import --if-absent < defaults.jsonl
  keystile import --replace < backup.jsonl)";

struct ImportOptions {
    std::string file;
    bool if_absent = false;
    bool replace = false;
    std::optional<uint64_t> wait_ns;
};

struct Imported {
    size_t line;
    std::string key;
    std::string value;
};

struct Progress {
    size_t written = 0;
    size_t skipped = 0;
    size_t commits = 0;

    Json json() const { return Json{{"imported", written}, {"skipped", skipped}, {"commits", commits}}; }
};

std::vector<Imported> read_entries(const std::string& file) {
    std::vector<Imported> entries;
    std::unordered_map<std::string, size_t> lines;
    for_each_json_line(file, [&](JsonLine& line) {
        Imported entry{line.number(), line.key("key"), line.value("value")};
        line.end();
        const auto [before, is_new] = lines.try_emplace(entry.key, entry.line);
        if (!is_new)
            line.fail(fmt::format("{} stands in line {} already", escaped(entry.key), before->second));
        entries.push_back(std::move(entry));
    });
    return entries;
}

class Import {
public:
    Import(ks_session* session, const ImportOptions& options, std::span<const Imported> entries)
        : session_(session),
          options_(options),
          entries_(entries),
          loop_{session, [this](const std::string& key) { return lines_.at(key); }, kTriesDefault,
                options.wait_ns.value_or(0)} {
        for (const Imported& entry : entries_) lines_[entry.key] = entry.line;
    }

    Import(const Import&) = delete;  // loop_ looks at lines_
    Import& operator=(const Import&) = delete;

    Progress run() try {
        if (!options_.if_absent && !options_.replace) refuse_present();
        for (std::span<const Imported> rest = entries_; !rest.empty();) {
            const std::span<const Imported> batch =
                rest.first(std::min<size_t>(rest.size(), KS_MULTI_KEYS_MAX));
            write(batch);
            rest = rest.subspan(batch.size());
        }
        return progress_;
    } catch (Failure& failure) {
        failure.details.update(progress_.json());
        if (progress_.commits != 0) {
            failure.message += fmt::format("\n  {} keys were written before, in {} commits",
                                           progress_.written, progress_.commits);
        }
        throw;
    }

private:
    // All of them, before the first commit: what can be refused is refused while nothing is written.
    void refuse_present() const {
        MultiOutcome outcome{KS_CONFLICT, {}};
        for (const Imported& entry : entries_) {
            const Read seen = read_stamp(session_, entry.key);
            if (seen.is_found) outcome.keys.push_back({entry.key, KS_CONFLICT, seen.stamp});
        }
        if (!outcome.keys.empty()) throw refusal_of(outcome);
    }

    // Names the keys to the engine; how many of them have no need to be written.
    size_t fill(ks_multi* multi, std::span<const Imported> batch) const {
        size_t skipped = 0;
        for (const Imported& entry : batch) {
            const ks_bytes key = bytes_of(entry.key);
            if (!options_.replace) {
                const Read seen = read_stamp(session_, entry.key);
                if (seen.is_found && options_.if_absent) {
                    ++skipped;
                    continue;
                }
                if (seen.is_found) throw refusal_of({KS_CONFLICT, {{entry.key, KS_CONFLICT, seen.stamp}}});
                require(ks_multi_expect(multi, key, seen.stamp), entry);
            }
            require(ks_multi_put(multi, key, bytes_of(entry.value), nullptr), entry);
        }
        return skipped;
    }

    void write(std::span<const Imported> batch) {
        size_t skipped = 0;
        // A key that came up in between is looked at again: it is skipped then, or refused.
        const MultiOutcome outcome = loop_.run([&](ks_multi* multi) { skipped = fill(multi, batch); },
                                               [](const KeyOutcome&) { return true; });
        if (outcome.status != KS_OK) throw refusal_of(outcome);
        progress_.skipped += skipped;
        progress_.written += batch.size() - skipped;
        progress_.commits += batch.size() != skipped ? 1 : 0;
    }

    Failure refusal_of(const MultiOutcome& outcome) const {
        Failure failure =
            loop_.refusal(outcome, progress_.commits == 0 ? "nothing was written"
                                                          : "the keys from here on were not written");
        if (outcome.status == KS_CONFLICT)
            failure.message += "\n  --replace overwrites, --if-absent leaves what is there";
        return failure;
    }

    static void require(ks_status status, const Imported& entry) {
        if (status != KS_OK) throw at_line(entry.line, fault(status, escaped(entry.key)));
    }

    ks_session* session_;
    const ImportOptions& options_;
    std::span<const Imported> entries_;
    std::unordered_map<std::string, size_t> lines_;
    MultiLoop loop_;
    Progress progress_;
};

void import_lines(const Globals& globals, const ImportOptions& options) {
    if (options.if_absent && options.replace) {
        throw Failure{ExitCode::usage, "--if-absent and --replace exclude one another"};
    }
    require_url(globals.store);
    const std::vector<Imported> entries = read_entries(options.file);
    for (const Imported& entry : entries) refuse_file_key(globals.store, entry.key, entry.line);
    Store store = Store::attach(globals.store, "import");
    const Progress done = Import(store.session(), options, entries).run();
    std::string line = fmt::format("imported {} keys", done.written);
    if (done.commits == 1) line += " in one commit";
    if (done.commits > 1) line += fmt::format(" in {} commits, each atomic in itself", done.commits);
    if (options.if_absent) line += fmt::format("; {} had a value already", done.skipped);
    print_result(globals, done.json(), line);
}

}  // namespace

void add_import_command(CLI::App& app, const Globals& globals) {
    CLI::App* const command =
        app.add_subcommand("import", "Write keys from JSON lines, as `export` made them");
    const auto options = std::make_shared<ImportOptions>();
    command->add_option("--file", options->file, "Read the lines from this file; - is standard input")
        ->type_name("FILE");
    command->add_flag("--if-absent", options->if_absent, "Leave keys that have a value as they are");
    command->add_flag("--replace", options->replace, "Overwrite keys that have a value");
    add_duration(command, "--wait", options->wait_ns, "Wait this long for someone else's claim to end [0]");
    command->footer(kImportForm);
    command->callback([&globals, options] { import_lines(globals, *options); });
}

}  // namespace keystile::cli
