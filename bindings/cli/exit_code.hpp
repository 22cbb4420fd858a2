// What the command tells the script that ran it. Numbers are for good: scripts branch on them.
//
// Below 10 nothing is used, because CMD of `claim KEY -- CMD` and the shell use those; 64, 65, 66 and
// 70 are what sysexits.h says. 126, 127 and 128+n keep the meaning every shell gives them.
#pragma once

#include <string_view>

namespace keystile::cli {

enum class ExitCode : int {
    ok = 0,
    conflict = 10,  // the version moved: read again, recompute, commit again. `create --exclusive`: it exists
    fenced = 11,    // the epoch moved: the claim, or the read, is from before someone else's ownership
    held =
        12,  // someone's live claim. `destroy`, `repair`: live processes are attached, or the segment is left
    not_found = 13,  // the key has no value
    timeout = 14,    // the time given ran out
    busy = 15,       // all tries were lost to others
    aborted = 16,    // CMD of `put --update` failed; nothing was committed
    lagged = 17,     // the history that was asked for is gone: checkpoints replaced it
    foreign = 18,    // `files`: another program wrote the file
    usage = 64,      // the command line is wrong
    unusable = 65,   // the store is corrupt, of another layout, destroyed; `check` found problems
    no_store = 66,   // there is no such store
    fault = 70,      // the system said no: memory, permission, file system
};

// The word for it: the "status" of JSON output.
constexpr std::string_view name_of(ExitCode code) {
    switch (code) {
        case ExitCode::ok:
            return "ok";
        case ExitCode::conflict:
            return "conflict";
        case ExitCode::fenced:
            return "fenced";
        case ExitCode::held:
            return "held";
        case ExitCode::not_found:
            return "not_found";
        case ExitCode::timeout:
            return "timeout";
        case ExitCode::busy:
            return "busy";
        case ExitCode::aborted:
            return "aborted";
        case ExitCode::lagged:
            return "lagged";
        case ExitCode::foreign:
            return "foreign_edit";
        case ExitCode::usage:
            return "usage";
        case ExitCode::unusable:
            return "unusable";
        case ExitCode::no_store:
            return "no_store";
        case ExitCode::fault:
            return "fault";
    }
    return "fault";
}

}  // namespace keystile::cli
