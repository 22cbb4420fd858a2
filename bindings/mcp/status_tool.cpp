// status: who shares this root, and what is claimed.
#include <fmt/format.h>

#include "outcome.hpp"
#include "schema.hpp"
#include "target.hpp"
#include "text.hpp"
#include "tools.hpp"

namespace keystile::mcp {
namespace {

constexpr uint64_t kShownMax = 200;  // participants, and claims: a model reads this

int add_participant(void* user, const ks_participant* participant) {
    Json& list = *static_cast<Json*>(user);
    if (participant->is_alive == 0) return 0;
    list.push_back(Json{{"label", cli::escaped(participant->label)},
                        {"pid", participant->pid},
                        {"is_self", participant->is_self != 0}});
    return list.size() >= kShownMax ? 1 : 0;
}

int add_claimed(void* user, const ks_entry* entry) {
    Json& list = *static_cast<Json*>(user);
    if (entry->is_claimed == 0) return 0;
    Json claimed;
    add_named(claimed, view_of(entry->key));
    add_stamp(claimed, entry->stamp);
    add_owner(claimed, entry->owner);
    list.push_back(std::move(claimed));
    return list.size() >= kShownMax ? 1 : 0;
}

Json status(Call& call) {
    call.arguments.end();
    const Workspace& workspace = call.workspace;
    ks_stats stats{};
    stats.struct_size = sizeof stats;
    if (const ks_status code = ks_stat(workspace.store(), &stats); code != KS_OK)
        throw Fault{code, workspace.url()};
    Json participants = Json::array(), claims = Json::array();
    ks_status code = ks_participants(workspace.store(), add_participant, &participants);
    if (code != KS_OK) throw Fault{code, workspace.url()};
    code = ks_list(workspace.session(), {}, KS_LIST_ALL, add_claimed, &claims);
    if (code != KS_OK) throw Fault{code, workspace.url()};

    Json outcome = ok();
    outcome["root"] = cli::escaped(workspace.root());
    outcome["store"] = cli::escaped(workspace.url());
    outcome["server_version"] = KEYSTILE_VERSION;
    outcome["keys"] = stats.keys;
    outcome["participants"] = std::move(participants);
    outcome["claims"] = std::move(claims);
    return outcome;
}

}  // namespace

void add_status_tool(std::vector<Tool>& tools) {
    const Json whole = Json{{"type", "integer"}, {"minimum", 0}};
    tools.push_back(
        {"status", "Status",
         "Who else works on this root, and what is claimed, by whom and for how long. For people and for "
         "finding out why a "
         "call answers held; no write needs it.",
         schema::object({}, {}),
         schema::outcome(
             {{"root", schema::text("The root's folder.")},
              {"store", schema::text("Its store, as other Keystile programs open it.")},
              {"server_version", schema::text("Of this server.")},
              {"keys", whole},
              {"participants", schema::list(schema::object({{"label", schema::text("Program.")},
                                                            {"pid", Json{{"type", "integer"}}},
                                                            {"is_self", schema::flag("This server.")}},
                                                           {"label", "pid", "is_self"}),
                                            "Live processes.", kShownMax)},
              {"claims",
               schema::list(schema::object({{"key", schema::text("Of state,")},
                                            {"key_encoding", schema::text("\"base64\" if it is no text.")},
                                            {"path", schema::text("or of a file.")},
                                            {"path_encoding", schema::text("\"base64\" if it is no text.")},
                                            {"version", schema::version()},
                                            {"epoch", schema::epoch()},
                                            {"owner", Json{{"type", "object"}}},
                                            {"lease_left_ms", whole}},
                                           {"version", "epoch", "owner"}),
                            "Claims.", kShownMax)}}),
         schema::reads(), status});
}

}  // namespace keystile::mcp
