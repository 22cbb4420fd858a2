/* Statuses as exceptions. */
#include "core.h" /* Python.h goes first */

#include <time.h>
#include <unistd.h>

static PyObject* refusal_class(Core* core, ks_status status) {
    if (status == KS_FENCED) return core->fenced;
    if (status == KS_FOREIGN_EDIT) return core->foreign_edit;
    return core->held;
}

PyObject* raise_refusal(Core* core, ks_status status, PyObject* key, const ks_receipt* receipt) {
    if (status == KS_CONFLICT) return raise_conflict(core, key, receipt->stamp);
    PyObject* const owner = owner_or_none(core, status == KS_HELD || status == KS_TIMEOUT, &receipt->owner);
    if (owner == NULL) return NULL;
    PyObject* const stamp = new_stamp(core, receipt->stamp);
    PyObject* const args = stamp != NULL ? PyTuple_New(3) : NULL;
    if (args == NULL) {
        Py_XDECREF(stamp);
        Py_DECREF(owner);
        return NULL;
    }
    Py_INCREF(key);
    PyTuple_SetItem(args, 0, key);
    PyTuple_SetItem(args, 1, stamp);
    PyTuple_SetItem(args, 2, owner);
    PyErr_SetObject(refusal_class(core, status), args);
    Py_DECREF(args);
    return NULL;
}

PyObject* raise_fault(Core* core, ks_status status) {
    return raise_committed_fault(core, status, (ks_stamp){0, 0});
}

PyObject* raise_committed_fault(Core* core, ks_status status, ks_stamp stamp) {
    const bool is_fault = status < 0; /* the last error is that of the last fault: an answer has none */
    PyObject* const number = PyLong_FromLong(status);
    if (number == NULL) return NULL;
    PyObject* type = PyDict_GetItemWithError(core->faults, number);
    Py_DECREF(number);
    if (type == NULL && PyErr_Occurred() != NULL) return NULL;
    if (type == NULL) type = PyExc_SystemError; /* _errors names every status; a newer library's it cannot */
    PyObject* const message = text_of(is_fault ? ks_last_error() : ks_status_name(status));
    PyObject* const told = message != NULL ? new_stamp(core, stamp) : NULL;
    if (told == NULL) {
        Py_XDECREF(message);
        return NULL;
    }
    PyObject* const args =
        Py_BuildValue("(NsiN)", message, ks_status_name(status), is_fault ? ks_last_errno() : 0, told);
    if (args == NULL) return NULL;
    PyErr_SetObject(type, args);
    Py_DECREF(args);
    return NULL;
}

/* message: stolen, NULL: its exception is set. */
static PyObject* raise_text(Core* core, ks_status status, PyObject* message_stolen) {
    PyObject* const number = message_stolen != NULL ? PyLong_FromLong(status) : NULL;
    PyObject* const type = number != NULL ? PyDict_GetItemWithError(core->faults, number) : NULL;
    PyObject* const args =
        type != NULL ? Py_BuildValue("(Osi)", message_stolen, ks_status_name(status), 0) : NULL;
    if (args != NULL) PyErr_SetObject(type, args);
    Py_XDECREF(args);
    Py_XDECREF(number);
    Py_XDECREF(message_stolen);
    return NULL;
}

PyObject* raise_told(Core* core, ks_status status, const char* message) {
    return raise_text(core, status, text_of(message));
}

PyObject* raise_closed(Core* core, const char* what) {
    return raise_told(core, KS_E_HANDLE, what);
}

PyObject* raise_not_found(Core* core, const char* what, PyObject* name) {
    return raise_text(core, KS_NOT_FOUND, PyUnicode_FromFormat("%R: there is no such %s", name, what));
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

Wait wait_of(uint64_t timeout_ns) {
    const uint64_t now = timeout_ns == KS_FOREVER || timeout_ns == 0 ? 0 : now_ns();
    const bool is_endless = timeout_ns > UINT64_MAX - now;
    return (Wait){is_endless || timeout_ns == KS_FOREVER ? KS_FOREVER : now + timeout_ns};
}

uint64_t next_slice(const Wait* wait) {
    if (wait->deadline_ns == KS_FOREVER) return SLICE_NS;
    if (wait->deadline_ns == 0) return 0;
    const uint64_t now = now_ns();
    if (now >= wait->deadline_ns) return 0;
    const uint64_t left = wait->deadline_ns - now;
    return left < SLICE_NS ? left : SLICE_NS;
}

bool await_users(const int* users, int pid) {
    const struct timespec pause = {0, 1000000};
    while (*users != 0 && pid == getpid()) {
        Py_BEGIN_ALLOW_THREADS;
        nanosleep(&pause, NULL);
        Py_END_ALLOW_THREADS;
        if (PyErr_CheckSignals() != 0) return false;
    }
    return true;
}
