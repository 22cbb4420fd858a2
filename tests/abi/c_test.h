/* A small frame for tests of keystile.h in C: statuses checked by name, stores of fresh names that go at exit. */
#ifndef C_TEST_H
#define C_TEST_H

#define _GNU_SOURCE
#include <keystile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct c_test {
    const char* name;
    void (*run)(void);
} c_test;

static int c_failures;

/* ---- Checks: they report and go on ------------------------------------------------------------------- */

#define CHECK(condition) c_check((condition) != 0, #condition, __FILE__, __LINE__)
#define CHECK_STATUS(wanted, call) c_check_status((wanted), (call), #call, __FILE__, __LINE__)
#define CHECK_U64(wanted, got) c_check_u64((uint64_t)(wanted), (uint64_t)(got), #got, __FILE__, __LINE__)

static inline int c_check(int is_true, const char* text, const char* file, int line) {
    if (is_true) return 1;
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, text);
    ++c_failures;
    return 0;
}

static inline int c_check_status(ks_status wanted, ks_status got, const char* text, const char* file,
                                 int line) {
    if (got == wanted) return 1;
    fprintf(stderr, "%s:%d: %s\n    wanted %s, got %s (%s)\n", file, line, text, ks_status_name(wanted),
            ks_status_name(got), got < 0 ? ks_last_error() : "an answer");
    ++c_failures;
    return 0;
}

static inline int c_check_u64(uint64_t wanted, uint64_t got, const char* text, const char* file, int line) {
    if (got == wanted) return 1;
    fprintf(stderr, "%s:%d: %s: wanted %llu, got %llu\n", file, line, text, (unsigned long long)wanted,
            (unsigned long long)got);
    ++c_failures;
    return 0;
}

/* ---- Stores ------------------------------------------------------------------------------------------- */

typedef struct c_url {
    char text[64];
} c_url;

static int c_stores;
static pid_t c_parent;

/* The same tests run over both kinds of stores (tests/CMakeLists.txt). */
static inline int c_is_durable(void) {
    return getenv("KEYSTILE_TEST_DURABLE") != NULL;
}

static inline c_url c_url_of(int index) {
    c_url url;
    snprintf(url.text, sizeof url.text, "%sc-test-%d-%d",
             c_is_durable() ? "file:/dev/shm/" : "shm:", (int)c_parent, index);
    return url;
}

static inline void c_remove_stores(void) {
    if (getpid() != c_parent) return;
    for (int i = 1; i <= c_stores; ++i) {
        const c_url url = c_url_of(i);
        (void)ks_destroy(url.text, KS_DESTROY_FORCE);
        if (c_is_durable()) (void)remove(url.text + strlen("file:"));
    }
}

/* A URL that nobody uses; its store is removed at exit. */
static inline c_url c_fresh_url(void) {
    return c_url_of(++c_stores);
}

/* Where the segment of a URL lies. */
static inline void c_path_of(const c_url* url, char* path, size_t capacity) {
    snprintf(path, capacity, "/dev/shm/keystile.%s", url->text + strlen("shm:"));
}

static inline ks_store* c_open(const char* url) {
    ks_store* store = NULL;
    if (!CHECK_STATUS(KS_OK, ks_open(url, NULL, &store))) exit(1);
    return store;
}

static inline ks_session* c_session(ks_store* store) {
    ks_session* session = NULL;
    if (!CHECK_STATUS(KS_OK, ks_session_open(store, &session))) exit(1);
    return session;
}

/* A fresh store with one session: what most tests start from. */
typedef struct c_lane {
    c_url url;
    ks_store* store;
    ks_session* session;
} c_lane;

static inline c_lane c_lane_open(void) {
    c_lane lane;
    lane.url = c_fresh_url();
    lane.store = c_open(lane.url.text);
    lane.session = c_session(lane.store);
    return lane;
}

static inline void c_lane_close(c_lane* lane) {
    ks_close(lane->store);
    CHECK_STATUS(KS_OK, ks_destroy(lane->url.text, 0));
}

/* ---- Keys and values ------------------------------------------------------------------------------------ */

static inline ks_bytes c_text(const char* text) {
    ks_bytes bytes = {text, strlen(text)};
    return bytes;
}

static inline ks_stamp c_stamp_of(ks_session* session, const char* key) {
    ks_stamp seen = {0, 0};
    (void)ks_get(session, c_text(key), NULL, 0, NULL, &seen);
    return seen;
}

/* Commits over whatever is there; the new stamp. */
static inline ks_stamp c_put(ks_session* session, const char* key, const char* value) {
    ks_receipt receipt;
    memset(&receipt, 0, sizeof receipt);
    CHECK_STATUS(KS_OK,
                 ks_commit(session, c_text(key), c_stamp_of(session, key), c_text(value), NULL, &receipt));
    return receipt.stamp;
}

static inline int c_holds(ks_session* session, const char* key, const char* value) {
    char buf[256];
    size_t size = 0;
    const ks_status status = ks_get(session, c_text(key), buf, sizeof buf, &size, NULL);
    return status == KS_OK && size == strlen(value) && memcmp(buf, value, size) == 0;
}

static inline ks_grant c_claim(ks_session* session, const char* key, uint64_t lease_ns) {
    ks_claim_options options = {sizeof options, 0, 0, lease_ns, 0};
    ks_grant grant;
    memset(&grant, 0, sizeof grant);
    CHECK_STATUS(KS_OK, ks_claim(session, c_text(key), &options, &grant, NULL));
    return grant;
}

/* ---- Children -------------------------------------------------------------------------------------------- */

/* Runs fn in a forked child, which reports its own failures; true if it ended well. */
static inline int c_child_passes(void (*fn)(void*), void* argument) {
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        c_failures = 0;
        fn(argument);
        _exit(c_failures != 0);
    }
    int status = -1;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- main ------------------------------------------------------------------------------------------------- */

static inline int c_run(const c_test* tests, size_t count) {
    c_parent = getpid();
    atexit(c_remove_stores);
    for (size_t i = 0; i < count; ++i) {
        const int before = c_failures;
        tests[i].run();
        printf("%s %s\n", c_failures == before ? "ok    " : "FAILED", tests[i].name);
        fflush(stdout);
    }
    return c_failures != 0;
}

#endif /* C_TEST_H */
