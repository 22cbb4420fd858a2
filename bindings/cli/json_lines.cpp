#include "json_lines.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "input.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

constexpr size_t kWordShownMax = 40;  // bytes of a stranger's word in a message

std::string shown_word(std::string_view name) {
    return escaped(name.substr(0, kWordShownMax)) + (name.size() > kWordShownMax ? "..." : "");
}

// The parser keeps the last of two members of one name; we keep neither.
class Duplicates {
public:
    explicit Duplicates(size_t line) : line_(line) {}

    bool operator()(int, Json::parse_event_t event, Json& parsed) {
        switch (event) {
            case Json::parse_event_t::object_start:
                names_.emplace_back();
                break;
            case Json::parse_event_t::object_end:
                names_.pop_back();
                break;
            case Json::parse_event_t::key:
                if (const auto& name = parsed.get_ref<const std::string&>();
                    !names_.back().insert(name).second) {
                    throw line_failure(line_, fmt::format("\"{}\" stands in it twice", shown_word(name)));
                }
                break;
            default:
                break;
        }
        return true;
    }

private:
    size_t line_;
    std::vector<std::set<std::string>> names_;  // of the objects we are in
};

struct CloseFile {
    void operator()(FILE* file) const {
        if (file != stdin) fclose(file);
    }
};

std::unique_ptr<FILE, CloseFile> open_input(const std::string& file) {
    if (is_standard_input(file)) {
        if (isatty(STDIN_FILENO) != 0)
            fmt::print(stderr, "keystile: reading JSON lines from the terminal, Ctrl-D ends them\n");
        return std::unique_ptr<FILE, CloseFile>(stdin);
    }
    std::unique_ptr<FILE, CloseFile> opened(fopen(file.c_str(), "rb"));
    if (!opened) throw Failure{ExitCode::usage, fmt::format("--file {}: {}", escaped(file), strerror(errno))};
    return opened;
}

}  // namespace

Failure line_failure(size_t line, std::string_view what) {
    return at_line(line, {ExitCode::usage, std::string(what)});
}

Failure at_line(size_t line, Failure failure) {
    failure.message.insert(0, fmt::format("line {}: ", line));
    failure.details["line"] = line;
    return failure;
}

JsonLine::JsonLine(size_t number, std::string_view text) : number_(number) {
    try {
        object_ = Json::parse(text, Duplicates(number));
    } catch (const Json::parse_error& error) {
        fail(fmt::format("no valid JSON, at byte {}", error.byte));
    }
    if (!object_.is_object()) fail("a JSON object is wanted");
}

void JsonLine::fail(std::string_view what) const {
    throw line_failure(number_, what);
}

const Json& JsonLine::take(std::string_view name) {
    const auto found = object_.find(name);
    if (found == object_.end()) fail(fmt::format("\"{}\" is missing", name));
    taken_.emplace(name);
    return *found;
}

std::string JsonLine::bytes(std::string_view name) {
    const Json& given = take(name);
    if (given.is_string()) return given.get<std::string>();
    const bool is_base64 = given.is_object() && given.size() == 1 && given.contains("base64");
    if (!is_base64 || !given["base64"].is_string()) {
        fail(fmt::format("\"{}\" must be a string or {{\"base64\": string}}", name));
    }
    std::optional<std::string> decoded = from_base64(given["base64"].get_ref<const std::string&>());
    if (!decoded) fail(fmt::format("\"{}\" is not base64", name));
    return *std::move(decoded);
}

std::string JsonLine::key(std::string_view name) {
    std::string key = bytes(name);
    if (key.empty() || key.size() > KS_KEY_SIZE_MAX) {
        fail(fmt::format("\"{}\": a key has 1 to {} bytes, this one has {}", name, KS_KEY_SIZE_MAX,
                         key.size()));
    }
    return key;
}

std::string JsonLine::value(std::string_view name) {
    std::string value = bytes(name);
    if (value.size() > KS_VALUE_SIZE_MAX) fail(fmt::format("\"{}\": a value has at most 16 MiB", name));
    return value;
}

std::string JsonLine::text(std::string_view name) {
    const Json& given = take(name);
    if (!given.is_string()) fail(fmt::format("\"{}\" must be a string", name));
    return given.get<std::string>();
}

bool JsonLine::flag(std::string_view name) {
    if (!has(name)) return false;
    const Json& given = take(name);
    if (!given.is_boolean()) fail(fmt::format("\"{}\" must be true or false", name));
    return given.get<bool>();
}

uint64_t JsonLine::whole_number(std::string_view name) {
    const Json& given = take(name);
    if (!given.is_number_unsigned()) fail(fmt::format("\"{}\" must be a whole number", name));
    return given.get<uint64_t>();
}

std::optional<ks_stamp> JsonLine::stamp() {
    if (!has("version") && !has("epoch")) return std::nullopt;
    return ks_stamp{whole_number("version"), whole_number("epoch")};
}

void JsonLine::end() const {
    for (const auto& [name, ignored] : object_.items()) {
        if (!taken_.contains(name)) fail(fmt::format("\"{}\" has no meaning here", shown_word(name)));
    }
}

void for_each_json_line(const std::string& file, const std::function<void(JsonLine&)>& visit) {
    const std::unique_ptr<FILE, CloseFile> input = open_input(file);
    char* memory = nullptr;
    size_t capacity = 0;
    const auto free_memory = [](char** at) { std::free(*at); };  // getline() moves it about
    const std::unique_ptr<char*, decltype(free_memory)> owner(&memory, free_memory);
    errno = 0;
    for (size_t number = 1;; ++number) {
        const ssize_t size = getline(&memory, &capacity, input.get());
        if (size < 0) break;
        const std::string_view line(memory, static_cast<size_t>(size));
        if (line.find_first_not_of(" \t\r\n") == std::string_view::npos) continue;
        JsonLine parsed(number, line);
        visit(parsed);
        errno = 0;
    }
    if (feof(input.get()) != 0) return;
    throw Failure{
        ExitCode::fault,
        fmt::format("{}: {}", input.get() == stdin ? "standard input" : escaped(file), strerror(errno))};
}

Json json_of_bytes(std::string_view bytes) {
    if (is_text(bytes)) return Json(bytes);
    return Json{{"base64", to_base64(bytes)}};
}

}  // namespace keystile::cli
