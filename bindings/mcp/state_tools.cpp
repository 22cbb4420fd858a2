// read_state, commit_state, list_states.
#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "outcome.hpp"
#include "schema.hpp"
#include "state.hpp"
#include "target.hpp"
#include "text.hpp"
#include "tools.hpp"

namespace keystile::mcp {
namespace {

constexpr size_t kFirstBuffer = 16 * 1024;
// With a conflict comes the value that won, so that the next try needs no read; a large one would be paid for by each
// loser, wanted or not.
constexpr size_t kConflictValueMax = 64 * 1024;
constexpr uint64_t kListDefault = 200, kListMax = 1000;

void add_value(Json& outcome, const Value& value) {
    outcome["exists"] = value.is_found;
    if (value.is_found) {
        add_bytes(outcome, "value", value.bytes);
    } else {
        outcome["value"] = nullptr;
    }
    add_stamp(outcome, value.stamp);
}

Json value_schema() {
    return Json{
        {"type", Json::array({"string", "null"})},
        {"description", "The value; null if it does not exist. Of a conflict: the value that is there now."}};
}

Json read_state(Call& call) {
    const Target target = state_target(call.arguments);
    call.arguments.end();
    Json outcome = ok();
    outcome["key"] = target.name;
    add_value(outcome, read_value(call.workspace.session(), target.key));
    return outcome;
}

Json conflict(ks_session* session, const Target& target, Json outcome) {
    const Value now = read_value(session, target.key);
    if (now.bytes.size() <= kConflictValueMax) add_value(outcome, now);
    return outcome;
}

Json commit_state(Call& call) {
    Arguments& arguments = call.arguments;
    const Target target = state_target(arguments);
    const bool is_delete = arguments.flag("delete");
    if (is_delete == arguments.has("value")) {
        throw InvalidArguments{"give \"value\", or \"delete\": true"};
    }
    const std::string value = is_delete ? std::string() : arguments.bytes("value");
    if (value.size() > KS_VALUE_SIZE_MAX) throw InvalidArguments{"\"value\" has more than 16 MiB"};
    const ks_stamp seen = arguments.stamp();
    ks_session* const session = call.workspace.session();
    const std::optional<ks_grant> grant = grant_of(session, target, arguments);
    const bool is_release = arguments.flag("release");
    if (is_release && !grant) throw InvalidArguments{"\"release\" needs the \"claim\" that it gives back"};
    arguments.end();

    ks_commit_options options{};
    options.struct_size = sizeof options;
    options.flags = is_release ? KS_COMMIT_RELEASE : 0;
    options.grant = grant ? &*grant : nullptr;
    ks_receipt receipt{};
    const ks_status status =
        is_delete ? ks_delete(session, bytes_of(target.key), seen, &options, &receipt)
                  : ks_commit(session, bytes_of(target.key), seen, bytes_of(value), &options, &receipt);
    if (status == KS_OK) {
        Json outcome = ok();
        outcome["key"] = target.name;
        add_stamp(outcome, receipt.stamp);
        return outcome;
    }
    if (status == KS_NOT_FOUND) {
        Json outcome =
            refusal("not_found", false, "stop", fmt::format("{} has no value", cli::escaped(target.name)));
        add_stamp(outcome, receipt.stamp);
        return outcome;
    }
    Json outcome = refusal_of(status, target.name, receipt, grant.has_value());
    outcome["key"] = target.name;
    return status == KS_CONFLICT ? conflict(session, target, std::move(outcome)) : outcome;
}

struct Listed {
    std::string key;
    Json entry;
};

struct Listing {
    std::string after;  // keys up to it were listed before
    std::vector<Listed> entries;
};

int add_entry(void* user, const ks_entry* entry) {
    Listing& listing = *static_cast<Listing*>(user);
    const std::string_view key = view_of(entry->key);
    if (is_reserved(key) || (!listing.after.empty() && key <= listing.after)) return 0;
    Json listed;
    add_name(listed, "key", key);
    add_stamp(listed, entry->stamp);
    listed["size"] = entry->value_size;
    listed["claimed"] = entry->is_claimed != 0;
    if (entry->is_claimed != 0) add_owner(listed, entry->owner);
    listing.entries.push_back({std::string(key), std::move(listed)});
    return 0;
}

Json list_states(Call& call) {
    Arguments& arguments = call.arguments;
    const std::string prefix = arguments.has("prefix") ? arguments.text("prefix") : "";
    Listing listing;
    if (arguments.has("after")) listing.after = arguments.text("after");
    const uint64_t limit = arguments.number("limit", kListDefault, 1, kListMax);
    arguments.end();

    const ks_status status = ks_list(call.workspace.session(), bytes_of(prefix), 0, add_entry, &listing);
    if (status != KS_OK) throw Fault{status, prefix};
    std::sort(listing.entries.begin(), listing.entries.end(),
              [](const Listed& left, const Listed& right) { return left.key < right.key; });
    const bool has_more = listing.entries.size() > limit;
    if (has_more) listing.entries.resize(limit);
    Json outcome = ok();
    outcome["states"] = Json::array();
    for (Listed& listed : listing.entries) outcome["states"].push_back(std::move(listed.entry));
    outcome["has_more"] = has_more;
    return outcome;
}

}  // namespace

Value read_value(ks_session* session, std::string_view key) {
    Value read;
    read.bytes.resize(kFirstBuffer);
    for (;;) {  // ends when a size holds still: values do not grow for ever (KS_VALUE_SIZE_MAX)
        size_t size = 0;
        const ks_status status =
            ks_get(session, bytes_of(key), read.bytes.data(), read.bytes.size(), &size, &read.stamp);
        if (status == KS_TOO_SMALL) {
            read.bytes.resize(std::max(size, 2 * read.bytes.size()));
            continue;
        }
        if (status < 0) throw Fault{status, std::string(key)};
        read.is_found = status == KS_OK;
        read.bytes.resize(size);
        return read;
    }
}

void add_state_tools(std::vector<Tool>& tools) {
    tools.push_back({"read_state", "Read state",
                     "Read a piece of shared state with its stamp (version, epoch). A key that does not "
                     "exist is no error: its value "
                     "is null, and its stamp is the one that creates it. Compute your new value from what "
                     "you read here, then call "
                     "commit_state with this stamp.",
                     schema::object({{"key", schema::key()}}, {"key"}),
                     schema::outcome({{"key", schema::text("The key.")},
                                      {"exists", schema::flag("Has it a value?")},
                                      {"value", value_schema()},
                                      {"encoding", schema::encoding()}}),
                     schema::reads(), read_state});
    tools.push_back(
        {"commit_state", "Commit state",
         "Write a piece of shared state, if it is still what you read: give the version and epoch of your "
         "last read_state. "
         "If anyone changed it since, nothing is written and the answer is conflict, with the value and "
         "stamp there are "
         "now: compute again from that value, then commit with its stamp. Never repeat the old value with "
         "the new stamp: "
         "that erases the other's work. If no answer arrived (a timeout), read_state first: the write may "
         "have happened.",
         schema::object({{"key", schema::key()},
                         {"value", schema::text("The whole new value, at most 16 MiB.")},
                         {"encoding", schema::encoding()},
                         {"delete", schema::flag("True deletes it instead.")},
                         {"version", schema::version()},
                         {"epoch", schema::epoch()},
                         {"claim", schema::claim_token()},
                         {"release", schema::flag("True gives the claim back in the same step.")}},
                        {"key", "version", "epoch"}),
         schema::outcome({{"key", schema::text("The key.")},
                          {"exists", schema::flag("Has it a value now?")},
                          {"value", value_schema()},
                          {"encoding", schema::encoding()}}),
         schema::writes(true, false), commit_state});
    const Json entry = schema::object(
        {{"key", schema::text("The key.")},
         {"key_encoding", schema::text("\"base64\": a key that is no text; these tools cannot name it.")},
         {"version", schema::version()},
         {"epoch", schema::epoch()},
         {"size", Json{{"type", "integer"}}},
         {"claimed", schema::flag("Does someone hold a claim of it?")},
         {"owner", Json{{"type", "object"}}},
         {"lease_left_ms", Json{{"type", "integer"}}}},
        {"key", "version", "epoch", "size", "claimed"});
    tools.push_back({"list_states", "List states",
                     "List pieces of shared state, sorted by key, without their values. If has_more, call "
                     "again with `after` = the "
                     "last key. It is no snapshot: stamps are of the moment each was seen.",
                     schema::object({{"prefix", schema::text("Only keys that start with it.")},
                                     {"after", schema::text("Only keys that come after it.")},
                                     {"limit", schema::number("At most so many. Default 200.", 1, kListMax)}},
                                    {}),
                     schema::outcome({{"states", schema::list(entry, "The keys.", kListMax)},
                                      {"has_more", schema::flag("There are more.")}}),
                     schema::reads(), list_states});
}

}  // namespace keystile::mcp
