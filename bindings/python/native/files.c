/* keystile._core.Files: the plain files of a folder. Each call may wait for a disk, so each goes without the GIL. */
#include "core.h" /* Python.h goes first */

#include <string.h>
#include <unistd.h>

#include "files.h"

bool is_open(FilesObject* self) {
    if (self->files != NULL && !self->is_closing) return true;
    raise_closed(self->core, "the files are closed");
    return false;
}

/* A path is a key that has an end: no zero byte in it. */
bool read_path(PyObject* object, Key* path_out) {
    if (!PyUnicode_Check(object)) {
        PyErr_Format(PyExc_TypeError, "a path is str, not %R", (PyObject*)Py_TYPE(object));
        return false;
    }
    if (!read_key(object, path_out)) return false;
    if (strlen(path_out->bytes.data) == path_out->bytes.size) return true;
    drop_key(path_out);
    PyErr_SetString(PyExc_ValueError, "a path has no zero byte");
    return false;
}

PyObject* path_text(const char* path) {
    return PyUnicode_DecodeUTF8(path, (Py_ssize_t)strlen(path), "surrogateescape");
}

static ks_receipt no_receipt(void) {
    const ks_receipt receipt = {0};
    return receipt;
}

/* ---- Life -------------------------------------------------------------------------------------------- */

PyObject* open_files(PyObject* module, PyObject* const* args, Py_ssize_t count, PyObject* kwnames) {
    static const Signature signature = {"open_files", 3, 3, {"root", "store_url", "label"}};
    Core* const core = core_of_module(module);
    PyObject* given[NAMES_MAX];
    Key root;
    if (!bind(&signature, args, count, kwnames, given) || !read_path(given[0], &root)) return NULL;
    ks_files_options options = {.struct_size = sizeof options};
    const bool is_read =
        (given[1] == Py_None || read_text(core, given[1], "a store's URL", KS_E_URL, &options.store_url)) &&
        (given[2] == Py_None || read_text(core, given[2], "label", KS_E_ARGUMENT, &options.label));
    FilesObject* const self = is_read ? PyObject_New(FilesObject, core->files_type) : NULL;
    if (self == NULL) {
        drop_key(&root);
        return NULL;
    }
    self->core = core;
    self->files = NULL;
    self->is_closing = false;
    self->users = 0;
    self->pid = getpid();
    ks_status status;
    CALL_FILES(self, status, ks_files_open(root.bytes.data, &options, &self->files));
    drop_key(&root);
    if (status == KS_OK) return (PyObject*)self;
    raise_fault(core, status);
    Py_DECREF(self);
    return NULL;
}

static PyObject* files_close(PyObject* object, PyObject* unused) {
    (void)unused;
    FilesObject* const self = (FilesObject*)object;
    self->is_closing = true;
    if (!await_users(&self->users, self->pid)) return NULL;
    ks_files* const files = self->files;
    self->files = NULL;
    if (self->users != 0)
        Py_RETURN_NONE; /* a forked child: a thread of the parent was in the middle of something */
    Py_BEGIN_ALLOW_THREADS;
    ks_files_close(files);
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

static void files_free(PyObject* object) {
    FilesObject* const self = (FilesObject*)object;
    PyTypeObject* const type = Py_TYPE(object);
    if (self->users == 0) ks_files_close(self->files);
    PyObject_Free(object);
    Py_DECREF(type);
}

/* The files' own store; the object keeps the files open. */
PyObject* store_of_files(PyObject* module, PyObject* const* args, Py_ssize_t count, PyObject* kwnames) {
    static const Signature signature = {"store_of_files", 3, 3, {"cls", "files", "is_durable"}};
    Core* const core = core_of_module(module);
    PyObject* given[NAMES_MAX];
    if (!bind(&signature, args, count, kwnames, given)) return NULL;
    FilesObject* const files = (FilesObject*)given[1];
    if (Py_TYPE(given[1]) != core->files_type) {
        PyErr_SetString(PyExc_TypeError, "store_of_files() takes what open_files() gave");
        return NULL;
    }
    if (!is_open(files)) return NULL;
    ks_store* const store = ks_files_store(files->files);
    if (store == NULL) return raise_fault(core, ks_last_status());
    return lend_store(core, (PyTypeObject*)given[0], store, given[1], given[2] == Py_True);
}

/* ---- One file ---------------------------------------------------------------------------------------- */

static PyObject* tell(const FilesObject* self, ks_status status, PyObject* path, const ks_receipt* receipt) {
    if (status == KS_OK || status == KS_NOT_FOUND) return new_stamp(self->core, receipt->stamp);
    if (status > 0 && status != KS_BUSY) return raise_refusal(self->core, status, path, receipt);
    return raise_committed_fault(self->core, status, receipt->stamp);
}

static PyObject* files_read(PyObject* object, PyObject* name) {
    FilesObject* const self = (FilesObject*)object;
    Key path;
    if (!is_open(self) || !read_path(name, &path)) return NULL;
    size_t capacity = 4096, size = 0;
    ks_receipt receipt = no_receipt();
    ks_status status = KS_TOO_SMALL;
    PyObject* value = NULL;
    while (status == KS_TOO_SMALL) { /* the buffer doubles: the loop ends at KS_FILES_SIZE_MAX */
        Py_XDECREF(value);
        value = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)capacity);
        if (value == NULL) break;
        char* const buffer = PyBytes_AsString(value);
        CALL_FILES(self, status,
                   ks_files_read(self->files, path.bytes.data, buffer, capacity, &size, &receipt.stamp));
        if (status == KS_OK && size != capacity) {
            PyObject* const shorter = PyBytes_FromStringAndSize(buffer, (Py_ssize_t)size);
            Py_DECREF(value);
            value = shorter;
        } else if (status == KS_TOO_SMALL) {
            capacity = size > 2 * capacity ? size : 2 * capacity;
        }
    }
    drop_key(&path);
    if (value == NULL) return NULL;
    if (status == KS_OK) return new_entry(self->core, value, receipt.stamp);
    Py_DECREF(value);
    if (status != KS_NOT_FOUND) return tell(self, status, name, &receipt);
    Py_INCREF(Py_None);
    return new_entry(self->core, Py_None, receipt.stamp);
}

bool read_claim(PyObject* claim, ks_grant* grant, const ks_grant** grant_out) {
    *grant_out = NULL;
    if (claim == NULL || claim == Py_None) return true;
    if (!read_grant(claim, grant)) return false;
    *grant_out = grant;
    return true;
}

/* What write, remove and rename are given. */
typedef struct Write {
    Key path, to;
    Value data;
    ks_stamp seen, to_seen;
    ks_grant grant;
    const ks_grant* claim; /* NULL: none */
} Write;

static void drop_write(Write* write) {
    drop_value(&write->data);
    drop_key(&write->path);
    drop_key(&write->to);
}

/* Of what is NULL here nothing is read. */
static bool read_write(FilesObject* self, PyObject* path, PyObject* data, PyObject* stamp, PyObject* claim,
                       PyObject* to, PyObject* to_stamp, Write* write) {
    *write = (Write){0};
    if (!is_open(self) || !read_path(path, &write->path)) return false;
    const bool is_read = (stamp == NULL || read_stamp(self->core, stamp, &write->seen)) &&
                         (to_stamp == NULL || read_stamp(self->core, to_stamp, &write->to_seen)) &&
                         read_claim(claim, &write->grant, &write->claim) &&
                         (to == NULL || read_path(to, &write->to)) &&
                         (data == NULL || read_value(data, &write->data));
    if (!is_read) drop_write(write);
    return is_read;
}

static FAST(files_write) {
    static const Signature signature = {"write", 3, 3, {"path", "data", "stamp", "claim"}};
    FilesObject* const files = (FilesObject*)self;
    PyObject* given[NAMES_MAX];
    Write write;
    if (!bind(&signature, args, count, kwnames, given)) return NULL;
    if (!read_write(files, given[0], given[1], given[2], given[3], NULL, NULL, &write)) return NULL;
    ks_receipt receipt = no_receipt();
    ks_status status;
    CALL_FILES(files, status,
               ks_files_write(files->files, write.path.bytes.data, write.data.bytes, write.seen, write.claim,
                              &receipt));
    drop_write(&write);
    return tell(files, status, given[0], &receipt);
}

static FAST(files_remove) {
    static const Signature signature = {"remove", 2, 2, {"path", "stamp", "claim"}};
    FilesObject* const files = (FilesObject*)self;
    PyObject* given[NAMES_MAX];
    Write write;
    if (!bind(&signature, args, count, kwnames, given)) return NULL;
    if (!read_write(files, given[0], NULL, given[1], given[2], NULL, NULL, &write)) return NULL;
    ks_receipt receipt = no_receipt();
    ks_status status;
    CALL_FILES(files, status,
               ks_files_remove(files->files, write.path.bytes.data, write.seen, write.claim, &receipt));
    drop_write(&write);
    return tell(files, status, given[0], &receipt);
}

static FAST(files_rename) {
    static const Signature signature = {
        "rename", 4, 4, {"path", "stamp", "to", "to_stamp", "claim", "to_claim"}};
    FilesObject* const files = (FilesObject*)self;
    PyObject* given[NAMES_MAX];
    Write write;
    ks_grant to_grant;
    const ks_grant* to_claim;
    if (!bind(&signature, args, count, kwnames, given) || !read_claim(given[5], &to_grant, &to_claim))
        return NULL;
    if (!read_write(files, given[0], NULL, given[1], given[4], given[2], given[3], &write)) return NULL;
    ks_receipt receipt = no_receipt();
    ks_status status;
    CALL_FILES(files, status,
               ks_files_rename(files->files, write.path.bytes.data, write.seen, write.claim,
                               write.to.bytes.data, write.to_seen, to_claim, &receipt));
    drop_write(&write);
    if (status == KS_NOT_FOUND) return raise_not_found(files->core, "file", given[0]);
    return tell(files, status, given[0], &receipt);
}

static FAST(files_adopt) {
    static const Signature signature = {"adopt", 1, 1, {"path", "claim"}};
    FilesObject* const files = (FilesObject*)self;
    PyObject* given[NAMES_MAX];
    Write write;
    if (!bind(&signature, args, count, kwnames, given)) return NULL;
    if (!read_write(files, given[0], NULL, NULL, given[1], NULL, NULL, &write)) return NULL;
    ks_receipt receipt = no_receipt();
    ks_status status;
    CALL_FILES(files, status, ks_files_adopt(files->files, write.path.bytes.data, write.claim, &receipt));
    drop_write(&write);
    if (status == KS_NOT_FOUND) return raise_not_found(files->core, "file", given[0]);
    return tell(files, status, given[0], &receipt);
}

static PyObject* files_restore(PyObject* object, PyObject* name) {
    FilesObject* const self = (FilesObject*)object;
    Key path;
    if (!is_open(self) || !read_path(name, &path)) return NULL;
    ks_receipt receipt = no_receipt();
    ks_status status;
    CALL_FILES(self, status, ks_files_restore(self->files, path.bytes.data, &receipt));
    drop_key(&path);
    if (status == KS_NOT_FOUND) return raise_not_found(self->core, "file", name);
    return tell(self, status, name, &receipt);
}

static PyObject* files_key(PyObject* object, PyObject* name) {
    FilesObject* const self = (FilesObject*)object;
    Key path;
    char key[KS_FILES_PATH_MAX + 16];
    size_t size = 0;
    if (!is_open(self) || !read_path(name, &path)) return NULL;
    const ks_status status = ks_files_key(self->files, path.bytes.data, key, sizeof key, &size);
    drop_key(&path);
    return status == KS_OK ? path_text(key) : raise_fault(self->core, status);
}

/* ---- Claims ------------------------------------------------------------------------------------------ */

static FAST(files_claim) {
    static const Signature signature = {"_claim", 4, 4, {"path", "lease_ns", "wait_ns", "detached"}};
    FilesObject* const files = (FilesObject*)self;
    PyObject* given[NAMES_MAX];
    uint64_t lease_ns, wait_ns;
    Key path;
    if (!bind(&signature, args, count, kwnames, given)) return NULL;
    if (!read_u64(given[1], "lease", &lease_ns) || !read_u64(given[2], "wait", &wait_ns)) return NULL;
    const int is_detached = PyObject_IsTrue(given[3]);
    if (is_detached < 0 || !is_open(files) || !read_path(given[0], &path)) return NULL;
    ks_claim_options options = {.struct_size = sizeof options,
                                .flags = is_detached != 0 ? KS_CLAIM_DETACHED : 0,
                                .lease_ns = lease_ns};
    const Wait wait = wait_of(wait_ns);
    ks_grant grant = {0};
    ks_receipt receipt = no_receipt();
    ks_status status;
    do {
        CALL_FILES(files, status, ks_files_claim(files->files, path.bytes.data, &options, &grant, &receipt));
        if (PyErr_CheckSignals() != 0 || !is_open(files)) {
            if (status == KS_OK) (void)ks_files_release(files->files, &grant, NULL); /* nobody hears of it */
            break;
        }
        options.wait_ns = next_slice(&wait);
    } while ((status == KS_HELD || status == KS_TIMEOUT) && options.wait_ns != 0);
    drop_key(&path);
    if (PyErr_Occurred() != NULL) return NULL;
    if (status == KS_TIMEOUT) status = KS_HELD;
    if (status != KS_OK) return tell(files, status, given[0], &receipt);
    return grant_and_stamp(files->core, &grant);
}

static FAST(files_renew) {
    static const Signature signature = {"_renew", 3, 3, {"path", "grant", "lease_ns"}};
    FilesObject* const files = (FilesObject*)self;
    PyObject* given[NAMES_MAX];
    uint64_t lease_ns;
    ks_grant grant;
    if (!bind(&signature, args, count, kwnames, given) || !read_u64(given[2], "lease", &lease_ns))
        return NULL;
    if (!is_open(files) || !read_grant(given[1], &grant)) return NULL;
    ks_receipt receipt = no_receipt();
    return tell(files, ks_files_renew(files->files, &grant, lease_ns, &receipt), given[0], &receipt);
}

static FAST(files_release) {
    static const Signature signature = {"_release", 2, 2, {"path", "grant"}};
    FilesObject* const files = (FilesObject*)self;
    PyObject* given[NAMES_MAX];
    ks_grant grant;
    if (!bind(&signature, args, count, kwnames, given)) return NULL;
    if (!is_open(files) || !read_grant(given[1], &grant)) return NULL;
    ks_receipt receipt = no_receipt();
    return tell(files, ks_files_release(files->files, &grant, &receipt), given[0], &receipt);
}

/* With the version that the store has, whatever is on disk. */
static ks_status parse_grant(FilesObject* self, const char* path, const char* token, ks_grant* grant_out) {
    char key[KS_FILES_PATH_MAX + 16];
    size_t size = 0;
    ks_status status = ks_files_grant(self->files, path, token, grant_out);
    if (status == KS_OK) status = ks_files_key(self->files, path, key, sizeof key, &size);
    if (status != KS_OK) return status;
    ks_store* const store = ks_files_store(self->files);
    ks_session* const session = store != NULL ? ks_default_session(store) : NULL;
    if (session == NULL) return ks_last_status();
    return read_version(session, (ks_bytes){key, size}, grant_out);
}

static FAST(files_grant) {
    static const Signature signature = {"_parse", 2, 2, {"path", "token"}};
    FilesObject* const files = (FilesObject*)self;
    PyObject* given[NAMES_MAX];
    Key path;
    if (!bind(&signature, args, count, kwnames, given)) return NULL;
    const char* token;
    if (!read_text(files->core, given[1], "a token", KS_E_GRANT, &token)) return NULL;
    if (!is_open(files) || !read_path(given[0], &path)) return NULL;
    ks_grant grant = {0};
    const ks_status status = parse_grant(files, path.bytes.data, token, &grant);
    drop_key(&path);
    if (status == KS_NOT_FOUND) return raise_not_found(files->core, "file", given[0]);
    return status == KS_OK ? grant_and_stamp(files->core, &grant) : raise_fault(files->core, status);
}

static PyObject* files_format(PyObject* self, PyObject* given) {
    ks_grant grant;
    char token[KS_TOKEN_SIZE];
    if (!read_grant(given, &grant)) return NULL;
    const ks_status status = ks_grant_format(&grant, token, sizeof token);
    return status == KS_OK ? text_of(token) : raise_fault(((FilesObject*)self)->core, status);
}

/* ---- The type ---------------------------------------------------------------------------------------- */

#define CALL(function) ((PyCFunction)(void (*)(void))(function))
#define FASTCALL (METH_FASTCALL | METH_KEYWORDS)

static PyMethodDef methods[] = {
    {"read", files_read, METH_O, "read(path) -> Entry"},
    {"write", CALL(files_write), FASTCALL, "write(path, data, stamp, *, claim=None) -> Stamp"},
    {"remove", CALL(files_remove), FASTCALL, "remove(path, stamp, *, claim=None) -> Stamp"},
    {"rename", CALL(files_rename), FASTCALL,
     "rename(path, stamp, to, to_stamp, *, claim=None, to_claim=None) -> Stamp"},
    {"adopt", CALL(files_adopt), FASTCALL, "adopt(path, *, claim=None) -> Stamp"},
    {"restore", files_restore, METH_O, "restore(path) -> Stamp"},
    {"key", files_key, METH_O, "key(path) -> the store's key"},
    {"claim", CALL(files_claim), FASTCALL, "claim(path, lease_ns, wait_ns, detached) -> (grant, stamp)"},
    {"renew", CALL(files_renew), FASTCALL, "renew(path, grant, lease_ns) -> Stamp"},
    {"release", CALL(files_release), FASTCALL, "release(path, grant) -> Stamp"},
    {"parse", CALL(files_grant), FASTCALL, "parse(path, token) -> (grant, stamp)"},
    {"format", files_format, METH_O, "format(grant) -> token"},
    {"publish", CALL(files_publish), FASTCALL, "publish(changes) -> (status, [result])"},
    {"gate", CALL(files_gate), FASTCALL, "gate(changes, effect) -> (status, [result], returned)"},
    {"status", CALL(files_status), FASTCALL, "status(prefix, flags) -> [entry]"},
    {"close", files_close, METH_NOARGS, "close()"},
    {NULL, NULL, 0, NULL}};

static PyType_Slot slots[] = {{Py_tp_doc, "The plain files of a folder: what keystile.Files is made of."},
                              {Py_tp_dealloc, files_free},
                              {Py_tp_methods, methods},
                              {0, NULL}};

PyType_Spec files_spec = {"keystile._core.Files", sizeof(FilesObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
