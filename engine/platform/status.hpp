// The one status type of all layers. The numbers are those of ks_status (asserted in abi/): never renumber.
#pragma once

#include <cerrno>
#include <cstdint>

namespace keystile::engine {

enum class Status : std::int32_t {
    kOk = 0,
    kConflict = 1,
    kFenced = 2,
    kHeld = 3,
    kNotFound = 4,
    kTimeout = 5,
    kLagged = 6,
    kTooSmall = 7,
    kBusy = 8,
    kForeignEdit = 9,
    kArgument = -1,
    kKeySize = -2,
    kValueSize = -3,
    kStructSize = -4,
    kUrl = -5,
    kHandle = -6,
    kForked = -7,
    kGrant = -8,
    kReadOnly = -9,
    kSessionBusy = -10,
    kPath = -11,
    kSystem = -100,
    kFull = -101,
    kPermission = -102,
    kNoStore = -103,
    kExists = -104,
    kParticipants = -105,
    kInUse = -106,
    kExhausted = -107,
    kMemory = -108,
    kCpu = -109,
    kJournal = -110,
    kDirectoryInUse = -111,
    kNetworkFileSystem = -112,
    kSegmentLeft = -113,
    kCorrupt = -200,
    kNotAStore = -201,
    kLayout = -202,
    kDestroyed = -203,
    kNamespace = -204,
    kJournalCorrupt = -205,
};

// The errno behind this thread's last kSystem, kFull, kPermission, kNoStore, kExists, kMemory or kJournal: whoever
// answers one of these sets it, so that a fault of the system that was got over is not told with a later one.
inline thread_local int fault_errno = 0;

// The engine's own word, the system had no part in it.
inline Status own_fault(Status status) noexcept {
    fault_errno = 0;
    return status;
}

// What an errno means to the caller; keeps the errno.
inline Status status_of_errno(int error) noexcept {
    fault_errno = error;
    switch (error) {
        case ENOSPC:
        case EDQUOT:
        case EFBIG:
            return Status::kFull;
        case EACCES:
        case EPERM:
        case EROFS:
            return Status::kPermission;
        case ENOENT:
        case ENOTDIR:
            return Status::kNoStore;
        case EEXIST:
            return Status::kExists;
        case ENOMEM:
            return Status::kMemory;
        default:
            return Status::kSystem;
    }
}

}  // namespace keystile::engine
