// Run a command under a detached claim: renewed while it runs, the command stopped when the claim is
// lost.
//
// The command is a process group of its own. If standard input and output are the terminal of this
// foreground job, the group gets the terminal, and is given up again when the command is stopped by it
// (Ctrl-Z) or ends. While this process is stopped nothing is renewed: somebody may take the claim, and
// the first renewal afterwards says so. Death of this process: the kernel kills the command with it
// (SIGKILL, PR_SET_PDEATHSIG; not what the command started itself), and the claim ends with its lease.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "keystile.h"
#include "process.hpp"

namespace keystile::cli {

struct RunEnd {
    int wait_status = 0;     // of the command
    ks_status lost = KS_OK;  // why the claim was lost, KS_FENCED or a fault; KS_OK: it held, and is released
    bool was_stopped = false;  // the command was running when the loss was noticed
    ks_receipt receipt{};      // of the release, or of the renewal that failed
};

// A Failure if there is no such command or no process to be had: exit codes 127 and 126 are the wait
// status then.
RunEnd run_under_claim(ks_session* session, const ks_grant& grant, uint64_t lease_ns, uint64_t grace_ns,
                       const std::vector<std::string>& cmd, Environment& environment);

}  // namespace keystile::cli
