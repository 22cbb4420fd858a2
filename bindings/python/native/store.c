/* keystile._core.Store: one open store. Its life, and the calls of nanoseconds: get, commit, delete. */
#include "core.h" /* Python.h goes first */

#include <unistd.h>

/* ---- Life -------------------------------------------------------------------------------------------- */

bool enter(StoreObject* self) {
    if (self->store == NULL || self->is_closing) {
        raise_closed(self->core, "the store is closed");
        return false;
    }
    ++self->users;
    return true;
}

void leave(StoreObject* self) {
    --self->users;
}

ks_session* session_of(StoreObject* self) {
    if (self->store == NULL || self->is_closing) {
        raise_closed(self->core, "the store is closed");
        return NULL;
    }
    ks_session* const session = ks_default_session(self->store);
    if (session == NULL) raise_fault(self->core, ks_last_status());
    return session;
}

PyObject* open_store(PyObject* module, PyObject* const* args, Py_ssize_t count, PyObject* kwnames) {
    static const Signature signature = {
        "open",
        2,
        8,
        {"cls", "url", "flags", "group", "expected_keys", "max_bytes", "label", "flush_interval_ns"}};
    Core* const core = core_of_module(module);
    PyObject* given[NAMES_MAX];
    if (!bind(&signature, args, count, kwnames, given)) return NULL;
    uint64_t numbers[5] = {0, 0, 0, 0, 0};
    static const char* const names[] = {"flags", "group", "expected_keys", "max_bytes", "flush_interval"};
    static const int places[] = {2, 3, 4, 5, 7};
    for (int i = 0; i < 5; ++i) {
        if (given[places[i]] != NULL && !read_u64(given[places[i]], names[i], &numbers[i])) return NULL;
    }
    ks_open_options options = {.struct_size = sizeof options,
                               .flags = (uint32_t)numbers[0],
                               .group = (uint32_t)numbers[1],
                               .expected_keys = numbers[2],
                               .max_bytes = numbers[3],
                               .flush_interval_ns = numbers[4]};
    if (numbers[1] >= UINT32_MAX) /* that one is "no change" to the system */
        return raise_told(core, KS_E_ARGUMENT, "group is a group's id, 0 to 2^32 - 2");
    const char* url;
    if (!read_text(core, given[1], "a store's URL", KS_E_URL, &url)) return NULL;
    const bool has_label = given[6] != NULL && given[6] != Py_None;
    if (has_label && !read_text(core, given[6], "label", KS_E_ARGUMENT, &options.label)) return NULL;
    PyTypeObject* const type = (PyTypeObject*)given[0];
    const allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    StoreObject* const self = (StoreObject*)allocate(type, 0);
    if (self == NULL) return NULL;
    self->core = core;
    self->is_durable = (options.flags & KS_OPEN_DURABLE) != 0;
    self->pid = getpid();
    ks_store* store = NULL;
    ks_status status;
    Py_BEGIN_ALLOW_THREADS;
    status = ks_open(url, &options, &store); /* of a durable store: a whole recovery */
    Py_END_ALLOW_THREADS;
    if (status != KS_OK) {
        raise_fault(core, status);
        Py_DECREF(self);
        return NULL;
    }
    self->store = store;
    return (PyObject*)self;
}

PyObject* lend_store(Core* core, PyTypeObject* type, ks_store* store, PyObject* lender, bool is_durable) {
    const allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    StoreObject* const self = (StoreObject*)allocate(type, 0);
    if (self == NULL) return NULL;
    self->core = core;
    self->pid = getpid();
    self->is_durable = is_durable;
    self->store = store;
    Py_INCREF(lender);
    self->lender = lender;
    return (PyObject*)self;
}

static void forget_keys(StoreObject* self) {
    for (int i = 0; i < KNOWN_KEYS; ++i) {
        Py_CLEAR(self->known[i].object);
        Py_CLEAR(self->known[i].value);
    }
}

static void close_now(StoreObject* self) {
    ks_store* const store = self->store;
    self->store = NULL;
    if (store == NULL) return;
    /* In a forked child: what a thread of the parent was in the middle of stays as it is, for ever. */
    if (self->lender != NULL || (self->users != 0 && self->pid != getpid())) return;
    ks_close(store);
}

static PyObject* store_close(PyObject* object, PyObject* unused) {
    (void)unused;
    StoreObject* const self = (StoreObject*)object;
    self->is_closing = true; /* whoever waits without the GIL sees it after his slice */
    if (!await_users(&self->users, self->pid)) return NULL;
    ks_store* const store = self->store;
    if (store == NULL) Py_RETURN_NONE;
    if (self->lender != NULL || self->pid != getpid()) {
        close_now(self);
        Py_RETURN_NONE;
    }
    self->store = NULL;
    forget_keys(self);
    Py_BEGIN_ALLOW_THREADS;
    ks_close(store); /* of a durable store: its last flush */
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

static void store_free(PyObject* object) {
    PyTypeObject* const type = Py_TYPE(object);
    const freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    close_now((StoreObject*)object);
    forget_keys((StoreObject*)object);
    Py_XDECREF(((StoreObject*)object)->lender);
    release(object);
    Py_DECREF(type);
}

static PyObject* store_is_closed(PyObject* object, void* unused) {
    (void)unused;
    const StoreObject* const self = (StoreObject*)object;
    return PyBool_FromLong(self->store == NULL || self->is_closing);
}

/* ---- Known keys -------------------------------------------------------------------------------------- */

static KnownKey* place_of(StoreObject* self, PyObject* object) {
    return &self->known[((uintptr_t)object >> 4) % KNOWN_KEYS];
}

/* NULL: not known. */
static KnownKey* known_key(StoreObject* self, PyObject* object) {
    KnownKey* const known = place_of(self, object);
    return known->object == object ? known : NULL;
}

/* After a call that found the key's slot, or made it: resolving makes none. Not what the caller alone has, for that
 * object will not come again; and not what may be no str or bytes to the end, a subclass. */
static void remember_key(StoreObject* self, ks_session* session, PyObject* object, ks_bytes bytes) {
    if (Py_REFCNT(object) < 2 || !(Py_IS_TYPE(object, &PyUnicode_Type) || Py_IS_TYPE(object, &PyBytes_Type)))
        return;
    ks_key key;
    if (ks_resolve(session, bytes, &key) != KS_OK) return;
    KnownKey* const known = place_of(self, object);
    PyObject *const old_object = known->object, *const old_value = known->value;
    Py_INCREF(object);
    *known = (KnownKey){object, key, NULL, {0, 0}};
    Py_XDECREF(old_object);
    Py_XDECREF(old_value);
}

static void keep_value(StoreObject* self, PyObject* object, PyObject* value, ks_stamp seen) {
    KnownKey* const known = known_key(self, object);
    if (known == NULL || value == NULL) return;
    PyObject* const old = known->value;
    known->value = PyBytes_Size(value) <= KEPT_BYTES_MAX ? value : NULL;
    known->seen = seen;
    Py_XINCREF(known->value);
    Py_XDECREF(old);
}

/* ---- Reading ----------------------------------------------------------------------------------------- */

/* What is read: a key by its bytes, or one that was resolved. A copy, for another thread may take the place. */
typedef struct Wanted {
    ks_bytes name;
    ks_key key;
    bool is_known;
} Wanted;

static ks_status read_out(ks_session* session, const Wanted* wanted, char* buffer, size_t capacity,
                          size_t* size_out, ks_stamp* seen_out) {
    if (wanted->is_known) return ks_get_k(session, wanted->key, buffer, capacity, size_out, seen_out);
    return ks_get(session, wanted->name, buffer, capacity, size_out, seen_out);
}

static PyObject* no_value(Core* core, ks_status status, ks_stamp seen) {
    if (status != KS_NOT_FOUND) return raise_fault(core, status);
    Py_INCREF(Py_None);
    return new_entry(core, Py_None, seen);
}

static PyObject* entry_of(StoreObject* self, PyObject* name, PyObject* value_stolen, ks_stamp seen) {
    keep_value(self, name, value_stolen, seen);
    return new_entry(self->core, value_stolen, seen);
}

/* The value outgrew the buffer on the stack. The object's own memory is the next buffer: nobody else has it yet. */
static PyObject* get_large(StoreObject* self, ks_session* session, PyObject* name, const Wanted* wanted,
                           size_t size) {
    for (;;) {
        PyObject* const value = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
        if (value == NULL) return NULL;
        char* const buffer = PyBytes_AsString(value);
        const size_t capacity = size;
        ks_stamp seen = {0, 0};
        ks_status status;
        if (capacity >= LARGE_BYTES) {
            if (!enter(self)) { /* closed since the last look */
                Py_DECREF(value);
                return NULL;
            }
            Py_BEGIN_ALLOW_THREADS;
            status = read_out(session, wanted, buffer, capacity, &size, &seen);
            Py_END_ALLOW_THREADS;
            leave(self);
        } else {
            status = read_out(session, wanted, buffer, capacity, &size, &seen);
        }
        if (status == KS_OK) {
            if (size == capacity) return entry_of(self, name, value, seen);
            PyObject* const shorter =
                PyBytes_FromStringAndSize(buffer, (Py_ssize_t)size); /* it shrank meanwhile */
            Py_DECREF(value);
            return entry_of(self, name, shorter, seen);
        }
        Py_DECREF(value);
        if (status != KS_TOO_SMALL) return no_value(self->core, status, seen);
        if (size < 2 * capacity) size = 2 * capacity; /* it grows: the loop ends at KS_VALUE_SIZE_MAX */
        if (size > KS_VALUE_SIZE_MAX) size = KS_VALUE_SIZE_MAX;
    }
}

static PyObject* get(StoreObject* self, ks_session* session, PyObject* name, const Wanted* wanted) {
    char buffer[2048]; /* most values fit */
    size_t size = 0;
    ks_stamp seen = {0, 0};
    const ks_status status = read_out(session, wanted, buffer, sizeof buffer, &size, &seen);
    if (!wanted->is_known && (status == KS_OK || status == KS_TOO_SMALL))
        remember_key(self, session, name, wanted->name);
    if (status == KS_OK)
        return entry_of(self, name, PyBytes_FromStringAndSize(buffer, (Py_ssize_t)size), seen);
    if (status == KS_TOO_SMALL) return get_large(self, session, name, wanted, size);
    return no_value(self->core, status, seen);
}

/* NULL, and no exception: none is kept, or the key has another stamp now, and then a value of that size. */
static PyObject* kept_entry(StoreObject* self, ks_session* session, const KnownKey* known, size_t* size_out) {
    *size_out = 0;
    if (known->value == NULL) return NULL;
    ks_stamp seen;
    const ks_status status = ks_get_k(session, known->key, NULL, 0, size_out, &seen);
    const bool has_value =
        status == KS_TOO_SMALL || status == KS_OK; /* no byte has room, none of 0 is there */
    if (!has_value || seen.version != known->seen.version || seen.epoch != known->seen.epoch) return NULL;
    Py_INCREF(known->value);
    return new_entry(self->core, known->value, seen);
}

PyObject* store_get(PyObject* object, PyObject* name) {
    StoreObject* const self = (StoreObject*)object;
    ks_session* const session = session_of(self);
    if (session == NULL) return NULL;
    const KnownKey* const known = known_key(self, name);
    if (known != NULL) {
        size_t size;
        PyObject* const kept = kept_entry(self, session, known, &size);
        if (kept != NULL || PyErr_Occurred() != NULL) return kept;
        const Wanted wanted = {{NULL, 0}, known->key, true};
        return size != 0 ? get_large(self, session, name, &wanted, size) : get(self, session, name, &wanted);
    }
    Key key;
    if (!read_key(name, &key)) return NULL;
    const Wanted wanted = {key.bytes, {0, 0}, false};
    PyObject* const entry = get(self, session, name, &wanted);
    drop_key(&key);
    return entry;
}

/* One after the other, each consistent in itself. */
PyObject* store_get_many(PyObject* object, PyObject* keys) {
    PyObject* const iterator = PyObject_GetIter(keys);
    PyObject* const entries = iterator != NULL ? PyList_New(0) : NULL;
    for (PyObject* key = NULL; entries != NULL && (key = PyIter_Next(iterator)) != NULL;) {
        PyObject* const entry = store_get(object, key);
        Py_DECREF(key);
        if (!append(entries, entry)) break;
    }
    Py_XDECREF(iterator);
    if (PyErr_Occurred() == NULL) return entries;
    Py_XDECREF(entries);
    return NULL;
}

/* ---- Committing -------------------------------------------------------------------------------------- */

/* All of it is copies: without the GIL, another thread may take a known key's place. */
typedef struct Commit {
    ks_key known;
    bool is_known; /* else by its bytes */
    Key key;
    Value value;
    ks_stamp seen;
    ks_grant grant;
    ks_commit_options options;
    bool has_options;
    bool is_deletion;
} Commit;

static bool read_options(const StoreObject* self, PyObject* claim, PyObject* durable, PyObject* release,
                         Commit* commit) {
    ks_commit_options* const options = &commit->options;
    *options = (ks_commit_options){.struct_size = sizeof *options};
    commit->has_options = true;
    if (claim != NULL && claim != Py_None) {
        if (!read_grant(claim, &commit->grant)) return false;
        options->grant = &commit->grant;
    }
    int is_durable = self->is_durable ? 1 : 0;
    if (durable != NULL && durable != Py_None) is_durable = PyObject_IsTrue(durable);
    const int is_release = release != NULL ? PyObject_IsTrue(release) : 0;
    if (is_durable < 0 || is_release < 0) return false;
    options->flags = is_durable != 0 ? KS_COMMIT_DURABLE : KS_COMMIT_RELAXED;
    if (is_release == 0) return true;
    options->flags |= KS_COMMIT_RELEASE;
    if (options->grant != NULL) return true;
    PyErr_SetString(PyExc_ValueError, "release=True gives a claim back: say which, claim=");
    return false;
}

static ks_status commit_once(ks_session* session, const Commit* commit, ks_receipt* receipt_out) {
    const ks_commit_options* const options = commit->has_options ? &commit->options : NULL;
    if (commit->is_known) {
        return ks_commit_k(session, commit->known, commit->seen, commit->value.bytes, options, receipt_out);
    }
    if (!commit->is_deletion)
        return ks_commit(session, commit->key.bytes, commit->seen, commit->value.bytes, options, receipt_out);
    const ks_status status = ks_delete(session, commit->key.bytes, commit->seen, options, receipt_out);
    if (status != KS_NOT_FOUND || !commit->has_options || (options->flags & KS_COMMIT_RELEASE) == 0)
        return status;
    const ks_status released = ks_release(session, options->grant, receipt_out);
    return released == KS_OK ? KS_NOT_FOUND : released;
}

static ks_status do_commit(StoreObject* self, ks_session* session, const Commit* commit,
                           ks_receipt* receipt_out) {
    const bool is_durable =
        commit->has_options ? (commit->options.flags & KS_COMMIT_DURABLE) != 0 : self->is_durable;
    if (!is_durable && commit->value.bytes.size < LARGE_BYTES)
        return commit_once(session, commit, receipt_out);
    ks_status status;
    ++self->users;
    Py_BEGIN_ALLOW_THREADS;
    status = commit_once(session, commit, receipt_out);
    Py_END_ALLOW_THREADS;
    leave(self);
    return status;
}

static PyObject* tell_commit(Core* core, ks_status status, PyObject* key, const ks_receipt* receipt,
                             bool is_trying) {
    if (status < 0) return raise_fault(core, status);
    if (is_trying) return new_answer(core, status, receipt);
    if (status == KS_OK || status == KS_NOT_FOUND) return new_stamp(core, receipt->stamp);
    return raise_refusal(core, status, key, receipt);
}

/* The claim goes on from what was committed under it, or is over. It is committed: nothing is an error any more. */
static void settle_claim(Core* core, PyObject* claim, const ks_receipt* receipt, bool is_released) {
    PyObject* const stamp = new_stamp(core, receipt->stamp);
    if (stamp == NULL || PyObject_SetAttrString(claim, "_stamp", stamp) != 0) PyErr_Clear();
    if (is_released && PyObject_SetAttrString(claim, "_raw", Py_None) != 0) PyErr_Clear();
    Py_XDECREF(stamp);
}

/* given: key, [value,] stamp, claim, durable, release */
static PyObject* commit(StoreObject* self, PyObject* const* given, bool is_deletion, bool is_trying) {
    PyObject* const* const rest = given + (is_deletion ? 1 : 2);
    Commit commit;
    commit.has_options = false;
    commit.is_deletion = is_deletion;
    commit.value.bytes = (ks_bytes){NULL, 0};
    commit.value.has_buffer = false;
    if (!read_stamp(self->core, rest[0], &commit.seen)) return NULL;
    const bool has_options = rest[1] != NULL || rest[2] != NULL || rest[3] != NULL;
    if (has_options && !read_options(self, rest[1], rest[2], rest[3], &commit)) return NULL;
    if (!is_deletion && !read_value(given[1], &commit.value)) return NULL;
    /* From here on no Python code runs, until do_commit() gives the GIL away: nobody closes the store. */
    const KnownKey* const known = is_deletion ? NULL : known_key(self, given[0]);
    commit.is_known = known != NULL;
    if (known != NULL) commit.known = known->key;
    commit.key.owned = NULL;
    ks_session* const session = session_of(self);
    if (session == NULL || (known == NULL && !read_key(given[0], &commit.key))) {
        drop_value(&commit.value);
        return NULL;
    }
    ks_receipt receipt;
    const ks_status status = do_commit(self, session, &commit, &receipt);
    if (status == KS_OK && !commit.is_known) remember_key(self, session, given[0], commit.key.bytes);
    if ((status == KS_OK || status == KS_NOT_FOUND) && rest[1] != NULL && !PyBytes_Check(rest[1]) &&
        rest[1] != Py_None)
        settle_claim(self->core, rest[1], &receipt, (commit.options.flags & KS_COMMIT_RELEASE) != 0);
    PyObject* const told = tell_commit(self->core, status, given[0], &receipt, is_trying);
    drop_value(&commit.value);
    drop_key(&commit.key);
    return told;
}

/* What loops do: three arguments and no options, a key that was met before, bytes, a commit that waits for nothing.
 * false, and nothing done: it is another call, or a wrong one. */
static bool commit_quickly(StoreObject* self, PyObject* const* args, ks_status* status_out,
                           ks_receipt* receipt_out) {
    if (self->store == NULL || self->is_closing || self->is_durable) return false;
    const KnownKey* const known = known_key(self, args[0]);
    if (known == NULL || !Py_IS_TYPE(args[1], &PyBytes_Type) || !Py_IS_TYPE(args[2], self->core->stamp_type))
        return false;
    char* data;
    Py_ssize_t size;
    PyBytes_AsStringAndSize(args[1], &data, &size);
    ks_session* const session = ks_default_session(self->store);
    if (session == NULL || size >= LARGE_BYTES) return false;
    *status_out = ks_commit_k(session, known->key, stamp_of(args[2]), (ks_bytes){data, (size_t)size}, NULL,
                              receipt_out);
    return true;
}

#define COMMIT_NAMES {"key", "value", "stamp", "claim", "durable", "release"}
#define DELETE_NAMES {"key", "stamp", "claim", "durable", "release"}

FAST(store_commit) {
    static const Signature signature = {"commit", 3, 3, COMMIT_NAMES};
    PyObject* given[NAMES_MAX];
    ks_status status;
    ks_receipt receipt;
    if (kwnames == NULL && count == 3 && commit_quickly((StoreObject*)self, args, &status, &receipt))
        return tell_commit(((StoreObject*)self)->core, status, args[0], &receipt, false);
    if (!bind(&signature, args, count, kwnames, given)) return NULL;
    return commit((StoreObject*)self, given, false, false);
}

FAST(store_try_commit) {
    static const Signature signature = {"try_commit", 3, 3, COMMIT_NAMES};
    PyObject* given[NAMES_MAX];
    ks_status status;
    ks_receipt receipt;
    if (kwnames == NULL && count == 3 && commit_quickly((StoreObject*)self, args, &status, &receipt))
        return tell_commit(((StoreObject*)self)->core, status, args[0], &receipt, true);
    if (!bind(&signature, args, count, kwnames, given)) return NULL;
    return commit((StoreObject*)self, given, false, true);
}

FAST(store_delete) {
    static const Signature signature = {"delete", 2, 2, DELETE_NAMES};
    PyObject* given[NAMES_MAX];
    if (!bind(&signature, args, count, kwnames, given)) return NULL;
    return commit((StoreObject*)self, given, true, false);
}

FAST(store_try_delete) {
    static const Signature signature = {"try_delete", 2, 2, DELETE_NAMES};
    PyObject* given[NAMES_MAX];
    if (!bind(&signature, args, count, kwnames, given)) return NULL;
    return commit((StoreObject*)self, given, true, true);
}

/* ---- The type ---------------------------------------------------------------------------------------- */

#define CALL(function) ((PyCFunction)(void (*)(void))(function))
#define FASTCALL (METH_FASTCALL | METH_KEYWORDS)

/* The calls of nanoseconds come first: keystile.Store has its own of these. */
#define QUICK_METHODS 6

static PyMethodDef methods[] = {
    {"get", store_get, METH_O,
     "get($self, key, /)\n--\n\nA key's value and stamp; the value is None if it has none."},
    {"get_many", store_get_many, METH_O,
     "get_many($self, keys, /)\n--\n\nThe entries of these keys, in their order; each by itself (snapshot() "
     "is a "
     "cut)."},
    {"commit", CALL(store_commit), FASTCALL,
     "commit($self, key, value, stamp, *, claim=None, durable=None, release=False)\n--\n\n"
     "Commit a value that was computed from what `stamp` names. Returns the new stamp.\n\n"
     "Raises Conflict (read fresh, recompute, commit again), Held (somebody's live claim), Fenced (with a "
     "claim: it\n"
     "was taken away, for ever; without: somebody owned the key since the stamp was read). Nothing is "
     "changed then.\n"
     "durable: return when it is on disk; None: as the store was opened. release: give the claim back in the "
     "same\n"
     "step."},
    {"try_commit", CALL(store_try_commit), FASTCALL,
     "try_commit($self, key, value, stamp, *, claim=None, durable=None, release=False)\n--\n\n"
     "As commit(), but a refusal is an answer and no exception: `if answer := store.try_commit(...)`."},
    {"delete", CALL(store_delete), FASTCALL,
     "delete($self, key, stamp, *, claim=None, durable=None, release=False)\n--\n\n"
     "Take the value away: a commit of \"no value\". Its stamp is returned; deleting what is not there "
     "changes nothing."},
    {"try_delete", CALL(store_try_delete), FASTCALL,
     "try_delete($self, key, stamp, *, claim=None, durable=None, release=False)\n--\n\nAs delete(), and as "
     "try_commit()."},
    {"_commit_many", CALL(store_commit_many), FASTCALL, "_commit_many(operations, durable)"},
    {"_claim", CALL(store_claim), FASTCALL, "_claim(key, lease_ns, wait_ns, detached) -> (grant, stamp)"},
    {"_renew", CALL(store_renew), FASTCALL, "_renew(key, grant, lease_ns) -> stamp"},
    {"_release", CALL(store_release), FASTCALL, "_release(key, grant) -> stamp"},
    {"_reclaim", CALL(store_reclaim), FASTCALL, "_reclaim(key, epoch, live) -> stamp"},
    {"_format", store_format, METH_O, "_format(grant) -> token"},
    {"_parse", CALL(store_parse), FASTCALL, "_parse(key, token) -> (grant, stamp)"},
    {"_watch", CALL(store_watch), FASTCALL, "_watch(key, stamp, timeout_ns) -> stamp or None"},
    {"_list", CALL(store_list), FASTCALL,
     "_list(prefix, flags) -> [(key, stamp, size, is_deleted, owner or None)]"},
    {"_snapshot_keys", store_snapshot_keys, METH_O, "_snapshot_keys(keys) -> [(key, entry)]"},
    {"_snapshot_prefix", store_snapshot_prefix, METH_O, "_snapshot_prefix(prefix) -> [(key, entry)]"},
    {"_flush", store_flush, METH_NOARGS, "_flush()"},
    {"_wait_durable", CALL(store_wait_durable), FASTCALL, "_wait_durable(lsn, timeout_ns) -> bool"},
    {"_checkpoint", store_checkpoint, METH_NOARGS, "_checkpoint()"},
    {"_stats", store_stats, METH_NOARGS, "_stats() -> dict"},
    {"_participants", store_participants, METH_NOARGS, "_participants() -> [dict]"},
    {"_reap", store_reap, METH_NOARGS, "_reap() -> int"},
    {"_check", store_check, METH_NOARGS, "_check() -> (dict, [problem])"},
    {"close", store_close, METH_NOARGS,
     "close($self, /)\n--\n\nClose. Waits for the calls of other threads that are under way; those that wait "
     "are "
     "told. Claims "
     "made\nhere are then claims of a dead owner. Closing again does nothing."},
    {NULL, NULL, 0, NULL}};

static PyGetSetDef properties[] = {{"closed", store_is_closed, NULL, "close() was called.", NULL},
                                   {NULL, NULL, NULL, NULL, NULL}};

static PyType_Slot slots[] = {{Py_tp_doc, "An open store: the base of keystile.Store."},
                              {Py_tp_dealloc, store_free},
                              {Py_tp_methods, methods},
                              {Py_tp_getset, properties},
                              {0, NULL}};

/* CPython's specialized calls are for methods of exactly the object's type, not of a base: so the subclass that is
 * used gets its own. */
PyObject* own_quick_methods(PyObject* module, PyObject* type) {
    if (!PyType_Check(type) || !PyType_IsSubtype((PyTypeObject*)type, core_of_module(module)->store_type)) {
        PyErr_SetString(PyExc_TypeError, "own_quick_methods() takes a subclass of Store");
        return NULL;
    }
    for (int i = 0; i < QUICK_METHODS; ++i) {
        PyObject* const method = PyDescr_NewMethod((PyTypeObject*)type, &methods[i]);
        const bool is_set = method != NULL && PyObject_SetAttrString(type, methods[i].ml_name, method) == 0;
        Py_XDECREF(method);
        if (!is_set) return NULL;
    }
    Py_RETURN_NONE;
}

PyType_Spec store_spec = {"keystile._core.Store", sizeof(StoreObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                          slots};
