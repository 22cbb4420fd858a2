/* Claims, and waiting for a key. A grant goes to Python as the bytes of its ks_grant: the library judges them. */
#include "core.h" /* Python.h goes first */

/* The session that owns the store's claims, so that a claim does not end with the thread that made it. Only calls that
 * keep the GIL are made on it: one at a time. NULL: exception set. */
static ks_session* owning_session(StoreObject* self) {
    if (session_of(self) == NULL) return NULL; /* closed, or of before a fork */
    if (self->owner != NULL) return self->owner;
    const ks_status status = ks_session_open(self->store, &self->owner);
    if (status != KS_OK) raise_fault(self->core, status);
    return self->owner;
}

/* Until the key moves, or its owner's lease is over, or it is time to look whether the owner died, which moves
 * nothing. false: exception set. */
static bool wait_for_claim(StoreObject* self, ks_bytes key, const ks_receipt* held, uint64_t slice) {
    ks_session* const session = session_of(self);
    if (session == NULL || !enter(self)) return false;
    if (held->owner.lease_left_ns < slice) slice = held->owner.lease_left_ns;
    ks_status status;
    Py_BEGIN_ALLOW_THREADS;
    status = ks_watch(session, key, held->stamp, slice, NULL);
    Py_END_ALLOW_THREADS;
    leave(self);
    if (PyErr_CheckSignals() != 0) return false;
    if (status < 0) raise_fault(self->core, status);
    return status >= 0;
}

/* ks_claim(), again and again. -1: exception set. */
static int claim(StoreObject* self, ks_bytes key, const ks_claim_options* options, uint64_t wait_ns,
                 ks_grant* grant_out, ks_receipt* receipt_out) {
    const Wait wait = wait_of(wait_ns);
    for (;;) {
        ks_session* const session = owning_session(self);
        if (session == NULL) return -1;
        const ks_status status = ks_claim(session, key, options, grant_out, receipt_out);
        if (status < 0) {
            raise_fault(self->core, status);
            return -1;
        }
        const uint64_t slice = status == KS_HELD ? next_slice(&wait) : 0;
        if (slice == 0) return status;
        if (!wait_for_claim(self, key, receipt_out, slice)) return -1;
    }
}

FAST(store_claim) {
    static const Signature signature = {"_claim", 4, 4, {"key", "lease_ns", "wait_ns", "detached"}};
    StoreObject* const store = (StoreObject*)self;
    PyObject* given[NAMES_MAX];
    uint64_t lease_ns, wait_ns;
    if (!bind(&signature, args, count, kwnames, given)) return NULL;
    if (!read_u64(given[1], "lease", &lease_ns) || !read_u64(given[2], "wait", &wait_ns)) return NULL;
    const int is_detached = PyObject_IsTrue(given[3]);
    Key key;
    if (is_detached < 0 || !read_key(given[0], &key)) return NULL;
    const ks_claim_options options = {.struct_size = sizeof options,
                                      .flags = is_detached != 0 ? KS_CLAIM_DETACHED : 0,
                                      .lease_ns = lease_ns};
    ks_grant grant = {0};
    ks_receipt receipt;
    const int status = claim(store, key.bytes, &options, wait_ns, &grant, &receipt);
    drop_key(&key);
    if (status < 0) return NULL;
    if (status != KS_OK) return raise_refusal(store->core, KS_HELD, given[0], &receipt);
    return grant_and_stamp(store->core, &grant);
}

static PyObject* tell(const StoreObject* self, ks_status status, PyObject* key, const ks_receipt* receipt) {
    if (status == KS_NOT_FOUND) return raise_not_found(self->core, "key", key);
    if (status < 0) return raise_fault(self->core, status);
    if (status != KS_OK) return raise_refusal(self->core, status, key, receipt);
    return new_stamp(self->core, receipt->stamp);
}

FAST(store_renew) {
    static const Signature signature = {"_renew", 3, 3, {"key", "grant", "lease_ns"}};
    StoreObject* const store = (StoreObject*)self;
    PyObject* given[NAMES_MAX];
    uint64_t lease_ns;
    ks_grant grant;
    if (!bind(&signature, args, count, kwnames, given) || !read_u64(given[2], "lease", &lease_ns))
        return NULL;
    ks_session* const session = read_grant(given[1], &grant) ? session_of(store) : NULL;
    if (session == NULL) return NULL;
    ks_receipt receipt;
    return tell(store, ks_renew(session, &grant, lease_ns, &receipt), given[0], &receipt);
}

FAST(store_release) {
    static const Signature signature = {"_release", 2, 2, {"key", "grant"}};
    StoreObject* const store = (StoreObject*)self;
    PyObject* given[NAMES_MAX];
    ks_grant grant;
    if (!bind(&signature, args, count, kwnames, given)) return NULL;
    ks_session* const session = read_grant(given[1], &grant) ? session_of(store) : NULL;
    if (session == NULL) return NULL;
    ks_receipt receipt;
    return tell(store, ks_release(session, &grant, &receipt), given[0], &receipt);
}

FAST(store_reclaim) {
    static const Signature signature = {"_reclaim", 3, 3, {"key", "epoch", "live"}};
    StoreObject* const store = (StoreObject*)self;
    PyObject* given[NAMES_MAX];
    uint64_t epoch;
    if (!bind(&signature, args, count, kwnames, given) || !read_u64(given[1], "epoch", &epoch)) return NULL;
    const int is_forced = PyObject_IsTrue(given[2]);
    ks_session* const session = is_forced >= 0 ? session_of(store) : NULL;
    Key key;
    if (session == NULL || !read_key(given[0], &key)) return NULL;
    ks_receipt receipt;
    const ks_status status =
        ks_reclaim(session, key.bytes, epoch, is_forced != 0 ? KS_RECLAIM_LIVE : 0, &receipt);
    drop_key(&key);
    return tell(store, status, given[0], &receipt);
}

PyObject* store_format(PyObject* self, PyObject* given) {
    ks_grant grant;
    char token[KS_TOKEN_SIZE];
    if (!read_grant(given, &grant)) return NULL;
    const ks_status status = ks_grant_format(&grant, token, sizeof token);
    return status == KS_OK ? text_of(token) : raise_fault(((StoreObject*)self)->core, status);
}

FAST(store_parse) {
    static const Signature signature = {"_parse", 2, 2, {"key", "token"}};
    StoreObject* const store = (StoreObject*)self;
    PyObject* given[NAMES_MAX];
    if (!bind(&signature, args, count, kwnames, given)) return NULL;
    const char* token;
    if (!read_text(store->core, given[1], "a token", KS_E_GRANT, &token)) return NULL;
    ks_session* const session = session_of(store);
    Key key;
    if (session == NULL || !read_key(given[0], &key)) return NULL;
    ks_grant grant = {0};
    ks_status status = ks_grant_parse(session, key.bytes, token, &grant);
    if (status == KS_OK) status = read_version(session, key.bytes, &grant);
    drop_key(&key);
    if (status == KS_NOT_FOUND) return raise_not_found(store->core, "key", given[0]);
    return status == KS_OK ? grant_and_stamp(store->core, &grant) : raise_fault(store->core, status);
}

FAST(store_watch) {
    static const Signature signature = {"_watch", 3, 3, {"key", "stamp", "timeout_ns"}};
    StoreObject* const store = (StoreObject*)self;
    PyObject* given[NAMES_MAX];
    uint64_t timeout_ns;
    ks_stamp seen, now = {0, 0};
    if (!bind(&signature, args, count, kwnames, given)) return NULL;
    if (!read_stamp(store->core, given[1], &seen) || !read_u64(given[2], "timeout", &timeout_ns)) return NULL;
    ks_session* const session = session_of(store);
    Key key;
    if (session == NULL || !read_key(given[0], &key)) return NULL;
    const Wait wait = wait_of(timeout_ns);
    ks_status status = ks_watch(session, key.bytes, seen, 0, &now);
    for (uint64_t slice; status == KS_TIMEOUT && (slice = next_slice(&wait)) != 0;) {
        if (!enter(store)) break;
        Py_BEGIN_ALLOW_THREADS;
        status = ks_watch(session, key.bytes, seen, slice, &now);
        Py_END_ALLOW_THREADS;
        leave(store);
        if (status == KS_TIMEOUT && PyErr_CheckSignals() != 0) break;
    }
    drop_key(&key);
    if (PyErr_Occurred() != NULL) return NULL;
    if (status == KS_TIMEOUT) Py_RETURN_NONE;
    return status == KS_OK ? new_stamp(store->core, now) : raise_fault(store->core, status);
}
