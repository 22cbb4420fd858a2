/* What Python gives: arguments by place and by name, keys, values, stamps, grants. */
#include "core.h" /* Python.h goes first */

#include <string.h>

static int name_index(const Signature* signature, PyObject* name) {
    for (int i = 0; signature->names[i] != NULL; ++i) {
        if (PyUnicode_CompareWithASCIIString(name, signature->names[i]) == 0) return i;
    }
    return -1;
}

static bool bind_names(const Signature* signature, PyObject* const* values, PyObject* kwnames,
                       PyObject** out) {
    const Py_ssize_t size = PyTuple_Size(kwnames);
    for (Py_ssize_t i = 0; i < size; ++i) {
        PyObject* const name = PyTuple_GetItem(kwnames, i);
        const int index = name_index(signature, name);
        if (index < 0) {
            PyErr_Format(PyExc_TypeError, "%s() has no argument '%U'", signature->function, name);
            return false;
        }
        if (out[index] != NULL) {
            PyErr_Format(PyExc_TypeError, "%s() got '%U' twice", signature->function, name);
            return false;
        }
        out[index] = values[i];
    }
    return true;
}

bool bind(const Signature* signature, PyObject* const* args, Py_ssize_t count, PyObject* kwnames,
          PyObject** out) {
    if (count > signature->positional) {
        PyErr_Format(PyExc_TypeError, "%s() takes %d arguments without a name, not %zd", signature->function,
                     signature->positional, count);
        return false;
    }
    for (int i = 0; i < NAMES_MAX; ++i) out[i] = i < count ? args[i] : NULL;
    if (kwnames != NULL && !bind_names(signature, args + count, kwnames, out)) return false;
    for (int i = (int)count; i < signature->required; ++i) {
        if (out[i] != NULL) continue;
        PyErr_Format(PyExc_TypeError, "%s() needs '%s'", signature->function, signature->names[i]);
        return false;
    }
    return true;
}

/* A str that came out of a key which is no UTF-8 has surrogates in it, and goes back to the same bytes. */
static bool encode_escaped(PyObject* object, Key* key_out) {
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) return false;
    PyErr_Clear();
    PyObject* const encoded = PyUnicode_AsEncodedString(object, "utf-8", "surrogateescape");
    if (encoded == NULL) return false;
    key_out->owned = encoded;
    key_out->bytes.data = PyBytes_AsString(encoded);
    key_out->bytes.size = (size_t)PyBytes_Size(encoded);
    return true;
}

bool read_key(PyObject* object, Key* key_out) {
    Py_ssize_t size = 0;
    key_out->owned = NULL;
    if (Py_IS_TYPE(object, &PyUnicode_Type) || PyUnicode_Check(object)) {
        key_out->bytes.data = PyUnicode_AsUTF8AndSize(object, &size);
        if (key_out->bytes.data == NULL) return encode_escaped(object, key_out);
        key_out->bytes.size = (size_t)size;
        return true;
    }
    if (PyBytes_Check(object)) {
        key_out->bytes.data = PyBytes_AsString(object);
        key_out->bytes.size = (size_t)PyBytes_Size(object);
        return true;
    }
    PyErr_Format(PyExc_TypeError, "a key is str or bytes, not %R", (PyObject*)Py_TYPE(object));
    return false;
}

bool read_text(Core* core, PyObject* object, const char* what, ks_status status, const char** text_out) {
    if (!PyUnicode_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s is str, not %R", what, (PyObject*)Py_TYPE(object));
        return false;
    }
    Py_ssize_t size = 0;
    *text_out = PyUnicode_AsUTF8AndSize(object, &size);
    if (*text_out == NULL) return false;
    if (strlen(*text_out) == (size_t)size) return true;
    char message[64];
    PyOS_snprintf(message, sizeof message, "%s has no zero byte", what);
    raise_told(core, status, message);
    return false;
}

void drop_key(Key* key) {
    Py_CLEAR(key->owned);
}

bool read_value(PyObject* object, Value* value_out) {
    value_out->has_buffer = false;
    if (Py_IS_TYPE(object, &PyBytes_Type) || PyBytes_Check(object)) {
        char* data = NULL;
        Py_ssize_t size = 0;
        PyBytes_AsStringAndSize(object, &data, &size);
        value_out->bytes = (ks_bytes){data, (size_t)size};
        return true;
    }
    if (PyUnicode_Check(object)) {
        PyErr_SetString(PyExc_TypeError, "a value is bytes, not str: encode it, value.encode()");
        return false;
    }
    if (object == Py_None) {
        PyErr_SetString(PyExc_TypeError, "a value is bytes, not None: delete() is what takes a value away");
        return false;
    }
    if (PyObject_CheckBuffer(object) == 0) {
        PyErr_Format(PyExc_TypeError, "a value is bytes or has a buffer, not %R", (PyObject*)Py_TYPE(object));
        return false;
    }
    if (PyObject_GetBuffer(object, &value_out->buffer, PyBUF_SIMPLE) != 0) return false;
    value_out->has_buffer = true;
    value_out->bytes.data = value_out->buffer.buf;
    value_out->bytes.size = (size_t)value_out->buffer.len;
    return true;
}

void drop_value(Value* value) {
    if (value->has_buffer) PyBuffer_Release(&value->buffer);
}

bool read_u64(PyObject* object, const char* what, uint64_t* number_out) {
    if (!PyLong_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s is an int, not %R", what, (PyObject*)Py_TYPE(object));
        return false;
    }
    const unsigned long long number = PyLong_AsUnsignedLongLong(object);
    if (number == (unsigned long long)-1 && PyErr_Occurred() != NULL) {
        PyErr_Format(PyExc_ValueError, "%s is 0 to 2^64 - 1, not %R", what, object);
        return false;
    }
    *number_out = number;
    return true;
}

bool read_grant(PyObject* object, ks_grant* grant_out) {
    PyObject* raw = NULL;
    if (PyBytes_Check(object)) {
        Py_INCREF(object);
        raw = object;
    } else {
        raw = PyObject_GetAttrString(object, "_raw");
        if (raw == NULL) {
            if (!PyErr_ExceptionMatches(PyExc_AttributeError)) return false;
            PyErr_Format(PyExc_TypeError, "a claim is what store.claim() gave, not %R",
                         (PyObject*)Py_TYPE(object));
            return false;
        }
        if (raw == Py_None) { /* its claim is over: it says why */
            Py_DECREF(raw);
            raw = PyObject_CallMethod(object, "_live", NULL);
            if (raw == NULL) return false;
        }
    }
    const bool is_grant = PyBytes_Check(raw) && (size_t)PyBytes_Size(raw) == sizeof *grant_out;
    if (is_grant) memcpy(grant_out, PyBytes_AsString(raw), sizeof *grant_out);
    Py_DECREF(raw);
    if (!is_grant) PyErr_SetString(PyExc_TypeError, "a claim is what store.claim() gave");
    return is_grant;
}

ks_status read_version(ks_session* session, ks_bytes key, ks_grant* grant) {
    ks_stamp now = {0, 0};
    const ks_status status = ks_get(session, key, NULL, 0, NULL, &now);
    if (status < 0) return status;
    grant->stamp.version = now.version;
    return KS_OK;
}

PyObject* grant_and_stamp(Core* core, const ks_grant* grant) {
    PyObject* const stamp = new_stamp(core, grant->stamp);
    PyObject* const bytes = bytes_of((ks_bytes){grant, sizeof *grant});
    return Py_BuildValue("(NN)", bytes, stamp); /* without one of them: NULL, and the other is gone */
}

PyObject* bytes_of(ks_bytes bytes) {
    return PyBytes_FromStringAndSize(bytes.data, (Py_ssize_t)bytes.size);
}

PyObject* text_of(const char* text) {
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
}
