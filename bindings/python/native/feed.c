/* keystile._core.Feed: every commit of a durable store, in order. */
#include "core.h" /* Python.h goes first */

#include <unistd.h>

typedef struct FeedObject {
    PyObject head;
    Core* core;
    ks_feed* feed; /* NULL: closed */
    bool is_used;  /* some thread is in it, without the GIL */
    int pid;
} FeedObject;

/* (message, name, oldest lsn) */
static PyObject* raise_lagged(Core* core, uint64_t oldest) {
    PyObject* const args = Py_BuildValue("(ssiK)", "checkpoints replaced the commits that were to be read",
                                         "KS_LAGGED", 0, (unsigned long long)oldest);
    if (args == NULL) return NULL;
    PyErr_SetObject(core->lagged, args);
    Py_DECREF(args);
    return NULL;
}

PyObject* open_feed(PyObject* module, PyObject* const* args, Py_ssize_t count, PyObject* kwnames) {
    static const Signature signature = {"open_feed", 2, 2, {"url", "from_lsn"}};
    Core* const core = core_of_module(module);
    PyObject* given[NAMES_MAX];
    uint64_t from_lsn, oldest = 0;
    if (!bind(&signature, args, count, kwnames, given) || !read_u64(given[1], "from_lsn", &from_lsn))
        return NULL;
    const char* url;
    if (!read_text(core, given[0], "a store's URL", KS_E_URL, &url)) return NULL;
    ks_feed* feed = NULL;
    ks_status status;
    Py_BEGIN_ALLOW_THREADS;
    status = ks_feed_open(url, from_lsn, &feed, &oldest);
    Py_END_ALLOW_THREADS;
    if (status == KS_LAGGED) return raise_lagged(core, oldest);
    if (status != KS_OK) return raise_fault(core, status);
    FeedObject* const self = PyObject_New(FeedObject, core->feed_type);
    if (self == NULL) {
        ks_feed_close(feed);
        return NULL;
    }
    self->core = core;
    self->feed = feed;
    self->is_used = false;
    self->pid = getpid();
    return (PyObject*)self;
}

static PyObject* entry_tuple(Core* core, const ks_feed_entry* entry) {
    PyObject* value = Py_None;
    Py_INCREF(value);
    if (entry->is_deleted == 0) {
        Py_DECREF(value);
        value = bytes_of(entry->value);
    }
    PyObject* const key = value != NULL ? bytes_of(entry->key) : NULL;
    PyObject* const stamp = key != NULL ? new_stamp(core, entry->stamp) : NULL;
    if (stamp != NULL)
        return Py_BuildValue("(NNNK)", key, value, stamp, (unsigned long long)entry->version_before);
    Py_XDECREF(key);
    Py_XDECREF(value);
    return NULL;
}

/* (lsn, wall_ns, label, [(key, value or None, stamp, version_before)]) */
static PyObject* commit_tuple(Core* core, const ks_feed_commit* commit) {
    PyObject* const entries = PyList_New(0);
    for (size_t i = 0; entries != NULL && i < commit->size; ++i) {
        if (!append(entries, entry_tuple(core, &commit->entries[i]))) {
            Py_DECREF(entries);
            return NULL;
        }
    }
    PyObject* const label = entries != NULL ? text_of(commit->label) : NULL;
    if (label != NULL) {
        return Py_BuildValue("(KKNN)", (unsigned long long)commit->lsn, (unsigned long long)commit->wall_ns,
                             label, entries);
    }
    Py_XDECREF(entries);
    return NULL;
}

static PyObject* feed_next(PyObject* object, PyObject* timeout) {
    FeedObject* const self = (FeedObject*)object;
    uint64_t timeout_ns;
    if (!read_u64(timeout, "timeout", &timeout_ns)) return NULL;
    if (self->feed == NULL) return raise_closed(self->core, "the feed is closed");
    if (self->is_used) return raise_closed(self->core, "another thread is in the feed");
    const Wait wait = wait_of(timeout_ns);
    ks_feed_commit commit;
    ks_status status;
    uint64_t slice = 0; /* just look, first */
    do {
        self->is_used = true;
        Py_BEGIN_ALLOW_THREADS;
        status = ks_feed_next(self->feed, slice, &commit);
        Py_END_ALLOW_THREADS;
        self->is_used = false;
        if (self->feed == NULL || PyErr_CheckSignals() != 0) break;
    } while ((status == KS_TIMEOUT || status == KS_BUSY) && (slice = next_slice(&wait)) != 0);
    if (PyErr_Occurred() != NULL) return NULL;
    if (status == KS_OK) return commit_tuple(self->core, &commit);
    if (status == KS_TIMEOUT || status == KS_BUSY) Py_RETURN_NONE; /* neither loses the place */
    if (status == KS_LAGGED) return raise_lagged(self->core, commit.lsn);
    return raise_fault(self->core, status);
}

static PyObject* feed_close(PyObject* object, PyObject* unused) {
    (void)unused;
    FeedObject* const self = (FeedObject*)object;
    if (self->is_used && self->pid == getpid())
        return raise_closed(self->core, "another thread is in the feed");
    ks_feed_close(self->feed);
    self->feed = NULL;
    Py_RETURN_NONE;
}

static void feed_free(PyObject* object) {
    PyTypeObject* const type = Py_TYPE(object);
    ks_feed_close(((FeedObject*)object)->feed);
    PyObject_Free(object);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {{"next", feed_next, METH_O, "next(timeout_ns) -> commit or None"},
                                {"close", feed_close, METH_NOARGS, "close()"},
                                {NULL, NULL, 0, NULL}};

static PyType_Slot slots[] = {{Py_tp_doc, "A feed: what keystile.Feed iterates over."},
                              {Py_tp_dealloc, feed_free},
                              {Py_tp_methods, methods},
                              {0, NULL}};

PyType_Spec feed_spec = {"keystile._core.Feed", sizeof(FeedObject), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
