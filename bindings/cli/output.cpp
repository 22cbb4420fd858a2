#include "output.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

#include "quantity.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

void print_line(std::string_view line) {
    print_bytes(line);
    print_bytes("\n");
}

void print_json(std::string_view status, const Json& members) {
    Json object = Json::object();
    object["status"] = status;
    object.update(members);
    print_line(object.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string_view label_of(const ks_owner& owner) {
    return {owner.label, strnlen(owner.label, sizeof owner.label)};
}

void add_bytes(Json& object, std::string_view name, std::string_view encoding_name, std::string_view bytes,
               bool always) {
    const bool is_plain = is_text(bytes);
    object[name] = is_plain ? std::string(bytes) : to_base64(bytes);
    if (!is_plain || always) object[encoding_name] = is_plain ? "text" : "base64";
}

}  // namespace

void print_result(bool is_json, const Json& members, std::string_view human_line) {
    if (is_json) {
        print_json(name_of(ExitCode::ok), members);
    } else if (!human_line.empty()) {
        print_line(human_line);
    }
    flush_output();
}

void print_failure(bool is_json, const Failure& failure) {
    if (!is_json) {
        if (!failure.message.empty()) fmt::print(stderr, "keystile: {}\n", failure.message);
        return;
    }
    Json members{{"error", failure.message}};
    members.update(failure.details);
    print_json(name_of(failure.code), members);
    flush_output();
}

void print_bytes(std::string_view bytes) {
    if (fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size()) return;
    throw Failure{ExitCode::fault, fmt::format("cannot write to standard output: {}", strerror(errno))};
}

void flush_output() {
    if (fflush(stdout) == 0) return;
    throw Failure{ExitCode::fault, fmt::format("cannot write to standard output: {}", strerror(errno))};
}

void add_key(Json& object, std::string_view key) {
    add_bytes(object, "key", "key_encoding", key, false);
}
void add_value(Json& object, std::string_view value) {
    add_bytes(object, "value", "encoding", value, true);
}

void add_stamp(Json& object, ks_stamp stamp) {
    object["version"] = stamp.version;
    object["epoch"] = stamp.epoch;
}

Json owner_json(const ks_owner& owner) {
    Json object{{"label", label_of(owner)}, {"detached", owner.detached != 0}};
    object["pid"] = owner.detached != 0 ? Json() : Json(owner.pid);
    object["epoch"] = owner.epoch;
    object["lease_left_ns"] = owner.lease_left_ns == KS_FOREVER ? Json() : Json(owner.lease_left_ns);
    return object;
}

std::string owner_text(const ks_owner& owner) {
    if (owner.detached != 0) return "the holder of its token";
    return fmt::format("{} (pid {})", escaped(label_of(owner)), owner.pid);
}

std::string lease_text(const ks_owner& owner) {
    if (owner.lease_left_ns == KS_FOREVER) return "until it dies";
    if (owner.lease_left_ns == 0) return "lease over";
    return duration_text(owner.lease_left_ns) + " left";
}

std::string stamp_text(ks_stamp stamp) {
    return fmt::format("version={} epoch={}", stamp.version, stamp.epoch);
}

}  // namespace keystile::cli
