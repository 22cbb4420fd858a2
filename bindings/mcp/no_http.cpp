// In the place of http.cpp where cpp-httplib was not found.
#include "mcp.hpp"

namespace keystile::mcp {

void serve_http(const std::string&, const HttpOptions&) {
    throw Unusable(
        "--http: this keystile was built without cpp-httplib (Debian: libcpp-httplib-dev); stdio works");
}

}  // namespace keystile::mcp
