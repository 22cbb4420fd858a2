/* Keystile on plain files: processes edit the files of one folder, and none overwrites what it has not seen.
 *
 * THE IDEA
 *   The files of a folder (the root) are ordinary files that every tool can read. A write through this interface is
 *   committed in a store first, content and stamp together, and then put on disk: a new file beside it, fsync, rename,
 *   fsync of the folder. So the rules of ks_commit() hold for files: one writer of a stamp wins, the others are told
 *   KS_CONFLICT, KS_HELD or KS_FENCED, and then no byte on disk has changed. What a process had committed and not yet
 *   put on disk when it died is put there by whoever reads, writes or opens next: no half of a ks_files_publish()
 *   stays. engine/docs/FILES.md has the protocol.
 *
 * OTHER PROGRAMS may write the files too. That is found out by the content's XXH3-128 hash whenever a file is read or
 *   written here: KS_FOREIGN_EDIT, and nothing is changed until somebody decides: ks_files_adopt() makes what is on
 *   disk the new version, ks_files_restore() puts the store's content back. (What another program writes in the
 *   microseconds between the last look at the file and the rename is lost, as between any two programs that do not
 *   talk.) A file that was never written through here is adopted by the first ks_files_read() or ks_files_claim().
 *   A folder, a link or the like in the place of a file that was written here is an edit, too, and one in the place of
 *   its folder is its removal: adopting commits a deletion, and what is there stays. Then the path is KS_E_PATH again.
 *
 * A LOOP THAT LOSES NOTHING
 *     do { ks_files_read(f, "plan.md", buf, sizeof buf, &n, &seen);  n = recompute(buf, n);
 *     } while ((st = ks_files_write(f, "plan.md", (ks_bytes){buf, n}, seen, NULL, NULL)) == KS_CONFLICT);
 *
 * PATHS are relative to the root, at most KS_FILES_PATH_MAX bytes, parts separated by '/'; "." and empty parts are
 *   dropped. KS_E_PATH: empty, absolute, with "..", a symbolic link anywhere in it, a folder or anything that is no
 *   regular file, another file system, or ".keystile" (ours) at any depth. The kernel checks it while it opens
 *   (openat2 beneath the root, Linux 5.6), so a link that is swapped in meanwhile leads nowhere either.
 *
 * FILES have 0..KS_FILES_SIZE_MAX bytes of any content. Folders are made as needed, never removed: where a file
 *   is to become a folder, remove it first and write below it then. A file keeps its mode; a new one gets 0666 less the
 *   umask that the process had at ks_files_open(). It keeps its group, too (a new one in a set-group-id folder gets the
 *   folder's); where we may not give it that, its group gets no more than all others. Owner, hard links, ACLs and
 *   extended attributes are not kept: each write makes a new inode, its writer's, and set-user-id and set-group-id bits
 *   stay only where owner and group do.
 *
 * STAMPS, GRANTS, RECEIPTS are those of the path's key in the store, ks_files_key(), so everything else of keystile.h
 *   works on it too: ks_watch() waits for a file, ks_multi_expect() ties a state to one. A deleted file still has a
 *   version. Do not write such keys by other calls: a value that is not ours is KS_E_CORRUPT.
 *
 * THREADS: a ks_files may be used by all threads. FORK: as a ks_store, open it again in the child (KS_E_FORKED).
 *   PROCESSES: kill -9 at any instruction is fine. One root has one store; do not open a root with two.
 */
#ifndef KEYSTILE_FILES_H
#define KEYSTILE_FILES_H

#include "keystile.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KS_FILES_SIZE_MAX (KS_VALUE_SIZE_MAX - 64u)
#define KS_FILES_PATH_MAX 1000u
#define KS_FILES_HASH_SIZE 16u

typedef struct ks_files ks_files; /* an open root, and its store */

typedef struct ks_files_options {
    size_t struct_size;
    uint32_t flags;    /* zero */
    uint32_t reserved; /* zero */
    const char*
        store_url; /* NULL = the durable store "file:ROOT/.keystile", made if there is none. With a "shm:" store
                              what was committed and not yet on disk is lost with the host's memory */
    const char* label; /* as ks_open_options */
} ks_files_options;

/* Open a root, which is a folder that exists, and its store; puts on disk what dead processes had committed only.
 * KS_OK: *files_out. KS_E_PATH: no folder, or of a file system without what is needed. KS_E_SYSTEM with ENOSYS: the
 * kernel has no openat2. Else as ks_open (KS_E_NETWORK_FILE_SYSTEM, KS_E_JOURNAL_CORRUPT…), and as ks_files_write. */
KS_API ks_status ks_files_open(const char* root, const ks_files_options* options, ks_files** files_out);
/* Closes its store too, as ks_close. NULL is fine. */
KS_API void ks_files_close(ks_files* files);
/* Its store, open as long as `files` is; not to be closed. NULL on a fault. */
KS_API ks_store* ks_files_store(ks_files* files);

/* The path in its one spelling ("a//./b" is "a/b") as the store's key: "files/" and the path. Written with a
 * terminating zero; *size_out is without it. KS_TOO_SMALL (KS_FILES_PATH_MAX + 7 is always enough) · KS_E_PATH. */
KS_API ks_status ks_files_key(ks_files* files, const char* path, char* buf, size_t capacity,
                              size_t* size_out);

/* What a value of such a key (from ks_get, ks_feed_next, a snapshot) says: content and mode. KS_OK: *data_out lies in
 * `value`. KS_NOT_FOUND: it is a deletion. KS_E_CORRUPT: not a value of ours. Needs no open root. */
KS_API ks_status ks_files_parse(ks_bytes value, ks_bytes* data_out, uint32_t* mode_out);

/* ---- Reading ----------------------------------------------------------------------------------------- */

/* Content and stamp, as committed last; and the file on disk has just that, or cannot be brought to it (a full disk).
 * KS_OK · KS_TOO_SMALL (nothing in buf, *size_out and *seen_out are set) · KS_NOT_FOUND (no such file; *size_out 0,
 * *seen_out creates it) · KS_FOREIGN_EDIT (*size_out 0; *seen_out is the store's stamp: what adopt or restore act on).
 * A file that was never written through here is adopted: committed as it is (not waiting for the disk), unless
 * somebody holds its claim or the store has no room for it; then it is read with the stamp of nothing.
 * Faults: KS_E_PATH · KS_E_VALUE_SIZE (a file too large) · KS_E_PERMISSION · KS_E_SYSTEM · KS_E_FULL · KS_E_MEMORY ·
 *         KS_E_CORRUPT · those of ks_get, and of putting on disk what was not yet. */
KS_API ks_status ks_files_read(ks_files* files, const char* path, void* buf, size_t capacity,
                               size_t* size_out, ks_stamp* seen_out);

#define KS_FILES_CLEAN 0u /* the store's content is on disk */
#define KS_FILES_EDITED \
    1u /* someone wrote it without us (or made it unreadable, or a link): KS_FOREIGN_EDIT */
#define KS_FILES_MISSING 2u   /* someone removed it without us, or its folder: KS_FOREIGN_EDIT */
#define KS_FILES_UNTRACKED 3u /* never written or read through here; or deleted, and there again */
#define KS_FILES_PENDING 4u   /* committed, on its way to the disk */
#define KS_FILES_DELETED 5u   /* deleted through here, and no file is there; listed with KS_FILES_ALL only */
#define KS_FILES_FOLDER \
    6u /* with KS_FILES_LEVEL: a folder in which the store has files or, with KS_FILES_ALL, that is there. It has no
          stamp, size or hash */

typedef struct ks_files_entry {
    const char* path; /* valid during the callback */
    ks_stamp stamp;
    uint64_t size;                    /* of the store's content; UNTRACKED: on disk */
    uint8_t hash[KS_FILES_HASH_SIZE]; /* XXH3-128 of the same, canonical (big-endian); zero: not hashed */
    uint32_t mode;                    /* permission bits, on disk if it is there */
    uint32_t state;                   /* KS_FILES_… */
    uint32_t is_claimed;              /* owner is valid */
    ks_owner owner;
} ks_files_entry;

typedef int (*ks_files_fn)(void* user, const ks_files_entry* entry); /* return 0 to go on */

#define KS_FILES_ALL \
    1u /* also DELETED ones, and UNTRACKED ones (walks the folder; links and the like are skipped) */
#define KS_FILES_LEVEL \
    2u /* only what lies directly in the folder `prefix`, its folders as FOLDER: nothing deeper is read. An UNTRACKED
          file is not hashed if the store has never heard of it */

/* Every path at or below `prefix` (NULL or "": all), sorted. Changes nothing; reads and hashes each tracked file. Each
 * entry is true by itself at some moment of the call. Faults: KS_E_PATH · as ks_list · KS_E_MEMORY · KS_E_SYSTEM. */
KS_API ks_status ks_files_status(ks_files* files, const char* prefix, uint32_t flags, ks_files_fn fn,
                                 void* user);

/* ---- Writing ----------------------------------------------------------------------------------------- */

/* Replace or create a file. `seen` is from ks_files_read or the last receipt, {0,0} = "never written"; `grant`: under
 * that claim, or NULL.
 * KS_OK: committed, durably where the store is, and on disk; receipt: the new stamp. (Or a newer commit overtook it,
 * whose writer puts its own content there; or another program wrote the file between the commit and the rename: then
 * its content stays on disk, and the next read or write is told KS_FOREIGN_EDIT.)
 * KS_CONFLICT · KS_FENCED · KS_HELD: as ks_commit. KS_FOREIGN_EDIT: someone wrote, removed or made the file without us;
 * receipt: the stamp now. In all of these nothing was changed, neither in the store nor on disk.
 * Faults: KS_E_PATH · KS_E_VALUE_SIZE · KS_E_PERMISSION (the folder) · KS_E_GRANT · KS_E_FULL · KS_E_JOURNAL ·
 *         KS_E_SYSTEM · else as ks_commit. After a fault the receipt tells: stamp {0,0}: nothing was changed. Else it
 *         is committed under that stamp, but not on disk yet, for the reason that ks_last_error() says; the next read,
 *         write or open tries again. */
KS_API ks_status ks_files_write(ks_files* files, const char* path, ks_bytes data, ks_stamp seen,
                                const ks_grant* grant, ks_receipt* receipt_out);

/* Delete a file. KS_NOT_FOUND: there is none, and `seen` (under a grant: its version) says so; nothing is committed.
 * Else as ks_files_write. */
KS_API ks_status ks_files_remove(ks_files* files, const char* path, ks_stamp seen, const ks_grant* grant,
                                 ks_receipt* receipt_out);

#define KS_FILES_EXPECT 1u /* compare only: nobody has written it since `seen` */
#define KS_FILES_REMOVE 2u /* delete it */

/* One path of many. `data`, `seen`, `grant` as ks_files_write. */
typedef struct ks_files_change {
    const char* path;
    uint32_t flags;
    ks_status status; /* out: KS_OK, or why not all was done, or a fault of this path */
    ks_bytes data;
    ks_stamp seen;
    const ks_grant* grant;
    ks_stamp stamp; /* out: KS_OK of all: the new one. Else the current one */
    ks_owner owner; /* out: KS_HELD only */
} ks_files_change;

/* Many files in one step (1 .. KS_MULTI_KEYS_MAX paths, each once; else KS_E_ARGUMENT): all or none. KS_OK: all.
 * KS_FENCED, KS_CONFLICT, KS_HELD, KS_FOREIGN_EDIT: none; the worst of them, and each change's status says its own.
 * Who reads through here sees all or none. Other programs may see a mixture for the moment of the renames, of which
 * nothing stays if the process dies. *lsn_out: the commit's place in the store's history. Faults as ks_files_write;
 * after one the changes' stamps tell: {0,0}: nothing was changed; else all is committed, and those of which the
 * status is a fault could not be put on disk yet. */
KS_API ks_status ks_files_publish(ks_files* files, ks_files_change* changes, size_t count, uint64_t* lsn_out);

/* Give a file another name: one ks_files_publish of the new name with the content and mode of the old, and the old
 * one's removal. `to_seen`: of what is there now, replaced in the same step; {0,0} = nothing ever was. The grants:
 * under these claims of the two paths, or NULL. The receipt is of `to`, of `from` if that is what stood in the way.
 * KS_NOT_FOUND: there is no `from`. Else as ks_files_write. */
KS_API ks_status ks_files_rename(ks_files* files, const char* from, ks_stamp from_seen,
                                 const ks_grant* from_grant, const char* to, ks_stamp to_seen,
                                 const ks_grant* to_grant, ks_receipt* receipt_out);

/* Commit what is on disk now as the file's new version; a file that was removed, or has given way to something else, as
 * a deletion. KS_OK: also if nothing was foreign; receipt: the stamp now. KS_NOT_FOUND: there is no file, and never was
 * one that is known. KS_HELD · KS_FENCED · KS_BUSY (it is being edited all the time) · faults as ks_files_write. */
KS_API ks_status ks_files_adopt(ks_files* files, const char* path, const ks_grant* grant,
                                ks_receipt* receipt_out);
/* Put the store's content back, over whatever is there (a file's mode stays), but no folder, and no file or link where
 * its folder should be: KS_E_PATH, ks_last_error() says what stands where. A file that was deleted through here, or is
 * not known, is not touched (KS_NOT_FOUND). No commit: the stamp stays. receipt: the stamp. Faults as ks_files_write;
 * the receipt is {0,0} then. */
KS_API ks_status ks_files_restore(ks_files* files, const char* path, ks_receipt* receipt_out);

/* ---- Claims and gates -------------------------------------------------------------------------------- */

/* As ks_claim, ks_renew, ks_release of the path's key (which need not have a file yet); a file that was never written
 * through here is adopted first. A claim without a lease belongs to this `ks_files`, not to the calling thread: it
 * ends with ks_files_close or the process. Any thread may use the grant. KS_CLAIM_DETACHED: ks_grant_format() gives
 * the token, ks_files_grant() makes a grant of one (KS_E_GRANT · KS_NOT_FOUND, as ks_grant_parse). */
KS_API ks_status ks_files_claim(ks_files* files, const char* path, const ks_claim_options* options,
                                ks_grant* grant_out, ks_receipt* receipt_out);
KS_API ks_status ks_files_renew(ks_files* files, const ks_grant* grant, uint64_t lease_ns,
                                ks_receipt* receipt_out);
KS_API ks_status ks_files_release(ks_files* files, const ks_grant* grant, ks_receipt* receipt_out);
KS_API ks_status ks_files_grant(ks_files* files, const char* path, const char* token, ks_grant* grant_out);

typedef int (*ks_files_effect_fn)(void* user);

/* Run an effect only if what it was decided on still holds, and let nobody change it meanwhile: claims the paths
 * (under a change's grant: that claim serves), compares each with its `seen` and with the disk, calls `effect`, and
 * gives the claims back. Of `changes`: path, seen and grant in; status, stamp and owner out, as ks_files_publish; data
 * and flags must be zero.
 * KS_OK: the effect ran; *result_out is what it returned. KS_CONFLICT · KS_FENCED · KS_HELD · KS_FOREIGN_EDIT: it did
 * not. If a claim, the gate's or the caller's, was taken away while it ran (its lease was over, or KS_RECLAIM_LIVE):
 * KS_FENCED with *result_out set; set it before to a number that the effect does not return.
 * The claims move the epochs: stamps read before are KS_FENCED afterwards, so of two gates on one stamp one runs; read
 * again. But not of a path that was never written: its stamp {0,0} says just that, which stays true whoever claimed it
 * (keystile.h, ks_stamp), so gates on that run one after the other; an effect that may run only once needs a file that
 * is written after it. A process that dies in the effect leaves the claims of a dead owner, and the stamps read before
 * are over, too.
 * Faults as ks_files_write · KS_E_GRANT (a grant of another path). */
KS_API ks_status ks_files_gate(ks_files* files, ks_files_change* changes, size_t count,
                               ks_files_effect_fn effect, void* user, int* result_out);

#ifdef __cplusplus
}
#endif

#endif /* KEYSTILE_FILES_H */
