// JSON-RPC 2.0 as MCP uses it: what a message is, and the two kinds of answer.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace keystile::mcp {

using Json = nlohmann::ordered_json;

// A value of 16 MiB, each byte of which the sender escaped as \u00NN, and the rest of its message.
inline constexpr size_t kMessageSizeMax = 97 * 1024 * 1024;
inline constexpr int kDepthMax = 64;  // no message we know is deeper than ten; what prints JSON is recursive

enum class RpcCode : int {
    parse_error = -32700,
    invalid_request = -32600,
    method_not_found = -32601,
    invalid_params = -32602,
    internal_error = -32603,
    header_mismatch = -32020,
    unsupported_version = -32022,
};

// Thrown; becomes the error of an answer.
struct RpcError {
    RpcCode code;
    std::string message;
    Json data = nullptr;
};

// A request, or a notification (no id). Everything in it is a view into the message it was read from.
struct Message {
    const Json* id = nullptr;
    std::string_view method;
    const Json* params = nullptr;  // an object, if it is there

    const Json* find_param(std::string_view name) const;
};

Json parse(std::string_view text);          // RpcError: it is no JSON, or too deep
Message read_message(const Json& message);  // RpcError: it is no request and no notification
bool is_response(const Json& message);      // an answer to a question we never asked

// The id of what may be no message at all, for the error about it; null if it has none that is one.
Json id_in(const Json& message);

Json result_message(const Json& id, Json result);
Json error_message(const Json& id, const RpcError& error);

// A stranger's word, in a sentence about it.
std::string shown(std::string_view word);

// One line.
std::string text_of(const Json& json);

}  // namespace keystile::mcp
