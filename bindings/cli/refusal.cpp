// The library's statuses in words and exit codes.
#include <cstring>

#include <fmt/format.h>

#include "store.hpp"
#include "text.hpp"

namespace keystile::cli {

ExitCode exit_code_of(ks_status status) {
    switch (status) {
        case KS_OK:
            return ExitCode::ok;
        case KS_CONFLICT:
        case KS_E_EXISTS:
            return ExitCode::conflict;
        case KS_FENCED:
            return ExitCode::fenced;
        case KS_HELD:
        case KS_E_IN_USE:
        case KS_E_SEGMENT_LEFT:
            return ExitCode::held;
        case KS_NOT_FOUND:
            return ExitCode::not_found;
        case KS_TIMEOUT:
            return ExitCode::timeout;
        case KS_BUSY:
            return ExitCode::busy;
        case KS_FOREIGN_EDIT:
            return ExitCode::foreign;
        case KS_E_NO_STORE:
            return ExitCode::no_store;
        default:
            break;
    }
    if (status <= KS_E_CORRUPT) return ExitCode::unusable;
    return status < 0 && status > KS_E_SYSTEM ? ExitCode::usage : ExitCode::fault;
}

Failure fault(ks_status status, std::string_view what) {
    const std::string_view said = ks_last_error();
    const bool is_named = said.find(what) != std::string_view::npos;
    std::string message = is_named ? std::string(said) : fmt::format("{}: {}", what, said);
    switch (status) {
        case KS_E_IN_USE:
            message += "; `keystile stat` shows who";
            break;
        case KS_E_JOURNAL_CORRUPT:
            message += "; `keystile verify` tells every damage, `keystile repair` what can be kept";
            break;
        case KS_E_GRANT:
            message += "; a token works for the key and store it was given out for";
            break;
        default:
            break;
    }
    Json details{{"code", ks_status_name(status)}};
    if (const int number = ks_last_errno(); number != 0 && status <= KS_E_SYSTEM) details["errno"] = number;
    return {exit_code_of(status), std::move(message), std::move(details)};
}

Failure refusal(ks_status status, std::string_view key, const ks_receipt& receipt, bool has_grant) {
    const std::string name = escaped(key);
    if (status < 0) return fault(status, name);

    Json details;
    add_key(details, key);
    if (status != KS_NOT_FOUND) add_stamp(details, receipt.stamp);
    std::string message;
    switch (status) {
        case KS_CONFLICT:
            message = fmt::format("conflict: {} is at {} now; read it again, recompute, and try again", name,
                                  stamp_text(receipt.stamp));
            break;
        case KS_FENCED:
            message =
                has_grant
                    ? fmt::format("fenced: this claim of {} is over, it was released or taken away", name)
                    : fmt::format("fenced: {} was claimed by someone since it was read; read it again", name);
            break;
        case KS_HELD:
        case KS_TIMEOUT:
            details["owner"] = owner_json(receipt.owner);
            message = fmt::format("{}: {} is claimed by {}, {}", status == KS_HELD ? "held" : "timeout", name,
                                  owner_text(receipt.owner), lease_text(receipt.owner));
            break;
        case KS_NOT_FOUND:
            message = fmt::format("not found: {} has no value", name);
            break;
        case KS_FOREIGN_EDIT:
            message = fmt::format(
                "foreign edit: {} was changed by another program; "
                "`keystile files adopt` or `keystile files restore`",
                name);
            break;
        default:
            message = fmt::format("{}: {}", ks_status_name(status), name);
            break;
    }
    return {exit_code_of(status), std::move(message), std::move(details)};
}

}  // namespace keystile::cli
