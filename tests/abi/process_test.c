/* Several processes and threads: fork, kill, waiting for each other, one session entered twice, signal handlers. */
#include "c_test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

/* ---- fork ------------------------------------------------------------------------------------------ */

typedef struct c_inherited {
    c_lane* lane;
    ks_grant grant;
} c_inherited;

static void use_the_parents_handles(void* argument) {
    const c_inherited* inherited = argument;
    ks_session *session = inherited->lane->session, *more = NULL;
    ks_store* store = inherited->lane->store;
    const ks_stamp none = {0, 0};
    ks_key key;
    ks_grant grant;
    ks_get_item item = {.key = c_text("k")};
    ks_stats stats = {.struct_size = sizeof stats};
    CHECK_STATUS(KS_E_FORKED, ks_session_open(store, &more));
    CHECK(ks_default_session(store) == NULL);
    CHECK_STATUS(KS_E_FORKED, ks_stat(store, &stats));
    CHECK_STATUS(KS_E_FORKED, ks_reap(store, NULL));
    CHECK_STATUS(KS_E_FORKED, ks_check(store, NULL, NULL, NULL));
    CHECK_STATUS(KS_E_FORKED, ks_resolve(session, c_text("k"), &key));
    CHECK_STATUS(KS_E_FORKED, ks_get(session, c_text("k"), NULL, 0, NULL, NULL));
    CHECK_STATUS(KS_E_FORKED, ks_get_many(session, &item, 1));
    CHECK_STATUS(KS_E_FORKED, ks_commit(session, c_text("k"), none, c_text("v"), NULL, NULL));
    CHECK_STATUS(KS_E_FORKED, ks_delete(session, c_text("k"), none, NULL, NULL));
    CHECK_STATUS(KS_E_FORKED, ks_claim(session, c_text("k"), NULL, &grant, NULL));
    CHECK_STATUS(KS_E_FORKED, ks_release(session, &inherited->grant, NULL));
    CHECK_STATUS(KS_E_FORKED, ks_renew(session, &inherited->grant, 0, NULL));
    CHECK_STATUS(KS_E_FORKED, ks_reclaim(session, c_text("held"), 1, 0, NULL));
    CHECK_STATUS(KS_E_FORKED, ks_watch(session, c_text("k"), none, KS_FOREVER, NULL));

    ks_session_close(session);
    ks_close(store); /* frees the child's copy; the parent's participant stands */
    ks_store* mine = c_open(inherited->lane->url.text);
    CHECK_STATUS(KS_HELD, ks_claim(c_session(mine), c_text("held"), NULL, &grant, NULL));
    c_put(c_session(mine), "from", "the child");
    ks_close(mine);
}

static void a_child_opens_the_store_for_itself(void) {
    c_lane lane = c_lane_open();
    c_inherited inherited = {&lane, c_claim(lane.session, "held", 0)};
    CHECK(c_child_passes(use_the_parents_handles, &inherited));
    CHECK(c_holds(lane.session, "from", "the child"));
    CHECK_STATUS(KS_OK,
                 ks_release(lane.session, &inherited.grant, NULL)); /* the child's end was not the parent's */
    c_lane_close(&lane);
}

/* ---- kill ------------------------------------------------------------------------------------------ */

/* A child that claims "k", says so, and stays until it is killed. */
static pid_t start_holder(const char* url) {
    int ready[2];
    CHECK(pipe(ready) == 0);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        ks_store* store = c_open(url);
        ks_session* session = c_session(store);
        c_put(session, "k", "of the dead");
        c_claim(session, "k", 0);
        if (c_failures == 0 && write(ready[1], "y", 1) == 1) pause();
        _exit(1);
    }
    char said = 0;
    close(ready[1]);
    CHECK(read(ready[0], &said, 1) == 1 && said == 'y');
    close(ready[0]);
    return child;
}

static int count_participant(void* user, const ks_participant* participant) {
    int* counts = user;
    ++counts[participant->is_alive ? 1 : 0];
    CHECK(participant->is_self == (participant->pid == (int32_t)getpid()));
    CHECK(memchr(participant->label, '\0', KS_LABEL_SIZE) != NULL);
    return 0;
}

static void the_claim_of_a_killed_process_is_taken(void) {
    c_lane lane = c_lane_open();
    const pid_t holder = start_holder(lane.url.text);
    ks_grant grant;
    ks_receipt receipt;
    CHECK_STATUS(KS_HELD, ks_claim(lane.session, c_text("k"), NULL, &grant, &receipt));
    CHECK(receipt.owner.pid == (int32_t)holder && receipt.owner.lease_left_ns == KS_FOREVER);
    CHECK_STATUS(KS_E_IN_USE, ks_destroy(lane.url.text, 0));
    CHECK(kill(holder, SIGKILL) == 0 && waitpid(holder, NULL, 0) == holder);

    CHECK_STATUS(KS_OK, ks_claim(lane.session, c_text("k"), NULL, &grant, NULL));
    CHECK(grant.stamp.epoch > receipt.owner.epoch + 1);
    CHECK(c_holds(lane.session, "k", "of the dead"));

    uint64_t reaped = 0;
    int counts[2] = {0, 0};
    CHECK_STATUS(KS_OK, ks_reap(lane.store, &reaped));
    CHECK_U64(1, reaped);
    CHECK_STATUS(KS_OK, ks_participants(lane.store, count_participant, counts));
    CHECK(counts[0] == 0 && counts[1] == 1);
    CHECK_STATUS(KS_E_ARGUMENT, ks_participants(lane.store, NULL, NULL));
    ks_check_report report = {.struct_size = sizeof report};
    CHECK_STATUS(KS_OK, ks_check(lane.store, NULL, NULL, &report));
    CHECK(report.problems == 0 && report.blocks_unreaped == 0 && report.keys == 1 && report.claimed == 1);
    c_lane_close(&lane);
}

static void a_waiter_outlives_the_holder(void) {
    c_lane lane = c_lane_open();
    const pid_t holder = start_holder(lane.url.text);
    int go[2];
    CHECK(pipe(go) == 0);
    fflush(NULL);
    const pid_t killer = fork();
    if (killer == 0) { /* dies with its parent's pipe at the latest */
        char said;
        close(go[1]);
        _exit(read(go[0], &said, 1) == 1 && kill(holder, SIGKILL) == 0 ? 0 : 1);
    }
    CHECK(write(go[1], "y", 1) == 1);
    const ks_claim_options options = {sizeof options, 0, 0, 0, KS_FOREVER};
    ks_grant grant;
    CHECK_STATUS(KS_OK, ks_claim(lane.session, c_text("k"), &options, &grant, NULL));
    int status = -1;
    CHECK(waitpid(killer, &status, 0) == killer && status == 0);
    CHECK(waitpid(holder, NULL, 0) == holder);
    close(go[0]);
    close(go[1]);
    c_lane_close(&lane);
}

/* ---- One session, two threads ----------------------------------------------------------------------- */

/* A thread that waits inside lane->session for a claim that somebody else holds. */
typedef struct c_waiter {
    c_lane lane;
    ks_session* holder;
    ks_grant grant;
    pthread_t thread;
    _Atomic(pid_t) tid;
} c_waiter;

static void* wait_for_the_claim(void* waiter_given) {
    c_waiter* waiter = waiter_given;
    const ks_claim_options options = {sizeof options, 0, 0, 0, KS_FOREVER};
    ks_grant grant;
    waiter->tid = gettid();
    CHECK_STATUS(KS_OK, ks_claim(waiter->lane.session, c_text("k"), &options, &grant, NULL));
    return NULL;
}

/* Does the thread sleep? What it sleeps in can only be the claim: nothing else it does ever blocks. */
static int is_asleep(pid_t tid) {
    char path[64], state = '?';
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
    FILE* file = fopen(path, "r");
    if (file == NULL) return 0;
    if (fscanf(file, "%*d %*s %c", &state) != 1) state = '?';
    fclose(file);
    return state == 'S';
}

static void start_waiter(c_waiter* waiter) {
    waiter->lane = c_lane_open();
    waiter->holder = c_session(waiter->lane.store);
    waiter->grant = c_claim(waiter->holder, "k", 0);
    waiter->tid = 0;
    CHECK(pthread_create(&waiter->thread, NULL, wait_for_the_claim, waiter) == 0);
    while (waiter->tid == 0 || !is_asleep(waiter->tid)) {
    }
}

static void end_waiter(c_waiter* waiter) {
    CHECK_STATUS(KS_OK, ks_release(waiter->holder, &waiter->grant, NULL));
    pthread_join(waiter->thread, NULL);
    c_lane_close(&waiter->lane);
}

static void a_session_takes_one_write_at_a_time(void) {
    c_waiter waiter;
    start_waiter(&waiter);
    ks_session* session = waiter.lane.session;
    const ks_stamp none = {0, 0};
    ks_grant grant;
    CHECK_STATUS(KS_E_SESSION_BUSY, ks_commit(session, c_text("x"), none, c_text("v"), NULL, NULL));
    CHECK_STATUS(KS_E_SESSION_BUSY, ks_delete(session, c_text("x"), none, NULL, NULL));
    CHECK_STATUS(KS_E_SESSION_BUSY, ks_claim(session, c_text("x"), NULL, &grant, NULL));
    CHECK_STATUS(KS_NOT_FOUND, ks_get(waiter.holder, c_text("x"), NULL, 0, NULL, NULL));
    end_waiter(&waiter);
}

/* ---- Signal handlers ---------------------------------------------------------------------------------- */

static _Atomic(ks_session*) handlers_session, interrupted_session;
static atomic_int handler_ran, status_of_read, status_of_write;

static void read_and_write_in_a_handler(int number) {
    (void)number;
    status_of_read = (int)ks_get(handlers_session, c_text("x"), NULL, 0, NULL, NULL);
    status_of_write = (int)ks_delete(interrupted_session, c_text("k"), (ks_stamp){0, 0}, NULL, NULL);
    handler_ran = 1;
}

static void a_handler_reads_and_does_not_write(void) {
    CHECK(signal(SIGUSR1, read_and_write_in_a_handler) != SIG_ERR);
    c_waiter waiter;
    start_waiter(&waiter);
    handlers_session = c_session(waiter.lane.store);
    interrupted_session = waiter.lane.session;
    CHECK(pthread_kill(waiter.thread, SIGUSR1) == 0);
    while (!handler_ran) {
    }
    CHECK_STATUS(KS_NOT_FOUND, (ks_status)status_of_read);
    CHECK_STATUS(KS_E_SESSION_BUSY, (ks_status)status_of_write);
    end_waiter(&waiter); /* the claim went on waiting after the signal, and is granted now */
    CHECK(signal(SIGUSR1, SIG_DFL) != SIG_ERR);
}

/* ---- Counting and judging a store ------------------------------------------------------------------ */

static void a_store_counts_what_it_told(void) {
    c_lane lane = c_lane_open();
    ks_stats stats = {.struct_size = 0};
    CHECK_STATUS(KS_E_STRUCT_SIZE, ks_stat(lane.store, &stats));
    CHECK_STATUS(KS_E_ARGUMENT, ks_stat(lane.store, NULL));
    ks_check_report report = {.struct_size = 1};
    CHECK_STATUS(KS_E_STRUCT_SIZE, ks_check(lane.store, NULL, NULL, &report));

    const ks_stamp seen = c_put(lane.session, "k", "12345");
    CHECK_STATUS(KS_CONFLICT,
                 ks_commit(lane.session, c_text("k"), (ks_stamp){0, 0}, c_text("v"), NULL, NULL));
    const ks_grant grant = c_claim(lane.session, "k", 0);
    CHECK_STATUS(KS_HELD, ks_commit(lane.session, c_text("k"), seen, c_text("v"), NULL, NULL));
    CHECK_STATUS(KS_OK, ks_release(lane.session, &grant, NULL));
    CHECK_STATUS(KS_FENCED, ks_commit(lane.session, c_text("k"), seen, c_text("v"), NULL, NULL));

    stats.struct_size = sizeof stats;
    CHECK_STATUS(KS_OK, ks_stat(lane.store, &stats));
    CHECK(stats.store_id != 0 && stats.keys == 1 && stats.participants == 1 && stats.sessions == 1);
    CHECK_U64(1, stats.total.commits);
    CHECK_U64(1, stats.total.conflicts);
    CHECK_U64(1, stats.total.held);
    CHECK_U64(1, stats.total.fenced);
    CHECK_U64(1, stats.total.claims);
    CHECK_U64(1, stats.total.releases);
    CHECK_U64(5, stats.total.bytes);
    report.struct_size = sizeof report;
    CHECK_STATUS(KS_OK, ks_check(lane.store, NULL, NULL, &report));
    CHECK(report.keys == 1 && report.claimed == 0 && report.blocks_live == 1 && report.problems == 0);
    c_lane_close(&lane);
}

static c_url url_at_exit;

static void at_exit(void) {
    ks_store* store = NULL;
    ks_session* session = NULL;
    if (ks_open(url_at_exit.text, NULL, &store) != KS_OK || ks_session_open(store, &session) != KS_OK)
        _exit(2);
    if (ks_commit(session, c_text("at exit"), (ks_stamp){0, 0}, c_text("v"), NULL, NULL) != KS_OK) _exit(3);
    if (ks_default_session(store) != NULL || ks_last_status() != KS_E_HANDLE) _exit(4);
    ks_close(store);
    _exit(0); /* the parent's own checks are not the child's */
}

static void what_runs_at_exit_may_use_a_store(void) {
    c_lane lane = c_lane_open();
    url_at_exit = lane.url;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        atexit(at_exit);
        ks_store* store = c_open(url_at_exit.text);
        (void)ks_default_session(store);
        exit(1);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    CHECK_U64(0, WEXITSTATUS(status));
    c_lane_close(&lane);
}

int main(void) {
    static const c_test tests[] = {
        {"a child opens the store for itself", a_child_opens_the_store_for_itself},
        {"the claim of a killed process is taken", the_claim_of_a_killed_process_is_taken},
        {"a waiter outlives the holder", a_waiter_outlives_the_holder},
        {"a session takes one write at a time", a_session_takes_one_write_at_a_time},
        {"a handler reads and does not write", a_handler_reads_and_does_not_write},
        {"a store counts what it told", a_store_counts_what_it_told},
        {"what runs at exit may use a store", what_runs_at_exit_may_use_a_store},
    };
    return c_run(tests, COUNT(tests));
}
