/* Durability, and looking after a store. */
#include "core.h"

static PyObject* without_gil(PyObject* object, ks_status (*call)(ks_store*)) {
    StoreObject* const self = (StoreObject*)object;
    if (!enter(self)) return NULL;
    ks_status status;
    Py_BEGIN_ALLOW_THREADS;
    status = call(self->store);
    Py_END_ALLOW_THREADS;
    leave(self);
    if (status != KS_OK) return raise_fault(self->core, status);
    Py_RETURN_NONE;
}

PyObject* store_flush(PyObject* self, PyObject* unused) {
    (void)unused;
    return without_gil(self, ks_flush);
}

PyObject* store_checkpoint(PyObject* self, PyObject* unused) {
    (void)unused;
    return without_gil(self, ks_checkpoint);
}

FAST(store_wait_durable) {
    static const Signature signature = {"_wait_durable", 2, 2, {"lsn", "timeout_ns"}};
    StoreObject* const store = (StoreObject*)self;
    PyObject* given[NAMES_MAX];
    uint64_t lsn, timeout_ns;
    if (!bind(&signature, args, count, kwnames, given)) return NULL;
    if (!read_u64(given[0], "lsn", &lsn) || !read_u64(given[1], "timeout", &timeout_ns)) return NULL;
    const Wait wait = wait_of(timeout_ns);
    ks_status status = KS_TIMEOUT;
    do {
        const uint64_t slice = next_slice(&wait);
        if (!enter(store)) return NULL;
        Py_BEGIN_ALLOW_THREADS;
        status = ks_wait_durable(store->store, lsn, slice);
        Py_END_ALLOW_THREADS;
        leave(store);
        if (PyErr_CheckSignals() != 0) return NULL;
    } while (status == KS_TIMEOUT && next_slice(&wait) != 0);
    if (status != KS_OK && status != KS_TIMEOUT) return raise_fault(store->core, status);
    return PyBool_FromLong(status == KS_OK);
}

static PyObject* counters_of(const ks_counters* counters) {
    return Py_BuildValue(
        "{sKsKsKsKsKsKsKsKsK}", "commits", (unsigned long long)counters->commits, "conflicts",
        (unsigned long long)counters->conflicts, "fenced", (unsigned long long)counters->fenced, "held",
        (unsigned long long)counters->held, "claims", (unsigned long long)counters->claims, "releases",
        (unsigned long long)counters->releases, "reclaims", (unsigned long long)counters->reclaims, "retries",
        (unsigned long long)counters->retries, "bytes", (unsigned long long)counters->bytes);
}

PyObject* store_stats(PyObject* object, PyObject* unused) {
    (void)unused;
    StoreObject* const self = (StoreObject*)object;
    if (session_of(self) == NULL) return NULL;
    ks_stats stats = {.struct_size = sizeof stats};
    const ks_status status = ks_stat(self->store, &stats);
    if (status != KS_OK) return raise_fault(self->core, status);
    PyObject* const total = counters_of(&stats.total);
    if (total == NULL) return NULL;
    return Py_BuildValue("{sKsKsKsKsKsKsN}", "store_id", (unsigned long long)stats.store_id, "keys",
                         (unsigned long long)stats.keys, "bytes_reserved",
                         (unsigned long long)stats.bytes_reserved, "bytes_used",
                         (unsigned long long)stats.bytes_used, "participants",
                         (unsigned long long)stats.participants, "sessions",
                         (unsigned long long)stats.sessions, "total", total);
}

static int list_participant(void* user, const ks_participant* participant) {
    PyObject* const counters = counters_of(&participant->counters);
    PyObject* const label = counters != NULL ? text_of(participant->label) : NULL;
    if (label == NULL) {
        Py_XDECREF(counters);
        return 1;
    }
    PyObject* const item = Py_BuildValue("{sisOsOsIsNsN}", "pid", (int)participant->pid, "is_alive",
                                         participant->is_alive != 0 ? Py_True : Py_False, "is_self",
                                         participant->is_self != 0 ? Py_True : Py_False, "sessions",
                                         participant->sessions, "label", label, "counters", counters);
    return append(user, item) ? 0 : 1;
}

PyObject* store_participants(PyObject* object, PyObject* unused) {
    (void)unused;
    StoreObject* const self = (StoreObject*)object;
    PyObject* const items = session_of(self) != NULL ? PyList_New(0) : NULL;
    if (items == NULL) return NULL;
    const ks_status status = ks_participants(self->store, list_participant, items);
    if (status == KS_OK && PyErr_Occurred() == NULL) return items;
    Py_DECREF(items);
    return PyErr_Occurred() != NULL ? NULL : raise_fault(self->core, status);
}

PyObject* store_reap(PyObject* object, PyObject* unused) {
    (void)unused;
    StoreObject* const self = (StoreObject*)object;
    if (!enter(self)) return NULL;
    uint64_t participants = 0;
    ks_status status;
    Py_BEGIN_ALLOW_THREADS;
    status = ks_reap(self->store, &participants);
    Py_END_ALLOW_THREADS;
    leave(self);
    return status == KS_OK ? PyLong_FromUnsignedLongLong(participants) : raise_fault(self->core, status);
}

static void list_problem(void* user, const char* text) {
    PyObject* const problem = text_of(text);
    if (problem == NULL || PyList_Append(user, problem) != 0) PyErr_Clear(); /* it is counted all the same */
    Py_XDECREF(problem);
}

PyObject* store_check(PyObject* object, PyObject* unused) {
    (void)unused;
    StoreObject* const self = (StoreObject*)object;
    PyObject* const problems = session_of(self) != NULL ? PyList_New(0) : NULL;
    if (problems == NULL) return NULL;
    ks_check_report report = {.struct_size = sizeof report};
    const ks_status status = ks_check(self->store, list_problem, problems, &report);
    if (status != KS_OK && status != KS_E_CORRUPT) {
        Py_DECREF(problems);
        return raise_fault(self->core, status);
    }
    return Py_BuildValue("({sKsKsKsKsKsKsK}N)", "keys", (unsigned long long)report.keys, "claimed",
                         (unsigned long long)report.claimed, "deleted", (unsigned long long)report.deleted,
                         "blocks_live", (unsigned long long)report.blocks_live, "blocks_free",
                         (unsigned long long)report.blocks_free, "blocks_in_flight",
                         (unsigned long long)report.blocks_in_flight, "blocks_unreaped",
                         (unsigned long long)report.blocks_unreaped, problems);
}
