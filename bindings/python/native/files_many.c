/* Many files: publish, gate, status. */
#include "core.h" /* Python.h goes first */

#include <stdlib.h>
#include <string.h>

#include "files.h"

/* ---- Changes ----------------------------------------------------------------------------------------- */

typedef struct Changes {
    size_t size;
    ks_files_change* items;
    Key* paths;
    Value* values;
    ks_grant* grants;
} Changes;

static void drop_changes(Changes* changes) {
    for (size_t i = 0; i < changes->size && changes->paths != NULL; ++i) drop_key(&changes->paths[i]);
    for (size_t i = 0; i < changes->size && changes->values != NULL; ++i) drop_value(&changes->values[i]);
    free(changes->items);
    free(changes->paths);
    free(changes->values);
    free(changes->grants);
}

/* (path, flags, data or None, stamp, claim or None) */
static bool read_change(Core* core, PyObject* given, size_t at, Changes* changes) {
    PyObject *path = NULL, *data = NULL, *stamp = NULL, *claim = NULL;
    unsigned int flags = 0;
    if (!PyArg_ParseTuple(given, "OIOOO", &path, &flags, &data, &stamp, &claim)) return false;
    ks_files_change* const change = &changes->items[at];
    change->flags = flags;
    if (!read_stamp(core, stamp, &change->seen) || !read_claim(claim, &changes->grants[at], &change->grant))
        return false;
    if (!read_path(path, &changes->paths[at])) return false;
    change->path = changes->paths[at].bytes.data;
    if (data == Py_None) return true;
    if (!read_value(data, &changes->values[at])) return false;
    change->data = changes->values[at].bytes;
    return true;
}

static bool read_changes(Core* core, PyObject* list, Changes* changes) {
    const Py_ssize_t size = PyList_Size(list);
    *changes = (Changes){0};
    if (size < 0) return false;
    changes->size = (size_t)size;
    changes->items = calloc(changes->size + 1, sizeof *changes->items);
    changes->paths = calloc(changes->size + 1, sizeof *changes->paths);
    changes->values = calloc(changes->size + 1, sizeof *changes->values);
    changes->grants = calloc(changes->size + 1, sizeof *changes->grants);
    bool is_read = changes->items != NULL && changes->paths != NULL && changes->values != NULL &&
                   changes->grants != NULL;
    if (!is_read) PyErr_NoMemory();
    for (size_t i = 0; is_read && i < changes->size; ++i)
        is_read = read_change(core, PyList_GetItem(list, (Py_ssize_t)i), i, changes);
    if (!is_read) drop_changes(changes);
    return is_read;
}

/* [(status, stamp, owner or None)] in the changes' order. */
static PyObject* results_of(Core* core, const Changes* changes) {
    PyObject* const results = PyList_New(0);
    for (size_t i = 0; results != NULL && i < changes->size; ++i) {
        const ks_files_change* const change = &changes->items[i];
        PyObject* const owner = owner_or_none(core, change->status == KS_HELD, &change->owner);
        PyObject* const stamp = owner != NULL ? new_stamp(core, change->stamp) : NULL;
        PyObject* const item =
            stamp != NULL ? Py_BuildValue("(iNN)", (int)change->status, stamp, owner) : NULL;
        if (!append(results, item)) {
            Py_DECREF(results);
            return NULL;
        }
    }
    return results;
}

/* After a fault: the stamp of the first that is committed all the same, or of nothing. */
static ks_stamp first_committed(const Changes* changes) {
    for (size_t i = 0; i < changes->size; ++i) {
        const ks_files_change* const change = &changes->items[i];
        if (change->flags != KS_FILES_EXPECT && change->stamp.version > change->seen.version)
            return change->stamp;
    }
    return (ks_stamp){0, 0};
}

FAST(files_publish) {
    static const Signature signature = {"publish", 1, 1, {"changes"}};
    FilesObject* const files = (FilesObject*)self;
    PyObject* given[NAMES_MAX];
    Changes changes;
    if (!bind(&signature, args, count, kwnames, given) || !is_open(files)) return NULL;
    if (!read_changes(files->core, given[0], &changes)) return NULL;
    ks_status status;
    CALL_FILES(files, status, ks_files_publish(files->files, changes.items, changes.size, NULL));
    PyObject* told = NULL;
    if (status < 0) {
        raise_committed_fault(files->core, status, first_committed(&changes));
    } else {
        PyObject* const results = results_of(files->core, &changes);
        told = results != NULL ? Py_BuildValue("(iN)", (int)status, results) : NULL;
    }
    drop_changes(&changes);
    return told;
}

/* ---- Gates ------------------------------------------------------------------------------------------- */

typedef struct Effect {
    PyThreadState* thread; /* of who called gate(), while it has not the GIL */
    PyObject* function;
    PyObject* returned; /* NULL: it did not run, or raised */
    bool has_run;
} Effect;

static int run_effect(void* user) {
    Effect* const effect = user;
    PyEval_RestoreThread(effect->thread);
    effect->has_run = true;
    effect->returned = PyObject_CallNoArgs(effect->function);
    effect->thread = PyEval_SaveThread(); /* an exception stays this thread's */
    return effect->returned != NULL ? 0 : 1;
}

FAST(files_gate) {
    static const Signature signature = {"gate", 2, 2, {"changes", "effect"}};
    FilesObject* const files = (FilesObject*)self;
    PyObject* given[NAMES_MAX];
    Changes changes;
    if (!bind(&signature, args, count, kwnames, given) || !is_open(files)) return NULL;
    if (PyCallable_Check(given[1]) == 0) {
        PyErr_Format(PyExc_TypeError, "an effect is what can be called, not %R",
                     (PyObject*)Py_TYPE(given[1]));
        return NULL;
    }
    if (!read_changes(files->core, given[0], &changes)) return NULL;
    Effect effect = {NULL, given[1], NULL, false};
    int result = -1;
    ++files->users;
    effect.thread = PyEval_SaveThread();
    const ks_status status =
        ks_files_gate(files->files, changes.items, changes.size, run_effect, &effect, &result);
    PyEval_RestoreThread(effect.thread);
    --files->users;
    PyObject* told = NULL;
    if (effect.has_run && effect.returned == NULL) {
        /* the effect's own exception goes before all else */
    } else if (status < 0) {
        raise_fault(files->core, status);
    } else {
        PyObject* const results = results_of(files->core, &changes);
        PyObject* const returned = effect.returned != NULL ? effect.returned : Py_None;
        told = results != NULL ? Py_BuildValue("(iNOO)", (int)status, results, returned,
                                               effect.has_run ? Py_True : Py_False)
                               : NULL;
    }
    Py_XDECREF(effect.returned);
    drop_changes(&changes);
    return told;
}

/* ---- Status ------------------------------------------------------------------------------------------ */

/* The entries are copied out, without the GIL; then they become Python's. */
typedef struct Listing {
    ks_files_entry* items; /* each one's path is its own memory */
    size_t size, capacity;
    bool is_full; /* out of memory */
} Listing;

static bool has_room(Listing* listing) {
    if (listing->size < listing->capacity) return true;
    const size_t capacity = listing->capacity != 0 ? 2 * listing->capacity : 64;
    ks_files_entry* const items = realloc(listing->items, capacity * sizeof *items);
    if (items == NULL) return false;
    listing->items = items;
    listing->capacity = capacity;
    return true;
}

static int list_one(void* user, const ks_files_entry* entry) {
    Listing* const listing = user;
    char* const path = has_room(listing) ? strdup(entry->path) : NULL;
    listing->is_full = path == NULL;
    if (path == NULL) return 1;
    listing->items[listing->size] = *entry;
    listing->items[listing->size].path = path;
    ++listing->size;
    return 0;
}

/* (path, state, stamp, size, hash or None, mode, owner or None) */
static PyObject* entry_tuple(Core* core, const ks_files_entry* entry) {
    static const uint8_t not_hashed[KS_FILES_HASH_SIZE];
    const bool is_hashed = memcmp(entry->hash, not_hashed, sizeof not_hashed) != 0;
    PyObject* hash = Py_None;
    Py_INCREF(hash);
    if (is_hashed) {
        Py_DECREF(hash);
        hash = bytes_of((ks_bytes){entry->hash, sizeof entry->hash});
    }
    PyObject* const owner = owner_or_none(core, entry->is_claimed != 0, &entry->owner);
    PyObject* const path = path_text(entry->path);
    PyObject* const stamp = new_stamp(core, entry->stamp);
    if (hash != NULL && owner != NULL && path != NULL && stamp != NULL) {
        return Py_BuildValue("(NINKNIN)", path, entry->state, stamp, (unsigned long long)entry->size, hash,
                             entry->mode, owner);
    }
    Py_XDECREF(hash);
    Py_XDECREF(owner);
    Py_XDECREF(path);
    Py_XDECREF(stamp);
    return NULL;
}

FAST(files_status) {
    static const Signature signature = {"status", 2, 2, {"prefix", "flags"}};
    FilesObject* const files = (FilesObject*)self;
    PyObject* given[NAMES_MAX];
    uint64_t flags;
    Key prefix;
    if (!bind(&signature, args, count, kwnames, given) || !read_u64(given[1], "flags", &flags)) return NULL;
    if (!is_open(files) || !read_path(given[0], &prefix)) return NULL;
    Listing listing = {NULL, 0, 0, false};
    ks_status status;
    CALL_FILES(files, status,
               ks_files_status(files->files, prefix.bytes.data, (uint32_t)flags, list_one, &listing));
    drop_key(&prefix);
    PyObject* items = NULL;
    if (status != KS_OK) {
        raise_fault(files->core, status);
    } else if (listing.is_full) {
        PyErr_NoMemory();
    } else {
        items = PyList_New(0);
    }
    for (size_t i = 0; items != NULL && i < listing.size; ++i) {
        if (!append(items, entry_tuple(files->core, &listing.items[i]))) Py_CLEAR(items);
    }
    for (size_t i = 0; i < listing.size; ++i) free((char*)listing.items[i].path);
    free(listing.items);
    return items;
}
