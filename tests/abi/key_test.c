/* Reading, committing, deleting, listing, watching: outcomes and faults. */
#include "c_test.h"

static char* a_large_buffer(size_t size) {
    char* bytes = malloc(size);
    if (!CHECK(bytes != NULL)) exit(1);
    for (size_t i = 0; i < size; ++i) bytes[i] = (char)(i * 31 + i / 251);
    return bytes;
}

/* ---- Keys and values ------------------------------------------------------------------------------------ */

/* Every call that takes a key refuses it in the same way. */
static void every_call_refuses(ks_session* session, ks_bytes key, ks_status wanted) {
    const ks_claim_options detached = {sizeof detached, KS_CLAIM_DETACHED, 0, KS_LEASE_NS_MAX, 0};
    char token[KS_TOKEN_SIZE];
    ks_key resolved;
    ks_grant grant;
    CHECK_STATUS(KS_OK, ks_claim(session, c_text("another"), &detached, &grant, NULL));
    CHECK_STATUS(KS_OK, ks_grant_format(&grant, token, sizeof token));
    CHECK_STATUS(KS_OK, ks_release(session, &grant, NULL));
    ks_stamp now;
    ks_get_item item = {.key = key};
    const ks_stamp none = {0, 0};
    CHECK_STATUS(wanted, ks_resolve(session, key, &resolved));
    CHECK_STATUS(wanted, ks_get(session, key, NULL, 0, NULL, NULL));
    CHECK_STATUS(wanted, ks_commit(session, key, none, c_text("v"), NULL, NULL));
    CHECK_STATUS(wanted, ks_delete(session, key, none, NULL, NULL));
    CHECK_STATUS(wanted, ks_claim(session, key, NULL, &grant, NULL));
    CHECK_STATUS(wanted, ks_reclaim(session, key, 1, 0, NULL));
    CHECK_STATUS(wanted, ks_grant_parse(session, key, token, &grant));
    CHECK_STATUS(wanted, ks_watch(session, key, none, 0, &now));
    CHECK_STATUS(KS_OK, ks_get_many(session, &item, 1));
    CHECK_STATUS(wanted, item.status);
}

static void keys_have_a_size(void) {
    c_lane lane = c_lane_open();
    char* bytes = a_large_buffer(KS_KEY_SIZE_MAX + 1);
    every_call_refuses(lane.session, (ks_bytes){bytes, 0}, KS_E_KEY_SIZE);
    every_call_refuses(lane.session, (ks_bytes){NULL, 0}, KS_E_KEY_SIZE);
    every_call_refuses(lane.session, (ks_bytes){bytes, KS_KEY_SIZE_MAX + 1}, KS_E_KEY_SIZE);
    every_call_refuses(lane.session, (ks_bytes){bytes, SIZE_MAX}, KS_E_KEY_SIZE);
    every_call_refuses(lane.session, (ks_bytes){NULL, 3}, KS_E_ARGUMENT);

    static const size_t sizes[] = {1, 15, 16, 17, 255, KS_KEY_SIZE_MAX - 1, KS_KEY_SIZE_MAX};
    for (size_t i = 0; i < COUNT(sizes); ++i) { /* each is a key of its own, prefixes of another included */
        const ks_bytes key = {bytes, sizes[i]};
        CHECK_STATUS(KS_OK, ks_commit(lane.session, key, (ks_stamp){0, 0}, key, NULL, NULL));
    }
    char got[KS_KEY_SIZE_MAX];
    for (size_t i = 0; i < COUNT(sizes); ++i) {
        size_t size = 0;
        CHECK_STATUS(KS_OK, ks_get(lane.session, (ks_bytes){bytes, sizes[i]}, got, sizeof got, &size, NULL));
        CHECK(size == sizes[i] && memcmp(got, bytes, size) == 0);
    }
    free(bytes);
    c_lane_close(&lane);
}

static void values_have_a_size(void) {
    c_lane lane = c_lane_open();
    char *bytes = a_large_buffer(KS_VALUE_SIZE_MAX + 1), *got = a_large_buffer(KS_VALUE_SIZE_MAX);
    static const size_t sizes[] = {0, 1, 8, 63, 64, 65, 4096, 65536, 1000003, KS_VALUE_SIZE_MAX};
    ks_receipt receipt = {{0, 0}, 0, {0, 0, 0, 0, ""}};
    for (size_t i = 0; i < COUNT(sizes); ++i) {
        size_t size = 1;
        CHECK_STATUS(KS_OK, ks_commit(lane.session, c_text("k"), receipt.stamp, (ks_bytes){bytes, sizes[i]},
                                      NULL, &receipt));
        CHECK_STATUS(KS_OK, ks_get(lane.session, c_text("k"), got, KS_VALUE_SIZE_MAX, &size, NULL));
        CHECK(size == sizes[i] && memcmp(got, bytes, size) == 0);
    }
    const ks_stamp seen = receipt.stamp;
    CHECK_STATUS(KS_E_VALUE_SIZE, ks_commit(lane.session, c_text("k"), seen,
                                            (ks_bytes){bytes, KS_VALUE_SIZE_MAX + 1}, NULL, NULL));
    CHECK_STATUS(KS_E_VALUE_SIZE,
                 ks_commit(lane.session, c_text("k"), seen, (ks_bytes){bytes, SIZE_MAX}, NULL, NULL));
    CHECK_STATUS(KS_E_ARGUMENT, ks_commit(lane.session, c_text("k"), seen, (ks_bytes){NULL, 1}, NULL, NULL));
    CHECK_STATUS(KS_OK, ks_commit(lane.session, c_text("k"), seen, (ks_bytes){NULL, 0}, NULL, NULL));
    free(got);
    free(bytes);
    c_lane_close(&lane);
}

/* ---- Reading ----------------------------------------------------------------------------------------------- */

static void a_small_buffer_learns_the_size(void) {
    c_lane lane = c_lane_open();
    const ks_stamp put = c_put(lane.session, "k", "0123456789");
    char buf[10] = "untouched";
    size_t size = 0;
    ks_stamp seen = {0, 0};
    CHECK_STATUS(KS_TOO_SMALL, ks_get(lane.session, c_text("k"), buf, 9, &size, &seen));
    CHECK(size == 10 && strcmp(buf, "untouched") == 0);
    CHECK(seen.version == put.version && seen.epoch == put.epoch);
    CHECK_STATUS(KS_TOO_SMALL, ks_get(lane.session, c_text("k"), NULL, 0, NULL, NULL));
    CHECK_STATUS(KS_E_ARGUMENT, ks_get(lane.session, c_text("k"), NULL, 10, NULL, NULL));
    CHECK_STATUS(KS_OK, ks_get(lane.session, c_text("k"), buf, sizeof buf, NULL, NULL));
    CHECK(memcmp(buf, "0123456789", 10) == 0);
    c_lane_close(&lane);
}

static void a_resolved_key_is_the_key(void) {
    c_lane lane = c_lane_open(), other = c_lane_open();
    ks_key key, again;
    ks_receipt receipt;
    char buf[8];
    CHECK_STATUS(KS_E_ARGUMENT, ks_resolve(lane.session, c_text("k"), NULL));
    CHECK_STATUS(KS_OK, ks_resolve(lane.session, c_text("k"), &key));
    CHECK_STATUS(KS_OK, ks_resolve(lane.session, c_text("k"), &again));
    CHECK(memcmp(&key, &again, sizeof key) == 0);
    CHECK_STATUS(KS_NOT_FOUND, ks_get_k(lane.session, key, buf, sizeof buf, NULL, NULL));
    CHECK_STATUS(KS_OK, ks_commit_k(lane.session, key, (ks_stamp){0, 0}, c_text("v"), NULL, &receipt));
    CHECK(c_holds(lane.session, "k", "v"));
    CHECK_STATUS(KS_OK, ks_delete_k(lane.session, key, receipt.stamp, NULL, &receipt));
    CHECK_STATUS(KS_NOT_FOUND, ks_get_k(lane.session, key, buf, sizeof buf, NULL, NULL));
    CHECK_STATUS(KS_TIMEOUT, ks_watch_k(lane.session, key, receipt.stamp, 0, NULL));
    CHECK_STATUS(KS_OK, ks_watch_k(lane.session, key, (ks_stamp){0, 0}, KS_FOREVER, NULL));

    c_put(other.session, "elsewhere", "v"); /* a stranger's handle, a forged one */
    const ks_key forged[] = {
        key, {0, 0}, {key.slot, key.check + 1}, {UINT64_MAX, key.check}, {UINT64_MAX, UINT64_MAX}};
    for (size_t i = 0; i < COUNT(forged); ++i) {
        ks_session* session = i == 0 ? other.session : lane.session;
        ks_grant grant;
        CHECK_STATUS(KS_E_HANDLE, ks_get_k(session, forged[i], buf, sizeof buf, NULL, NULL));
        CHECK_STATUS(KS_E_HANDLE, ks_commit_k(session, forged[i], (ks_stamp){0, 0}, c_text("v"), NULL, NULL));
        CHECK_STATUS(KS_E_HANDLE, ks_delete_k(session, forged[i], (ks_stamp){0, 0}, NULL, NULL));
        CHECK_STATUS(KS_E_HANDLE, ks_claim_k(session, forged[i], NULL, &grant, NULL));
        CHECK_STATUS(KS_E_HANDLE, ks_watch_k(session, forged[i], (ks_stamp){0, 0}, 0, NULL));
    }
    c_lane_close(&lane);
    c_lane_close(&other);
}

static void many_keys_are_read_each_with_its_status(void) {
    c_lane lane = c_lane_open();
    enum { kCount = 100 };
    char names[kCount][16], bufs[kCount][16];
    ks_get_item items[kCount];
    memset(items, 0, sizeof items);
    for (size_t i = 0; i < kCount; ++i) {
        snprintf(names[i], sizeof names[i], "many %zu", i);
        if (i % 3 != 0) c_put(lane.session, names[i], names[i]);
        items[i] = (ks_get_item){
            .key = c_text(names[i]), .buf = bufs[i], .capacity = i % 3 == 1 ? sizeof bufs[i] : 0};
    }
    CHECK_STATUS(KS_OK, ks_get_many(lane.session, items, kCount));
    for (size_t i = 0; i < kCount; ++i) {
        static const ks_status wanted[] = {KS_NOT_FOUND, KS_OK, KS_TOO_SMALL};
        CHECK_STATUS(wanted[i % 3], items[i].status);
        CHECK_U64(i % 3 == 0 ? 0 : strlen(names[i]), items[i].size);
        CHECK((items[i].seen.version != 0) == (i % 3 != 0));
        if (i % 3 == 1) CHECK(memcmp(bufs[i], names[i], items[i].size) == 0);
    }
    CHECK_STATUS(KS_OK, ks_get_many(lane.session, NULL, 0));
    CHECK_STATUS(KS_E_ARGUMENT, ks_get_many(lane.session, NULL, 1));
    items[0] = (ks_get_item){.key = c_text("many 1"), .buf = NULL, .capacity = 5};
    CHECK_STATUS(KS_OK, ks_get_many(lane.session, items, 1));
    CHECK_STATUS(KS_E_ARGUMENT, items[0].status);
    c_lane_close(&lane);
}

/* ---- Committing ------------------------------------------------------------------------------------------- */

static void of_two_writers_of_one_version_one_wins(void) {
    c_lane lane = c_lane_open();
    ks_session* other = c_session(lane.store);
    const ks_stamp seen = c_put(lane.session, "k", "v");
    ks_receipt won, lost;
    CHECK_STATUS(KS_OK, ks_commit(lane.session, c_text("k"), seen, c_text("first"), NULL, &won));
    CHECK_STATUS(KS_CONFLICT, ks_commit(other, c_text("k"), seen, c_text("second"), NULL, &lost));
    CHECK(won.stamp.version > seen.version && won.stamp.epoch == seen.epoch);
    CHECK(lost.stamp.version == won.stamp.version && lost.stamp.epoch == won.stamp.epoch);
    CHECK_U64(c_is_durable() ? won.stamp.version : 0, won.lsn); /* a volatile store has no history */
    CHECK(c_holds(other, "k", "first"));
    CHECK_STATUS(KS_OK, ks_commit(other, c_text("k"), lost.stamp, c_text("second"), NULL, NULL));
    c_lane_close(&lane);
}

static void the_zero_stamp_creates_and_nothing_else(void) {
    c_lane lane = c_lane_open();
    ks_receipt receipt;
    size_t size = 7;
    ks_stamp seen = {7, 7};
    CHECK_STATUS(KS_NOT_FOUND, ks_get(lane.session, c_text("k"), NULL, 0, &size, &seen));
    CHECK(size == 0 && seen.version == 0 && seen.epoch == 0);
    CHECK_STATUS(KS_CONFLICT,
                 ks_commit(lane.session, c_text("k"), (ks_stamp){1, 0}, c_text("v"), NULL, &receipt));
    CHECK_U64(0, receipt.stamp.version);
    CHECK_STATUS(KS_OK, ks_commit(lane.session, c_text("k"), seen, c_text("v"), NULL, NULL));
    CHECK_STATUS(KS_CONFLICT,
                 ks_commit(lane.session, c_text("k"), (ks_stamp){0, 0}, c_text("w"), NULL, NULL));
    CHECK(c_holds(lane.session, "k", "v"));
    c_lane_close(&lane);
}

static void versions_go_on_across_a_delete(void) {
    c_lane lane = c_lane_open();
    ks_receipt gone, back;
    const ks_stamp none = {0, 0}, seen = c_put(lane.session, "k", "v");
    CHECK_STATUS(KS_NOT_FOUND, ks_delete(lane.session, c_text("untouched"), none, NULL, NULL));
    CHECK_STATUS(KS_CONFLICT, ks_delete(lane.session, c_text("k"), none, NULL, NULL));
    CHECK_STATUS(KS_OK, ks_delete(lane.session, c_text("k"), seen, NULL, &gone));
    CHECK(gone.stamp.version > seen.version);

    ks_stamp tombstone = {0, 0};
    CHECK_STATUS(KS_NOT_FOUND, ks_get(lane.session, c_text("k"), NULL, 0, NULL, &tombstone));
    CHECK(tombstone.version == gone.stamp.version);
    CHECK_STATUS(KS_NOT_FOUND, ks_delete(lane.session, c_text("k"), tombstone, NULL, NULL));
    CHECK_STATUS(KS_CONFLICT, ks_commit(lane.session, c_text("k"), seen, c_text("zombie"), NULL, NULL));
    CHECK_STATUS(KS_CONFLICT, ks_commit(lane.session, c_text("k"), none, c_text("zombie"), NULL, NULL));
    CHECK_STATUS(KS_OK, ks_commit(lane.session, c_text("k"), tombstone, c_text("again"), NULL, &back));
    CHECK(back.stamp.version > tombstone.version);
    c_lane_close(&lane);
}

static void bad_commit_options_are_refused(void) {
    c_lane lane = c_lane_open();
    const ks_stamp none = {0, 0};
    static const size_t sizes[] = {0, 1, sizeof(ks_commit_options) - 1, sizeof(ks_commit_options) + 1};
    for (size_t i = 0; i < COUNT(sizes); ++i) {
        const ks_commit_options options = {sizes[i], 0, 0, NULL};
        CHECK_STATUS(KS_E_STRUCT_SIZE,
                     ks_commit(lane.session, c_text("k"), none, c_text("v"), &options, NULL));
        CHECK_STATUS(KS_E_STRUCT_SIZE, ks_delete(lane.session, c_text("k"), none, &options, NULL));
    }
    const ks_commit_options bad[] = {
        {sizeof(ks_commit_options), KS_COMMIT_DURABLE | KS_COMMIT_RELAXED, 0, NULL},
        {sizeof(ks_commit_options), 0x80000000u, 0, NULL},
        {sizeof(ks_commit_options), 0, 1u, NULL},
        {sizeof(ks_commit_options), KS_COMMIT_RELEASE, 0, NULL}, /* nothing to release */
    };
    for (size_t i = 0; i < COUNT(bad); ++i) {
        CHECK_STATUS(KS_E_ARGUMENT, ks_commit(lane.session, c_text("k"), none, c_text("v"), &bad[i], NULL));
        CHECK_STATUS(KS_E_ARGUMENT, ks_delete(lane.session, c_text("k"), none, &bad[i], NULL));
    }
    CHECK_STATUS(KS_NOT_FOUND, ks_get(lane.session, c_text("k"), NULL, 0, NULL, NULL));
    c_lane_close(&lane);
}

/* ---- Listing ---------------------------------------------------------------------------------------------- */

typedef struct c_listed {
    ks_session* session;
    int count, deleted, claimed, stop_after;
} c_listed;

static int count_entry(void* user, const ks_entry* entry) {
    c_listed* listed = user;
    ++listed->count;
    listed->deleted += entry->is_deleted != 0;
    listed->claimed += entry->is_claimed != 0;
    if (entry->is_claimed) CHECK(entry->owner.pid == (int32_t)getpid() && (entry->owner.epoch & 1) == 1);
    CHECK_STATUS(
        entry->is_deleted || entry->stamp.version == 0 ? KS_NOT_FOUND : KS_TOO_SMALL,
        ks_get(listed->session, entry->key, NULL, 0, NULL, NULL)); /* the callback may call the library */
    return listed->count == listed->stop_after;
}

static c_listed list(ks_session* session, const char* prefix, uint32_t flags, int stop_after) {
    c_listed listed = {session, 0, 0, 0, stop_after};
    CHECK_STATUS(KS_OK, ks_list(session, c_text(prefix), flags, count_entry, &listed));
    return listed;
}

static void keys_are_listed_by_prefix(void) {
    c_lane lane = c_lane_open();
    char name[64];
    for (int i = 0; i < 200; ++i) {
        snprintf(name, sizeof name, i < 150 ? "left/%d" : "right and longer than inline/%d", i);
        c_put(lane.session, name, "v");
    }
    CHECK_STATUS(KS_OK,
                 ks_delete(lane.session, c_text("left/7"), c_stamp_of(lane.session, "left/7"), NULL, NULL));
    c_claim(lane.session, "left/claimed only", 0);
    c_claim(lane.session, "left/8", 0);

    CHECK_U64(199, list(lane.session, "", 0, 0).count);
    CHECK_U64(149, list(lane.session, "left/", 0, 0).count);
    CHECK_U64(1, list(lane.session, "left/", 0, 0).claimed);
    CHECK_U64(151, list(lane.session, "left/", KS_LIST_ALL, 0).count);
    CHECK_U64(1, list(lane.session, "left/", KS_LIST_ALL, 0).deleted);
    CHECK_U64(2, list(lane.session, "left/", KS_LIST_ALL, 0).claimed);
    CHECK_U64(50, list(lane.session, "right and longer than inline/", 0, 0).count);
    CHECK_U64(0, list(lane.session, "nobody", KS_LIST_ALL, 0).count);
    CHECK_U64(3, list(lane.session, "", 0, 3).count);

    CHECK_STATUS(KS_E_ARGUMENT, ks_list(lane.session, c_text(""), 0, NULL, NULL));
    CHECK_STATUS(KS_E_ARGUMENT, ks_list(lane.session, c_text(""), 2u, count_entry, NULL));
    CHECK_STATUS(KS_E_ARGUMENT, ks_list(lane.session, (ks_bytes){NULL, 1}, 0, count_entry, NULL));
    c_lane_close(&lane);
}

/* ---- Watching --------------------------------------------------------------------------------------------- */

static void a_watch_answers_at_once_if_the_stamp_moved(void) {
    c_lane lane = c_lane_open();
    const ks_stamp none = {0, 0}, put = c_put(lane.session, "k", "v");
    ks_stamp now = {0, 0};
    CHECK_STATUS(KS_OK, ks_watch(lane.session, c_text("k"), none, KS_FOREVER, &now));
    CHECK_U64(put.version, now.version);
    CHECK_STATUS(KS_TIMEOUT, ks_watch(lane.session, c_text("k"), put, 0, &now));
    CHECK_STATUS(KS_TIMEOUT, ks_watch(lane.session, c_text("k"), put, 1000, NULL));
    CHECK_STATUS(KS_TIMEOUT, ks_watch(lane.session, c_text("untouched"), none, 0, NULL));

    const ks_grant grant = c_claim(lane.session, "k", 0); /* a claim and a release move the stamp too */
    CHECK_STATUS(KS_OK, ks_watch(lane.session, c_text("k"), put, KS_FOREVER, &now));
    CHECK_U64(grant.stamp.epoch, now.epoch);
    CHECK_STATUS(KS_OK, ks_release(lane.session, &grant, NULL));
    CHECK_STATUS(KS_OK, ks_watch(lane.session, c_text("k"), now, KS_FOREVER, &now));
    CHECK_U64(grant.stamp.epoch + 1, now.epoch);
    c_lane_close(&lane);
}

int main(void) {
    static const c_test tests[] = {
        {"keys have a size", keys_have_a_size},
        {"values have a size", values_have_a_size},
        {"a small buffer learns the size", a_small_buffer_learns_the_size},
        {"a resolved key is the key", a_resolved_key_is_the_key},
        {"many keys are read each with its status", many_keys_are_read_each_with_its_status},
        {"of two writers of one version one wins", of_two_writers_of_one_version_one_wins},
        {"the zero stamp creates and nothing else", the_zero_stamp_creates_and_nothing_else},
        {"versions go on across a delete", versions_go_on_across_a_delete},
        {"bad commit options are refused", bad_commit_options_are_refused},
        {"keys are listed by prefix", keys_are_listed_by_prefix},
        {"a watch answers at once if the stamp moved", a_watch_answers_at_once_if_the_stamp_moved},
    };
    return c_run(tests, COUNT(tests));
}
