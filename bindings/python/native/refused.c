/* KeystileError, Refused and Conflict: here and not in _errors.py, because losing a race is the normal case.
 *
 * A refusal keeps key, stamp and owner in fields behind those of Exception, whose size only the running Python knows;
 * its arguments, its stamp and its sentence are made when somebody asks for them. A Conflict's memory is used again. */
#include "core.h" /* Python.h goes first */

#include <string.h>

typedef struct Refusal {
    Core* core;
    PyObject* key;   /* as the caller gave it */
    PyObject* owner; /* an Owner, or None */
    ks_stamp stamp;
    PyObject* next; /* of those that end */
} Refusal;

static size_t refusal_at; /* of this Python, so the same in each of its interpreters */

static Refusal* refusal_of(PyObject* self) {
    return (Refusal*)((char*)self + refusal_at);
}

/* ---- Life -------------------------------------------------------------------------------------------- */

/* Key and owner are borrowed. */
static PyObject* begin(Core* core, PyObject* self, PyObject* key, ks_stamp stamp, PyObject* owner) {
    Py_INCREF(key);
    Py_INCREF(owner);
    *refusal_of(self) = (Refusal){core, key, owner, stamp, NULL};
    return self;
}

static PyObject* new_refusal(Core* core, PyTypeObject* type) {
    return core->exception_new(type, core->no_arguments, NULL);
}

/* A new exception is zeros but for its arguments. Where another Python's is more than that, none is kept. */
static bool is_zeroed(const PyObject* self, const PyObject* arguments) {
    const char* at = (const char*)self + sizeof *self;
    int others = 0, found = 0;
    for (; at < (const char*)self + refusal_at; at += sizeof(uintptr_t)) {
        uintptr_t word;
        memcpy(&word, at, sizeof word);
        if (word == (uintptr_t)arguments) ++found;
        if (word != (uintptr_t)arguments && word != 0) ++others;
    }
    return found == 1 && others == 0;
}

/* The module of a type that may be a Python class derived from ours. */
static Core* core_of_type(PyTypeObject* type) {
    Core* core = PyType_GetModuleState(type);
    while (core == NULL && (type = PyType_GetSlot(type, Py_tp_base)) != NULL) {
        PyErr_Clear();
        core = PyType_GetModuleState(type);
    }
    return core;
}

/* Its arguments are those of __init__(), also of a derived class that has more. */
static PyObject* refused_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    (void)args, (void)kwargs;
    Core* const core = core_of_type(type);
    PyObject* const self = core != NULL ? new_refusal(core, type) : NULL;
    return self != NULL ? begin(core, self, Py_None, (ks_stamp){0, 0}, Py_None) : NULL;
}

static int refused_init(PyObject* self, PyObject* args, PyObject* kwargs) {
    static char* names[] = {"key", "stamp", "owner", NULL};
    PyObject *key = NULL, *stamp = NULL, *owner = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|O:Refused", names, &key, &stamp, &owner)) return -1;
    Refusal* const refusal = refusal_of(self);
    if (!read_stamp(refusal->core, stamp, &refusal->stamp)) return -1;
    PyObject *const old_key = refusal->key, *const old_owner = refusal->owner;
    Py_INCREF(key);
    Py_INCREF(owner);
    refusal->key = key;
    refusal->owner = owner;
    Py_XDECREF(old_key);
    Py_XDECREF(old_owner);
    return 0;
}

static int refused_traverse(PyObject* self, visitproc visit, void* arg) {
    const Refusal* const refusal = refusal_of(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(refusal->key);
    Py_VISIT(refusal->owner);
    return refusal->core != NULL ? refusal->core->exception_traverse(self, visit, arg) : 0;
}

static int refused_clear(PyObject* self) {
    Refusal* const refusal = refusal_of(self);
    Py_CLEAR(refusal->owner);
    return refusal->core->exception_clear(
        self); /* the key is no container, and its sentence may still be read */
}

static void end(Core* core, PyObject* self) {
    PyTypeObject* const type = Py_TYPE(self);
    core->exception_clear(self);
    Py_CLEAR(refusal_of(self)->key);
    Py_CLEAR(refusal_of(self)->owner);
    if (type == core->conflict_type && core->conflicts.size < core->conflicts_max) {
        memset((char*)self + sizeof *self, 0, refusal_at - sizeof *self);
        core->exception_init(self, core->no_arguments, NULL);
        Py_SET_REFCNT(self, 1);
        core->conflicts.objects[core->conflicts.size++] = self;
        return;
    }
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

/* Of a chain of refusals, each the context of the one before, one ends after the other, not inside of it. */
static void refused_free(PyObject* self) {
    Core* const core = refusal_of(self)->core;
    PyObject_GC_UnTrack(self);
    refusal_of(self)->next = core->ending;
    core->ending = self;
    if (core->is_ending) return;
    core->is_ending = true;
    while ((self = core->ending) != NULL) {
        core->ending = refusal_of(self)->next;
        end(core, self);
    }
    core->is_ending = false;
}

/* Sets the exception. PyErr_SetObject() looks for the one that is being handled, to be its context; mostly there is
 * none, and then this is shorter. */
PyObject* raise_conflict(Core* core, PyObject* key, ks_stamp stamp) {
    PyObject* self;
    if (core->conflicts.size != 0) {
        self = core->conflicts.objects[--core->conflicts.size];
        PyObject_GC_Track(self);
    } else {
        self = new_refusal(core, core->conflict_type);
        if (self == NULL) return NULL;
    }
    begin(core, self, key, stamp, Py_None);
    PyObject* const handled = PyErr_GetHandledException();
    if (handled == NULL) {
        Py_INCREF((PyObject*)core->conflict_type);
        PyErr_Restore((PyObject*)core->conflict_type, self, NULL);
    } else {
        PyErr_SetObject((PyObject*)core->conflict_type, self);
        Py_DECREF(handled);
        Py_DECREF(self);
    }
    return NULL;
}

/* ---- What it tells ----------------------------------------------------------------------------------- */

static PyObject* refused_key(PyObject* self, void* unused) {
    (void)unused;
    Py_INCREF(refusal_of(self)->key);
    return refusal_of(self)->key;
}

static PyObject* refused_stamp(PyObject* self, void* unused) {
    (void)unused;
    return new_stamp(refusal_of(self)->core, refusal_of(self)->stamp);
}

static PyObject* refused_version(PyObject* self, void* unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(refusal_of(self)->stamp.version);
}

static PyObject* refused_epoch(PyObject* self, void* unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(refusal_of(self)->stamp.epoch);
}

static PyObject* refused_owner(PyObject* self, void* unused) {
    (void)unused;
    PyObject* const owner = refusal_of(self)->owner != NULL ? refusal_of(self)->owner : Py_None;
    Py_INCREF(owner);
    return owner;
}

static PyObject* refused_args(PyObject* self, void* unused) {
    return Py_BuildValue("(ONN)", refusal_of(self)->key, refused_stamp(self, unused),
                         refused_owner(self, unused));
}

static PyObject* refused_status(PyObject* self, void* unused) {
    (void)unused;
    return PyObject_GetAttrString(self, "_status");
}

static PyObject* refused_str(PyObject* self) {
    const Refusal* const refusal = refusal_of(self);
    PyObject* const says = PyObject_GetAttrString(self, "_says");
    if (says == NULL) return NULL;
    PyObject* const text = PyUnicode_FromFormat("%R: %S (now version %llu, epoch %llu)", refusal->key, says,
                                                (unsigned long long)refusal->stamp.version,
                                                (unsigned long long)refusal->stamp.epoch);
    Py_DECREF(says);
    return text;
}

static PyObject* refused_repr(PyObject* self) {
    PyObject* const name = PyType_GetName(Py_TYPE(self));
    PyObject* const args = name != NULL ? refused_args(self, NULL) : NULL;
    PyObject* const text = args != NULL ? PyUnicode_FromFormat("%U%R", name, args) : NULL;
    Py_XDECREF(args);
    Py_XDECREF(name);
    return text;
}

static PyObject* refused_reduce(PyObject* self, PyObject* unused) {
    (void)unused;
    PyObject* const more = PyObject_GetAttrString(self, "__dict__");
    PyObject* const args = more != NULL ? refused_args(self, NULL) : NULL;
    if (args == NULL) {
        Py_XDECREF(more);
        return NULL;
    }
    return Py_BuildValue("(ONN)", (PyObject*)Py_TYPE(self), args, more);
}

/* ---- The types --------------------------------------------------------------------------------------- */

static PyObject* error_status(PyObject* self, void* unused) {
    (void)self, (void)unused;
    return PyUnicode_FromString("KS_UNKNOWN");
}

static PyObject* error_errno(PyObject* self, void* unused) {
    (void)self, (void)unused;
    return PyLong_FromLong(0);
}

static PyGetSetDef error_properties[] = {
    {"status", error_status, NULL, "The status' name in keystile.h.", NULL},
    {"errno", error_errno, NULL, "The system's error behind it, or 0.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

static PyType_Slot error_slots[] = {{Py_tp_doc,
                                     "Whatever this package raises about a store, except TypeError and "
                                     "ValueError of a call's arguments."},
                                    {Py_tp_getset, error_properties},
                                    {0, NULL}};

static PyGetSetDef refused_properties[] = {
    {"status", refused_status, NULL, "The status' name in keystile.h.", NULL},
    {"args", refused_args, NULL, "(key, stamp, owner)", NULL},
    {"key", refused_key, NULL, "The key, as the caller gave it.", NULL},
    {"stamp", refused_stamp, NULL, "What the key's stamp is now.", NULL},
    {"version", refused_version, NULL, "The key's version now.", NULL},
    {"epoch", refused_epoch, NULL, "The key's epoch now.", NULL},
    {"owner", refused_owner, NULL, "Who holds the key (Held), else None.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

static PyMethodDef refused_methods[] = {{"__reduce__", refused_reduce, METH_NOARGS, "For pickle."},
                                        {NULL, NULL, 0, NULL}};

static PyType_Slot refused_slots[] = {
    {Py_tp_doc,
     "Refused(key, stamp, owner=None)\n--\n\nNothing was changed; what stands in the way is in `stamp` "
     "and `owner`."},
    {Py_tp_new, refused_new},
    {Py_tp_init, refused_init},
    {Py_tp_dealloc, refused_free},
    {Py_tp_traverse, refused_traverse},
    {Py_tp_clear, refused_clear},
    {Py_tp_str, refused_str},
    {Py_tp_repr, refused_repr},
    {Py_tp_getset, refused_properties},
    {Py_tp_methods, refused_methods},
    {0, NULL}};

static PyType_Slot conflict_slots[] = {
    {Py_tp_doc,
     "Conflict(key, stamp, owner=None)\n--\n\nThe version moved since the stamp was read: read fresh, "
     "recompute, commit again."},
    {Py_tp_dealloc, refused_free},
    {Py_tp_traverse, refused_traverse},
    {Py_tp_clear, refused_clear},
    {0, NULL}};

static bool set_text(PyTypeObject* type, const char* name, const char* text) {
    PyObject* const value = PyUnicode_FromString(text);
    const bool is_set = value != NULL && PyObject_SetAttrString((PyObject*)type, name, value) == 0;
    Py_XDECREF(value);
    return is_set;
}

static PyTypeObject* add_type(PyObject* module, const char* name, size_t size, PyType_Slot* slots,
                              PyObject* base) {
    const unsigned int flags =
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | (size != 0 ? Py_TPFLAGS_HAVE_GC : 0);
    PyType_Spec spec = {name, (int)size, 0, flags, slots};
    PyObject* const type = PyType_FromModuleAndSpec(module, &spec, base);
    if (type != NULL && PyModule_AddType(module, (PyTypeObject*)type) == 0) return (PyTypeObject*)type;
    Py_XDECREF(type);
    return NULL;
}

static bool add_types(PyObject* module, Core* core) {
    PyTypeObject* const exception = (PyTypeObject*)PyExc_Exception;
    core->exception_new = (newfunc)PyType_GetSlot(exception, Py_tp_new);
    core->exception_init = (initproc)PyType_GetSlot(exception, Py_tp_init);
    core->exception_traverse = (traverseproc)PyType_GetSlot(exception, Py_tp_traverse);
    core->exception_clear = (inquiry)PyType_GetSlot(exception, Py_tp_clear);
    core->no_arguments = PyTuple_New(0);
    const size_t size = refusal_at + sizeof(Refusal);
    core->error_type = add_type(module, "keystile.KeystileError", 0, error_slots, PyExc_Exception);
    if (core->no_arguments == NULL || core->error_type == NULL) return false;
    core->refused_type =
        add_type(module, "keystile.Refused", size, refused_slots, (PyObject*)core->error_type);
    if (core->refused_type == NULL) return false;
    core->conflict_type =
        add_type(module, "keystile.Conflict", size, conflict_slots, (PyObject*)core->refused_type);
    PyObject* const first = core->conflict_type != NULL ? new_refusal(core, core->conflict_type) : NULL;
    if (first == NULL) return false;
    core->conflicts_max = is_zeroed(first, core->no_arguments) ? SPARES_MAX : 0;
    Py_DECREF(begin(core, first, Py_None, (ks_stamp){0, 0}, Py_None));
    return true;
}

bool add_refusals(PyObject* module, Core* core) {
    PyObject* const size = PyObject_GetAttrString(PyExc_Exception, "__basicsize__");
    if (size == NULL) return false;
    refusal_at = PyLong_AsSize_t(size);
    Py_DECREF(size);
    if (PyErr_Occurred() != NULL || !add_types(module, core)) return false;
    PyObject* const refused = (PyObject*)core->refused_type;
    return PyObject_SetAttrString(refused, "refusals", core->no_arguments) == 0 &&
           PyObject_SetAttrString(refused, "has_run", Py_False) == 0 &&
           set_text(core->refused_type, "_status", "KS_UNKNOWN") &&
           set_text(core->refused_type, "_says", "it was refused") &&
           set_text(core->conflict_type, "_status", "KS_CONFLICT") &&
           set_text(core->conflict_type, "_says", "it was changed since it was read");
}
