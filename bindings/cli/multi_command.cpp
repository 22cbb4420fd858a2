// keystile multi
#include <unordered_map>

#include <fmt/format.h>

#include "commands.hpp"
#include "json_lines.hpp"
#include "multi_loop.hpp"
#include "multi_steps.hpp"
#include "roots.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kMultiForm =
    R"(Reads one JSON object a line, and does all of it in one atomic commit, or nothing:
  {"put":KEY,"value":VALUE}      {"delete":KEY}
      further members: "version":N,"epoch":N (the stamp it must still be at; without it,
      whatever is there), "claim":TOKEN, "release":true (give that claim back, too)
  {"expect":KEY,"version":N,"epoch":N}      compare, and write nothing
  {"release":KEY,"claim":TOKEN}             give the claim back, leave the value
KEY and VALUE are strings or {"base64":TEXT}. Up to 1024 keys, each written once at most; a
key may be expected in one line and written in another. A mistake in any line: exit code 64,
and nothing is written. Exit codes 10, 11, 12 as for put, with the keys that stood in the way.

Prints for each key what was done and its new stamp.

Examples:
  printf '%s\n' '{"put":"a","value":"1"}' '{"delete":"b"}' | keystile multi
  keystile multi --file changes.jsonl --wait 10s
  jq -c '{put: .id, value: .body}' orders.json | keystile multi --json)";

struct MultiOptions {
    std::string file;
    std::optional<uint64_t> tries;
    std::optional<uint64_t> wait_ns;
};

// The steps with their claims: what is told to the engine, as often as it takes.
class Batch {
public:
    Batch(ks_session* session, const std::vector<Step>& steps) : steps_(steps) {
        for (const Step& step : steps_) {
            Facts& facts = facts_[step.key];
            if (facts.line == 0 || step.kind != Step::Kind::expect) {
                facts.kind = step.kind;
                facts.line = step.line;
            }
            facts.is_stated = facts.is_stated || step.seen.has_value();
            if (step.token.empty()) continue;
            grants_[step.line] = grant_of(session, step);
        }
    }

    void fill(ks_multi* multi) const {
        // What is expected goes first: a write of a key without an expectation takes the stamp of now.
        for (const Step& step : steps_) {
            if (step.seen) require(ks_multi_expect(multi, bytes_of(step.key), *step.seen), step);
        }
        for (const Step& step : steps_) {
            const auto claim = grants_.find(step.line);
            const ks_grant* const grant = claim == grants_.end() ? nullptr : &claim->second;
            ks_commit_options options{};
            options.struct_size = sizeof options;
            options.flags = step.gives_back ? KS_COMMIT_RELEASE : 0u;
            options.grant = grant;
            const ks_bytes key = bytes_of(step.key);
            switch (step.kind) {
                case Step::Kind::put:
                    require(ks_multi_put(multi, key, bytes_of(step.value), &options), step);
                    break;
                case Step::Kind::erase:
                    require(ks_multi_delete(multi, key, &options), step);
                    break;
                case Step::Kind::release:
                    require(ks_multi_release(multi, key, grant), step);
                    break;
                case Step::Kind::expect:
                    break;
            }
        }
    }

    // A key whose stamp was given is tried once, and a claim is lost once.
    bool may_retry(const KeyOutcome& told) const {
        const bool is_claim_lost = told.status == KS_FENCED && told.has_grant;
        return !facts_.at(told.key).is_stated && !is_claim_lost;
    }

    size_t line_of(const std::string& key) const { return facts_.at(key).line; }
    std::string_view verb_of(const std::string& key) const { return name_of(facts_.at(key).kind); }

private:
    struct Facts {
        Step::Kind kind = Step::Kind::expect;
        size_t line = 0;  // of its write, else of its expectation
        bool is_stated = false;
    };

    static void require(ks_status status, const Step& step) {
        if (status != KS_OK) throw at_line(step.line, fault(status, escaped(step.key)));
    }

    static ks_grant grant_of(ks_session* session, const Step& step) {
        ks_grant grant{};
        const ks_status status = ks_grant_parse(session, bytes_of(step.key), step.token.c_str(), &grant);
        if (status == KS_NOT_FOUND) {
            throw at_line(step.line, {ExitCode::not_found,
                                      fmt::format("not found: there is no key {}, so no claim of it",
                                                  escaped(step.key))});
        }
        require(status, step);
        return grant;
    }

    const std::vector<Step>& steps_;
    std::unordered_map<std::string, Facts> facts_;
    std::unordered_map<size_t, ks_grant> grants_;  // by line
};

// In the order of the input, which is not the order in which the engine was told.
void print(const Globals& globals, const Batch& batch, const std::vector<Step>& steps,
           const MultiOutcome& outcome) {
    std::unordered_map<std::string_view, const KeyOutcome*> by_key;
    for (const KeyOutcome& key : outcome.keys) by_key[key.key] = &key;
    Json keys = Json::array();
    std::string lines;
    for (const Step& step : steps) {
        if (step.line != batch.line_of(step.key)) continue;
        const KeyOutcome& told = *by_key.at(step.key);
        lines += fmt::format("{}{} {} {}", lines.empty() ? "" : "\n", name_of(step.kind), escaped(step.key),
                             stamp_text(told.stamp));
        Json object;
        add_key(object, step.key);
        object["done"] = name_of(step.kind);
        object["line"] = step.line;
        add_stamp(object, told.stamp);
        keys.push_back(std::move(object));
    }
    print_result(globals, Json{{"keys", std::move(keys)}}, lines);
}

void multi(const Globals& globals, const MultiOptions& options) {
    require_url(globals.store);
    const std::vector<Step> steps = read_steps(options.file);
    for (const Step& step : steps) {
        const bool is_write = step.kind == Step::Kind::put || step.kind == Step::Kind::erase;
        if (is_write) refuse_file_key(globals.store, step.key, step.line);
    }
    Store store = Store::attach(globals.store, "multi");
    const Batch batch(store.session(), steps);
    const MultiLoop loop{store.session(), [&](const std::string& key) { return batch.line_of(key); },
                         options.tries.value_or(kTriesDefault), options.wait_ns.value_or(0)};
    const MultiOutcome outcome = loop.run([&](ks_multi* multi) { batch.fill(multi); },
                                          [&](const KeyOutcome& told) { return batch.may_retry(told); });
    if (outcome.status == KS_OK) return print(globals, batch, steps, outcome);

    throw loop.refusal(outcome, "nothing was written");
}

}  // namespace

void add_multi_command(CLI::App& app, const Globals& globals) {
    CLI::App* const command = app.add_subcommand("multi", "Write many keys in one atomic commit");
    const auto options = std::make_shared<MultiOptions>();
    command->add_option("--file", options->file, "Read the lines from this file; - is standard input")
        ->type_name("FILE");
    add_number(command, "--tries", options->tries,
               "Give up (exit code 15) after losing N tries, of keys without a stamp [1000]");
    add_duration(command, "--wait", options->wait_ns, "Wait this long for someone else's claim to end [0]");
    command->footer(kMultiForm);
    command->callback([&globals, options] { multi(globals, *options); });
}

}  // namespace keystile::cli
