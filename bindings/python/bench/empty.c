/* What every call from Python into C costs: methods of the signatures of Store.commit and Store.get that do nothing.
 * The bench compiles this and counts in it. */
#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject* commit(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* kwnames) {
    (void)self, (void)args, (void)count, (void)kwnames;
    Py_RETURN_NONE;
}

static PyObject* get(PyObject* self, PyObject* key) {
    (void)self, (void)key;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"commit", (PyCFunction)(void (*)(void))commit, METH_FASTCALL | METH_KEYWORDS, NULL},
    {"get", get, METH_O, NULL},
    {NULL, NULL, 0, NULL}};

static PyType_Slot slots[] = {{Py_tp_methods, methods}, {0, NULL}};
static PyType_Spec spec = {"empty.Empty", sizeof(PyObject), 0, Py_TPFLAGS_DEFAULT, slots};

static int execute(PyObject* module) {
    PyObject* const type = PyType_FromModuleAndSpec(module, &spec, NULL);
    const int failed = type == NULL || PyModule_AddObjectRef(module, "Empty", type) != 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, execute}, {0, NULL}};
static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT, .m_name = "empty", .m_slots = module_slots};

PyMODINIT_FUNC PyInit_empty(void);
PyMODINIT_FUNC PyInit_empty(void) {
    return PyModuleDef_Init(&definition);
}
