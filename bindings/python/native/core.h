/* The native module keystile._core: one Python type per thing of keystile.h, and nothing that is pleasant; that is
 * the Python files' part. Limited API 3.11, one binary for every later Python.
 *
 * The GIL stays held in calls that take nanoseconds (giving it back and taking it costs as much as they do). It is
 * released where a call may wait, sync a disk, or copy a lot. Waits are cut into slices, so that signals are seen.
 * No state outside the module's, but for a constant of the running Python (refused.c): each object that needs it keeps
 * a pointer to it. */
#ifndef KEYSTILE_PYTHON_CORE_H
#define KEYSTILE_PYTHON_CORE_H

#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000 /* as CMake says it too */
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <keystile.h>
#include <stdbool.h>

/* ---- The module's state ------------------------------------------------------------------------------ */

/* Immutable objects that were dropped, for the next ones of their type: a loop makes and drops one in each turn. They
 * stay of their type, and have one reference: ours. */
#define SPARES_MAX 16

typedef struct Spares {
    PyObject* objects[SPARES_MAX];
    int size;
} Spares;

typedef struct Core {
    PyTypeObject* stamp_type;
    PyTypeObject* entry_type;
    PyTypeObject* answer_type;
    PyTypeObject* store_type;
    PyTypeObject* feed_type;
    PyTypeObject* files_type;
    PyTypeObject* error_type;
    PyTypeObject* refused_type;
    PyTypeObject* conflict_type;
    /* of keystile._errors, which imports this module and then tells it */
    PyObject* fenced;
    PyObject* held;
    PyObject* foreign_edit;
    PyObject* lagged;
    PyObject* faults; /* dict: status number -> class */
    PyObject* owner;
    Spares stamps;
    Spares entries;
    /* Refusals are exceptions with more in them. */
    newfunc exception_new;
    initproc exception_init;
    traverseproc exception_traverse;
    inquiry exception_clear;
    PyObject* no_arguments;
    Spares conflicts;
    int conflicts_max;
    PyObject* ending; /* refusals whose last reference went */
    bool is_ending;
} Core;

Core* core_of_module(PyObject* module);

/* ---- Arguments --------------------------------------------------------------------------------------- */

#define NAMES_MAX 8

typedef struct Signature {
    const char* function;
    int required;                     /* the first of the names */
    int positional;                   /* may come without a name, the rest only with it */
    const char* names[NAMES_MAX + 1]; /* NULL ends them */
} Signature;

/* Sorts a vectorcall's arguments into out[]; what is missing is NULL there. Borrowed references.
 * false: TypeError set. */
bool bind(const Signature* signature, PyObject* const* args, Py_ssize_t count, PyObject* kwnames,
          PyObject** out);

/* A key or a prefix: str (as UTF-8) or bytes. */
typedef struct Key {
    ks_bytes bytes;
    PyObject* owned; /* NULL, or what the bytes lie in */
} Key;

bool read_key(PyObject* object, Key* key_out);
void drop_key(Key* key);

/* A text for the library, which ends where a zero byte is: one inside of it is a fault of this status. Borrowed. */
bool read_text(Core* core, PyObject* object, const char* what, ks_status status, const char** text_out);

/* A value: anything with a contiguous buffer. */
typedef struct Value {
    ks_bytes bytes;
    Py_buffer buffer;
    bool has_buffer;
} Value;

bool read_value(PyObject* object, Value* value_out);
void drop_value(Value* value);

bool read_stamp(Core* core, PyObject* object, ks_stamp* stamp_out);
ks_stamp stamp_of(PyObject* object); /* which is one */
bool read_u64(PyObject* object, const char* what, uint64_t* number_out);
/* The bytes that _claim() gave, or an object that has them as `_raw`. */
bool read_grant(PyObject* object, ks_grant* grant_out);
/* Of a token's grant: its holder commits from the version that the key has now and the claim's own epoch, whoever has
 * the key by now. */
ks_status read_version(ks_session* session, ks_bytes key, ks_grant* grant);
PyObject* grant_and_stamp(Core* core, const ks_grant* grant); /* (bytes, Stamp) */

/* ---- Values out -------------------------------------------------------------------------------------- */

PyObject* new_stamp(Core* core, ks_stamp stamp);
PyObject* new_entry(Core* core, PyObject* value_stolen, ks_stamp stamp);
PyObject* new_answer(Core* core, ks_status status, const ks_receipt* receipt);
PyObject* new_owner(Core* core, const ks_owner* owner);
PyObject* owner_or_none(Core* core, bool is_owned, const ks_owner* owner);
/* item NULL: its exception is set. false: the list is not longer. */
bool append(PyObject* list, PyObject* item_stolen);
PyObject* bytes_of(ks_bytes bytes);
PyObject* text_of(const char* text);

extern PyType_Spec stamp_spec, entry_spec, answer_spec, store_spec, feed_spec, files_spec;

/* ---- Refusals and faults: each sets an exception and gives NULL --------------------------------------- */

bool add_refusals(PyObject* module, Core* core);
PyObject* raise_conflict(Core* core, PyObject* key, ks_stamp stamp);
/* KS_CONFLICT, KS_FENCED, KS_FOREIGN_EDIT, KS_HELD (and KS_TIMEOUT of a claim). `key` as the caller gave it. */
PyObject* raise_refusal(Core* core, ks_status status, PyObject* key, const ks_receipt* receipt);
/* status < 0, or an answer that is one of nobody's. */
PyObject* raise_fault(Core* core, ks_status status);
/* The same of a call that may have committed: then its stamp is one, and goes with the exception. */
PyObject* raise_committed_fault(Core* core, ks_status status, ks_stamp stamp);
/* A fault that the library did not see. */
PyObject* raise_told(Core* core, ks_status status, const char* message);
PyObject* raise_closed(Core* core, const char* what);
PyObject* raise_not_found(Core* core, const char* what, PyObject* name);

/* ---- Waiting ----------------------------------------------------------------------------------------- */

#define SLICE_NS UINT64_C(50000000) /* how long a signal, or close(), may go unseen */

typedef struct Wait {
    uint64_t deadline_ns; /* KS_FOREVER: none */
} Wait;

Wait wait_of(uint64_t timeout_ns);
uint64_t next_slice(const Wait* wait); /* 0: over */
/* Until the calls under way have ended, of which *users are left; they are told that somebody closes. In a forked child
 * they never do. false: a signal's exception is set. */
bool await_users(const int* users, int pid);

/* ---- Stores ------------------------------------------------------------------------------------------ */

/* Keys that somebody keeps and uses again are resolved once: by the object, not by its bytes. And a value is copied out
 * once: what has the same stamp is the same value. */
#define KNOWN_KEYS 64
#define KEPT_BYTES_MAX 16384 /* of a value: a megabyte of all of a store's */

typedef struct KnownKey {
    PyObject* object; /* owned, so that no other object has its address; NULL: none */
    ks_key key;
    PyObject* value; /* bytes, as they were at `seen`; NULL: none kept */
    ks_stamp seen;
} KnownKey;

typedef struct StoreObject {
    PyObject head;
    Core* core;
    ks_store* store;   /* NULL: closed */
    ks_session* owner; /* of the claims made here; NULL: none yet */
    bool is_durable;   /* commits that do not say otherwise wait for the disk */
    bool is_closing;
    int users;        /* calls that go on without the GIL; close() waits for them */
    int pid;          /* that opened it */
    PyObject* lender; /* whose store it is, and who closes it; NULL: it is our own */
    KnownKey known[KNOWN_KEYS];
} StoreObject;

/* This thread's session; NULL: exception set. */
ks_session* session_of(StoreObject* self);
/* Around a stretch without the GIL. false: closed, exception set. */
bool enter(StoreObject* self);
void leave(StoreObject* self);

/* Large enough that copying it takes longer than giving the GIL away. */
#define LARGE_BYTES 65536u

PyObject* lend_store(Core* core, PyTypeObject* type, ks_store* store, PyObject* lender, bool is_durable);

PyObject* open_files(PyObject* module, PyObject* const* args, Py_ssize_t count, PyObject* kwnames);
PyObject* store_of_files(PyObject* module, PyObject* const* args, Py_ssize_t count, PyObject* kwnames);
PyObject* open_store(PyObject* module, PyObject* const* args, Py_ssize_t count, PyObject* kwnames);
PyObject* open_feed(PyObject* module, PyObject* const* args, Py_ssize_t count, PyObject* kwnames);
PyObject* own_quick_methods(PyObject* module, PyObject* type);
PyObject* destroy_store(PyObject* module, PyObject* const* args, Py_ssize_t count, PyObject* kwnames);

/* The methods of a store, in the file of their kind. */
#define FAST(name) PyObject* name(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* kwnames)
PyObject* store_get(PyObject*, PyObject*);
PyObject* store_get_many(PyObject*, PyObject*);
FAST(store_commit);
FAST(store_try_commit);
FAST(store_delete);
FAST(store_try_delete);
FAST(store_commit_many);
FAST(store_claim);
FAST(store_renew);
FAST(store_release);
FAST(store_reclaim);
PyObject* store_format(PyObject*, PyObject*);
FAST(store_parse);
FAST(store_watch);
FAST(store_list);
PyObject* store_snapshot_keys(PyObject*, PyObject*);
PyObject* store_snapshot_prefix(PyObject*, PyObject*);
PyObject* store_flush(PyObject*, PyObject*);
FAST(store_wait_durable);
PyObject* store_checkpoint(PyObject*, PyObject*);
PyObject* store_stats(PyObject*, PyObject*);
PyObject* store_participants(PyObject*, PyObject*);
PyObject* store_reap(PyObject*, PyObject*);
PyObject* store_check(PyObject*, PyObject*);

#endif
