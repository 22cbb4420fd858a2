// Programs that do not keep their promise, each in one way that a test of power loss must find.
//
// All but the first change what this program's calls to fsync and fdatasync do: those of mutants.cpp stand before the
// C library's. So the engine under test is the one that is shipped.
#pragma once

#include <string>

namespace keystile::power {

enum class Mutant {
    kNone,
    kEarlyReport,   // relaxed commits are told to be on disk
    kNoDataSync,    // fdatasync does nothing
    kNoFileSync,    // fsync of a file does nothing
    kNoFolderSync,  // fsync of a folder does nothing
    kRetriedSync,   // a sync that failed is made again, and that answer counts
};

// By the name that --mutant takes; false: there is none of that name.
bool parse_mutant(const std::string& name, Mutant* mutant_out);

// Of this process. Set before threads start.
extern Mutant mutant;

}  // namespace keystile::power
