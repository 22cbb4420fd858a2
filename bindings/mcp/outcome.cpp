#include "outcome.hpp"

#include <cstring>

#include <fmt/format.h>

#include "arguments.hpp"
#include "text.hpp"

namespace keystile::mcp {
namespace {

constexpr uint64_t kNsPerMs = 1'000'000;

std::string_view label_of(const ks_owner& owner) {
    return {owner.label, strnlen(owner.label, sizeof owner.label)};
}

std::string held_sentence(std::string_view what, const ks_owner& owner) {
    const std::string who = owner.detached != 0
                                ? std::string("whoever has its token")
                                : fmt::format("{} (pid {})", cli::escaped(label_of(owner)), owner.pid);
    if (owner.lease_left_ns == KS_FOREVER)
        return fmt::format("{} is claimed by {}, until that ends", what, who);
    return fmt::format("{} is claimed by {}, for {} ms more unless renewed", what, who,
                       owner.lease_left_ns / kNsPerMs);
}

}  // namespace

Json ok() {
    return Json{{"status", "ok"}};
}

void add_stamp(Json& outcome, ks_stamp stamp) {
    outcome["version"] = digits_of(stamp.version);
    outcome["epoch"] = digits_of(stamp.epoch);
}

void add_bytes(Json& outcome, std::string_view name, std::string_view bytes) {
    const bool is_plain = cli::is_text(bytes);
    outcome[name] = is_plain ? std::string(bytes) : cli::to_base64(bytes);
    outcome["encoding"] = is_plain ? "text" : "base64";
}

void add_name(Json& outcome, const std::string& member, std::string_view name) {
    const bool is_plain = cli::is_text(name);
    outcome[member] = is_plain ? std::string(name) : cli::to_base64(name);
    if (!is_plain) outcome[member + "_encoding"] = "base64";
}

void add_owner(Json& outcome, const ks_owner& owner) {
    Json who{{"label",
              owner.detached != 0 ? std::string("(whoever has the token)") : cli::escaped(label_of(owner))},
             {"detached", owner.detached != 0}};
    if (owner.detached == 0) who["pid"] = owner.pid;
    outcome["owner"] = std::move(who);
    if (owner.lease_left_ns != KS_FOREVER) outcome["lease_left_ms"] = owner.lease_left_ns / kNsPerMs;
}

Json refusal(std::string_view status, bool is_retryable, std::string_view recover, std::string_view message) {
    return Json{{"status", status}, {"message", message}, {"retryable", is_retryable}, {"recover", recover}};
}

Json refusal_of(ks_status status, std::string_view what, const ks_receipt& receipt, bool has_grant) {
    const std::string name = cli::escaped(what);
    Json outcome;
    switch (status) {
        case KS_CONFLICT:
            outcome = refusal("conflict", true, "read_again",
                              fmt::format("{} was changed since it was read", name));
            break;
        case KS_FENCED:
            if (has_grant) {
                outcome = refusal(
                    "fenced", false, "stop",
                    fmt::format("this claim of {} is over: released, or its lease ran out and another took "
                                "it. What was done under it must not go on",
                                name));
            } else {
                outcome = refusal("fenced", true, "read_again",
                                  fmt::format("{} was claimed by someone since it was read", name));
            }
            break;
        case KS_HELD:
        case KS_TIMEOUT:
            outcome = refusal("held", true, "wait", held_sentence(name, receipt.owner));
            break;
        case KS_FOREIGN_EDIT:
            outcome =
                refusal("foreign_edit", true, "read_again",
                        fmt::format("{} was written or removed by a program that does not use Keystile. "
                                    "read_file with adopt true{} takes what is on disk as its newest version",
                                    name, has_grant ? " and your claim" : ""));
            break;
        case KS_BUSY:
            return refusal("busy", true, "wait", fmt::format("{}: others kept changing it; ask again", name));
        default:
            outcome = fault_of(status, what);
            if (receipt.stamp.version == 0 && receipt.stamp.epoch == 0) return outcome;
            outcome["message"] = fmt::format(
                "committed as version={}, epoch={}, but not known to be on disk: {}", receipt.stamp.version,
                receipt.stamp.epoch, outcome["message"].get_ref<const std::string&>());
    }
    add_stamp(outcome, receipt.stamp);
    if (status == KS_HELD || status == KS_TIMEOUT) add_owner(outcome, receipt.owner);
    return outcome;
}

Json fault_of(ks_status status, std::string_view what) {
    const std::string said = cli::escaped(ks_last_error());
    Json outcome = status < 0 && status > KS_E_SYSTEM
                       ? refusal("invalid_arguments", true, "fix_arguments", "")
                       : refusal("fault", false, "stop", "");
    outcome["message"] = fmt::format("{}: {}", cli::escaped(what), said);
    outcome["code"] = ks_status_name(status);
    return outcome;
}

}  // namespace keystile::mcp
