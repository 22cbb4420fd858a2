/* Inside of keystile._core.Files: files.c has its life and what is of one file, files_many.c what is of many. */
#ifndef KEYSTILE_PYTHON_FILES_H
#define KEYSTILE_PYTHON_FILES_H

#include <keystile_files.h>

#include "core.h"

typedef struct FilesObject {
    PyObject head;
    Core* core;
    ks_files* files; /* NULL: closed */
    bool is_closing;
    int users; /* calls that are under way; close() waits for them */
    int pid;   /* that opened it */
} FilesObject;

/* Without the GIL, while nobody closes. */
#define CALL_FILES(object, status, call) \
    do {                                 \
        ++(object)->users;               \
        Py_BEGIN_ALLOW_THREADS;          \
        status = call;                   \
        Py_END_ALLOW_THREADS;            \
        --(object)->users;               \
    } while (0)

bool is_open(FilesObject* self); /* false: exception set */
bool read_path(PyObject* object, Key* path_out);
/* *claim_out: NULL, or `grant`, which is filled in. */
bool read_claim(PyObject* claim, ks_grant* grant, const ks_grant** claim_out);
PyObject* path_text(const char* path);

FAST(files_publish);
FAST(files_gate);
FAST(files_status);

#endif
