// The transport of HTTP: each message a POST to /mcp, answered with one JSON object. No streams, no sessions.
//
// Who may ask: a browser that was lured to a page whose name was bound anew to 127.0.0.1 sends a Host (and an Origin)
// that is not ours: 403. Whoever else reaches the port may do all that the tools do; on a machine of several people,
// and always when others than this machine can reach it, a token is asked for.
#include <httplib.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <memory>
#include <semaphore>
#include <string>
#include <string_view>
#include <thread>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "json_rpc.hpp"
#include "mcp.hpp"
#include "server.hpp"
#include "signals.hpp"
#include "text.hpp"
#include "workspace.hpp"

namespace keystile::mcp {
namespace {

constexpr const char* kPath = "/mcp";
constexpr const char* kJsonType = "application/json";
constexpr size_t kThreads = 64;  // each connection that is open keeps one
// Calls that wait at once. The other threads are for those who can end the wait.
constexpr std::ptrdiff_t kPlaces = 32;
constexpr time_t kIdleSeconds = 5;             // until the next byte of a request
constexpr std::chrono::seconds kBodyTime{60};  // until its last one, however they drip
constexpr int kBadRequest = 400, kUnauthorized = 401, kForbidden = 403, kNotFound = 404, kNotAllowed = 405,
              kNotAcceptable = 406, kUnsupportedType = 415, kAccepted = 202, kOk = 200;

std::string lower(std::string_view text) {
    std::string lowered(text);
    std::transform(lowered.begin(), lowered.end(), lowered.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    return lowered;
}

// "name:port", "[address]:port" without the port.
std::string host_of(std::string_view authority) {
    const size_t end = authority.starts_with('[') ? authority.find(']') : authority.find(':');
    if (end == std::string_view::npos) return lower(authority);
    return lower(authority.substr(0, authority.starts_with('[') ? end + 1 : end));
}

bool is_loopback(const std::string& host) {
    in_addr address{};
    if (inet_pton(AF_INET, host.c_str(), &address) == 1) return ntohl(address.s_addr) >> 24 == 127;
    return host == "::1" || host == "localhost";
}

// Time that does not tell how much of it was right.
bool is_same_secret(std::string_view left, std::string_view right) {
    unsigned difference = left.size() == right.size() ? 0 : 1;
    for (size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
        difference |= static_cast<unsigned>(left[i] ^ right[i]);
    }
    return difference == 0;
}

class Doorkeeper {
public:
    explicit Doorkeeper(const HttpOptions& options) : token_(options.token) {
        hosts_ = {"127.0.0.1", "localhost", "[::1]"};
        const bool is_v6 = options.host.find(':') != std::string::npos;
        hosts_.push_back(lower(is_v6 ? "[" + options.host + "]" : options.host));
        for (const std::string& name : options.hosts) hosts_.push_back(lower(name));
    }

    // 0: come in.
    int refuse(const httplib::Request& request) const {
        if (!is_ours(host_of(request.get_header_value("Host")))) return kForbidden;
        if (request.has_header("Origin") && !is_our_origin(request.get_header_value("Origin")))
            return kForbidden;
        if (token_.empty()) return 0;
        const std::string given = request.get_header_value("Authorization");
        return is_same_secret(given, "Bearer " + token_) ? 0 : kUnauthorized;
    }

private:
    bool is_ours(const std::string& host) const {
        return std::find(hosts_.begin(), hosts_.end(), host) != hosts_.end();
    }
    bool is_our_origin(std::string_view origin) const {
        for (const std::string_view scheme : {"http://", "https://"}) {
            if (origin.starts_with(scheme)) return is_ours(host_of(origin.substr(scheme.size())));
        }
        return false;
    }

    std::string token_;
    std::vector<std::string> hosts_;
};

std::optional<std::string> only_value(const httplib::Request& request, const char* name) {
    if (request.get_header_value_count(name) != 1) return std::nullopt;
    return request.get_header_value(name);
}

// A name that HTTP cannot carry as it is comes as =?base64?...?=.
std::optional<std::string> decoded(const std::string& value) {
    constexpr std::string_view kBegin = "=?base64?", kEnd = "?=";
    if (!value.starts_with(kBegin) || !value.ends_with(kEnd) || value.size() < kBegin.size() + kEnd.size())
        return value;
    const std::string_view inner = value;
    return cli::from_base64(inner.substr(kBegin.size(), value.size() - kBegin.size() - kEnd.size()));
}

void demand_header(const httplib::Request& request, const char* name, const std::string& body) {
    const std::optional<std::string> given = only_value(request, name);
    const std::string_view header = name;
    const std::optional<std::string> value = given && header == "Mcp-Name" ? decoded(*given) : given;
    if (value == body) return;
    throw RpcError{RpcCode::header_mismatch,
                   given ? fmt::format("Header mismatch: {} is not what the body says", name)
                         : fmt::format("Header mismatch: {} must be there, once", name)};
}

// A stateless revision's headers repeat the body, so that what stands between us can route by them: both must agree.
void check_headers(const httplib::Request& request, const Message& message, const Json& named) {
    demand_header(request, "MCP-Protocol-Version",
                  named.is_string() ? named.get_ref<const std::string&>() : "");
    demand_header(request, "Mcp-Method", std::string(message.method));
    if (message.method != "tools/call") return;
    const Json* const name = message.find_param("name");
    if (name != nullptr && name->is_string())
        demand_header(request, "Mcp-Name", name->get_ref<const std::string&>());
}

// What this message's revision is: its own word for it, else the header's, else the last one that had none.
bool settle_revision(const httplib::Request& request, const Json& json, Peer& peer) {
    const bool has_header = request.has_header("MCP-Protocol-Version");
    const std::string header = request.get_header_value("MCP-Protocol-Version");
    const std::optional<Revision> told = has_header ? revision_named(header) : Revision::v2025_03_26;
    if (json.is_object() && !is_response(json)) {
        const Message message = read_message(json);
        if (const Json* const named = named_revision(message)) {
            if (message.id != nullptr) check_headers(request, message, *named);
            return true;
        }
    }
    if (!told) throw unsupported_revision(header);
    peer.revision = told;  // of a stateless one the server will miss the message's own word
    return is_stateless(*told);
}

int http_status_of(const Json& answer, bool is_stateless_call) {
    if (!answer.is_object() || !answer.contains("error")) return kOk;
    const int code = answer["error"]["code"].get<int>();
    if (is_stateless_call && code == static_cast<int>(RpcCode::method_not_found)) return kNotFound;
    const bool is_early = code == static_cast<int>(RpcCode::unsupported_version) ||
                          code == static_cast<int>(RpcCode::header_mismatch) ||
                          code == static_cast<int>(RpcCode::parse_error);
    return is_stateless_call || is_early ? kBadRequest : kOk;
}

void reply(httplib::Response& response, const std::optional<Json>& answer, bool is_stateless_call) {
    if (!answer) {
        response.status = kAccepted;
        return;
    }
    response.status = http_status_of(*answer, is_stateless_call);
    response.set_content(text_of(*answer), kJsonType);
}

using Places = std::counting_semaphore<kPlaces>;
using Place = std::shared_ptr<Places>;  // one of them taken, and given back by the last owner

// Empty: all are taken.
Place take_place(Places& places) {
    if (!places.try_acquire()) return nullptr;
    return {&places, [](Places* taken) { taken->release(); }};
}

// The answer to a call that waits. It is made while the response is being sent, for only then can be seen whether
// somebody still waits for it: a client that hangs up cancels it.
void reply_later(httplib::Response& response, const Server& server, Json json, const Peer& peer,
                 Place place) {
    response.set_chunked_content_provider(kJsonType, [&server, peer, place = std::move(place),
                                                      message = std::make_shared<Json>(std::move(json))](
                                                         size_t, httplib::DataSink& sink) {
        Peer own = peer;
        const std::optional<Json> answer = server.answer(*message, own, [&] { return !sink.is_writable(); });
        if (!answer) return false;
        const std::string text = text_of(*answer);
        if (!sink.write(text.data(), text.size())) return false;
        sink.done();
        return true;
    });
}

// "Application/JSON; charset=utf-8" is "application/json".
std::string media_type(std::string_view header) {
    header = header.substr(0, header.find(';'));
    const size_t begin = header.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return "";
    return lower(header.substr(begin, header.find_last_not_of(" \t") + 1 - begin));
}

// Without a header, everything is taken.
bool takes_json(const httplib::Request& request) {
    const size_t count = request.get_header_value_count("Accept");
    bool is_any = false;
    for (size_t i = 0; i < count; ++i) {
        const std::string header = request.get_header_value("Accept", i);
        for (std::string_view left = header; !left.empty();) {
            const size_t comma = left.find(',');
            const std::string type = media_type(left.substr(0, comma));
            if (type == kJsonType || type == "application/*" || type == "*/*") return true;
            is_any = is_any || !type.empty();
            left.remove_prefix(comma == std::string_view::npos ? left.size() : comma + 1);
        }
    }
    return !is_any;
}

// False: it did not come whole in time; httplib has said so.
bool read_body(const httplib::ContentReader& reader, std::string& body) {
    const auto deadline = std::chrono::steady_clock::now() + kBodyTime;
    return reader([&](const char* bytes, size_t size) {
        body.append(bytes, size);
        return std::chrono::steady_clock::now() < deadline;
    });
}

void take_post(const Server& server, Places& places, const httplib::Request& request, const std::string& body,
               httplib::Response& response) {
    if (media_type(request.get_header_value("Content-Type")) != kJsonType) {
        response.status = kUnsupportedType;
        return;
    }
    if (!takes_json(request)) {
        response.status = kNotAcceptable;
        return;
    }
    Json json;
    bool is_stateless_call = true;
    try {
        json = parse(body);
        Peer peer;
        is_stateless_call = settle_revision(request, json, peer);
        if (may_wait(json)) {
            if (Place place = take_place(places))
                return reply_later(response, server, std::move(json), peer, std::move(place));
            wait_no_longer(json);
        }
        reply(response, server.answer(json, peer), is_stateless_call);
    } catch (const RpcError& error) {
        reply(response, error_message(id_in(json), error), is_stateless_call);
    }
}

void add_routes(httplib::Server& http, const Server& server, Places& places, const Doorkeeper& doorkeeper) {
    http.set_pre_routing_handler([&doorkeeper](const httplib::Request& request, httplib::Response& response) {
        response.status = doorkeeper.refuse(request);
        if (response.status == kUnauthorized) response.set_header("WWW-Authenticate", "Bearer");
        if (response.status != 0) return httplib::Server::HandlerResponse::Handled;
        response.status = -1;  // httplib's "not yet"
        return httplib::Server::HandlerResponse::Unhandled;
    });
    http.Post(kPath, [&](const httplib::Request& request, httplib::Response& response,
                         const httplib::ContentReader& reader) {
        std::string body;
        if (read_body(reader, body)) take_post(server, places, request, body, response);
    });
    const auto refuse = [](const httplib::Request&, httplib::Response& response) {
        response.status = kNotAllowed;
        response.set_header("Allow", "POST");
    };
    http.Get(kPath, refuse);
    http.Delete(kPath, refuse);
    http.Put(kPath, refuse);
    http.Patch(kPath, refuse);
    http.Options(kPath, refuse);
}

// A port that was in use a moment ago may be had; one that is in use may not. httplib's own options (SO_REUSEPORT)
// would let a second server share it, and each client meet either.
void listen_alone(socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
}

}  // namespace

void serve_http(const std::string& root, const HttpOptions& options) {
    if (!is_loopback(options.host) && options.token.empty()) {
        throw Unusable(fmt::format(
            "--http {}: others than this machine can reach it, so a token is needed: --token-file",
            cli::escaped(options.host)));
    }
    const EndSignals signals;
    const Workspace workspace(root);
    const Server server(workspace);
    const Doorkeeper doorkeeper(options);
    Places places(kPlaces);  // outlives the threads of `http`
    httplib::Server http;
    http.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    http.set_payload_max_length(kMessageSizeMax);
    http.set_tcp_nodelay(true);
    // What a refused request still had to say would be read as the next one, and a body is what a web page may choose,
    // Host and all: so a connection is good for one request.
    http.set_keep_alive_max_count(1);
    http.set_socket_options(listen_alone);
    http.set_keep_alive_timeout(kIdleSeconds);
    http.set_read_timeout(kIdleSeconds);
    add_routes(http, server, places, doorkeeper);

    int port = options.port;
    const bool is_bound =
        port != 0 ? http.bind_to_port(options.host, port) : (port = http.bind_to_any_port(options.host)) > 0;
    if (!is_bound) {
        throw Unusable(fmt::format(
            "--http: cannot listen at {}:{}: it is no address of this machine, or another server has it",
            cli::escaped(options.host), options.port));
    }
    const bool is_v6 = options.host.find(':') != std::string::npos;
    fmt::print(stderr, "keystile: MCP at http://{}{}{}:{}{}\n", is_v6 ? "[" : "", options.host,
               is_v6 ? "]" : "", port, kPath);
    std::jthread ends([&] {
        signals.wait();
        http.stop();
    });
    http.listen_after_bind();
}

}  // namespace keystile::mcp
