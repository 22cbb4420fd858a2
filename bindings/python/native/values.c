/* Stamp, Entry, Answer: immutable, small, made at every call. */
#include "core.h" /* Python.h goes first */

#include <string.h>

typedef struct StampObject {
    PyObject head;
    ks_stamp stamp;
    Core* core;
} StampObject;

typedef struct EntryObject {
    PyObject head;
    PyObject* value; /* bytes or None */
    ks_stamp stamp;
    Core* core;
} EntryObject;

typedef struct AnswerObject {
    PyObject head;
    ks_receipt receipt;
    ks_status status;
    Core* core;
} AnswerObject;

static void free_plain(PyObject* self) {
    PyTypeObject* const type = Py_TYPE(self);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* At the end of a tp_dealloc: the object's next life begins. */
static void keep_or_free(Spares* spares, PyObject* self) {
    if (spares->size == SPARES_MAX) {
        free_plain(self);
        return;
    }
    Py_SET_REFCNT(self, 1);
    spares->objects[spares->size++] = self;
}

static PyObject* take_or_make(Spares* spares, PyTypeObject* type, size_t size) {
    if (spares->size != 0) return spares->objects[--spares->size];
    PyObject* const made = PyObject_Malloc(size);
    return made != NULL ? PyObject_Init(made, type) : PyErr_NoMemory();
}

/* ---- Stamp ------------------------------------------------------------------------------------------- */

PyObject* new_stamp(Core* core, ks_stamp stamp) {
    StampObject* const self = (StampObject*)take_or_make(&core->stamps, core->stamp_type, sizeof *self);
    if (self == NULL) return NULL;
    self->core = core;
    self->stamp = stamp;
    return (PyObject*)self;
}

bool read_stamp(Core* core, PyObject* object, ks_stamp* stamp_out) {
    if (Py_TYPE(object) != core->stamp_type) {
        PyErr_Format(PyExc_TypeError, "a stamp is a keystile.Stamp (as get(key).stamp gives it), not %R",
                     (PyObject*)Py_TYPE(object));
        return false;
    }
    *stamp_out = stamp_of(object);
    return true;
}

ks_stamp stamp_of(PyObject* object) {
    return ((StampObject*)object)->stamp;
}

static void stamp_free(PyObject* self) {
    keep_or_free(&((StampObject*)self)->core->stamps, self);
}

static PyObject* stamp_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    static char* names[] = {"version", "epoch", NULL};
    PyObject *version = NULL, *epoch = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO:Stamp", names, &version, &epoch)) return NULL;
    ks_stamp stamp;
    if (!read_u64(version, "a stamp's version", &stamp.version) ||
        !read_u64(epoch, "a stamp's epoch", &stamp.epoch))
        return NULL;
    Core* const core = PyType_GetModuleState(type);
    return core != NULL ? new_stamp(core, stamp) : NULL;
}

static PyObject* stamp_version(PyObject* self, void* unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(((StampObject*)self)->stamp.version);
}

static PyObject* stamp_epoch(PyObject* self, void* unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(((StampObject*)self)->stamp.epoch);
}

static PyObject* stamp_is_claimed(PyObject* self, void* unused) {
    (void)unused;
    return PyBool_FromLong((((StampObject*)self)->stamp.epoch & 1) != 0);
}

static PyObject* stamp_repr(PyObject* self) {
    const ks_stamp stamp = ((StampObject*)self)->stamp;
    return PyUnicode_FromFormat("Stamp(version=%llu, epoch=%llu)", (unsigned long long)stamp.version,
                                (unsigned long long)stamp.epoch);
}

static Py_hash_t stamp_hash(PyObject* self) {
    const ks_stamp stamp = ((StampObject*)self)->stamp;
    const uint64_t mixed = (stamp.version * UINT64_C(0x9E3779B97F4A7C15)) ^ stamp.epoch;
    const Py_hash_t hash = (Py_hash_t)mixed;
    return hash == -1 ? -2 : hash;
}

static PyObject* stamp_compare(PyObject* self, PyObject* other, int operation) {
    if (Py_TYPE(self) != Py_TYPE(other) || (operation != Py_EQ && operation != Py_NE))
        Py_RETURN_NOTIMPLEMENTED;
    const ks_stamp a = ((StampObject*)self)->stamp, b = ((StampObject*)other)->stamp;
    const bool is_same = a.version == b.version && a.epoch == b.epoch;
    return PyBool_FromLong(is_same == (operation == Py_EQ));
}

static PyObject* stamp_reduce(PyObject* self, PyObject* unused) {
    (void)unused;
    const ks_stamp stamp = ((StampObject*)self)->stamp;
    return Py_BuildValue("(O(KK))", (PyObject*)Py_TYPE(self), (unsigned long long)stamp.version,
                         (unsigned long long)stamp.epoch);
}

static PyGetSetDef stamp_properties[] = {
    {"version", stamp_version, NULL, "Grows with every commit and delete of the key; 0: never written.",
     NULL},
    {"epoch", stamp_epoch, NULL,
     "Grows with every claim, release and reclaim; odd: claimed. Never decreases, so it is a fencing token "
     "for "
     "other systems too.",
     NULL},
    {"is_claimed", stamp_is_claimed, NULL, "Somebody held the key's claim.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

static PyMethodDef stamp_methods[] = {{"__reduce__", stamp_reduce, METH_NOARGS, "For pickle."},
                                      {NULL, NULL, 0, NULL}};

static PyType_Slot stamp_slots[] = {{Py_tp_doc,
                                     "Stamp(version, epoch)\n--\n\nWhat a reader saw of a key. A commit "
                                     "hands it back, and takes effect only if it is "
                                     "still true. Compare only stamps of the same key."},
                                    {Py_tp_new, stamp_new},
                                    {Py_tp_dealloc, stamp_free},
                                    {Py_tp_repr, stamp_repr},
                                    {Py_tp_hash, stamp_hash},
                                    {Py_tp_richcompare, stamp_compare},
                                    {Py_tp_getset, stamp_properties},
                                    {Py_tp_methods, stamp_methods},
                                    {0, NULL}};

PyType_Spec stamp_spec = {"keystile.Stamp", sizeof(StampObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, stamp_slots};

/* ---- Entry ------------------------------------------------------------------------------------------- */

PyObject* new_entry(Core* core, PyObject* value_stolen, ks_stamp stamp) {
    if (value_stolen == NULL) return NULL;
    EntryObject* const self = (EntryObject*)take_or_make(&core->entries, core->entry_type, sizeof *self);
    if (self == NULL) {
        Py_DECREF(value_stolen);
        return NULL;
    }
    self->value = value_stolen;
    self->stamp = stamp;
    self->core = core;
    return (PyObject*)self;
}

static PyObject* entry_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    static char* names[] = {"value", "stamp", NULL};
    PyObject *value = NULL, *given = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO:Entry", names, &value, &given)) return NULL;
    Core* const core = PyType_GetModuleState(type);
    ks_stamp stamp;
    if (core == NULL || !read_stamp(core, given, &stamp)) return NULL;
    if (value != Py_None && !PyBytes_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "an entry's value is bytes or None");
        return NULL;
    }
    Py_INCREF(value);
    return new_entry(core, value, stamp);
}

static void entry_free(PyObject* self) {
    Py_DECREF(((EntryObject*)self)->value);
    keep_or_free(&((EntryObject*)self)->core->entries, self);
}

static PyObject* entry_value(PyObject* self, void* unused) {
    (void)unused;
    PyObject* const value = ((EntryObject*)self)->value;
    Py_INCREF(value);
    return value;
}

static PyObject* entry_stamp(PyObject* self, void* unused) {
    (void)unused;
    const EntryObject* const entry = (EntryObject*)self;
    return new_stamp(entry->core, entry->stamp);
}

static Py_ssize_t entry_length(PyObject* self) {
    (void)self;
    return 2;
}

static PyObject* entry_item(PyObject* self, Py_ssize_t index) {
    if (index == 0) return entry_value(self, NULL);
    if (index == 1) return entry_stamp(self, NULL);
    PyErr_SetString(PyExc_IndexError, "an entry is (value, stamp)");
    return NULL;
}

static PyObject* entry_iterate(PyObject* self) {
    return PySeqIter_New(self);
}

static PyObject* entry_repr(PyObject* self) {
    const EntryObject* const entry = (EntryObject*)self;
    return PyUnicode_FromFormat("Entry(value=%R, stamp=Stamp(version=%llu, epoch=%llu))", entry->value,
                                (unsigned long long)entry->stamp.version,
                                (unsigned long long)entry->stamp.epoch);
}

static PyObject* entry_compare(PyObject* self, PyObject* other, int operation) {
    if (Py_TYPE(self) != Py_TYPE(other) || (operation != Py_EQ && operation != Py_NE))
        Py_RETURN_NOTIMPLEMENTED;
    const EntryObject *const a = (EntryObject*)self, *const b = (EntryObject*)other;
    int is_same = a->stamp.version == b->stamp.version && a->stamp.epoch == b->stamp.epoch;
    if (is_same != 0) is_same = PyObject_RichCompareBool(a->value, b->value, Py_EQ);
    return is_same < 0 ? NULL : PyBool_FromLong((is_same != 0) == (operation == Py_EQ));
}

static PyObject* entry_reduce(PyObject* self, PyObject* unused) {
    (void)unused;
    PyObject* const stamp = entry_stamp(self, NULL);
    if (stamp == NULL) return NULL;
    return Py_BuildValue("(O(ON))", (PyObject*)Py_TYPE(self), ((EntryObject*)self)->value, stamp);
}

static PyGetSetDef entry_properties[] = {
    {"value", entry_value, NULL, "The bytes; None: the key has no value.", NULL},
    {"stamp", entry_stamp, NULL, "What to commit from; of a key without a value, what creates it.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

static PyMethodDef entry_methods[] = {{"__reduce__", entry_reduce, METH_NOARGS, "For pickle."},
                                      {NULL, NULL, 0, NULL}};

static PyType_Slot entry_slots[] = {{Py_tp_doc,
                                     "Entry(value, stamp)\n--\n\nA key's value and the stamp it was read "
                                     "with: `value, stamp = store.get(key)`."},
                                    {Py_tp_new, entry_new},
                                    {Py_tp_dealloc, entry_free},
                                    {Py_tp_repr, entry_repr},
                                    {Py_tp_richcompare, entry_compare},
                                    {Py_tp_getset, entry_properties},
                                    {Py_tp_methods, entry_methods},
                                    {Py_tp_iter, entry_iterate},
                                    {Py_sq_length, entry_length},
                                    {Py_sq_item, entry_item},
                                    {0, NULL}};

PyType_Spec entry_spec = {"keystile.Entry", sizeof(EntryObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, entry_slots};

/* ---- Answer ------------------------------------------------------------------------------------------ */

PyObject* new_answer(Core* core, ks_status status, const ks_receipt* receipt) {
    AnswerObject* const self = PyObject_New(AnswerObject, core->answer_type);
    if (self == NULL) return NULL;
    self->receipt = *receipt;
    self->status = status;
    self->core = core;
    return (PyObject*)self;
}

/* An Owner, as new_owner() made it. */
static bool read_owner(PyObject* given, ks_owner* owner_out) {
    const char* label = NULL;
    unsigned long long epoch = 0;
    PyObject* lease = NULL;
    int pid = 0, is_detached = 0;
    if (!PyTuple_Check(given)) {
        PyErr_Format(PyExc_TypeError, "who holds a claim is a keystile.Owner, not %R",
                     (PyObject*)Py_TYPE(given));
        return false;
    }
    if (!PyArg_ParseTuple(given, "siKOp:Owner", &label, &pid, &epoch, &lease, &is_detached)) return false;
    const double seconds = lease != Py_None ? PyFloat_AsDouble(lease) : 0;
    if (PyErr_Occurred() != NULL) return false;
    if (!(seconds >= 0 && seconds < 1e10)) {
        PyErr_SetString(PyExc_ValueError, "an owner's lease_left is a number of seconds, or None");
        return false;
    }
    *owner_out = (ks_owner){.lease_left_ns = lease != Py_None ? (uint64_t)(seconds * 1e9 + 0.5) : KS_FOREVER,
                            .epoch = epoch,
                            .pid = pid,
                            .detached = (uint32_t)is_detached};
    PyOS_snprintf(owner_out->label, sizeof owner_out->label, "%s", label);
    return true;
}

static bool read_status(const char* name, ks_status* status_out) {
    static const ks_status answers[] = {KS_OK, KS_CONFLICT, KS_FENCED, KS_HELD, KS_NOT_FOUND};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; ++i) {
        *status_out = answers[i];
        if (strcmp(name, ks_status_name(answers[i])) == 0) return true;
    }
    PyErr_Format(PyExc_ValueError, "no answer's status: '%s'", name);
    return false;
}

static PyObject* answer_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    static char* names[] = {"status", "stamp", "owner", NULL};
    const char* name = NULL;
    PyObject *stamp = NULL, *owner = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "sO|O:Answer", names, &name, &stamp, &owner)) return NULL;
    Core* const core = PyType_GetModuleState(type);
    ks_receipt receipt = {0};
    ks_status status;
    if (core == NULL || !read_stamp(core, stamp, &receipt.stamp) || !read_status(name, &status)) return NULL;
    if (status == KS_HELD && !read_owner(owner, &receipt.owner)) return NULL;
    return new_answer(core, status, &receipt);
}

static PyObject* answer_ok(PyObject* self, void* unused) {
    (void)unused;
    return PyBool_FromLong(((AnswerObject*)self)->status == KS_OK);
}

static PyObject* answer_status(PyObject* self, void* unused) {
    (void)unused;
    return PyUnicode_FromString(ks_status_name(((AnswerObject*)self)->status));
}

static PyObject* answer_stamp(PyObject* self, void* unused) {
    (void)unused;
    const AnswerObject* const answer = (AnswerObject*)self;
    return new_stamp(answer->core, answer->receipt.stamp);
}

static PyObject* answer_owner(PyObject* self, void* unused) {
    (void)unused;
    const AnswerObject* const answer = (AnswerObject*)self;
    return owner_or_none(answer->core, answer->status == KS_HELD, &answer->receipt.owner);
}

static int answer_bool(PyObject* self) {
    return ((AnswerObject*)self)->status == KS_OK;
}

static PyObject* answer_repr(PyObject* self) {
    const AnswerObject* const answer = (AnswerObject*)self;
    const ks_stamp stamp = answer->receipt.stamp;
    return PyUnicode_FromFormat("<Answer %s, version=%llu, epoch=%llu>", ks_status_name(answer->status),
                                (unsigned long long)stamp.version, (unsigned long long)stamp.epoch);
}

static PyObject* answer_reduce(PyObject* self, PyObject* unused) {
    (void)unused;
    return Py_BuildValue("(O(NNN))", (PyObject*)Py_TYPE(self), answer_status(self, NULL),
                         answer_stamp(self, NULL), answer_owner(self, NULL));
}

static PyGetSetDef answer_properties[] = {
    {"ok", answer_ok, NULL, "It is committed; `if answer:` says the same.", NULL},
    {"status", answer_status, NULL, "KS_OK, KS_CONFLICT, KS_FENCED, KS_HELD or KS_NOT_FOUND.", NULL},
    {"stamp", answer_stamp, NULL, "The new stamp if it is committed, else the current one.", NULL},
    {"owner", answer_owner, NULL, "Who holds the claim (KS_HELD), else None.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

static PyMethodDef answer_methods[] = {{"__reduce__", answer_reduce, METH_NOARGS, "For pickle."},
                                       {NULL, NULL, 0, NULL}};

static PyType_Slot answer_slots[] = {{Py_tp_doc,
                                      "Answer(status, stamp, owner=None)\n--\n\nWhat try_commit() and "
                                      "try_delete() were told."},
                                     {Py_tp_new, answer_new},
                                     {Py_tp_methods, answer_methods},
                                     {Py_tp_dealloc, free_plain},
                                     {Py_tp_repr, answer_repr},
                                     {Py_tp_getset, answer_properties},
                                     {Py_nb_bool, answer_bool},
                                     {0, NULL}};

PyType_Spec answer_spec = {"keystile.Answer", sizeof(AnswerObject), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, answer_slots};

PyObject* owner_or_none(Core* core, bool is_owned, const ks_owner* owner) {
    if (is_owned) return new_owner(core, owner);
    Py_INCREF(Py_None);
    return Py_None;
}

bool append(PyObject* list, PyObject* item_stolen) {
    const bool is_appended = item_stolen != NULL && PyList_Append(list, item_stolen) == 0;
    Py_XDECREF(item_stolen);
    return is_appended;
}

PyObject* new_owner(Core* core, const ks_owner* owner) {
    PyObject* lease = Py_None;
    Py_INCREF(lease);
    if (owner->lease_left_ns != KS_FOREVER) {
        Py_DECREF(lease);
        lease = PyFloat_FromDouble((double)owner->lease_left_ns / 1e9);
    }
    PyObject* const label = text_of(owner->label);
    if (lease == NULL || label == NULL) {
        Py_XDECREF(lease);
        Py_XDECREF(label);
        return NULL;
    }
    return PyObject_CallFunction(core->owner, "NiKNN", label, (int)owner->pid,
                                 (unsigned long long)owner->epoch, lease,
                                 PyBool_FromLong(owner->detached != 0));
}
