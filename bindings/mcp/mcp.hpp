// The MCP server `keystile mcp`: agents read, write and claim files and state of one root by Model Context Protocol,
// over keystile.h alone. The folder's door.
//
// Threads: each function runs until its client is gone or a signal ends it, and takes SIGTERM and SIGINT meanwhile.
// A death at any instruction leaves what keystile.h says of a process that dies: a commit is done or not done, and a
// claim goes on until its lease is over, for it belongs to whoever has its token and not to this process.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace keystile::mcp {

// The root, its store or the address cannot be had; what() is a sentence. `status` is keystile.h's, or 0.
class Unusable : public std::runtime_error {
public:
    explicit Unusable(const std::string& sentence, int status = 0)
        : std::runtime_error(sentence), status_(status) {}
    int status() const { return status_; }

private:
    int status_;
};

struct HttpOptions {
    std::string host;                // to listen at; other than loopback only with a token
    uint16_t port = 0;               // 0: a free one, told on standard error
    std::string token;               // "Authorization: Bearer" of each request; empty: none is asked for
    std::vector<std::string> hosts;  // further names in a Host or Origin header that mean this server
};

// Messages on standard input and output, one a line. Returns at the end of the input or by a signal.
void serve_stdio(const std::string& root);

// Messages by POST to /mcp. Returns by a signal. Unusable if this program was built without HTTP.
void serve_http(const std::string& root, const HttpOptions& options);

}  // namespace keystile::mcp
