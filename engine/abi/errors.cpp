// Statuses as names and sentences.
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "abi/abi.hpp"

namespace keystile::engine::abi {

namespace {

// With the library's other thread-locals less than half a KiB: that much the C library has left for each module that is
// loaded late, a Python extension say, at a fixed distance from the thread's pointer. More takes a call of its loader.
thread_local char last_text[400] = "";
thread_local int last_errno = 0;
thread_local ks_status last_status = KS_OK;

struct Named {
    ks_status status;
    const char* name;
    const char* meaning;
};
constexpr Named kNamed[] = {
    {KS_OK, "KS_OK", ""},
    {KS_CONFLICT, "KS_CONFLICT", ""},
    {KS_FENCED, "KS_FENCED", ""},
    {KS_HELD, "KS_HELD", ""},
    {KS_NOT_FOUND, "KS_NOT_FOUND", ""},
    {KS_TIMEOUT, "KS_TIMEOUT", ""},
    {KS_LAGGED, "KS_LAGGED", ""},
    {KS_TOO_SMALL, "KS_TOO_SMALL", ""},
    {KS_BUSY, "KS_BUSY", ""},
    {KS_FOREIGN_EDIT, "KS_FOREIGN_EDIT", ""},
    {KS_E_ARGUMENT, "KS_E_ARGUMENT", "an argument is out of range"},
    {KS_E_KEY_SIZE, "KS_E_KEY_SIZE", "a key has 1 to 1024 bytes"},
    {KS_E_VALUE_SIZE, "KS_E_VALUE_SIZE", "a value has at most 16 MiB"},
    {KS_E_STRUCT_SIZE, "KS_E_STRUCT_SIZE", "struct_size is not set, or of a newer library"},
    {KS_E_URL, "KS_E_URL", "not a store URL"},
    {KS_E_HANDLE, "KS_E_HANDLE", "the handle is closed, or of another store"},
    {KS_E_FORKED, "KS_E_FORKED", "the handle was opened before fork(): open the store again in the child"},
    {KS_E_GRANT, "KS_E_GRANT", "the grant is forged, of another key, or of another owner"},
    {KS_E_READ_ONLY, "KS_E_READ_ONLY", "the store was opened read-only"},
    {KS_E_SESSION_BUSY, "KS_E_SESSION_BUSY", "another call is in this session"},
    {KS_E_PATH, "KS_E_PATH", "the path leaves the root, or names no regular file"},
    {KS_E_SYSTEM, "KS_E_SYSTEM", "the system refused"},
    {KS_E_FULL, "KS_E_FULL", "no memory left in the segment or on its file system"},
    {KS_E_PERMISSION, "KS_E_PERMISSION", "the file's permissions do not allow it"},
    {KS_E_NO_STORE, "KS_E_NO_STORE", "there is no such store"},
    {KS_E_EXISTS, "KS_E_EXISTS", "the store exists already"},
    {KS_E_PARTICIPANTS, "KS_E_PARTICIPANTS", "too many processes or sessions are attached"},
    {KS_E_IN_USE, "KS_E_IN_USE", "live processes are attached"},
    {KS_E_EXHAUSTED, "KS_E_EXHAUSTED", "a counter that must never wrap is at its end"},
    {KS_E_MEMORY, "KS_E_MEMORY", "the process is out of memory or address space"},
    {KS_E_CPU, "KS_E_CPU", "this processor lacks cmpxchg16b or AVX"},
    {KS_E_JOURNAL, "KS_E_JOURNAL", "the journal cannot be written"},
    {KS_E_DIRECTORY_IN_USE, "KS_E_DIRECTORY_IN_USE",
     "live processes have the directory's store in another segment"},
    {KS_E_NETWORK_FILE_SYSTEM, "KS_E_NETWORK_FILE_SYSTEM",
     "a durable store needs a directory that no other host can write to"},
    {KS_E_SEGMENT_LEFT, "KS_E_SEGMENT_LEFT",
     "the store's segment is still there, and is newer than its files"},
    {KS_E_CORRUPT, "KS_E_CORRUPT", "bytes in the segment cannot be true; run `keystile check`"},
    {KS_E_NOT_A_STORE, "KS_E_NOT_A_STORE", "the file is not a Keystile segment"},
    {KS_E_LAYOUT, "KS_E_LAYOUT", "the segment was made by another version of the library"},
    {KS_E_DESTROYED, "KS_E_DESTROYED", "the store was destroyed"},
    {KS_E_NAMESPACE, "KS_E_NAMESPACE", "the store's processes live in another time namespace"},
    {KS_E_JOURNAL_CORRUPT, "KS_E_JOURNAL_CORRUPT", "the store's files are damaged below what was on disk"},
};

const Named* find(ks_status status) noexcept {
    for (const Named& named : kNamed) {
        if (named.status == status) return &named;
    }
    return nullptr;
}

// What an errno may stand behind; see fault_errno.
bool is_of_the_system(Status status) noexcept {
    switch (status) {
        case Status::kSystem:
        case Status::kFull:
        case Status::kPermission:
        case Status::kNoStore:
        case Status::kExists:
        case Status::kMemory:
        case Status::kJournal:
            return true;
        default:
            return false;
    }
}

}  // namespace

ks_status fault(ks_status status, const char* format, ...) noexcept {
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(last_text, sizeof last_text, format, arguments);
    va_end(arguments);
    last_errno = 0;
    last_status = status;
    return status;
}

ks_status fault(Status status, const char* doing) noexcept {
    const auto number = static_cast<ks_status>(status);
    const Named* named = find(number);
    const char* meaning = named != nullptr ? named->meaning : "unknown fault";
    const int error = is_of_the_system(status) ? fault_errno : 0;
    if (error != 0) {
        fault(number, "%s: %s (%s)", doing, meaning, std::strerror(error));
    } else {
        fault(number, "%s: %s", doing, meaning);
    }
    last_errno = error;
    fault_errno = 0;
    return number;
}

ks_status explain_handle(const void* handle, std::uint64_t magic, std::uint64_t kind) noexcept {
    const char* what = kind == kStoreMagic      ? "store"
                       : kind == kSessionMagic  ? "session"
                       : kind == kSnapshotMagic ? "snapshot"
                       : kind == kFeedMagic     ? "feed"
                       : kind == kFilesMagic    ? "ks_files"
                                                : "transaction";
    if (handle == nullptr) return fault(KS_E_ARGUMENT, "the %s is NULL", what);
    if (magic >= kind && magic < live(kind)) {
        return fault(KS_E_FORKED, "the %s was opened before fork(): open the store again in the child", what);
    }
    return fault(KS_E_HANDLE, "the %s is closed", what);
}

}  // namespace keystile::engine::abi

using namespace keystile::engine::abi;

const char* ks_status_name(ks_status status) {
    const auto* named = find(status);
    return named != nullptr ? named->name : "KS_UNKNOWN";
}
const char* ks_last_error(void) {
    return last_text;
}
int ks_last_errno(void) {
    return last_errno;
}
ks_status ks_last_status(void) {
    return last_status;
}
uint32_t ks_abi_version(void) {
    return KS_ABI_VERSION;
}
