#include "power/mutants.hpp"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <iterator>

namespace keystile::power {

Mutant mutant = Mutant::kNone;

bool parse_mutant(const std::string& name, Mutant* mutant_out) {
    constexpr const char* kNames[] = {"none",         "early_report",   "no_data_sync",
                                      "no_file_sync", "no_folder_sync", "retried_sync"};
    for (std::size_t i = 0; i < std::size(kNames); ++i) {
        if (name != kNames[i]) continue;
        *mutant_out = static_cast<Mutant>(i);
        return true;
    }
    return false;
}

namespace {

bool is_left_out(int descriptor) {
    struct stat info{};
    if (::fstat(descriptor, &info) != 0) return false;
    return mutant == (S_ISDIR(info.st_mode) ? Mutant::kNoFolderSync : Mutant::kNoFileSync);
}

int sync_by(long call, int descriptor) {
    const long result = ::syscall(call, descriptor);
    if (result == 0 || errno != EIO || mutant != Mutant::kRetriedSync) return static_cast<int>(result);
    return static_cast<int>(::syscall(call, descriptor));
}

}  // namespace

}  // namespace keystile::power

using namespace keystile::power;

extern "C" int fdatasync(int descriptor) {
    return mutant == Mutant::kNoDataSync ? 0 : sync_by(SYS_fdatasync, descriptor);
}

extern "C" int fsync(int descriptor) {
    const bool is_changed = mutant == Mutant::kNoFileSync || mutant == Mutant::kNoFolderSync;
    return is_changed && is_left_out(descriptor) ? 0 : sync_by(SYS_fsync, descriptor);
}
