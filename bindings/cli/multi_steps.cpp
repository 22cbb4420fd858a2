#include "multi_steps.hpp"

#include <unordered_map>

#include <fmt/format.h>

#include "json_lines.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

using Kind = Step::Kind;

Kind kind_of(const JsonLine& line) {
    const int verbs = int{line.has("put")} + int{line.has("expect")} + int{line.has("delete")};
    if (verbs > 1) line.fail("\"put\", \"expect\" and \"delete\" exclude one another");
    if (line.has("put")) return Kind::put;
    if (line.has("expect")) return Kind::expect;
    if (line.has("delete")) return Kind::erase;
    if (line.has("release")) return Kind::release;
    line.fail("what is to be done? \"put\", \"expect\", \"delete\" or \"release\", with the key");
}

Step step_of(JsonLine& line) {
    Step step{kind_of(line), line.number(), {}, {}, {}, {}};
    switch (step.kind) {
        case Kind::put:
            step.key = line.key("put");
            step.value = line.value("value");
            break;
        case Kind::expect:
            step.key = line.key("expect");
            break;
        case Kind::erase:
            step.key = line.key("delete");
            break;
        case Kind::release:
            step.key = line.key("release");
            step.gives_back = true;
            break;
    }
    const bool is_write = step.kind == Kind::put || step.kind == Kind::erase;
    if (is_write || step.kind == Kind::expect) step.seen = line.stamp();
    if (is_write) step.gives_back = line.flag("release");
    if ((is_write && line.has("claim")) || step.kind == Kind::release) step.token = line.text("claim");
    line.end();
    if (step.kind == Kind::expect && !step.seen) line.fail("\"version\" and \"epoch\" are missing");
    if (step.gives_back && step.token.empty())
        line.fail("\"release\" gives a claim back: it needs its \"claim\"");
    return step;
}

// The lines in which a key was written, and its stamp said; 0: not yet.
struct Mention {
    size_t written = 0;
    size_t expected = 0;
};

void note(const Step& step, Mention& mention) {
    if (step.kind != Kind::expect) {
        if (mention.written != 0) {
            throw line_failure(step.line,
                               fmt::format("{} is written in line {} already: a key is written once",
                                           escaped(step.key), mention.written));
        }
        mention.written = step.line;
    }
    if (step.seen) {
        if (mention.expected != 0) {
            throw line_failure(step.line, fmt::format("line {} says already what {} is expected to be at",
                                                      mention.expected, escaped(step.key)));
        }
        mention.expected = step.line;
    }
}

}  // namespace

std::string_view name_of(Kind kind) {
    switch (kind) {
        case Kind::put:
            return "put";
        case Kind::expect:
            return "expect";
        case Kind::erase:
            return "delete";
        case Kind::release:
            return "release";
    }
    return "put";
}

std::vector<Step> read_steps(const std::string& file) {
    std::vector<Step> steps;
    std::unordered_map<std::string, Mention> mentions;
    for_each_json_line(file, [&](JsonLine& line) {
        Step step = step_of(line);
        note(step, mentions[step.key]);
        if (mentions.size() > KS_MULTI_KEYS_MAX) {
            line.fail(fmt::format("one commit takes {} keys, this is one more", KS_MULTI_KEYS_MAX));
        }
        steps.push_back(std::move(step));
    });
    return steps;
}

}  // namespace keystile::cli
