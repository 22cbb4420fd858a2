// The one exception here: a sentence for the user and the exit code. Nothing escapes the command.
#pragma once

#include <keystile.h>

#include <stdexcept>
#include <string>

#include "exit_code.hpp"

namespace keystile::cli::swarm {

class Failure : public std::runtime_error {
public:
    Failure(ExitCode code, const std::string& sentence) : std::runtime_error(sentence), code_(code) {}
    ExitCode code() const { return code_; }

private:
    ExitCode code_;
};

// A fault of the engine (status < 0) as a Failure that names the call. Returns answers (status >= 0)
// unchanged.
ks_status answer_of(ks_status status, const char* call);

}  // namespace keystile::cli::swarm
