// Door of the files layer: the plain files of a folder, committed in a store first and then put on disk.
//
// It is a client of keystile.h (through the abi layer, for handles and the last error's text): all that it does in the
// store any program could do. The protocol, its argument and what each crash leaves: docs/FILES.md. In short:
//
//   commit   the content key's value becomes {head, content}: the decision. Only on what has landed (F1).
//   land     tickets of older versions are removed, the new one's is written, synced, and renamed into place (F2).
//   mark     the landed key says so. Until then, what was there before is ours and not a foreign edit (F3).
#pragma once

#include <mutex>

#include "abi/abi.hpp"
#include "beneath.hpp"
#include "content.hpp"
#include "path.hpp"

struct ks_files {
    std::uint64_t magic = 0;
    ks_store* store = nullptr;
    keystile::engine::files::Root root;
    // Claims are this handle's and not a thread's.
    std::mutex claims_lock;  // tidy-allow(mutex): process-private; held for one ks_claim() that does not wait
    ks_session* claims = nullptr;
};

namespace keystile::engine::files {

// How store and disk stand to each other.
enum class Standing {
    kNothing,    // no file, and the store says so
    kClean,      // the store's content is on disk
    kForeign,    // someone else wrote it, or removed it
    kUntracked,  // a file of which the store has nothing, or a deletion
};

struct Scene {
    Stored stored;
    OnDisk disk;
    Standing standing = Standing::kNothing;
};

enum class Need {
    kRead,      // the content; it may still be on its way to the disk's surface
    kDecision,  // what a commit is built on: landed and marked
};

// Look at a path, and finish what was begun there. `patience_ns`: how long a writer that is at it may take until it is
// done for him. KS_OK · KS_BUSY · faults.
ks_status settle(ks_files& files, ks_session* session, const FilePath& path, Need need,
                 std::uint64_t patience_ns, Scene* scene_out);
inline constexpr std::uint64_t kPatienceNs = 20'000'000;  // a few syncs of a slow disk

enum class Landing {
    kOurs,     // over what was there before, or where it was taken by a late deletion (F4); over nothing else
    kForced,   // over whatever is there
    kAdopted,  // it is there, by another's hand
};

// Put the version `stored`, which is committed, on disk, unless a newer one is. KS_OK: done, or a newer one is (which
// is its writer's to land), or somebody else's content is in the way (the next look tells). What a death leaves: P1-P7.
ks_status land(ks_files& files, ks_session* session, const FilePath& path, const Stored& stored, Landing how);

// Handles: alive, and this thread's session of the store.
ks_status enter(ks_files* files, ks_session** session_out) noexcept;

// Runs what may throw bad_alloc.
template <class Body>
ks_status guarded(const char* doing, Body body) noexcept {
    try {
        return body();
    } catch (const std::bad_alloc&) {
        return abi::fault(KS_E_MEMORY, "%s: out of memory", doing);
    }
}

}  // namespace keystile::engine::files
