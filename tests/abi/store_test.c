/* Opening, closing and destroying stores; sessions; what is said about a fault. */
#include "c_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

/* ---- Words ------------------------------------------------------------------------------------------- */

static void statuses_have_names(void) {
    static const struct {
        ks_status status;
        const char* name;
    } rows[] = {
        {KS_OK, "KS_OK"},
        {KS_CONFLICT, "KS_CONFLICT"},
        {KS_FENCED, "KS_FENCED"},
        {KS_HELD, "KS_HELD"},
        {KS_NOT_FOUND, "KS_NOT_FOUND"},
        {KS_TIMEOUT, "KS_TIMEOUT"},
        {KS_LAGGED, "KS_LAGGED"},
        {KS_TOO_SMALL, "KS_TOO_SMALL"},
        {KS_BUSY, "KS_BUSY"},
        {KS_FOREIGN_EDIT, "KS_FOREIGN_EDIT"},
        {KS_E_ARGUMENT, "KS_E_ARGUMENT"},
        {KS_E_KEY_SIZE, "KS_E_KEY_SIZE"},
        {KS_E_VALUE_SIZE, "KS_E_VALUE_SIZE"},
        {KS_E_STRUCT_SIZE, "KS_E_STRUCT_SIZE"},
        {KS_E_URL, "KS_E_URL"},
        {KS_E_HANDLE, "KS_E_HANDLE"},
        {KS_E_FORKED, "KS_E_FORKED"},
        {KS_E_GRANT, "KS_E_GRANT"},
        {KS_E_READ_ONLY, "KS_E_READ_ONLY"},
        {KS_E_SESSION_BUSY, "KS_E_SESSION_BUSY"},
        {KS_E_PATH, "KS_E_PATH"},
        {KS_E_SYSTEM, "KS_E_SYSTEM"},
        {KS_E_FULL, "KS_E_FULL"},
        {KS_E_PERMISSION, "KS_E_PERMISSION"},
        {KS_E_NO_STORE, "KS_E_NO_STORE"},
        {KS_E_EXISTS, "KS_E_EXISTS"},
        {KS_E_PARTICIPANTS, "KS_E_PARTICIPANTS"},
        {KS_E_IN_USE, "KS_E_IN_USE"},
        {KS_E_EXHAUSTED, "KS_E_EXHAUSTED"},
        {KS_E_MEMORY, "KS_E_MEMORY"},
        {KS_E_CPU, "KS_E_CPU"},
        {KS_E_JOURNAL, "KS_E_JOURNAL"},
        {KS_E_DIRECTORY_IN_USE, "KS_E_DIRECTORY_IN_USE"},
        {KS_E_NETWORK_FILE_SYSTEM, "KS_E_NETWORK_FILE_SYSTEM"},
        {KS_E_SEGMENT_LEFT, "KS_E_SEGMENT_LEFT"},
        {KS_E_CORRUPT, "KS_E_CORRUPT"},
        {KS_E_NOT_A_STORE, "KS_E_NOT_A_STORE"},
        {KS_E_LAYOUT, "KS_E_LAYOUT"},
        {KS_E_DESTROYED, "KS_E_DESTROYED"},
        {KS_E_NAMESPACE, "KS_E_NAMESPACE"},
        {KS_E_JOURNAL_CORRUPT, "KS_E_JOURNAL_CORRUPT"},
    };
    for (size_t i = 0; i < COUNT(rows); ++i) CHECK(strcmp(ks_status_name(rows[i].status), rows[i].name) == 0);

    static const int unknown[] = {10, 1000, -12, -99, -114, -206, -100000};
    for (size_t i = 0; i < COUNT(unknown); ++i) {
        CHECK(strcmp(ks_status_name((ks_status)unknown[i]), "KS_UNKNOWN") == 0);
    }
    CHECK_U64(KS_ABI_VERSION, ks_abi_version());
}

static void* error_of_a_new_thread(void* unused) {
    (void)unused;
    CHECK(ks_last_error() != NULL);
    CHECK_U64(0, ks_last_errno());
    CHECK_STATUS(KS_OK, ks_last_status());
    ks_store* store = NULL;
    CHECK_STATUS(KS_E_URL, ks_open("nonsense", NULL, &store));
    return NULL;
}

static void last_error_belongs_to_the_thread_and_to_faults(void) {
    ks_store* store = NULL;
    CHECK(ks_last_error() != NULL);
    CHECK_STATUS(KS_E_NO_STORE, ks_destroy(c_fresh_url().text, 0));
    char told[512];
    snprintf(told, sizeof told, "%s", ks_last_error());
    CHECK(told[0] != '\0');

    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, error_of_a_new_thread, NULL) == 0);
    pthread_join(thread, NULL);
    CHECK(strcmp(told, ks_last_error()) == 0);

    c_lane lane = c_lane_open(); /* neither successes nor answers touch it */
    CHECK_STATUS(KS_NOT_FOUND, ks_get(lane.session, c_text("nothing"), NULL, 0, NULL, NULL));
    CHECK(strcmp(told, ks_last_error()) == 0);
    CHECK_STATUS(KS_E_NO_STORE, ks_last_status());
    CHECK_STATUS(KS_E_URL, ks_open("nonsense", NULL, &store));
    CHECK(strcmp(told, ks_last_error()) != 0);
    c_lane_close(&lane);
}

/* ---- ks_open ------------------------------------------------------------------------------------------- */

static void bad_urls_are_refused(void) {
    static const char* const urls[] = {
        "",
        "shm",
        "shm:",
        "shm:.hidden",
        "shm:a/b",
        "shm:a b",
        "shm:a\n",
        "shm:caf\xc3\xa9",
        "http:x",
        "file:x",
        "file://x",
        "shm://x",
        "SHM:x",
        " shm:x",
        "shm:/",
        "shm:/dev/",
        "shm:/x/.y",
        "shm:/dev/shm/",
        "shm:..",
        "shm:/x/..",
        "shm:a:b",
        "shm:a?b=c",
        "shm:/dev/shm/a b",
    };
    ks_store* const untouched = (ks_store*)(void*)&c_failures;
    for (size_t i = 0; i < COUNT(urls); ++i) {
        ks_store* store = untouched;
        if (!CHECK_STATUS(KS_E_URL, ks_open(urls[i], NULL, &store)))
            fprintf(stderr, "    for \"%s\"\n", urls[i]);
        CHECK(store == untouched);
        if (!CHECK_STATUS(KS_E_URL, ks_destroy(urls[i], 0))) fprintf(stderr, "    for \"%s\"\n", urls[i]);
    }
}

static void names_have_a_longest_length(void) {
    char url[300] = "shm:";
    const size_t prefix = strlen(url);
    const size_t used = (size_t)snprintf(url + prefix, 100, "c-test-long-%d-", (int)getpid());
    memset(url + prefix + used, 'x', KS_NAME_SIZE_MAX - used);
    ks_store* store = NULL;
    if (CHECK_STATUS(KS_OK, ks_open(url, NULL, &store))) {
        ks_close(store);
        CHECK_STATUS(KS_OK, ks_destroy(url, 0));
    }
    url[prefix + KS_NAME_SIZE_MAX] = 'y';
    CHECK_STATUS(KS_E_URL, ks_open(url, NULL, &store));
}

static void bad_arguments_of_open_are_refused(void) {
    const c_url url = c_fresh_url();
    ks_store* store = NULL;
    CHECK_STATUS(KS_E_ARGUMENT, ks_open(NULL, NULL, &store));
    CHECK_STATUS(KS_E_ARGUMENT, ks_open(url.text, NULL, NULL));

    static const size_t sizes[] = {0, 1, sizeof(ks_open_options) - 1, sizeof(ks_open_options) + 1, SIZE_MAX};
    for (size_t i = 0; i < COUNT(sizes); ++i) {
        const ks_open_options options = {.struct_size = sizes[i]};
        CHECK_STATUS(KS_E_STRUCT_SIZE, ks_open(url.text, &options, &store));
    }
    static const ks_open_options bad[] = {
        {.struct_size = sizeof(ks_open_options), .flags = 0x80000000u},
        {.struct_size = sizeof(ks_open_options), .flags = 256u},
        {.struct_size = sizeof(ks_open_options), .flags = KS_OPEN_MUST_EXIST | KS_OPEN_MUST_CREATE},
        {.struct_size = sizeof(ks_open_options), .flags = KS_OPEN_READ_ONLY | KS_OPEN_MUST_CREATE},
        {.struct_size = sizeof(ks_open_options), .max_bytes = 1},
        {.struct_size = sizeof(ks_open_options), .max_bytes = (32u << 20) - 1},
        {.struct_size = sizeof(ks_open_options), .max_bytes = (UINT64_C(128) << 30) + 1},
        {.struct_size = sizeof(ks_open_options),
         .flags = KS_OPEN_MUST_EXIST,
         .expected_keys = (1u << 29) + 1},
        {.struct_size = sizeof(ks_open_options), .flags = KS_OPEN_MUST_EXIST, .expected_keys = UINT64_MAX},
    };
    for (size_t i = 0; i < COUNT(bad); ++i) {
        if (!CHECK_STATUS(KS_E_ARGUMENT, ks_open(url.text, &bad[i], &store)))
            fprintf(stderr, "    row %zu\n", i);
    }
    CHECK(store == NULL);
}

static ks_status open_with(const char* url, uint32_t flags, ks_store** store) {
    const ks_open_options options = {.struct_size = sizeof options, .flags = flags, .label = "a label"};
    return ks_open(url, &options, store);
}

static void creation_can_be_demanded_and_forbidden(void) {
    const c_url url = c_fresh_url();
    ks_store *first = NULL, *second = NULL;
    CHECK_STATUS(KS_E_NO_STORE, open_with(url.text, KS_OPEN_MUST_EXIST, &first));
    CHECK_STATUS(KS_E_NO_STORE, open_with(url.text, KS_OPEN_READ_ONLY, &first));
    CHECK_STATUS(KS_OK, open_with(url.text, KS_OPEN_MUST_CREATE, &first));
    CHECK_STATUS(KS_E_EXISTS, open_with(url.text, KS_OPEN_MUST_CREATE, &second));
    CHECK(second == NULL);
    CHECK_STATUS(KS_OK,
                 open_with(url.text, KS_OPEN_MUST_EXIST | KS_OPEN_PREFAULT | KS_OPEN_HUGE_PAGES, &second));

    c_put(c_session(first), "shared", "by both");
    CHECK(c_holds(c_session(second), "shared", "by both"));
    ks_close(first);
    ks_close(second);
    CHECK_STATUS(KS_OK, ks_destroy(url.text, 0));
}

static void sizes_given_at_creation_are_kept(void) {
    const c_url url = c_fresh_url();
    const ks_open_options options = {
        .struct_size = sizeof options, .expected_keys = 16, .max_bytes = 32u << 20};
    ks_store* store = NULL;
    CHECK_STATUS(KS_OK, ks_open(url.text, &options, &store));
    ks_session* session = c_session(store);
    char key[32];
    for (int i = 0; i < 1000; ++i) { /* many more keys than expected */
        snprintf(key, sizeof key, "key %d", i);
        c_put(session, key, key);
    }
    ks_stats stats = {.struct_size = sizeof stats};
    CHECK_STATUS(KS_OK, ks_stat(store, &stats));
    CHECK_U64(1000, stats.keys);
    CHECK(stats.bytes_reserved <= (32u << 20) && stats.bytes_used <= stats.bytes_reserved);
    ks_close(store);
}

static void a_folder_may_be_named(void) {
    if (c_is_durable()) return; /* it is a folder */
    const c_url url = c_fresh_url();
    char with_folder[128];
    snprintf(with_folder, sizeof with_folder, "shm:/dev/shm/%s", url.text + strlen("shm:"));
    ks_store *here = c_open(url.text), *there = NULL;
    CHECK_STATUS(KS_OK, open_with(with_folder, KS_OPEN_MUST_EXIST, &there));
    ks_close(there);
    ks_close(here);
    CHECK_STATUS(KS_E_NO_STORE, open_with("shm:/nowhere/at/all", KS_OPEN_MUST_EXIST, &there));
}

/* ---- Handles ---------------------------------------------------------------------------------------------- */

static void null_handles_are_refused_and_null_closes_ignored(void) {
    ks_session* session = NULL;
    ks_stats stats = {.struct_size = sizeof stats};
    ks_close(NULL);
    ks_session_close(NULL);
    CHECK_STATUS(KS_E_ARGUMENT, ks_session_open(NULL, &session));
    CHECK(ks_default_session(NULL) == NULL);
    CHECK_STATUS(KS_E_ARGUMENT, ks_last_status());
    CHECK_STATUS(KS_E_ARGUMENT, ks_stat(NULL, &stats));
    CHECK_STATUS(KS_E_ARGUMENT, ks_check(NULL, NULL, NULL, NULL));
    CHECK_STATUS(KS_E_ARGUMENT, ks_reap(NULL, NULL));
    CHECK_STATUS(KS_E_ARGUMENT, ks_get(NULL, c_text("k"), NULL, 0, NULL, NULL));
    CHECK_STATUS(KS_E_ARGUMENT, ks_commit(NULL, c_text("k"), (ks_stamp){0, 0}, c_text("v"), NULL, NULL));
    CHECK_STATUS(KS_E_ARGUMENT, ks_watch(NULL, c_text("k"), (ks_stamp){0, 0}, 0, NULL));
    c_lane lane = c_lane_open();
    CHECK_STATUS(KS_E_ARGUMENT, ks_session_open(lane.store, NULL));
    c_lane_close(&lane);
}

static void closed_handles_are_recognised(void) {
    const c_url url = c_fresh_url();
    ks_store* store = c_open(url.text);
    ks_session *first = c_session(store), *second = c_session(store);
    ks_session_close(first);
    CHECK_STATUS(KS_E_HANDLE, ks_get(first, c_text("k"), NULL, 0, NULL, NULL));
    CHECK_STATUS(KS_E_HANDLE, ks_commit(first, c_text("k"), (ks_stamp){0, 0}, c_text("v"), NULL, NULL));
    CHECK_STATUS(KS_NOT_FOUND, ks_get(second, c_text("k"), NULL, 0, NULL, NULL));
    ks_session_close(first);
    ks_close(store);
    CHECK_STATUS(KS_E_HANDLE, ks_get(second, c_text("k"), NULL, 0, NULL, NULL));
    CHECK_STATUS(KS_E_HANDLE, ks_session_open(store, &first));
    CHECK(ks_default_session(store) == NULL);
    CHECK_STATUS(KS_E_HANDLE, ks_last_status());
    ks_session_close(second);
}

static void* default_session_of_a_thread(void* store) {
    ks_session* session = ks_default_session(store);
    CHECK(session != NULL && session == ks_default_session(store));
    c_put(session, "from a thread", "yes");
    return session;
}

static void each_thread_has_a_default_session(void) {
    c_lane lane = c_lane_open();
    ks_session* mine = ks_default_session(lane.store);
    CHECK(mine != NULL && mine == ks_default_session(lane.store));
    ks_stats before = {.struct_size = sizeof before}, after = before;
    CHECK_STATUS(KS_OK, ks_stat(lane.store, &before));
    CHECK_U64(2, before.sessions);

    pthread_t thread;
    void* theirs = NULL;
    CHECK(pthread_create(&thread, NULL, default_session_of_a_thread, lane.store) == 0);
    pthread_join(thread, &theirs);
    CHECK(theirs != mine);
    CHECK(c_holds(mine, "from a thread", "yes"));
    CHECK_STATUS(KS_OK, ks_stat(lane.store, &after)); /* the thread's end closed it */
    CHECK_U64(before.sessions, after.sessions);
    c_lane_close(&lane);
}

/* ---- ks_destroy -------------------------------------------------------------------------------------------- */

static void errno_is_zero_when_the_system_had_no_part(void) {
    const c_url url = c_fresh_url();
    ks_store *store = c_open(url.text), *second = NULL; /* creating: there was no such file at first */
    CHECK_STATUS(KS_E_IN_USE, ks_destroy(url.text, 0));
    CHECK_U64(0, ks_last_errno());
    const ks_open_options create = {.struct_size = sizeof create, .flags = KS_OPEN_MUST_CREATE};
    CHECK_STATUS(KS_E_EXISTS, ks_open(url.text, &create, &second));
    CHECK_U64(c_is_durable() ? 0 : EEXIST, ks_last_errno());
    CHECK_STATUS(KS_E_ARGUMENT, ks_destroy(url.text, 2u));
    CHECK_U64(0, ks_last_errno());
    ks_close(store);
    CHECK_STATUS(KS_OK, ks_destroy(url.text, 0));
    CHECK_STATUS(KS_E_NO_STORE, ks_destroy(url.text, 0));
    CHECK_U64(ENOENT, ks_last_errno());
}

static void destroy_refuses_what_it_must(void) {
    const c_url url = c_fresh_url();
    CHECK_STATUS(KS_E_ARGUMENT, ks_destroy(NULL, 0));
    CHECK_STATUS(KS_E_NO_STORE, ks_destroy(url.text, 0));
    CHECK_STATUS(KS_E_NO_STORE, ks_destroy(url.text, KS_DESTROY_FORCE));
    ks_store* store = c_open(url.text);
    CHECK_STATUS(KS_E_ARGUMENT, ks_destroy(url.text, 2u));
    CHECK_STATUS(KS_E_IN_USE, ks_destroy(url.text, 0));
    c_put(c_session(store), "still", "there");
    ks_close(store);
    CHECK_STATUS(KS_OK, ks_destroy(url.text, 0));
    CHECK_STATUS(KS_E_NO_STORE, ks_destroy(url.text, 0));
}

static void a_destroyed_store_takes_no_commit_and_no_claim(void) {
    c_lane lane = c_lane_open();
    const ks_stamp seen = c_put(lane.session, "k", "v");
    const ks_grant grant = c_claim(lane.session, "held", 0);
    CHECK_STATUS(KS_OK, ks_destroy(lane.url.text, KS_DESTROY_FORCE));

    ks_session* late = NULL;
    ks_grant more;
    const ks_commit_options under = {sizeof under, 0, 0, &grant};
    CHECK_STATUS(KS_E_DESTROYED, ks_commit(lane.session, c_text("k"), seen, c_text("w"), NULL, NULL));
    CHECK_STATUS(KS_E_DESTROYED,
                 ks_commit(lane.session, c_text("held"), grant.stamp, c_text("w"), &under, NULL));
    CHECK_STATUS(KS_E_DESTROYED, ks_delete(lane.session, c_text("k"), seen, NULL, NULL));
    CHECK_STATUS(KS_E_DESTROYED, ks_claim(lane.session, c_text("k"), NULL, &more, NULL));
    CHECK_STATUS(KS_E_DESTROYED, ks_session_open(lane.store, &late));

    ks_store* next = c_open(lane.url.text); /* the name is free: a new, empty store */
    CHECK_STATUS(KS_NOT_FOUND, ks_get(c_session(next), c_text("k"), NULL, 0, NULL, NULL));
    CHECK_STATUS(KS_E_DESTROYED, ks_commit(lane.session, c_text("k"), seen, c_text("w"), NULL, NULL));
    ks_close(lane.store);
    ks_close(next);
    CHECK_STATUS(KS_OK, ks_destroy(lane.url.text, 0));
}

/* A watcher in a thread of its own, and whether it sleeps already. */
typedef struct c_watcher {
    ks_session* session;
    const char* key;
    ks_stamp seen, now;
    ks_status status;
    atomic_int thread_id;
} c_watcher;

static const uint64_t kLongNs = 20000000000; /* instead of for ever: a test that fails, not one that hangs */

static void* watch_it(void* argument) {
    c_watcher* watcher = argument;
    atomic_store(&watcher->thread_id, (int)gettid());
    watcher->status = ks_watch(watcher->session, c_text(watcher->key), watcher->seen, kLongNs, &watcher->now);
    return NULL;
}

static int is_asleep(int thread_id) {
    char path[64], state = 'R';
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread_id);
    FILE* stat = fopen(path, "r");
    if (stat == NULL) return 1; /* it has ended already */
    const int fields = fscanf(stat, "%*d (%*[^)]) %c", &state);
    fclose(stat);
    return fields == 1 && state == 'S';
}

static pthread_t start_watcher(c_watcher* watcher) {
    pthread_t thread;
    if (!CHECK(pthread_create(&thread, NULL, watch_it, watcher) == 0)) exit(1);
    while (atomic_load(&watcher->thread_id) == 0 || !is_asleep(atomic_load(&watcher->thread_id))) {
    }
    return thread;
}

static void a_destroyed_store_ends_every_watch(void) {
    c_lane lane = c_lane_open();
    const ks_stamp seen = c_put(lane.session, "k", "v");
    ks_store* reading = NULL;
    const ks_open_options read_only = {.struct_size = sizeof read_only, .flags = KS_OPEN_READ_ONLY};
    CHECK_STATUS(KS_OK, ks_open(lane.url.text, &read_only, &reading));
    ks_session* reader = c_session(reading);
    c_watcher writing = {.session = lane.session, .key = "k", .seen = seen};
    c_watcher looking = {.session = reader, .key = "k", .seen = seen};
    const pthread_t threads[] = {start_watcher(&writing), start_watcher(&looking)};
    CHECK_STATUS(KS_OK, ks_destroy(lane.url.text, KS_DESTROY_FORCE));
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    CHECK_STATUS(KS_E_DESTROYED, writing.status);
    CHECK_STATUS(KS_E_DESTROYED, looking.status);

    ks_key key; /* and none begins, though the stamp has moved or nobody would wait */
    CHECK_STATUS(KS_OK, ks_resolve(lane.session, c_text("k"), &key));
    for (uint64_t timeout = 0; timeout <= kLongNs; timeout += kLongNs) {
        CHECK_STATUS(KS_E_DESTROYED, ks_watch(lane.session, c_text("k"), seen, timeout, NULL));
        CHECK_STATUS(KS_E_DESTROYED, ks_watch_k(lane.session, key, seen, timeout, NULL));
        CHECK_STATUS(KS_E_DESTROYED, ks_watch_k(reader, key, seen, timeout, NULL));
        CHECK_STATUS(KS_E_DESTROYED, ks_watch_k(reader, key, (ks_stamp){0, 0}, timeout, NULL));
    }
    ks_close(reading);
    ks_close(lane.store);
}

/* ---- Read-only --------------------------------------------------------------------------------------------- */

static int count_entry(void* user, const ks_entry* entry) {
    (void)entry;
    ++*(int*)user;
    return 0;
}

static void a_read_only_store_reads(void) {
    c_lane lane = c_lane_open();
    const ks_stamp seen = c_put(lane.session, "k", "v");
    ks_store* store = NULL;
    CHECK_STATUS(KS_OK, open_with(lane.url.text, KS_OPEN_READ_ONLY, &store));
    ks_session* reader = c_session(store);

    ks_key key;
    int entries = 0;
    ks_stamp now = {9, 9};
    ks_stats stats = {.struct_size = sizeof stats};
    CHECK(c_holds(reader, "k", "v"));
    CHECK_STATUS(KS_OK, ks_resolve(reader, c_text("k"), &key));
    CHECK_STATUS(KS_TOO_SMALL, ks_get_k(reader, key, NULL, 0, NULL, NULL));
    CHECK_STATUS(KS_NOT_FOUND, ks_resolve(reader, c_text("nothing"), &key));
    CHECK_STATUS(KS_OK, ks_list(reader, c_text(""), 0, count_entry, &entries));
    CHECK_U64(1, entries);
    CHECK_STATUS(KS_TIMEOUT, ks_watch(reader, c_text("k"), seen, 0, &now));
    c_put(lane.session, "k", "w");
    CHECK_STATUS(KS_OK, ks_watch(reader, c_text("k"), seen, KS_FOREVER, &now));
    CHECK_U64(seen.version + 1, now.version);
    CHECK_STATUS(KS_OK, ks_stat(store, &stats));
    CHECK_U64(1, stats.participants); /* the reader is none */
    CHECK_STATUS(KS_OK, ks_check(store, NULL, NULL, NULL));
    ks_close(store);
    c_lane_close(&lane);
}

static void a_reader_watches_for_a_key_that_is_not_there(void) {
    c_lane lane = c_lane_open();
    ks_store* reading = NULL;
    CHECK_STATUS(KS_OK, open_with(lane.url.text, KS_OPEN_READ_ONLY, &reading));
    ks_session* reader = c_session(reading);
    ks_stamp now = {9, 9};
    CHECK_STATUS(KS_TIMEOUT, ks_watch(reader, c_text("k"), (ks_stamp){0, 0}, 0, &now));
    CHECK(now.version == 0 && now.epoch == 0);
    now = (ks_stamp){9, 9}; /* an untouched key's stamp is not that one */
    CHECK_STATUS(KS_OK, ks_watch(reader, c_text("k"), now, kLongNs, &now));
    CHECK(now.version == 0 && now.epoch == 0);

    c_watcher watcher = {.session = reader, .key = "k"};
    const pthread_t thread = start_watcher(&watcher);
    c_put(lane.session, "k", "v");
    pthread_join(thread, NULL);
    CHECK_STATUS(KS_OK, watcher.status);
    CHECK_U64(1, watcher.now.version);

    c_watcher until_the_end = {.session = reader, .key = "never"};
    const pthread_t last = start_watcher(&until_the_end);
    CHECK_STATUS(KS_OK, ks_destroy(lane.url.text, KS_DESTROY_FORCE));
    pthread_join(last, NULL);
    CHECK_STATUS(KS_E_DESTROYED, until_the_end.status);
    ks_close(reading);
    ks_close(lane.store);
}

static void a_read_only_store_refuses_writes(void) {
    c_lane lane = c_lane_open();
    const ks_grant grant = c_claim(lane.session, "held", 0);
    ks_store* store = NULL;
    CHECK_STATUS(KS_OK, open_with(lane.url.text, KS_OPEN_READ_ONLY, &store));
    ks_session* reader = c_session(store);
    ks_grant more;
    CHECK_STATUS(KS_E_READ_ONLY, ks_commit(reader, c_text("k"), (ks_stamp){0, 0}, c_text("v"), NULL, NULL));
    CHECK_STATUS(KS_E_READ_ONLY, ks_delete(reader, c_text("k"), (ks_stamp){0, 0}, NULL, NULL));
    CHECK_STATUS(KS_E_READ_ONLY, ks_claim(reader, c_text("k"), NULL, &more, NULL));
    CHECK_STATUS(KS_E_READ_ONLY, ks_renew(reader, &grant, 0, NULL));
    CHECK_STATUS(KS_E_READ_ONLY, ks_release(reader, &grant, NULL));
    CHECK_STATUS(KS_E_READ_ONLY,
                 ks_reclaim(reader, c_text("held"), grant.stamp.epoch, KS_RECLAIM_LIVE, NULL));
    CHECK_STATUS(KS_OK, ks_release(lane.session, &grant, NULL));
    ks_close(store);
    c_lane_close(&lane);
}

int main(void) {
    static const c_test tests[] = {
        {"statuses have names", statuses_have_names},
        {"last error belongs to the thread and to faults", last_error_belongs_to_the_thread_and_to_faults},
        {"bad URLs are refused", bad_urls_are_refused},
        {"names have a longest length", names_have_a_longest_length},
        {"bad arguments of open are refused", bad_arguments_of_open_are_refused},
        {"creation can be demanded and forbidden", creation_can_be_demanded_and_forbidden},
        {"sizes given at creation are kept", sizes_given_at_creation_are_kept},
        {"a folder may be named", a_folder_may_be_named},
        {"null handles are refused and null closes ignored",
         null_handles_are_refused_and_null_closes_ignored},
        {"closed handles are recognised", closed_handles_are_recognised},
        {"each thread has a default session", each_thread_has_a_default_session},
        {"errno is zero when the system had no part", errno_is_zero_when_the_system_had_no_part},
        {"destroy refuses what it must", destroy_refuses_what_it_must},
        {"a destroyed store takes no commit and no claim", a_destroyed_store_takes_no_commit_and_no_claim},
        {"a destroyed store ends every watch", a_destroyed_store_ends_every_watch},
        {"a read-only store reads", a_read_only_store_reads},
        {"a reader watches for a key that is not there", a_reader_watches_for_a_key_that_is_not_there},
        {"a read-only store refuses writes", a_read_only_store_refuses_writes},
    };
    return c_run(tests, COUNT(tests));
}
