/* The module keystile._core: its state, its functions, its constants. */
#include "core.h"

Core* core_of_module(PyObject* module) {
    return PyModule_GetState(module);
}

PyObject* destroy_store(PyObject* module, PyObject* const* args, Py_ssize_t count, PyObject* kwnames) {
    static const Signature signature = {"destroy", 2, 2, {"url", "force"}};
    PyObject* given[NAMES_MAX];
    if (!bind(&signature, args, count, kwnames, given)) return NULL;
    const char* url;
    if (!read_text(core_of_module(module), given[0], "a store's URL", KS_E_URL, &url)) return NULL;
    const int is_forced = PyObject_IsTrue(given[1]);
    if (is_forced < 0) return NULL;
    ks_status status;
    Py_BEGIN_ALLOW_THREADS;
    status = ks_destroy(url, is_forced != 0 ? KS_DESTROY_FORCE : 0);
    Py_END_ALLOW_THREADS;
    if (status != KS_OK) return raise_fault(core_of_module(module), status);
    Py_RETURN_NONE;
}

static bool add_type(PyObject* module, PyType_Spec* spec, const char* name, PyTypeObject** type_out) {
    *type_out = (PyTypeObject*)PyType_FromModuleAndSpec(module, spec, NULL);
    return *type_out != NULL && PyModule_AddObjectRef(module, name, (PyObject*)*type_out) == 0;
}

/* What keystile._errors defines, by its names. */
static PyObject* take_classes(PyObject* module, PyObject* names) {
    Core* const core = core_of_module(module);
    const struct {
        const char* name;
        PyObject** place;
    } wanted[] = {{"Fenced", &core->fenced}, {"Held", &core->held},     {"ForeignEdit", &core->foreign_edit},
                  {"Lagged", &core->lagged}, {"FAULTS", &core->faults}, {"Owner", &core->owner}};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; ++i) {
        PyObject* const name = PyUnicode_FromString(wanted[i].name);
        PyObject* const taken = name != NULL ? PyObject_GetItem(names, name) : NULL;
        Py_XDECREF(name);
        if (taken == NULL) return NULL;
        PyObject* const old = *wanted[i].place;
        *wanted[i].place = taken;
        Py_XDECREF(old);
    }
    Py_RETURN_NONE;
}

static bool add_constants(PyObject* module) {
    const struct {
        const char* name;
        long number;
    } constants[] = {{"OPEN_MUST_EXIST", KS_OPEN_MUST_EXIST},
                     {"OPEN_MUST_CREATE", KS_OPEN_MUST_CREATE},
                     {"OPEN_READ_ONLY", KS_OPEN_READ_ONLY},
                     {"OPEN_GROUP", KS_OPEN_GROUP},
                     {"OPEN_PREFAULT", KS_OPEN_PREFAULT},
                     {"OPEN_HUGE_PAGES", KS_OPEN_HUGE_PAGES},
                     {"OPEN_DURABLE", KS_OPEN_DURABLE},
                     {"OPEN_NO_FLUSHER", KS_OPEN_NO_FLUSHER},
                     {"LIST_ALL", KS_LIST_ALL},
                     {"KEY_SIZE_MAX", KS_KEY_SIZE_MAX},
                     {"VALUE_SIZE_MAX", KS_VALUE_SIZE_MAX},
                     {"MULTI_KEYS_MAX", KS_MULTI_KEYS_MAX}};
    for (size_t i = 0; i < sizeof constants / sizeof constants[0]; ++i) {
        if (PyModule_AddIntConstant(module, constants[i].name, constants[i].number) != 0) return false;
    }
    PyObject* const forever = PyLong_FromUnsignedLongLong(KS_FOREVER);
    const bool is_added = forever != NULL && PyModule_AddObjectRef(module, "FOREVER", forever) == 0;
    Py_XDECREF(forever);
    return is_added;
}

static int execute(PyObject* module) {
    Core* const core = core_of_module(module);
    if (ks_abi_version() != KS_ABI_VERSION) {
        PyErr_SetString(PyExc_ImportError, "keystile._core is of another version than its engine");
        return -1;
    }
    const bool is_whole = add_refusals(module, core) &&
                          add_type(module, &stamp_spec, "Stamp", &core->stamp_type) &&
                          add_type(module, &entry_spec, "Entry", &core->entry_type) &&
                          add_type(module, &answer_spec, "Answer", &core->answer_type) &&
                          add_type(module, &store_spec, "Store", &core->store_type) &&
                          add_type(module, &feed_spec, "Feed", &core->feed_type) &&
                          add_type(module, &files_spec, "Files", &core->files_type) && add_constants(module);
    return is_whole ? 0 : -1;
}

/* There is no m_clear: finalizers that run late may still call a store, and it needs the types then. */
static int traverse(PyObject* module, visitproc visit, void* arg) {
    Core* const core = core_of_module(module);
    Py_VISIT(core->stamp_type);
    Py_VISIT(core->entry_type);
    Py_VISIT(core->answer_type);
    Py_VISIT(core->store_type);
    Py_VISIT(core->feed_type);
    Py_VISIT(core->files_type);
    Py_VISIT(core->error_type);
    Py_VISIT(core->refused_type);
    Py_VISIT(core->conflict_type);
    Py_VISIT(core->fenced);
    Py_VISIT(core->held);
    Py_VISIT(core->foreign_edit);
    Py_VISIT(core->lagged);
    Py_VISIT(core->faults);
    Py_VISIT(core->owner);
    return 0;
}

#define CALL(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef functions[] = {
    {"open", CALL(open_store), METH_FASTCALL | METH_KEYWORDS, "open(cls, url, ...) -> cls"},
    {"open_feed", CALL(open_feed), METH_FASTCALL | METH_KEYWORDS, "open_feed(url, from_lsn) -> Feed"},
    {"open_files", CALL(open_files), METH_FASTCALL | METH_KEYWORDS,
     "open_files(root, store_url, label) -> Files"},
    {"store_of_files", CALL(store_of_files), METH_FASTCALL | METH_KEYWORDS,
     "store_of_files(cls, files, is_durable) -> cls"},
    {"take_classes", take_classes, METH_O, "take_classes(names)"},
    {"own_quick_methods", own_quick_methods, METH_O, "own_quick_methods(cls)"},
    {"destroy", CALL(destroy_store), METH_FASTCALL | METH_KEYWORDS, "destroy(url, force)"},
    {NULL, NULL, 0, NULL}};

static PyModuleDef_Slot slots[] = {{Py_mod_exec, execute}, {0, NULL}};

static struct PyModuleDef definition = {.m_base = PyModuleDef_HEAD_INIT,
                                        .m_name = "keystile._core",
                                        .m_doc = "keystile.h for Python; use the package keystile.",
                                        .m_size = sizeof(Core),
                                        .m_methods = functions,
                                        .m_slots = slots,
                                        .m_traverse = traverse};

PyMODINIT_FUNC PyInit__core(void);
PyMODINIT_FUNC PyInit__core(void) {
    return PyModuleDef_Init(&definition);
}
