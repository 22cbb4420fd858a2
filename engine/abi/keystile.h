/* Keystile: processes on one host share keys; of all writers of one version exactly one wins.
 *
 * This header is the library's public interface and its manual. C11, no other header needed. What it offers on plain
 * files is in keystile_files.h.
 *
 * THE IDEA
 *   A key has a value, a `version` (grows with every commit) and an `epoch` (grows with every claim,
 *   release and reclaim; even = free, odd = claimed). A reader gets the pair as a `ks_stamp` and hands
 *   it back with its commit; the commit takes effect only if both are still true, checked and changed
 *   by one instruction. So nobody overwrites what he has not seen (KS_CONFLICT), and a worker that was
 *   stalled while it held a claim cannot write once the claim was taken from it (KS_FENCED).
 *
 * A LOOP THAT LOSES NOTHING
 *     do { ks_get(s, key, buf, sizeof buf, &n, &seen);  n = recompute(buf, n);
 *     } while ((st = ks_commit(s, key, seen, (ks_bytes){buf, n}, NULL, NULL)) == KS_CONFLICT);
 *
 * CONVENTIONS
 *   1. Every function that can fail returns a ks_status: 0 done; > 0 an answer to branch on; < 0 a fault
 *      (-1… fix the call, -100… the system said no, -200… incompatible or corrupt: stop using the store).
 *   2. Outputs come last and end in _out. They may be NULL unless said otherwise. What is written on
 *      which status is said at each function; on a fault nothing is written.
 *   3. Every options struct starts with `struct_size = sizeof(the struct)`; the rest zero means defaults,
 *      and a NULL pointer means all defaults. A struct_size this library does not know: KS_E_STRUCT_SIZE.
 *   4. Sizes are bytes, times nanoseconds (names end in _ns). Keys: 1..KS_KEY_SIZE_MAX bytes of any
 *      content. Values: 0..KS_VALUE_SIZE_MAX bytes of any content.
 *   5. Stamps, grants and ks_key handles mean something only in the store they came from.
 *   6. A handle of any kind that was closed or ended answers KS_E_HANDLE, closing it again does nothing: until some
 *      hundred more of its kind are closed. A diagnosis of a mistake, not something to build on.
 *   7. "Handle faults" are KS_E_ARGUMENT (NULL), KS_E_HANDLE, KS_E_FORKED, and of a call that may write
 *      KS_E_SESSION_BUSY.
 *
 * RULES FOR THREADS
 *   A ks_store may be used by all threads. A ks_session is one thread's lane: one call at a time (a second
 *   one that writes gets KS_E_SESSION_BUSY where the library notices: a diagnosis, not a lock). Two sessions
 *   of one process are two writers and two owners. A grant may be used in any session of the same open store:
 *   a claim keeps out whoever has no grant of it, not the threads that were given it.
 *
 * RULES FOR PROCESSES
 *   - kill -9, at any instruction: every other process goes on; whatever the dead one had half done is
 *     either invisible or complete, its claims can be reclaimed, its memory is reaped.
 *   - SIGSTOP, suspend, debugger: nobody waits for a stopped process, except those who asked to wait for a
 *     claim that it holds without a lease.
 *   - fork: a child must not use the parent's handles (each call answers KS_E_FORKED); open the store
 *     again in the child. exec and posix_spawn are fine: nothing is inherited (O_CLOEXEC).
 *   - Do not close file descriptors you did not open (closefrom, close_range in daemonising code): the one
 *     of an open store keeps the proof that its process lives. Should it happen, the process id stands in.
 *   - signal handlers: reading calls are safe on a session of the handler's own; any other call from a
 *     handler that interrupted a call on the same session answers KS_E_SESSION_BUSY.
 *   - containers: processes share a store if they see the same file (mount the same /dev/shm or folder).
 *     Different pid namespaces are fine, different time namespaces are refused (KS_E_NAMESPACE).
 *   - remote file systems: a segment must lie in memory of one host. Put it on tmpfs or a local disk.
 *   - trust: the segment file is 0600 by default. Whoever may write the file can corrupt the store; the
 *     library answers KS_E_CORRUPT then and does not crash, but it cannot bring the data back. One thing it
 *     cannot answer: a file that is truncated while processes have it open kills them by SIGBUS at their next
 *     look behind its end. Nobody can do that who may not write the file; never do it: ks_destroy removes a store.
 *   - privileged programs: the URL names a file; do not take it from someone you do not trust.
 */
#ifndef KEYSTILE_H
#define KEYSTILE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define KS_API __attribute__((visibility("default")))
#else
#define KS_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Limits and versions ----------------------------------------------------------------------------- */

#define KS_VERSION_MAJOR 0
#define KS_VERSION_MINOR 1
#define KS_VERSION_PATCH 0
#define KS_ABI_VERSION 1u

#define KS_KEY_SIZE_MAX 1024u
#define KS_VALUE_SIZE_MAX (16u * 1024u * 1024u)
#define KS_LABEL_SIZE 32u                                    /* with the terminating zero */
#define KS_TOKEN_SIZE 64u                                    /* buffer for ks_grant_format() */
#define KS_NAME_SIZE_MAX 200u                                /* of a store's name in a URL */
#define KS_LEASE_NS_MAX (UINT64_C(365) * 86400 * 1000000000) /* one year */
#define KS_FOREVER UINT64_MAX     /* as a timeout: no end; as a lease left: no lease */
#define KS_PARTICIPANTS_MAX 8192u /* attached processes (each open of a store is one) */
#define KS_SESSIONS_MAX 32768u    /* open sessions of one store */
#define KS_MULTI_KEYS_MAX 1024u   /* keys of one multi-key commit */

/* ABI version of the loaded library; compare with KS_ABI_VERSION. Any thread, any time. */
KS_API uint32_t ks_abi_version(void);

/* ---- Statuses: numbered for good --------------------------------------------------------------------- */

typedef enum ks_status {
    KS_OK = 0,

    /* answers */
    KS_CONFLICT = 1,  /* the version moved: read fresh, recompute, commit again */
    KS_FENCED = 2,    /* the epoch moved: the claim, or the read, is from before someone else's ownership */
    KS_HELD = 3,      /* someone's live claim: wait, or ask again later */
    KS_NOT_FOUND = 4, /* never written, or deleted; the stamp that creates it is returned all the same */
    KS_TIMEOUT = 5,   /* the time given ran out */
    KS_LAGGED = 6,    /* a feed: checkpoints replaced the commits that were to be read */
    KS_TOO_SMALL = 7, /* the buffer is smaller than the value; size_out says how much is needed */
    KS_BUSY = 8,      /* a bounded number of tries was lost to others: ask again */
    KS_FOREIGN_EDIT = 9, /* keystile_files.h: another program wrote the file; adopt or restore it */

    /* faults of the call */
    KS_E_ARGUMENT = -1,    /* a null pointer, an unknown flag, a value out of range */
    KS_E_KEY_SIZE = -2,    /* empty, or longer than KS_KEY_SIZE_MAX */
    KS_E_VALUE_SIZE = -3,  /* longer than KS_VALUE_SIZE_MAX */
    KS_E_STRUCT_SIZE = -4, /* struct_size not set, or of a newer library */
    KS_E_URL = -5,         /* not a store URL, or of a kind this library does not know */
    KS_E_HANDLE = -6,      /* a closed handle, or a ks_key of another store */
    KS_E_FORKED = -7,      /* a handle opened before fork() */
    KS_E_GRANT = -8,       /* a forged grant (an epoch yet to come, say), or one of another owner or key */
    KS_E_READ_ONLY = -9,   /* the store was opened with KS_OPEN_READ_ONLY */
    KS_E_SESSION_BUSY =
        -10,         /* another thread, or the code this signal handler interrupted, is in the session */
    KS_E_PATH = -11, /* keystile_files.h: it would leave the root, or names no regular file */

    /* the system said no */
    KS_E_SYSTEM = -100,       /* an unexpected system error; ks_last_errno() */
    KS_E_FULL = -101,         /* no memory left in the segment, or on its file system; see ks_commit */
    KS_E_PERMISSION = -102,   /* the file's permissions */
    KS_E_NO_STORE = -103,     /* there is no such store */
    KS_E_EXISTS = -104,       /* KS_OPEN_MUST_CREATE, and there is one */
    KS_E_PARTICIPANTS = -105, /* KS_PARTICIPANTS_MAX or KS_SESSIONS_MAX reached */
    KS_E_IN_USE = -106,       /* destroy of a store with live participants */
    KS_E_EXHAUSTED = -107,    /* a counter that must never wrap is at its end (2^56 commits, 2^38 claims) */
    KS_E_MEMORY = -108,       /* the process is out of memory or address space */
    KS_E_CPU = -109,          /* this processor lacks cmpxchg16b or AVX */
    KS_E_JOURNAL = -110,      /* the journal cannot be written; ks_last_errno() */
    KS_E_DIRECTORY_IN_USE = -111,    /* live processes have the directory's store in another segment */
    KS_E_NETWORK_FILE_SYSTEM = -112, /* the directory lies on a file system that other hosts may share */
    KS_E_SEGMENT_LEFT =
        -113, /* repair: the store's segment outlived its processes, and holds more than the files */

    /* incompatible or corrupt: stop */
    KS_E_CORRUPT = -200,     /* bytes in the segment cannot be true; run `keystile check` */
    KS_E_NOT_A_STORE = -201, /* the file is not a Keystile segment */
    KS_E_LAYOUT = -202,      /* a segment of another layout version or build */
    KS_E_DESTROYED = -203,   /* the store was destroyed while open here; nothing can be committed any more */
    KS_E_NAMESPACE = -204,   /* the store's processes live in another time namespace */
    KS_E_JOURNAL_CORRUPT = -205 /* a durable store's files are damaged below what was on disk */
} ks_status;

/* The constant's name, e.g. "KS_CONFLICT"; "KS_UNKNOWN" for any other number. Never NULL. */
KS_API const char* ks_status_name(ks_status status);

/* A sentence about this thread's last fault (status < 0), never NULL; and the errno behind it, or 0. Answers
 * (status > 0) do not touch it. Valid until this thread's next fault. */
KS_API const char* ks_last_error(void);
KS_API int ks_last_errno(void);
KS_API ks_status ks_last_status(void); /* KS_OK if this thread had none yet */

/* ---- Types ------------------------------------------------------------------------------------------- */

typedef struct ks_store ks_store;     /* one attached store: a participant */
typedef struct ks_session ks_session; /* one thread's lane in it */

typedef struct ks_bytes {
    const void* data; /* may be NULL if size is 0 */
    size_t size;
} ks_bytes;

/* What a reader saw. {0, 0} = "never written". Compare only stamps of the same key. `epoch` never decreases
 * over the life of the store, rebuilds included, so it also serves as a fencing token for other systems. */
typedef struct ks_stamp {
    uint64_t version;
    uint64_t epoch;
} ks_stamp;

/* A resolved key: no hashing, no lookup. Valid as long as the store exists, in any session and process of it
 * that resolved it itself. Opaque. */
typedef struct ks_key {
    uint64_t slot;
    uint64_t check;
} ks_key;

/* Who holds a claim. */
typedef struct ks_owner {
    uint64_t lease_left_ns;    /* 0 = over, may be reclaimed; KS_FOREVER = until the owner dies */
    uint64_t epoch;            /* names this claim: what ks_reclaim() takes */
    int32_t pid;               /* as its own pid namespace counts; 0 for a detached claim */
    uint32_t detached;         /* 1: held by whoever has its token */
    char label[KS_LABEL_SIZE]; /* of its participant; "(detached)" */
} ks_owner;

typedef struct ks_receipt {
    ks_stamp stamp; /* KS_OK: the new stamp. KS_CONFLICT, KS_FENCED, KS_HELD: the current one */
    uint64_t lsn;   /* KS_OK: the commit's place in the store's history; 0 in a volatile store */
    ks_owner owner; /* KS_HELD only */
} ks_receipt;

/* A claim that was granted: the ticket for committing under it, renewing and releasing it. A plain value, may
 * be copied; all copies are the same claim. Opaque but for `stamp`.
 * It may be used in the session that claimed, and, by design, in any other session of the same open store (the
 * same participant), so that one thread may claim and another commit; elsewhere it is KS_E_GRANT. The claim still
 * belongs to the session that claimed: when that is closed, the claim is one of a dead owner. (Of a detached claim
 * any session of any process may use the grant: ks_grant_format.) */
typedef struct ks_grant {
    ks_key key;
    ks_stamp stamp; /* at the moment of the claim: the current version and the claim's own (odd) epoch */
    uint64_t owner;
} ks_grant;

/* ---- Stores ------------------------------------------------------------------------------------------ */

#define KS_OPEN_MUST_EXIST 1u  /* never create; KS_E_NO_STORE */
#define KS_OPEN_MUST_CREATE 2u /* never attach; KS_E_EXISTS */
#define KS_OPEN_READ_ONLY 4u   /* map read-only, be no participant; implies MUST_EXIST; watching polls */
#define KS_OPEN_GROUP 8u       /* create with mode 0660 and the group below */
#define KS_OPEN_PREFAULT 16u   /* touch what is allocated now, so that no commit pays a page fault later */
#define KS_OPEN_HUGE_PAGES \
    32u /* advise huge pages (needs a file system that gives them: tmpfs with huge=advise) */
#define KS_OPEN_DURABLE 64u /* file: stores: commits that do not say otherwise return when they are on disk */
#define KS_OPEN_NO_FLUSHER 128u /* file: stores: no thread of this process keeps the flush interval */

/* What a recovery finds in the files, or found. */
typedef struct ks_recovery {
    size_t struct_size; /* in, where it is not part of another */
    uint32_t is_needed; /* 1: there is no segment of this boot, so whoever opens the store next recovers it */
    ks_status status;   /* KS_OK · KS_E_JOURNAL_CORRUPT: refused, the files need a repair */
    uint64_t incarnation; /* that the store becomes */
    uint64_t
        checkpoint_lsn; /* of the first commit that may be missing in the checkpoint that is used; 0: none is */
    uint64_t checkpoint_entries;
    uint64_t records, entries; /* commits behind it, and what they wrote */
    uint64_t last_lsn;         /* of the last commit of all; 0: none */
    uint32_t end_file;         /* journal-NNNNNN, where the history ends, */
    uint64_t end_offset;       /* and where in it */
    const char* cut; /* what is wrong with the bytes behind that, which do not count; NULL: nothing is */
} ks_recovery;

typedef struct ks_open_options {
    size_t struct_size;
    uint32_t flags;
    uint32_t group; /* with KS_OPEN_GROUP: the group id */
    uint64_t
        expected_keys;  /* on creation: sizes the index root, at most 2^29; more keys are fine. 0 = 65,536 */
    uint64_t max_bytes; /* on creation: address space, not memory: 32 MiB .. 128 GiB. 0 = 64 GiB */
    const char* label;  /* shown to those who meet this process; cut to 31 bytes. NULL = program's name */
    uint64_t flush_interval_ns; /* file: stores: how long a relaxed commit may wait for the disk. 0 = 5 ms */
    const char* segment_folder; /* file: stores: where the segment is made. NULL = /dev/shm */
    ks_recovery*
        recovery_out; /* file: stores: filled in if this call recovered the store (or made it), or tried;
                                   else 0. Or NULL */
} ks_open_options;

/* Open a store, by default creating it if it does not exist (racing creators end up in one store).
 *
 * url: "shm:NAME"       volatile, the file /dev/shm/keystile.NAME; gone with the host's memory.
 *      "shm:/DIR/NAME"  the same in another folder (a mounted tmpfs with huge pages, a shared volume).
 *      NAME: 1..KS_NAME_SIZE_MAX bytes of A-Z a-z 0-9 . _ - and not starting with a dot.
 *      "file:DIR"       durable: the folder DIR (absolute; its parent exists) holds the journal, the segment lies in
 *                       memory. Opened again after a crash of everything, reboot or power loss, it is what it was at
 *                       its last durable commit or a later one. A local file system; one host at a time.
 * Writes *store_out (required) only on KS_OK.
 * Answers: KS_OK · KS_E_URL · KS_E_ARGUMENT · KS_E_STRUCT_SIZE · KS_E_NO_STORE · KS_E_EXISTS ·
 *          KS_E_PERMISSION · KS_E_NOT_A_STORE · KS_E_LAYOUT · KS_E_CORRUPT (truncated, or from before a
 *          reboot: destroy it with force) · KS_E_NAMESPACE · KS_E_PARTICIPANTS · KS_E_FULL · KS_E_CPU ·
 *          KS_E_MEMORY · KS_E_SYSTEM.
 * Reaps dead participants it meets. Crash: a creator that dies leaves nothing; an opener that dies leaves a
 * record that the next opener reaps. */
KS_API ks_status ks_open(const char* url, const ks_open_options* options, ks_store** store_out);

/* Close: ends every session of this store that is still open (see ks_session_close). NULL is ignored. No
 * other thread may be in a call of this store. In a forked child it frees the child's copy only. */
KS_API void ks_close(ks_store* store);

#define KS_DESTROY_FORCE 1u

/* Remove a store by name. Refused with KS_E_IN_USE while a live process is attached, unless KS_DESTROY_FORCE:
 * then the others' commits, claims and watches answer KS_E_DESTROYED from now on (a durable store whose segment
 * cannot be seen from here, in another mount namespace: KS_E_IN_USE all the same). Answers also KS_E_NO_STORE,
 * KS_E_PERMISSION, KS_E_URL, KS_E_NOT_A_STORE (the file does not begin like a segment; it is left alone, with
 * force too), KS_E_SYSTEM. A damaged or foreign-layout segment is removed only with force. */
KS_API ks_status ks_destroy(const char* url, uint32_t flags);

/* ---- Sessions ---------------------------------------------------------------------------------------- */

/* Answers: KS_OK · KS_E_HANDLE · KS_E_FORKED · KS_E_PARTICIPANTS · KS_E_FULL · KS_E_DESTROYED. */
KS_API ks_status ks_session_open(ks_store* store, ks_session** session_out);

/* Close. Claims it still holds are then claims of a dead owner: whoever meets them reclaims them. NULL is
 * ignored. */
KS_API void ks_session_close(ks_session* session);

/* This thread's own session of the store, opened on first use, closed when the thread ends or the store
 * closes. NULL on a fault (ks_last_error() says which): KS_E_HANDLE also where a thread has ended but for its last
 * destructors, or the main one but for what runs at exit. Everything that takes a session takes this. */
KS_API ks_session* ks_default_session(ks_store* store);

/* ---- Reading ----------------------------------------------------------------------------------------- */

/* Resolve a key once, use it often: the `_k` calls skip hashing and lookup. Creates the key's slot (64 bytes)
 * if there is none, so in a read-only store a key nobody wrote is KS_NOT_FOUND.
 * Answers: KS_OK · KS_NOT_FOUND · KS_E_KEY_SIZE · KS_E_FULL · KS_E_CORRUPT · handle faults. */
KS_API ks_status ks_resolve(ks_session* session, ks_bytes key, ks_key* key_out);

/* Read a consistent (value, stamp); wait-free unless writers keep changing the key, and then lock-free. Never
 * writes shared memory.
 * KS_OK: value in buf, its size in *size_out, *seen_out. KS_TOO_SMALL: nothing in buf, but *size_out and
 * *seen_out (so a NULL buf with capacity 0 asks for the size). KS_NOT_FOUND: *size_out = 0 and *seen_out is
 * the stamp to create it with.
 * Faults: KS_E_KEY_SIZE · KS_E_ARGUMENT (buf NULL with capacity) · KS_E_CORRUPT · handle faults. */
KS_API ks_status ks_get(ks_session* session, ks_bytes key, void* buf, size_t capacity, size_t* size_out,
                        ks_stamp* seen_out);
KS_API ks_status ks_get_k(ks_session* session, ks_key key, void* buf, size_t capacity, size_t* size_out,
                          ks_stamp* seen_out);

typedef struct ks_get_item {
    ks_bytes key;     /* in */
    void* buf;        /* in; may be NULL with capacity 0 */
    size_t capacity;  /* in */
    size_t size;      /* out, as ks_get */
    ks_stamp seen;    /* out, as ks_get */
    ks_status status; /* out: KS_OK, KS_NOT_FOUND, KS_TOO_SMALL or a fault of this item */
} ks_get_item;

/* Read many keys with their memory accesses interleaved: several times faster than one by one. Each item is
 * consistent in itself; they are not a cut across keys. KS_OK if every item was tried (look at each status),
 * else a fault of the call. */
KS_API ks_status ks_get_many(ks_session* session, ks_get_item* items, size_t count);

typedef struct ks_entry {
    ks_bytes key; /* valid during the callback */
    ks_stamp stamp;
    size_t value_size;
    uint32_t is_deleted; /* a deleted key, listed only on request */
    uint32_t is_claimed; /* owner is valid */
    ks_owner owner;
} ks_entry;

typedef int (*ks_list_fn)(void* user, const ks_entry* entry); /* return 0 to go on, anything else to stop */

#define KS_LIST_ALL 1u /* also keys without a value: deleted, or claimed and never written */

/* Every key that starts with `prefix` (size 0: all), in no order; keys that exist throughout are seen exactly
 * once, keys created meanwhile perhaps. The callback may call the library, on this session too. Answers KS_OK
 * (also if stopped), faults. */
KS_API ks_status ks_list(ks_session* session, ks_bytes prefix, uint32_t flags, ks_list_fn fn, void* user);

/* ---- Committing -------------------------------------------------------------------------------------- */

#define KS_COMMIT_RELEASE 1u /* with a grant: commit and give the claim back in the same step */
#define KS_COMMIT_DURABLE 2u /* return when it is on disk; of no meaning in a volatile store */
#define KS_COMMIT_RELAXED \
    4u /* return when everybody sees it; on disk within the flush interval (the default) */

typedef struct ks_commit_options {
    size_t struct_size;
    uint32_t flags;
    uint32_t reserved;     /* zero */
    const ks_grant* grant; /* commit under this claim; NULL = optimistic */
} ks_commit_options;

/* Commit a value that was computed from what `seen` names.
 *
 * KS_OK        it is the key's value now; receipt: the new stamp.
 * KS_CONFLICT  the version is no longer `seen`: read fresh, recompute, commit again.
 * KS_HELD      (without a grant) someone holds the key, the caller's own other claims included; receipt:
 * owner, lease left.
 * KS_FENCED    with a grant: the claim was taken away, for ever. Without: someone owned the key since `seen`
 * was read.
 * With a grant FENCED goes before CONFLICT; without one the order is CONFLICT, HELD, FENCED. Nothing was
 * changed in any of
 * these. A claim whose lease is over still commits until somebody reclaims it. `seen` of {0,0} means "never
 * written".
 * Faults: KS_E_KEY_SIZE · KS_E_VALUE_SIZE · KS_E_ARGUMENT · KS_E_STRUCT_SIZE · KS_E_GRANT · KS_E_READ_ONLY ·
 *         KS_E_FULL · KS_E_SYSTEM (the file would not grow) · KS_E_EXHAUSTED · KS_E_CORRUPT · KS_E_DESTROYED ·
 *         handle faults. With KS_COMMIT_DURABLE also as ks_flush: it is committed, but not known to be on disk.
 * KS_E_FULL: memory once cut into blocks of a size serves values of that size and smaller ones, never larger
 * ones. So in a full store, what was deleted or overwritten makes room for values no larger than it was. A delete
 * (and an overwrite) needs a block too, until the one that it replaces is free; a delete takes one of any size.
 * Crash: dying inside leaves the commit done or not done, never half; memory in flight is reaped by a
 * survivor. */
KS_API ks_status ks_commit(ks_session* session, ks_bytes key, ks_stamp seen, ks_bytes value,
                           const ks_commit_options* options, ks_receipt* receipt_out);
KS_API ks_status ks_commit_k(ks_session* session, ks_key key, ks_stamp seen, ks_bytes value,
                             const ks_commit_options* options, ks_receipt* receipt_out);

/* ---- Durability (file: stores; elsewhere KS_OK at once) ----------------------------------------------- */

/* Every commit made so far, by anybody, is on disk. KS_OK · KS_E_JOURNAL (the disk said no: ks_last_errno(); nothing
 * that was acknowledged is lost, commits go on until the ring is full, and the next flush tries in a new file; with
 * errno 0: a journal file was removed or damaged, and ks_checkpoint writes all to new ones) · KS_E_FULL ·
 * KS_E_PERMISSION · KS_E_DESTROYED · KS_E_SYSTEM · KS_E_MEMORY · KS_E_READ_ONLY · handle faults. Any thread. */
KS_API ks_status ks_flush(ks_store* store);
/* The commit with this lsn (of a receipt), and with it everything before it. KS_TIMEOUT, else as ks_flush. */
KS_API ks_status ks_wait_durable(ks_store* store, uint64_t lsn, uint64_t timeout_ns);
/* Write what every key is into a checkpoint, while others commit, and remove the journal files that no recovery needs
 * any more (the two newest checkpoints are kept, and the journal from the older one on). Whoever begins a new journal
 * file does it by itself, in its flusher thread, once that is worth it. Reads every value, writes it, and waits for
 * the disk; blocks nobody. KS_BUSY: what came before did not come to an end meanwhile, try again; else as ks_flush.
 * Any thread. */
KS_API ks_status ks_checkpoint(ks_store* store);
/* The same, if the journal that a recovery would replay is longer than 8 MiB and than the newest checkpoint; else KS_OK
 * at once. For whoever flushes with KS_OPEN_NO_FLUSHER. */
KS_API ks_status ks_checkpoint_if_due(ks_store* store);

/* Delete: a commit of "no value". The version goes on growing, so a writer from before the delete still gets
 * KS_CONFLICT. KS_NOT_FOUND if there is no value and `seen` says so. Otherwise as ks_commit. */
KS_API ks_status ks_delete(ks_session* session, ks_bytes key, ks_stamp seen, const ks_commit_options* options,
                           ks_receipt* receipt_out);
KS_API ks_status ks_delete_k(ks_session* session, ks_key key, ks_stamp seen, const ks_commit_options* options,
                             ks_receipt* receipt_out);

/* ---- Many keys in one commit ------------------------------------------------------------------------- */

/* A transaction: keys that were read, expected, put, deleted or whose claim is released, committed all or not at
 * all. Nothing of it is visible before ks_multi_commit(), everything after. Every key it names is compared, those
 * that were only read too, all at the instant of the commit: transactions are strictly serializable, there is no
 * write skew. No lock: a process that dies or stops inside delays nobody; whoever meets its half-done commit
 * finishes or undoes it.
 *
 * A ks_multi is memory of this process, bound to its session; one thread at a time; it costs the store nothing
 * until it is committed. Keys are told apart by their bytes: a key may be read and then put, but written (put,
 * deleted or released) only once, and have only one expectation: KS_E_ARGUMENT otherwise. KS_MULTI_KEYS_MAX keys.
 *
 * A read, expectation or write that is refused (a fault; KS_FENCED, which says that the grant is from before the store
 * was rebuilt) adds nothing and spoils the transaction: its commit answers the same and does nothing, until it is
 * reset. So what was meant to be done together is never done by half, however few of the calls are looked at. */
typedef struct ks_multi ks_multi;

/* Answers: KS_OK · KS_E_READ_ONLY · KS_E_MEMORY · handle faults. The session must outlive it. */
KS_API ks_status ks_multi_begin(ks_session* session, ks_multi** multi_out);
/* Forget all keys and begin anew (the memory is used again). NULL is fine. */
KS_API void ks_multi_reset(ks_multi* multi);
/* Throw it away, committed or not. NULL is fine. */
KS_API void ks_multi_end(ks_multi* multi);

/* Read a key as ks_get() does and remember its stamp, with KS_NOT_FOUND and KS_TOO_SMALL too: the commit will find it
 * unchanged, or answer KS_CONFLICT. A key that this transaction has put already gives that value, a deleted one
 * KS_NOT_FOUND; *seen_out is the stamp remembered. Read again, it gives the value of the same stamp, or KS_CONFLICT if
 * the key has moved on: then the transaction can only lose.
 * Faults of this and the next four: KS_E_KEY_SIZE · KS_E_ARGUMENT · KS_E_MEMORY · KS_E_CORRUPT · handle faults; and of
 * making a slot for a key that nobody has named before: KS_E_FULL · KS_E_SYSTEM · KS_E_EXHAUSTED · KS_E_DESTROYED. */
KS_API ks_status ks_multi_read(ks_multi* multi, ks_bytes key, void* buf, size_t capacity, size_t* size_out,
                               ks_stamp* seen_out);
/* Compare a key without writing it: `seen` from a ks_get(), of any age. */
KS_API ks_status ks_multi_expect(ks_multi* multi, ks_bytes key, ks_stamp seen);
/* Write a key. What it must be unchanged from: what was read or expected in this transaction; else the grant's
 * claim, with whatever version the key has at the commit; else whatever it is at the commit, if nobody claims it.
 * `options`: the grant, and whether to release it, as in ks_commit(). The value is copied. KS_COMMIT_DURABLE of one of
 * its writes is of the whole commit, which returns when all of it is on disk; KS_COMMIT_RELAXED if none says so.
 * This and the next two: KS_OK · KS_FENCED (above) · KS_E_GRANT (of another key, or no grant) · KS_E_STRUCT_SIZE ·
 * KS_E_VALUE_SIZE. That a grant is another owner's is told by the commit. */
KS_API ks_status ks_multi_put(ks_multi* multi, ks_bytes key, ks_bytes value,
                              const ks_commit_options* options);
/* Delete a key; deleting what has no value is no fault and writes nothing, but is compared. */
KS_API ks_status ks_multi_delete(ks_multi* multi, ks_bytes key, const ks_commit_options* options);
/* Give a claim back in the same step; the key's value stays. */
KS_API ks_status ks_multi_release(ks_multi* multi, ks_bytes key, const ks_grant* grant);

/* KS_OK, or what spoilt the transaction: what its commit will answer. Handle faults are its own. */
KS_API ks_status ks_multi_fault(const ks_multi* multi);

/* Commit. KS_OK: all is done. KS_FENCED, KS_CONFLICT, KS_HELD: nothing is; the worst of what its keys were told, in
 * this order, and ks_multi_item() says which keys. An empty transaction is KS_OK. One without writes compares its
 * reads: KS_OK means that they were true together at one instant.
 * After that, and after any fault, the transaction is over: ks_multi_reset() or ks_multi_end(). Only a handle fault
 * leaves it as it was: the call never came to it.
 * Faults: what spoilt it · KS_E_ARGUMENT (it is over already) · KS_E_GRANT · KS_E_FULL · KS_E_SYSTEM · KS_E_EXHAUSTED ·
 *         KS_E_DESTROYED · KS_E_CORRUPT · KS_E_MEMORY · handle faults.
 * Crash: dying inside leaves all of it or nothing. */
KS_API ks_status ks_multi_commit(ks_multi* multi);

/* What a key of a transaction was told.
 * Before the commit: KS_OK, and the stamp that is expected, {0,0} if none.
 * After KS_OK, KS_FENCED, KS_CONFLICT, KS_HELD: KS_OK or what stood in the way, and the stamp the key had at the commit
 * (KS_OK of all: its new one). After a fault, and if the transaction was spoilt: the fault of a key that it was one of
 * (KS_E_GRANT, say), KS_OK of the others; and the stamp that was expected. A new version is a durable store's lsn. */
typedef struct ks_multi_result {
    ks_bytes key; /* valid until reset or end, as long as the store is open */
    ks_status status;
    uint32_t has_grant; /* written or released under a claim: KS_FENCED says then that it is lost for ever */
    ks_stamp stamp;
    ks_owner owner; /* KS_HELD only */
} ks_multi_result;

/* Keys in the order of their first mention; 0 for NULL. */
KS_API size_t ks_multi_size(const ks_multi* multi);
/* By index, or by key (KS_NOT_FOUND: not in the transaction). *result_out is required.
 * Faults: KS_E_ARGUMENT (no such index) · KS_E_KEY_SIZE · KS_E_CORRUPT · handle faults. */
KS_API ks_status ks_multi_item(const ks_multi* multi, size_t index, ks_multi_result* result_out);
KS_API ks_status ks_multi_find(const ks_multi* multi, ks_bytes key, ks_multi_result* result_out);

/* ---- Snapshots --------------------------------------------------------------------------------------- */

/* A consistent cut: the values that all its keys had at one instant. Copied out: it stays readable, in this process,
 * for as long as the caller likes, also after the session and the store are closed. Writers are never blocked. */
typedef struct ks_snapshot ks_snapshot;

/* The cut of given keys (a key twice is in it twice). KS_OK; KS_BUSY: others kept changing or adding them, ask again.
 * Mostly it only reads, also from a store that was destroyed. If writers do not let it, and there are at most
 * KS_MULTI_KEYS_MAX keys and the store is not read-only, a commit that compares them ends the contention.
 * Faults: KS_E_KEY_SIZE · KS_E_ARGUMENT · KS_E_MEMORY · KS_E_CORRUPT · handle faults; and of that commit: KS_E_FULL ·
 *         KS_E_SYSTEM · KS_E_EXHAUSTED · KS_E_DESTROYED. */
KS_API ks_status ks_snapshot_keys(ks_session* session, const ks_bytes* keys, size_t count,
                                  ks_snapshot** snapshot_out);
/* The same of all keys that start with `prefix` (size 0: all) and have a value; sorted by key. */
KS_API ks_status ks_snapshot_prefix(ks_session* session, ks_bytes prefix, ks_snapshot** snapshot_out);
/* NULL is fine. */
KS_API void ks_snapshot_close(ks_snapshot* snapshot);

typedef struct ks_snapshot_entry {
    ks_bytes key; /* key and value: valid until the snapshot is closed */
    ks_bytes value;
    ks_stamp stamp;
    ks_status status; /* KS_OK; KS_NOT_FOUND: no value at that instant (of given keys only) */
} ks_snapshot_entry;

KS_API size_t ks_snapshot_size(const ks_snapshot* snapshot); /* 0 for NULL */
/* In the order given, or of the keys. Any thread, and a forked child too. KS_OK · KS_E_ARGUMENT (no such index, NULL) ·
 * KS_E_HANDLE. */
KS_API ks_status ks_snapshot_at(const ks_snapshot* snapshot, size_t index, ks_snapshot_entry* entry_out);
/* By key; KS_NOT_FOUND: not in the snapshot, or without a value in it. Faults: also KS_E_KEY_SIZE. */
KS_API ks_status ks_snapshot_get(const ks_snapshot* snapshot, ks_bytes key, ks_snapshot_entry* entry_out);

/* ---- Claims ------------------------------------------------------------------------------------------ */

#define KS_CLAIM_DETACHED 1u /* owned by whoever has the grant's token, not by this session; needs a lease */

typedef struct ks_claim_options {
    size_t struct_size;
    uint32_t flags;
    uint32_t reserved; /* zero */
    uint64_t
        lease_ns; /* 1 ms .. KS_LEASE_NS_MAX, counted while the host is suspended too; 0 = until the owner dies */
    uint64_t wait_ns; /* wait this long for another's claim to end; 0 = answer KS_HELD at once; KS_FOREVER */
} ks_claim_options;

/* Claim the exclusive right to write a key. While it is held, optimistic commits of others get KS_HELD. A
 * claim whose owner is dead, or whose lease is over, is reclaimed on the way.
 * KS_OK: *grant_out (required). KS_HELD (wait_ns 0) or KS_TIMEOUT: receipt: the current stamp and owner.
 * One's own claim met again is KS_HELD too. Not a queue: waiters race when a claim ends.
 * Faults: as ks_commit; KS_E_ARGUMENT for a bad lease. Crash: dying inside leaves the key free, or claimed by
 * a dead owner. */
KS_API ks_status ks_claim(ks_session* session, ks_bytes key, const ks_claim_options* options,
                          ks_grant* grant_out, ks_receipt* receipt_out);
KS_API ks_status ks_claim_k(ks_session* session, ks_key key, const ks_claim_options* options,
                            ks_grant* grant_out, ks_receipt* receipt_out);

/* Let the lease run `lease_ns` from now (0 = until the owner dies; not for a detached claim). KS_OK ·
 * KS_FENCED (taken away; receipt: current stamp) · KS_E_GRANT · KS_E_ARGUMENT. Also after the lease ran out,
 * as long as nobody reclaimed it. */
KS_API ks_status ks_renew(ks_session* session, const ks_grant* grant, uint64_t lease_ns,
                          ks_receipt* receipt_out);

/* Give the claim back. KS_OK (receipt: the stamp with the new even epoch) · KS_FENCED (it was not ours any
 * more) · KS_E_GRANT. */
KS_API ks_status ks_release(ks_session* session, const ks_grant* grant, ks_receipt* receipt_out);

#define KS_RECLAIM_LIVE 1u /* also if its owner lives and its lease runs */

/* Take the claim that `epoch` names (ks_owner.epoch, ks_stamp.epoch) from its owner; its commits are
 * KS_FENCED from now on. KS_OK (also if another reclaimed it in the same moment; receipt: the stamp now) ·
 * KS_FENCED (that claim is over already; receipt: the stamp now) · KS_HELD (alive, and no KS_RECLAIM_LIVE) ·
 * KS_NOT_FOUND (no such key). */
KS_API ks_status ks_reclaim(ks_session* session, ks_bytes key, uint64_t epoch, uint32_t flags,
                            ks_receipt* receipt_out);

/* A detached grant as text for another process (at most KS_TOKEN_SIZE with the zero), and back. Whoever has
 * the token of a key holds its claim. format: KS_E_GRANT if the grant is not detached, KS_TOO_SMALL. parse:
 * KS_E_GRANT if the text is no token, KS_NOT_FOUND if there is no such key; whether the claim still stands is
 * told by the call it is used in (KS_FENCED; KS_E_GRANT if it is another's, or was never given out). A parsed
 * grant's stamp.version is 0: read the key before you commit. */
KS_API ks_status ks_grant_format(const ks_grant* grant, char* buf, size_t capacity);
KS_API ks_status ks_grant_parse(ks_session* session, ks_bytes key, const char* token, ks_grant* grant_out);

/* ---- Waiting ----------------------------------------------------------------------------------------- */

/* Wait until the key's stamp is not `seen` any more: a commit, delete, claim, release or reclaim. `seen`
 * {0,0} waits for anything to happen to an untouched key. KS_OK: *now_out. KS_TIMEOUT: timeout_ns passed (0 =
 * just look). Spins some 20 µs, then sleeps. Changes in between may be seen as one. Several sessions may
 * watch one key. KS_E_DESTROYED: the store was destroyed before the call or during it (a sleeper notices within
 * 100 ms), for readers too. A read-only store polls, each millisecond, also for a key that nobody has made yet.
 * Faults also: KS_E_KEY_SIZE · KS_E_FULL · KS_E_CORRUPT · handle faults. */
KS_API ks_status ks_watch(ks_session* session, ks_bytes key, ks_stamp seen, uint64_t timeout_ns,
                          ks_stamp* now_out);
KS_API ks_status ks_watch_k(ks_session* session, ks_key key, ks_stamp seen, uint64_t timeout_ns,
                            ks_stamp* now_out);

/* ---- The feed of a durable store --------------------------------------------------------------------- */

/* Every commit that wrote, once, in the order of their lsn: to follow a store, to copy it, to audit it. A commit of
 * many keys is one. (Claims, releases and commits that only compared write nothing, so they are in no feed.)
 *
 * A feed shows what is on disk; a relaxed commit appears when it is. So no loss of power takes back what was shown,
 * with one exception (below); else only `keystile repair` of a damaged store may, and it says what it loses. An lsn is
 * a place in the history, not a moment: what was shown so far is no snapshot, for commits that only compared are
 * missing (ks_snapshot_prefix).
 *
 * It needs no open store and is no participant: it reads files, changes nothing, delays nobody; checkpoints do not
 * wait for it. The store may be in use, be opened and recovered meanwhile, or nobody may have it open: then a feed
 * shows what the next opener will find (of a segment that is still in memory: what is on disk of it). It syncs that
 * first; but where the disk had failed before and the kernel forgot, a loss of power before the next opener takes what
 * was shown of the end. Where the segment of a store in use cannot be seen (another mount namespace), commits appear
 * only when a journal file is full or a process closes the store.
 * A ks_feed is memory of this process; one thread at a time; a forked child may only close it (KS_E_FORKED). */
typedef struct ks_feed ks_feed;

typedef struct ks_feed_entry {
    ks_bytes key;
    ks_bytes value;          /* of a deletion empty */
    ks_stamp stamp;          /* after the commit */
    uint64_t version_before; /* what it replaced; 0: the key had never been written */
    uint32_t is_deleted;
    uint32_t reserved;
} ks_feed_entry;

typedef struct ks_feed_commit {
    uint64_t lsn;
    uint64_t wall_ns;             /* since 1970, by the committer's clock, some ms coarse: for people */
    char label[KS_LABEL_SIZE];    /* of the participant that committed */
    const ks_feed_entry* entries; /* these, their keys and values: valid until the next call with this feed */
    size_t size;
} ks_feed_commit;

#define KS_FEED_NOW UINT64_MAX /* as from_lsn: from behind what is on disk now */

/* From the first commit at or after `from_lsn` (to go on: the last one's lsn + 1; it may lie in the future); 0: from
 * the oldest there is. *oldest_out (KS_LAGGED only): the oldest lsn that can be asked for.
 * KS_OK · KS_LAGGED: checkpoints replaced what was asked for · KS_BUSY, ask again: files come and go; KS_FEED_NOW:
 * somebody has the store open, or opens it, and nothing is known here yet of what is on disk.
 * Faults: KS_E_URL (no file: store) · KS_E_ARGUMENT · KS_E_NO_STORE · KS_E_PERMISSION · KS_E_NETWORK_FILE_SYSTEM ·
 *         KS_E_LAYOUT · KS_E_JOURNAL_CORRUPT (ks_last_error() says where) · KS_E_NOT_A_STORE (something else lies at
 *         a file's name) · KS_E_MEMORY · KS_E_SYSTEM; KS_FEED_NOW: KS_E_DESTROYED and KS_E_CORRUPT too, as
 *         ks_feed_next, and those of opening its segment. */
KS_API ks_status ks_feed_open(const char* url, uint64_t from_lsn, ks_feed** feed_out, uint64_t* oldest_out);

/* The next commit, waiting for it up to `timeout_ns` (0 = just look; KS_FOREVER). It sleeps some milliseconds between
 * two looks, less when somebody waits for the same commit's durability. *commit_out is required.
 * KS_OK · KS_TIMEOUT: that is all for now · KS_LAGGED: a checkpoint removed what was still to be read; commit_out->lsn
 * is the oldest lsn there is: read the keys' values anew, go on with a new feed from there · KS_BUSY, ask again.
 * Faults: KS_E_DESTROYED (the directory was removed or moved, or another store is in it) · KS_E_JOURNAL_CORRUPT (the
 *         history up to there was shown; ks_last_error() says file and offset) · KS_E_ARGUMENT · KS_E_HANDLE ·
 *         KS_E_FORKED · KS_E_LAYOUT · KS_E_NOT_A_STORE (something else lies at a file's name) · KS_E_CORRUPT (the
 *         segment) · KS_E_PERMISSION · KS_E_MEMORY · KS_E_SYSTEM.
 * None of these loses the place: the next call tries the same again. */
KS_API ks_status ks_feed_next(ks_feed* feed, uint64_t timeout_ns, ks_feed_commit* commit_out);
/* NULL is fine. */
KS_API void ks_feed_close(ks_feed* feed);

/* ---- Looking after a store --------------------------------------------------------------------------- */

typedef struct ks_counters {
    uint64_t commits, conflicts, fenced, held; /* outcomes told to callers */
    uint64_t claims, releases, reclaims;
    uint64_t retries; /* CASes lost inside calls that went on */
    uint64_t bytes;   /* of committed values */
} ks_counters;

typedef struct ks_stats {
    size_t struct_size;      /* in */
    uint64_t store_id;       /* unique for every store ever made */
    uint64_t keys;           /* slots in use */
    uint64_t bytes_reserved; /* address space */
    uint64_t bytes_used;     /* memory the segment's file takes */
    uint64_t participants;   /* records in use, dead ones not yet reaped among them */
    uint64_t sessions;
    ks_counters total; /* since creation; relaxed: a moment's differences may be missing */
} ks_stats;

KS_API ks_status ks_stat(ks_store* store, ks_stats* stats_out);

typedef struct ks_participant {
    int32_t pid; /* in its own pid namespace */
    uint32_t is_alive;
    uint32_t is_self;
    uint32_t sessions;
    char label[KS_LABEL_SIZE];
    ks_counters counters; /* of its open sessions */
} ks_participant;

typedef int (*ks_participants_fn)(void* user, const ks_participant* participant); /* return 0 to go on */
KS_API ks_status ks_participants(ks_store* store, ks_participants_fn fn, void* user);

/* Reap what dead participants left behind. Happens by itself at every open and when memory runs short;
 * calling it is never needed, and safe at any time, by any number of processes. */
KS_API ks_status ks_reap(ks_store* store, uint64_t* participants_out);

typedef void (*ks_problem_fn)(void* user, const char* text);

typedef struct ks_check_report {
    size_t struct_size; /* in */
    uint64_t keys, claimed, deleted;
    uint64_t blocks_live; /* reachable */
    uint64_t blocks_free;
    uint64_t blocks_in_flight; /* of live sessions: being written or freed right now */
    uint64_t blocks_unreaped;  /* of dead sessions: the next reaping frees them */
    uint64_t problems;
} ks_check_report;

/* Read the whole store and judge it; changes nothing; runs beside writers. KS_OK: consistent. KS_E_CORRUPT:
 * problems, each told to fn (may be NULL) in a sentence; a header that was spoilt since the store was opened is
 * one. */
KS_API ks_status ks_check(ks_store* store, ks_problem_fn fn, void* user, ks_check_report* report_out);

/* ---- The files of a durable store ---------------------------------------------------------------------- */

/* What damage costs. */
#define KS_DAMAGE_TAIL \
    0u /* above what was known to be on disk: an ordinary torn tail; nobody was told of more */
#define KS_DAMAGE_SPARE 1u /* below, but recovery does not need it (an older file, a second copy) */
#define KS_DAMAGE_LOSS 2u  /* below, and needed: acknowledged commits; recovery refuses */

typedef struct ks_damage {
    const char* path; /* valid in the call only */
    uint64_t offset;  /* bytes from the file's beginning: where what is not sound begins */
    const char* what; /* a sentence */
    uint32_t cost;    /* KS_DAMAGE_... */
} ks_damage;

typedef void (*ks_damage_fn)(void* user, const ks_damage* damage);

typedef struct ks_verify_report {
    size_t struct_size;                  /* in */
    uint64_t journals, records, entries; /* read and sound */
    uint64_t checkpoints, checkpoint_entries;
    uint64_t tails;       /* KS_DAMAGE_TAIL: no problem */
    uint64_t problems;    /* the others */
    ks_recovery recovery; /* what one would come to now */
} ks_verify_report;

/* Read every file of a durable store (url: file:/DIR) and judge it: heads, checksums, order, what the files say of each
 * other. Changes nothing, takes no lock, may run beside writers. Each damage is told to fn (may be NULL). KS_OK:
 * nothing but tails. KS_E_JOURNAL_CORRUPT: problems. KS_E_NO_STORE · KS_E_LAYOUT · KS_E_PERMISSION · KS_BUSY (files
 * came and went all the time) · KS_E_URL (no file: store) · KS_E_STRUCT_SIZE · KS_E_NETWORK_FILE_SYSTEM ·
 * KS_E_MEMORY · KS_E_SYSTEM. Any thread; report_out may be NULL. */
KS_API ks_status ks_verify(const char* url, ks_damage_fn fn, void* user, ks_verify_report* report_out);

#define KS_REPAIR_DO 1u           /* else it is only said what a repair would do */
#define KS_REPAIR_DROP_SEGMENT 2u /* give up the segment too, with the commits that only it has */

#define KS_REPAIR_NOT_NEEDED 0u /* recovery takes the store as it is */
#define KS_REPAIR_NEEDED 1u     /* recovery refuses it */
#define KS_REPAIR_UNFINISHED \
    2u /* an earlier one was killed when all was done but the old files' names; recovery takes it */

typedef struct ks_repair_report {
    size_t struct_size;     /* in */
    uint32_t need;          /* KS_REPAIR_...; of the files as they were. If not needed, the rest is 0 */
    uint32_t is_done;       /* 1: with KS_REPAIR_DO, and the store opens now */
    uint64_t kept_keys;     /* deleted ones among them */
    uint64_t kept_last_lsn; /* all commits up to this one are kept, no later one is; 0: none */
    uint32_t is_mixed;      /* 1: but of some keys a later value, for no older checkpoint was whole */
    uint64_t lost_commits;  /* that can be read; lost_first_lsn to lost_last_lsn */
    uint64_t lost_first_lsn, lost_last_lsn;
    uint64_t lost_keys;
    uint64_t unreadable_bytes; /* in which there may be more, up to unreadable_lsn at least */
    uint64_t unreadable_lsn;   /* all commits below it were on disk */
    uint64_t files;            /* that are set aside, */
    char folder[32];           /* in this folder of the store's */
} ks_repair_report;

typedef struct ks_lost_key {
    ks_bytes key;      /* valid in the call only */
    uint64_t last_lsn; /* of the last of its commits that is lost */
} ks_lost_key;

typedef void (*ks_lost_key_fn)(void* user, const ks_lost_key* lost);

/* Make a durable store that recovery refuses one that it takes: the history is cut behind its last sound commit.
 * Nothing is deleted: the files that are replaced go into a folder damaged-NNNNNN in the store's. Without KS_REPAIR_DO
 * nothing is changed. damage_fn is told why recovery refuses, lost_fn each key of which a commit is lost, both (or
 * NULL) before anything is done.
 *
 * KS_OK: done, or said, or not needed. KS_E_IN_USE: somebody has it open; nobody can while this call runs.
 * KS_E_SEGMENT_LEFT: the segment of a store whose processes ended is still in memory (or may be, in another mount
 * namespace), with commits that the files may not have: open the store and ks_checkpoint, which writes all of it to new
 * files and loses nothing, or give it up with KS_REPAIR_DROP_SEGMENT. KS_BUSY: files came, went or changed meanwhile,
 * by no store's hand; a second call begins anew. KS_E_NO_STORE · KS_E_LAYOUT · KS_E_PERMISSION · KS_E_EXHAUSTED (no lsn
 * is left above all that may have been given out) · KS_E_URL · KS_E_ARGUMENT · KS_E_STRUCT_SIZE ·
 * KS_E_NETWORK_FILE_SYSTEM · KS_E_FULL · KS_E_MEMORY · KS_E_SYSTEM. Crash: the store is refused as before, or repaired;
 * a second call ends what is left.
 * Any thread; report_out may be NULL. */
KS_API ks_status ks_repair(const char* url, uint32_t flags, ks_damage_fn damage_fn, ks_lost_key_fn lost_fn,
                           void* user, ks_repair_report* report_out);

#ifdef __cplusplus
}
#endif

#endif /* KEYSTILE_H */
