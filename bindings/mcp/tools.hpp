// The tools: what a client is told of them, and what they do.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "arguments.hpp"
#include "json_rpc.hpp"
#include "workspace.hpp"

namespace keystile::mcp {

// Has the client lost interest? Asked by a tool that waits.
using Stop = std::function<bool()>;
struct Cancelled {};  // thrown then: nothing is answered, and nothing is left done

struct Call {
    const Workspace& workspace;
    Arguments arguments;
    const Stop& stop;
};

struct Tool {
    const char* name;
    const char* title;
    const char* description;
    Json input;               // JSON schema of the arguments
    Json output;              // and of the outcome, refusals among them
    Json annotations;         // hints to whoever asks a person for permission
    Json (*run)(Call& call);  // an outcome (outcome.hpp), or InvalidArguments
};

const std::vector<Tool>& all_tools();  // in the order they are listed, always the same
const Tool* find_tool(std::string_view name);

// Would this call sleep? Then the transport gives it a thread.
bool may_wait(const Tool& tool, const Json* arguments);

// By file.
void add_file_tools(std::vector<Tool>& tools);
void add_listing_tools(std::vector<Tool>& tools);
void add_state_tools(std::vector<Tool>& tools);
void add_claim_tools(std::vector<Tool>& tools);
void add_gate_tool(std::vector<Tool>& tools);
void add_status_tool(std::vector<Tool>& tools);

}  // namespace keystile::mcp
