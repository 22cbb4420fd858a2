#include "json_rpc.hpp"

#include <fmt/format.h>

#include "text.hpp"

namespace keystile::mcp {
namespace {

constexpr size_t kWordShownMax = 80;

bool is_id(const Json& id) {
    return id.is_string() || id.is_number_integer();
}

const Json* find(const Json& object, std::string_view name) {
    const auto found = object.find(name);
    return found == object.end() ? nullptr : &*found;
}

}  // namespace

const Json* Message::find_param(std::string_view name) const {
    return params == nullptr ? nullptr : find(*params, name);
}

Json parse(std::string_view text) {
    const auto is_shallow = [](int depth, Json::parse_event_t, Json&) {
        if (depth > kDepthMax) throw RpcError{RpcCode::parse_error, "the message is nested too deep"};
        return true;
    };
    try {
        return Json::parse(text, is_shallow);
    } catch (const Json::parse_error& error) {
        throw RpcError{RpcCode::parse_error, fmt::format("no valid JSON, at byte {}", error.byte)};
    } catch (const Json::exception&) {  // a number out of range
        throw RpcError{RpcCode::parse_error, "no valid JSON"};
    }
}

Message read_message(const Json& message) {
    const auto refuse = [](const char* what) { throw RpcError{RpcCode::invalid_request, what}; };
    if (!message.is_object()) refuse("a message is a JSON object");
    const Json* const version = find(message, "jsonrpc");
    if (version == nullptr || *version != "2.0") refuse("\"jsonrpc\" must be \"2.0\"");
    const Json* const method = find(message, "method");
    if (method == nullptr || !method->is_string()) refuse("\"method\" must be a string");

    Message read;
    read.method = method->get_ref<const std::string&>();
    read.id = find(message, "id");
    if (read.id != nullptr && !is_id(*read.id)) refuse("\"id\" must be a string or a whole number");
    read.params = find(message, "params");
    if (read.params != nullptr && !read.params->is_object()) refuse("\"params\" must be an object");
    return read;
}

bool is_response(const Json& message) {
    return message.is_object() && !message.contains("method") &&
           (message.contains("result") || message.contains("error"));
}

Json id_in(const Json& message) {
    if (!message.is_object()) return nullptr;
    const Json* const id = find(message, "id");
    return id != nullptr && is_id(*id) ? *id : Json();
}

Json result_message(const Json& id, Json result) {
    Json message{{"jsonrpc", "2.0"}, {"id", id}};
    message["result"] = std::move(result);
    return message;
}

Json error_message(const Json& id, const RpcError& error) {
    Json body{{"code", static_cast<int>(error.code)}, {"message", error.message}};
    if (!error.data.is_null()) body["data"] = error.data;
    Json message{{"jsonrpc", "2.0"}};
    message["id"] = id;
    message["error"] = std::move(body);
    return message;
}

std::string shown(std::string_view word) {
    return cli::escaped(word.substr(0, kWordShownMax)) + (word.size() > kWordShownMax ? "..." : "");
}

std::string text_of(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace keystile::mcp
