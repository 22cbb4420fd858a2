#include "schema.hpp"

namespace keystile::mcp::schema {
namespace {

constexpr uint64_t kLeaseSecondsMax = 86'400;
constexpr const char* kDigits = "^[0-9]{1,20}$";

Json digits(const char* description) {
    return Json{{"type", "string"}, {"pattern", kDigits}, {"description", description}};
}

Json one_of(std::initializer_list<const char*> words, const char* description) {
    return Json{{"type", "string"}, {"enum", Json(words)}, {"description", description}};
}

Json annotations(bool is_read_only, bool is_destructive, bool is_idempotent) {
    return Json{{"readOnlyHint", is_read_only},
                {"destructiveHint", is_destructive},
                {"idempotentHint", is_idempotent},
                {"openWorldHint", false}};
}

}  // namespace

Json text(const char* description) {
    return Json{{"type", "string"}, {"description", description}};
}

Json flag(const char* description) {
    return Json{{"type", "boolean"}, {"description", description}};
}

Json number(const char* description, uint64_t least, uint64_t most) {
    return Json{{"type", "integer"}, {"minimum", least}, {"maximum", most}, {"description", description}};
}

Json list(Json items, const char* description, uint64_t items_max) {
    return Json{{"type", "array"},
                {"items", std::move(items)},
                {"maxItems", items_max},
                {"description", description}};
}

Json key() {
    return Json{{"type", "string"},
                {"minLength", 1},
                {"maxLength", 1024},
                {"description", "Name of a piece of state, e.g. \"plan\" or \"jobs/7\". 1 to 1024 bytes."}};
}

Json path() {
    return Json{{"type", "string"},
                {"minLength", 1},
                {"description", "Path below the root, with forward slashes, e.g. \"src/main.py\"."}};
}

Json version() {
    return digits(
        "\"version\" exactly as the last read of this returned it (\"0\" creates what never existed).");
}

Json epoch() {
    return digits("\"epoch\" exactly as the same read returned it.");
}

Json encoding() {
    return one_of({"text", "base64"},
                  "How the content is written: \"text\" (UTF-8, the default) or \"base64\".");
}

Json claim_token() {
    return text(
        "Token from `claim` or `gate`, if you hold the claim. Without one, a claimed target refuses (held).");
}

Json lease_seconds() {
    return number("How long the claim lasts unless renewed; then anyone may take it. Default 60.", 1,
                  kLeaseSecondsMax);
}

Json object(std::initializer_list<Property> properties, std::initializer_list<const char*> required) {
    Json schema{{"type", "object"}, {"properties", Json::object()}};
    for (const auto& [name, property] : properties) schema["properties"][name] = property;
    if (required.size() != 0) schema["required"] = Json(required);
    schema["additionalProperties"] = false;
    return schema;
}

Json outcome(std::initializer_list<Property> properties) {
    Json schema = object(
        {
            {"status", one_of({"ok", "conflict", "fenced", "held", "foreign_edit", "not_found", "busy",
                               "no_match", "invalid_arguments", "fault"},
                              "\"ok\", or why nothing was done.")},
            {"message", text("What happened, in a sentence.")},
            {"retryable", flag("May the same be tried again, after what `recover` says?")},
            {"recover", one_of({"read_again", "wait", "stop", "fix_arguments"},
                               "What to do next: read again and compute anew from what you read; wait and "
                               "call again; stop, this "
                               "work must not go on; mend the call.")},
            {"version", digits("Version now. Give it back, with the epoch, when you write.")},
            {"epoch",
             digits(
                 "Epoch now; odd while it is claimed. Never falls: other systems may fence by it. (What was "
                 "never written is read as \"0\", also after a claim of it.)")},
            {"owner", object({{"label", text("Who holds the claim.")},
                              {"detached", flag("Held by whoever has the token, not by a process.")},
                              {"pid", Json{{"type", "integer"}}}},
                             {"label", "detached"})},
            {"lease_left_ms",
             Json{{"type", "integer"}, {"minimum", 0}, {"description", "Until the claim may be taken."}}},
            {"code", text("Keystile's name of a fault.")},
        },
        {"status"});
    for (const auto& [name, property] : properties) schema["properties"][name] = property;
    return schema;
}

Json reads() {
    return annotations(true, false, true);
}

Json writes(bool is_destructive, bool is_idempotent) {
    return annotations(false, is_destructive, is_idempotent);
}

}  // namespace keystile::mcp::schema
