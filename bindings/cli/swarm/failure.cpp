#include "swarm/failure.hpp"

#include <fmt/format.h>

#include <cstring>

namespace keystile::cli::swarm {
namespace {

ExitCode code_of(ks_status status) {
    if (status == KS_E_NO_STORE) {
        return ExitCode::no_store;
    }
    if (status == KS_E_URL) {
        return ExitCode::usage;
    }
    return status <= KS_E_CORRUPT ? ExitCode::unusable : ExitCode::fault;
}

}  // namespace

ks_status answer_of(ks_status status, const char* call) {
    if (status >= 0) {
        return status;
    }
    std::string sentence = fmt::format("{}: {}: {}", call, ks_status_name(status), ks_last_error());
    if (const int code = ks_last_errno(); code != 0) {
        sentence += fmt::format(" ({})", std::strerror(code));
    }
    throw Failure(code_of(status), sentence);
}

}  // namespace keystile::cli::swarm
