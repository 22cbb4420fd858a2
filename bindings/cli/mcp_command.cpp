// keystile mcp
#include <sys/stat.h>

#include <charconv>
#include <cstring>
#include <fstream>

#include <fmt/format.h>

#include "commands.hpp"
#include "mcp.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kMcpExamples =
    R"(Serves a folder by Model Context Protocol: agents read and write its files and shared state, and
nobody overwrites what he has not seen. Messages come on standard input, answers go to standard
output; it ends with its input, or by SIGTERM. Start one for each client, all on one root.

With --http it serves any number of clients by POST to /mcp. Whoever reaches the port may write the
files: on a machine of several people give it a --token-file; other addresses than loopback need
one, and the names they are called by (--allow-host).

Examples:
  keystile mcp --root ~/project
  keystile mcp --root ~/project --http 127.0.0.1:8808
  keystile mcp --root /srv/team --http 0.0.0.0:8808 --token-file /etc/keystile.token --allow-host team.example
  {"mcpServers": {"keystile": {"command": "keystile", "args": ["mcp", "--root", "/srv/project"]}}})";

constexpr size_t kTokenSizeMin = 16;

struct McpOptions {
    std::string root;
    std::string http;
    std::string token_file;
    std::vector<std::string> hosts;
};

Failure mcp_usage(std::string message) {
    return {ExitCode::usage, std::move(message)};
}

// ADDRESS:PORT or [ADDRESS]:PORT.
void read_address(const std::string& text, mcp::HttpOptions& options) {
    const size_t colon = text.rfind(':');
    std::string_view host = std::string_view(text).substr(0, colon == std::string::npos ? 0 : colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    const char* const end = text.data() + text.size();
    const auto [stop, error] =
        std::from_chars(text.data() + std::min(colon, text.size() - 1) + 1, end, options.port);
    if (host.empty() || stop != end || error != std::errc{}) {
        throw mcp_usage(fmt::format("--http: '{}' is not ADDRESS:PORT, like 127.0.0.1:8808", escaped(text)));
    }
    options.host = host;
}

std::string read_token(const std::string& file) {
    std::ifstream input(file);
    std::string token;
    std::getline(input, token);
    if (token.ends_with('\r')) token.pop_back();
    if (!input && token.empty()) {
        throw mcp_usage(fmt::format("--token-file {}: there is no line in it", escaped(file)));
    }
    if (token.size() < kTokenSizeMin) {
        throw mcp_usage(
            fmt::format("--token-file {}: a token has {} characters or more", escaped(file), kTokenSizeMin));
    }
    return token;
}

void serve(const McpOptions& options) {
    const bool is_http = !options.http.empty();
    if (!is_http && (!options.token_file.empty() || !options.hosts.empty())) {
        throw mcp_usage("--token-file and --allow-host are of --http");
    }
    try {
        if (!is_http) return mcp::serve_stdio(options.root);
        mcp::HttpOptions http;
        read_address(options.http, http);
        if (!options.token_file.empty()) http.token = read_token(options.token_file);
        http.hosts = options.hosts;
        mcp::serve_http(options.root, http);
    } catch (const mcp::Unusable& unusable) {
        const auto status = static_cast<ks_status>(unusable.status());
        throw Failure{status == KS_OK ? ExitCode::usage : exit_code_of(status), unusable.what()};
    }
}

}  // namespace

void add_mcp_command(CLI::App& app) {
    CLI::App* const command = app.add_subcommand("mcp", "Serve a folder to agents by Model Context Protocol");
    const auto options = std::make_shared<McpOptions>();
    command->add_option("--root", options->root, "The folder; its store lies in its .keystile")
        ->type_name("DIR")
        ->required();
    command->add_option("--http", options->http, "Serve by HTTP here, not on standard input")
        ->type_name("ADDRESS:PORT");
    command->add_option("--token-file", options->token_file, "Its first line is the bearer token to be sent")
        ->type_name("FILE");
    command
        ->add_option("--allow-host", options->hosts,
                     "A further name in Host and Origin that means this server")
        ->type_name("NAME");
    command->footer(kMcpExamples);
    command->callback([options] { serve(*options); });
}

}  // namespace keystile::cli
