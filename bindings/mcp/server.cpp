#include "server.hpp"

#include <algorithm>
#include <exception>
#include <new>

#include <fmt/format.h>

#include "outcome.hpp"
#include "text.hpp"

namespace keystile::mcp {
namespace {

constexpr const char* kRevisionKey = "io.modelcontextprotocol/protocolVersion";
constexpr const char* kCapabilitiesKey = "io.modelcontextprotocol/clientCapabilities";
constexpr const char* kServerInfoKey = "io.modelcontextprotocol/serverInfo";
constexpr uint64_t kListTtlMs = 3'600'000;  // the tools are those of the program, for as long as it runs
constexpr size_t kBatchMax = 1000;

constexpr const char* kInstructions =
    R"(Files and state of one folder, shared by several agents at the same time without anybody losing work.
The loop: 1. read (read_file, read_state): you get the content and its stamp, version and epoch. 2. compute the new
content from what you read. 3. write (write_file, edit_file, commit_state) with that stamp. If the answer is conflict,
someone was faster: read again, compute anew from the new content, write again. Never take the new stamp for content
made from the old one. held: someone has claimed it; wait and try again. fenced with a claim token: your claim is over;
stop. For work that takes long or must not be done twice: claim first, then read, write with the token, release. Before
an effect outside (send, deploy, pay): gate with the stamps that the decision rests on.
version and epoch are strings of digits: give them back exactly as you got them.)";

Json server_info() {
    return Json{{"name", "keystile"}, {"title", "Keystile"}, {"version", KEYSTILE_VERSION}};
}

const Json* find(const Json* object, std::string_view name) {
    if (object == nullptr || !object->is_object()) return nullptr;
    const auto found = object->find(name);
    return found == object->end() ? nullptr : &*found;
}

Json initialize(const Message& message, Peer& peer) {
    const Json* const requested = message.find_param("protocolVersion");
    if (requested == nullptr || !requested->is_string()) {
        throw RpcError{RpcCode::invalid_params, "initialize: \"protocolVersion\" must be a string"};
    }
    // A client that wants one we do not speak, or one without handshake, gets our newest that has it, and decides.
    Revision revision =
        revision_named(requested->get_ref<const std::string&>()).value_or(kNewestWithHandshake);
    if (is_stateless(revision)) revision = kNewestWithHandshake;
    peer.revision = revision;
    return Json{{"protocolVersion", name_of(revision)},
                {"capabilities", {{"tools", Json::object()}}},
                {"serverInfo", server_info()},
                {"instructions", kInstructions}};
}

Json discover() {
    Json versions = Json::array();
    for (auto name = kRevisions.rbegin(); name != kRevisions.rend(); ++name) versions.push_back(*name);
    return Json{{"supportedVersions", std::move(versions)},
                {"capabilities", {{"tools", Json::object()}}},
                {"instructions", kInstructions},
                {"ttlMs", kListTtlMs},
                {"cacheScope", "public"}};
}

Json list_tools(const Message& message, Revision revision) {
    const Json* const cursor = message.find_param("cursor");
    if (cursor != nullptr && !cursor->is_null()) {
        throw RpcError{RpcCode::invalid_params,
                       "tools/list: there are no more pages, so no cursor is one of ours"};
    }
    Json tools = Json::array();
    for (const Tool& tool : all_tools()) {
        Json told{{"name", tool.name}};
        if (revision >= Revision::v2025_06_18) told["title"] = tool.title;
        told["description"] = tool.description;
        told["inputSchema"] = tool.input;
        if (revision >= Revision::v2025_06_18) told["outputSchema"] = tool.output;
        if (revision >= Revision::v2025_03_26) {
            told["annotations"] = tool.annotations;
            told["annotations"]["title"] = tool.title;
        }
        tools.push_back(std::move(told));
    }
    Json result{{"tools", std::move(tools)}};
    if (is_stateless(revision)) {
        result["ttlMs"] = kListTtlMs;
        result["cacheScope"] = "public";
    }
    return result;
}

Json tool_result(Json outcome, Revision revision) {
    const bool is_error = outcome["status"] != "ok";
    Json result{{"content", Json::array({Json{{"type", "text"}, {"text", text_of(outcome)}}})}};
    if (revision >= Revision::v2025_06_18) result["structuredContent"] = std::move(outcome);
    result["isError"] = is_error;
    return result;
}

// What every request of a stateless revision must say of its client.
Revision required_meta(const Message& message, const Json& named) {
    if (!named.is_string()) {
        throw RpcError{RpcCode::invalid_params, fmt::format("_meta[\"{}\"] must be a string", kRevisionKey)};
    }
    const std::string& requested = named.get_ref<const std::string&>();
    const std::optional<Revision> revision = revision_named(requested);
    if (!revision || !is_stateless(*revision)) throw unsupported_revision(requested);
    const Json* const capabilities = find(message.find_param("_meta"), kCapabilitiesKey);
    if (capabilities == nullptr || !capabilities->is_object()) {
        throw RpcError{RpcCode::invalid_params,
                       fmt::format("_meta[\"{}\"] must be an object", kCapabilitiesKey)};
    }
    return *revision;
}

Revision revision_of(const Message& message, const Peer& peer) {
    if (const Json* const named = named_revision(message)) return required_meta(message, *named);
    if (peer.revision && !is_stateless(*peer.revision)) return *peer.revision;
    if (message.method == "ping") return kNewestWithHandshake;  // may come before anything else
    throw RpcError{
        RpcCode::invalid_params,
        fmt::format("say the protocol's revision in _meta[\"{}\"], or `initialize` first", kRevisionKey)};
}

}  // namespace

const Json* named_revision(const Message& message) {
    return find(message.find_param("_meta"), kRevisionKey);
}

RpcError unsupported_revision(std::string_view requested) {
    Json supported = Json::array();
    for (auto name = kRevisions.rbegin(); name != kRevisions.rend(); ++name) supported.push_back(*name);
    return {RpcCode::unsupported_version, "Unsupported protocol version",
            Json{{"supported", std::move(supported)}, {"requested", shown(requested)}}};
}

bool may_wait(const Json& message) {
    if (message.is_array()) {
        return std::any_of(message.begin(), message.end(), [](const Json& one) { return may_wait(one); });
    }
    const Json* const method = find(&message, "method");
    if (method == nullptr || *method != "tools/call" || find(&message, "id") == nullptr) return false;
    const Json* const params = find(&message, "params");
    const Json* const name = find(params, "name");
    if (name == nullptr || !name->is_string()) return false;
    const Tool* const tool = find_tool(name->get_ref<const std::string&>());
    return tool != nullptr && may_wait(*tool, find(params, "arguments"));
}

void wait_no_longer(Json& message) {
    if (message.is_array()) {
        for (Json& one : message) wait_no_longer(one);
    } else if (may_wait(message)) {
        message["params"]["arguments"]["wait_seconds"] = 0U;
    }
}

Json Server::call_tool(const Message& message, Revision revision, const Stop& stop) const {
    const Json* const name = message.find_param("name");
    if (name == nullptr || !name->is_string()) {
        throw RpcError{RpcCode::invalid_params, "tools/call: \"name\" must be a string"};
    }
    const std::string& asked = name->get_ref<const std::string&>();
    const Tool* const tool = find_tool(asked);
    if (tool == nullptr) throw RpcError{RpcCode::invalid_params, "Unknown tool: " + shown(asked)};
    try {
        Call call{workspace_, Arguments(message.find_param("arguments")), stop};
        return tool_result(tool->run(call), revision);
    } catch (const InvalidArguments& invalid) {
        // From 2025-11-25 on the model is to see it, and to mend it; before, it is the client's error.
        const std::string sentence = fmt::format("{}: {}", tool->name, invalid.message);
        if (revision < Revision::v2025_11_25) throw RpcError{RpcCode::invalid_params, sentence};
        return tool_result(refusal("invalid_arguments", true, "fix_arguments", sentence), revision);
    } catch (const Fault& fault) {
        return tool_result(fault_of(fault.status, fault.what), revision);
    } catch (const std::bad_alloc&) {
        return tool_result(refusal("fault", false, "stop", "the server is out of memory"), revision);
    }
}

Json Server::result_of(const Message& message, Revision revision, const Stop& stop) const {
    const auto result = [&]() -> Json {
        if (message.method == "tools/call") return call_tool(message, revision, stop);
        if (message.method == "tools/list") return list_tools(message, revision);
        if (message.method == "ping" && !is_stateless(revision)) return Json::object();
        if (message.method == "server/discover" && is_stateless(revision)) return discover();
        throw RpcError{RpcCode::method_not_found, "Method not found: " + shown(message.method)};
    };
    Json told = result();
    if (is_stateless(revision)) {
        told["resultType"] = "complete";
        told["_meta"][kServerInfoKey] = server_info();
    }
    return told;
}

std::optional<Json> Server::answer_one(const Json& message, Peer& peer, const Stop& stop) const {
    try {
        if (is_response(message)) return std::nullopt;  // we never ask
        const Message read = read_message(message);
        if (read.id == nullptr)
            return std::nullopt;  // a notification: none that we know asks for anything here
        if (read.method == "initialize" && named_revision(read) == nullptr) {
            return result_message(*read.id, initialize(read, peer));
        }
        return result_message(*read.id, result_of(read, revision_of(read, peer), stop));
    } catch (const RpcError& error) {
        return error_message(id_in(message), error);
    } catch (const Cancelled&) {
        return std::nullopt;
    } catch (const std::exception& error) {  // ours to mend, but no reason to leave the client alone
        return error_message(id_in(message), {RpcCode::internal_error, cli::escaped(error.what())});
    }
}

std::optional<Json> Server::answer_batch(const Json& batch, Peer& peer, const Stop& stop) const {
    const auto refuse = [](const char* what) {
        return error_message(nullptr, {RpcCode::invalid_request, what});
    };
    if (peer.revision != Revision::v2025_03_26) return refuse("only revision 2025-03-26 has batches");
    if (batch.empty() || batch.size() > kBatchMax) return refuse("a batch has 1 to 1000 messages");
    Json answers = Json::array();
    for (const Json& message : batch) {
        std::optional<Json> one = answer_one(message, peer, stop);
        if (one) answers.push_back(*std::move(one));
    }
    if (answers.empty()) return std::nullopt;
    return answers;
}

std::optional<Json> Server::answer(const Json& message, Peer& peer, const Stop& stop) const {
    return message.is_array() ? answer_batch(message, peer, stop) : answer_one(message, peer, stop);
}

const std::vector<Tool>& all_tools() {
    static const std::vector<Tool> tools = [] {
        std::vector<Tool> made;
        add_file_tools(made);
        add_listing_tools(made);
        add_state_tools(made);
        add_claim_tools(made);
        add_gate_tool(made);
        add_status_tool(made);
        return made;
    }();
    return tools;
}

const Tool* find_tool(std::string_view name) {
    for (const Tool& tool : all_tools()) {
        if (name == tool.name) return &tool;
    }
    return nullptr;
}

}  // namespace keystile::mcp
