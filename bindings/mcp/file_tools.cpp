#include "outcome.hpp"
#include "target.hpp"
#include "tools.hpp"

namespace keystile::mcp {

bool is_reserved(std::string_view) {
    return false;
}
Target file_target(const Workspace&, Arguments&) {
    throw InvalidArguments{"no files yet"};
}
void add_named(Json& object, std::string_view store_key) {
    add_key(object, store_key);
}
void add_file_tools(std::vector<Tool>&) {}

}  // namespace keystile::mcp
