/* Many keys at once: transactions, snapshots, lists. */
#include "core.h" /* Python.h goes first */

#include <stdlib.h>
#include <string.h>

/* ---- A commit of many keys --------------------------------------------------------------------------- */

/* One operation is (kind, key, argument, grant or None): "expect" with a stamp, "put" with a value, "delete" and
 * "release" with None. */
static ks_status add(Core* core, ks_multi* multi, const char* kind, const Key* key, PyObject* argument,
                     const ks_commit_options* options) {
    if (strcmp(kind, "expect") == 0) {
        ks_stamp seen;
        return read_stamp(core, argument, &seen) ? ks_multi_expect(multi, key->bytes, seen) : KS_E_ARGUMENT;
    }
    if (strcmp(kind, "delete") == 0) return ks_multi_delete(multi, key->bytes, options);
    if (strcmp(kind, "release") == 0) return ks_multi_release(multi, key->bytes, options->grant);
    Value value;
    if (!read_value(argument, &value)) return KS_E_ARGUMENT;
    const ks_status status = ks_multi_put(multi, key->bytes, value.bytes, options);
    drop_value(&value);
    return status;
}

/* A fault or a refusal spoils the transaction, and its commit says so: only Python's own errors end it here. */
static bool add_operation(Core* core, ks_multi* multi, PyObject* operation, uint32_t flags) {
    const char* kind = NULL;
    PyObject *name = NULL, *argument = NULL, *claim = NULL;
    if (!PyArg_ParseTuple(operation, "sOOO", &kind, &name, &argument, &claim)) return false;
    ks_grant grant;
    ks_commit_options options = {.struct_size = sizeof options, .flags = flags};
    if (claim != Py_None) {
        if (!read_grant(claim, &grant)) return false;
        options.grant = &grant;
    }
    Key key;
    if (!read_key(name, &key)) return false;
    const ks_status status = add(core, multi, kind, &key, argument, &options);
    drop_key(&key);
    if (PyErr_Occurred() != NULL) return false;
    if (status < 0) {
        raise_fault(core, status);
        return false;
    }
    return true;
}

/* [(key, status, has_grant, stamp, owner)] of all keys, in the order of their first mention. */
static PyObject* results_of(Core* core, const ks_multi* multi) {
    const size_t size = ks_multi_size(multi);
    PyObject* const results = PyList_New(0);
    for (size_t i = 0; results != NULL && i < size; ++i) {
        ks_multi_result told;
        const ks_status status = ks_multi_item(multi, i, &told);
        if (status != KS_OK) {
            Py_DECREF(results);
            return raise_fault(core, status);
        }
        PyObject* const owner = owner_or_none(core, told.status == KS_HELD, &told.owner);
        PyObject* const stamp = owner != NULL ? new_stamp(core, told.stamp) : NULL;
        PyObject* const key = stamp != NULL ? bytes_of(told.key) : NULL;
        PyObject* const item = key != NULL
                                   ? Py_BuildValue("(NiONN)", key, (int)told.status,
                                                   told.has_grant != 0 ? Py_True : Py_False, stamp, owner)
                                   : NULL;
        if (!append(results, item)) {
            Py_DECREF(results);
            return NULL;
        }
    }
    return results;
}

FAST(store_commit_many) {
    static const Signature signature = {"_commit_many", 2, 2, {"operations", "durable"}};
    StoreObject* const store = (StoreObject*)self;
    PyObject* given[NAMES_MAX];
    if (!bind(&signature, args, count, kwnames, given)) return NULL;
    int is_durable = store->is_durable ? 1 : 0;
    if (given[1] != Py_None) is_durable = PyObject_IsTrue(given[1]);
    ks_session* const session = is_durable >= 0 ? session_of(store) : NULL;
    if (session == NULL || !enter(store))
        return NULL; /* until the end: what is asked of Python may run others */
    ks_multi* multi = NULL;
    ks_status status = ks_multi_begin(session, &multi);
    if (status != KS_OK) {
        leave(store);
        return raise_fault(store->core, status);
    }
    const uint32_t flags = is_durable != 0 ? KS_COMMIT_DURABLE : KS_COMMIT_RELAXED;
    const Py_ssize_t size = PyList_Size(given[0]);
    PyObject* results = NULL;
    bool is_whole = size >= 0;
    for (Py_ssize_t i = 0; is_whole && i < size; ++i)
        is_whole = add_operation(store->core, multi, PyList_GetItem(given[0], i), flags);
    if (is_whole) {
        Py_BEGIN_ALLOW_THREADS;
        status = ks_multi_commit(multi);
        Py_END_ALLOW_THREADS;
        if (status < 0) {
            raise_fault(store->core, status);
        } else {
            results = results_of(store->core, multi);
        }
    }
    ks_multi_end(multi);
    leave(store);
    return results != NULL ? Py_BuildValue("(iN)", (int)status, results) : NULL;
}

/* ---- Snapshots --------------------------------------------------------------------------------------- */

#define BUSY_TRIES 16 /* each is many tries already; then it is the caller's to wait */

static PyObject* entries_of(Core* core, const ks_snapshot* snapshot) {
    const size_t size = ks_snapshot_size(snapshot);
    PyObject* const entries = PyList_New(0);
    for (size_t i = 0; entries != NULL && i < size; ++i) {
        ks_snapshot_entry at;
        const ks_status status = ks_snapshot_at(snapshot, i, &at);
        if (status != KS_OK) {
            Py_DECREF(entries);
            return raise_fault(core, status);
        }
        PyObject* value = Py_None;
        Py_INCREF(value);
        if (at.status == KS_OK) {
            Py_DECREF(value);
            value = bytes_of(at.value);
        }
        PyObject* const entry = new_entry(core, value, at.stamp);
        PyObject* const key = entry != NULL ? bytes_of(at.key) : NULL;
        PyObject* const item = key != NULL ? Py_BuildValue("(NN)", key, entry) : NULL;
        if (!append(entries, item)) {
            Py_DECREF(entries);
            return NULL;
        }
    }
    return entries;
}

static PyObject* take_snapshot(StoreObject* self, const ks_bytes* keys, size_t count,
                               const ks_bytes* prefix) {
    ks_session* const session = session_of(self);
    if (session == NULL || !enter(self)) return NULL;
    ks_snapshot* snapshot = NULL;
    ks_status status = KS_BUSY;
    Py_BEGIN_ALLOW_THREADS;
    for (int tries = 0; status == KS_BUSY && tries < BUSY_TRIES; ++tries) {
        status = prefix != NULL ? ks_snapshot_prefix(session, *prefix, &snapshot)
                                : ks_snapshot_keys(session, keys, count, &snapshot);
    }
    Py_END_ALLOW_THREADS;
    leave(self);
    if (status != KS_OK) return raise_fault(self->core, status);
    PyObject* const entries = entries_of(self->core, snapshot);
    ks_snapshot_close(snapshot);
    return entries;
}

PyObject* store_snapshot_keys(PyObject* self, PyObject* names) {
    if (!PyList_Check(names)) {
        PyErr_SetString(PyExc_TypeError, "_snapshot_keys() takes a list");
        return NULL;
    }
    const size_t count = (size_t)PyList_Size(names);
    Key* const keys = calloc(count + 1, sizeof *keys);
    ks_bytes* const bytes = calloc(count + 1, sizeof *bytes);
    PyObject* entries = NULL;
    size_t read = 0;
    if (keys == NULL || bytes == NULL) {
        free(keys);
        free(bytes);
        return PyErr_NoMemory();
    }
    while (read < count && read_key(PyList_GetItem(names, (Py_ssize_t)read), &keys[read])) {
        bytes[read] = keys[read].bytes;
        ++read;
    }
    if (read == count) entries = take_snapshot((StoreObject*)self, bytes, count, NULL);
    for (size_t i = 0; i < read; ++i) drop_key(&keys[i]);
    free(keys);
    free(bytes);
    return entries;
}

PyObject* store_snapshot_prefix(PyObject* self, PyObject* name) {
    Key prefix;
    if (!read_key(name, &prefix)) return NULL;
    PyObject* const entries = take_snapshot((StoreObject*)self, NULL, 0, &prefix.bytes);
    drop_key(&prefix);
    return entries;
}

/* ---- Lists ------------------------------------------------------------------------------------------- */

typedef struct Listing {
    Core* core;
    PyObject* items;
} Listing;

static int list_one(void* user, const ks_entry* entry) {
    const Listing* const listing = user;
    PyObject* const owner = owner_or_none(listing->core, entry->is_claimed != 0, &entry->owner);
    PyObject* const stamp = owner != NULL ? new_stamp(listing->core, entry->stamp) : NULL;
    PyObject* const key = stamp != NULL ? bytes_of(entry->key) : NULL;
    PyObject* const item = key != NULL ? Py_BuildValue("(NNnON)", key, stamp, (Py_ssize_t)entry->value_size,
                                                       entry->is_deleted != 0 ? Py_True : Py_False, owner)
                                       : NULL;
    return append(listing->items, item) ? 0 : 1;
}

FAST(store_list) {
    static const Signature signature = {"_list", 2, 2, {"prefix", "flags"}};
    StoreObject* const store = (StoreObject*)self;
    PyObject* given[NAMES_MAX];
    uint64_t flags;
    if (!bind(&signature, args, count, kwnames, given) || !read_u64(given[1], "flags", &flags)) return NULL;
    ks_session* const session = session_of(store);
    Key prefix;
    if (session == NULL || !read_key(given[0], &prefix)) return NULL;
    Listing listing = {store->core, PyList_New(0)};
    ks_status status = KS_OK;
    /* An Owner is made by Python code: other threads run meanwhile, and one may close the store. */
    if (listing.items != NULL && enter(store)) {
        status = ks_list(session, prefix.bytes, (uint32_t)flags, list_one, &listing);
        leave(store);
    }
    drop_key(&prefix);
    if (listing.items != NULL && status == KS_OK && PyErr_Occurred() == NULL) return listing.items;
    Py_XDECREF(listing.items);
    return PyErr_Occurred() != NULL ? NULL : raise_fault(store->core, status);
}
