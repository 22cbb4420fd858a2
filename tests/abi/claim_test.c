/* Claims: holding, renewing, releasing, reclaiming, handing over; who is fenced, and which grants are no tickets. */
#include "c_test.h"

static const uint64_t kMs = 1000000;

static ks_status commit_under(ks_session* session, const char* key, ks_stamp seen, const char* value,
                              const ks_grant* grant, uint32_t flags, ks_receipt* receipt) {
    const ks_commit_options options = {sizeof options, flags, 0, grant};
    return ks_commit(session, c_text(key), seen, c_text(value), &options, receipt);
}

static ks_status claim_with(ks_session* session, const char* key, uint32_t flags, uint64_t lease_ns,
                            uint64_t wait_ns, ks_grant* grant, ks_receipt* receipt) {
    const ks_claim_options options = {sizeof options, flags, 0, lease_ns, wait_ns};
    return ks_claim(session, c_text(key), &options, grant, receipt);
}

/* ---- One owner -------------------------------------------------------------------------------------------- */

static void a_claim_excludes_others_and_serves_its_holder(void) {
    c_lane lane = c_lane_open();
    ks_session* other = c_session(lane.store);
    const ks_stamp seen = c_put(lane.session, "k", "v");
    ks_grant grant = c_claim(lane.session, "k", 0), more;
    ks_receipt receipt;
    CHECK(grant.stamp.version == seen.version && grant.stamp.epoch == seen.epoch + 1);

    CHECK_STATUS(KS_HELD, ks_commit(other, c_text("k"), seen, c_text("w"), NULL, &receipt));
    CHECK(receipt.owner.pid == (int32_t)getpid() && receipt.owner.detached == 0);
    CHECK(receipt.owner.lease_left_ns == KS_FOREVER && receipt.owner.epoch == grant.stamp.epoch);
    CHECK(receipt.owner.label[0] != '\0' && memchr(receipt.owner.label, '\0', KS_LABEL_SIZE) != NULL);
    CHECK(receipt.stamp.version == seen.version && receipt.stamp.epoch == grant.stamp.epoch);
    CHECK_STATUS(KS_HELD, ks_claim(other, c_text("k"), NULL, &more, &receipt));
    CHECK_STATUS(KS_HELD, ks_claim(lane.session, c_text("k"), NULL, &more, &receipt)); /* by oneself */
    CHECK_STATUS(KS_HELD, ks_delete(other, c_text("k"), seen, NULL, NULL));

    CHECK_STATUS(KS_OK, commit_under(lane.session, "k", grant.stamp, "under", &grant, 0, &receipt));
    CHECK(receipt.stamp.version > seen.version && receipt.stamp.epoch == grant.stamp.epoch);
    CHECK_STATUS(KS_CONFLICT, commit_under(lane.session, "k", grant.stamp, "stale", &grant, 0, NULL));
    CHECK_STATUS(KS_OK, commit_under(other, "k", receipt.stamp, "same participant", &grant, 0, &receipt));
    CHECK_STATUS(KS_OK, ks_release(lane.session, &grant, &receipt));
    CHECK_U64(grant.stamp.epoch + 1, receipt.stamp.epoch);
    CHECK_STATUS(KS_FENCED, ks_release(lane.session, &grant, NULL));
    CHECK(c_holds(other, "k", "same participant"));
    c_lane_close(&lane);
}

static void commit_and_release_is_one_step(void) {
    c_lane lane = c_lane_open();
    const ks_grant grant = c_claim(lane.session, "k", 0);
    ks_receipt receipt;
    CHECK_STATUS(KS_OK,
                 commit_under(lane.session, "k", grant.stamp, "v", &grant, KS_COMMIT_RELEASE, &receipt));
    CHECK(receipt.stamp.version > grant.stamp.version && receipt.stamp.epoch == grant.stamp.epoch + 1);
    CHECK_STATUS(KS_FENCED, commit_under(lane.session, "k", receipt.stamp, "w", &grant, 0, NULL));

    const ks_grant again = c_claim(lane.session, "k", 0);
    const ks_commit_options options = {sizeof options, KS_COMMIT_RELEASE, 0, &again};
    CHECK_STATUS(KS_OK, ks_delete(lane.session, c_text("k"), again.stamp, &options, &receipt));
    CHECK_STATUS(KS_NOT_FOUND, ks_get(lane.session, c_text("k"), NULL, 0, NULL, NULL));
    CHECK_STATUS(KS_OK, ks_commit(lane.session, c_text("k"), receipt.stamp, c_text("free"), NULL, NULL));
    c_lane_close(&lane);
}

static void a_read_from_before_an_ownership_is_fenced(void) {
    c_lane lane = c_lane_open();
    ks_receipt receipt;
    const ks_stamp seen = c_put(lane.session, "k", "v");
    const ks_grant grant = c_claim(lane.session, "k", 0);
    CHECK_STATUS(KS_OK, ks_release(lane.session, &grant, NULL)); /* somebody owned it, and changed nothing */
    CHECK_STATUS(KS_FENCED, ks_commit(lane.session, c_text("k"), seen, c_text("w"), NULL, &receipt));
    CHECK(receipt.stamp.version == seen.version && receipt.stamp.epoch == grant.stamp.epoch + 1);
    CHECK_STATUS(KS_OK, ks_commit(lane.session, c_text("k"), receipt.stamp, c_text("w"), NULL, NULL));

    const ks_grant untouched =
        c_claim(lane.session, "new", 0); /* nothing is stale about a key without a value */
    CHECK_STATUS(KS_OK, ks_release(lane.session, &untouched, NULL));
    CHECK_STATUS(KS_OK, ks_commit(lane.session, c_text("new"), (ks_stamp){0, 0}, c_text("v"), NULL, NULL));
    c_lane_close(&lane);
}

/* ---- Leases ------------------------------------------------------------------------------------------------ */

static int note_owner(void* user, const ks_entry* entry) {
    if (entry->is_claimed) *(ks_owner*)user = entry->owner;
    return 0;
}

static ks_owner owner_of(ks_session* session, const char* key) {
    ks_owner owner = {0, 0, 0, 0, ""};
    CHECK_STATUS(KS_OK, ks_list(session, c_text(key), KS_LIST_ALL, note_owner, &owner));
    return owner;
}

static void a_lease_that_is_over_serves_until_somebody_takes_it(void) {
    c_lane lane = c_lane_open();
    ks_session* other = c_session(lane.store);
    const ks_grant zombie = c_claim(lane.session, "k", kMs);
    while (owner_of(other, "k").lease_left_ns != 0) { /* looking at it reclaims nothing */
    }
    ks_receipt receipt;
    CHECK_STATUS(KS_OK,
                 commit_under(lane.session, "k", zombie.stamp, "late, but first", &zombie, 0, &receipt));

    ks_grant heir;
    CHECK_STATUS(KS_OK, ks_claim(other, c_text("k"), NULL, &heir, NULL)); /* reclaims on the way */
    CHECK(heir.stamp.epoch > zombie.stamp.epoch + 1);
    CHECK_STATUS(KS_FENCED, commit_under(lane.session, "k", receipt.stamp, "zombie", &zombie, 0, &receipt));
    CHECK_U64(heir.stamp.epoch, receipt.stamp.epoch);
    CHECK_STATUS(KS_FENCED, ks_renew(lane.session, &zombie, kMs, NULL));
    CHECK_STATUS(KS_FENCED, ks_release(lane.session, &zombie, NULL));
    CHECK_STATUS(KS_OK, ks_release(other, &heir, NULL));
    CHECK(c_holds(other, "k", "late, but first"));
    c_lane_close(&lane);
}

static void an_optimistic_commit_reclaims_what_is_over(void) {
    c_lane lane = c_lane_open();
    ks_session* other = c_session(lane.store);
    const ks_stamp seen = c_put(lane.session, "k", "v");
    const ks_grant zombie = c_claim(lane.session, "k", kMs);
    ks_status status;
    do status = ks_commit(other, c_text("k"), c_stamp_of(other, "k"), c_text("w"), NULL, NULL);
    while (status == KS_HELD || status == KS_FENCED);
    CHECK_STATUS(KS_OK, status);
    CHECK_STATUS(KS_FENCED, commit_under(lane.session, "k", seen, "zombie", &zombie, 0, NULL));
    c_lane_close(&lane);
}

static void a_waiter_gets_the_claim_when_the_lease_ends(void) {
    c_lane lane = c_lane_open();
    ks_session* other = c_session(lane.store);
    const ks_grant zombie = c_claim(lane.session, "k", 20 * kMs);
    ks_grant heir;
    ks_receipt receipt;
    CHECK_STATUS(KS_OK, claim_with(other, "k", 0, 0, KS_FOREVER, &heir, NULL));
    CHECK_STATUS(KS_FENCED, commit_under(lane.session, "k", zombie.stamp, "zombie", &zombie, 0, NULL));
    CHECK_STATUS(KS_TIMEOUT, claim_with(lane.session, "k", 0, 0, 2 * kMs, &heir, &receipt));
    CHECK(receipt.owner.pid == (int32_t)getpid());
    c_lane_close(&lane);
}

static void a_renewed_lease_runs_anew(void) {
    c_lane lane = c_lane_open();
    ks_session* other = c_session(lane.store);
    const ks_grant grant = c_claim(lane.session, "k", kMs);
    ks_receipt receipt;
    CHECK_STATUS(KS_OK, ks_renew(lane.session, &grant, KS_LEASE_NS_MAX, &receipt)); /* also if it was over */
    CHECK(owner_of(other, "k").lease_left_ns > KS_LEASE_NS_MAX / 2);
    CHECK_STATUS(KS_HELD, ks_commit(other, c_text("k"), (ks_stamp){0, 0}, c_text("w"), NULL, NULL));
    CHECK_STATUS(KS_OK, ks_renew(lane.session, &grant, 0, NULL));
    CHECK_U64(KS_FOREVER, owner_of(other, "k").lease_left_ns);
    CHECK_STATUS(KS_OK, commit_under(lane.session, "k", grant.stamp, "v", &grant, 0, NULL));
    c_lane_close(&lane);
}

static void bad_claim_options_are_refused(void) {
    c_lane lane = c_lane_open();
    ks_grant grant;
    static const size_t sizes[] = {0, 1, sizeof(ks_claim_options) - 1, sizeof(ks_claim_options) + 1};
    for (size_t i = 0; i < COUNT(sizes); ++i) {
        const ks_claim_options options = {sizes[i], 0, 0, 0, 0};
        CHECK_STATUS(KS_E_STRUCT_SIZE, ks_claim(lane.session, c_text("k"), &options, &grant, NULL));
    }
    static const ks_claim_options bad[] = {
        {sizeof(ks_claim_options), 2u, 0, 0, 0},
        {sizeof(ks_claim_options), 0x80000000u, 0, 0, 0},
        {sizeof(ks_claim_options), 0, 1u, 0, 0},
        {sizeof(ks_claim_options), 0, 0, 999999, 0}, /* shorter than a millisecond */
        {sizeof(ks_claim_options), 0, 0, KS_LEASE_NS_MAX + 1, 0},
        {sizeof(ks_claim_options), 0, 0, KS_FOREVER, 0},
        {sizeof(ks_claim_options), KS_CLAIM_DETACHED, 0, 0, 0}, /* nobody's death would end it */
    };
    for (size_t i = 0; i < COUNT(bad); ++i) {
        CHECK_STATUS(KS_E_ARGUMENT, ks_claim(lane.session, c_text("k"), &bad[i], &grant, NULL));
    }
    CHECK_STATUS(KS_E_ARGUMENT, ks_claim(lane.session, c_text("k"), NULL, NULL, NULL));
    grant = c_claim(lane.session, "k", 0);
    CHECK_STATUS(KS_E_ARGUMENT, ks_renew(lane.session, &grant, 999999, NULL));
    CHECK_STATUS(KS_E_ARGUMENT, ks_renew(lane.session, &grant, KS_LEASE_NS_MAX + 1, NULL));
    CHECK_STATUS(KS_E_ARGUMENT, ks_renew(lane.session, NULL, 0, NULL));
    CHECK_STATUS(KS_E_ARGUMENT, ks_release(lane.session, NULL, NULL));
    CHECK_STATUS(KS_OK, ks_release(lane.session, &grant, NULL));
    c_lane_close(&lane);
}

/* ---- Reclaiming ------------------------------------------------------------------------------------------- */

static void reclaiming_names_one_claim(void) {
    c_lane lane = c_lane_open();
    ks_session* other = c_session(lane.store);
    const ks_grant grant = c_claim(lane.session, "k", 0);
    const uint64_t epoch = grant.stamp.epoch;
    ks_receipt receipt;
    CHECK_STATUS(KS_NOT_FOUND, ks_reclaim(other, c_text("untouched"), 1, KS_RECLAIM_LIVE, NULL));
    CHECK_STATUS(KS_E_ARGUMENT, ks_reclaim(other, c_text("k"), epoch, 2u, NULL));
    CHECK_STATUS(KS_HELD, ks_reclaim(other, c_text("k"), epoch, 0, &receipt));
    CHECK_U64(epoch, receipt.stamp.epoch);
    CHECK_STATUS(KS_OK, ks_reclaim(other, c_text("k"), epoch, KS_RECLAIM_LIVE, &receipt));
    CHECK_U64(epoch + 1, receipt.stamp.epoch);

    ks_grant heir = c_claim(other, "k", 0);
    CHECK_STATUS(KS_FENCED,
                 ks_reclaim(lane.session, c_text("k"), epoch, KS_RECLAIM_LIVE, &receipt)); /* over already */
    CHECK_U64(heir.stamp.epoch, receipt.stamp.epoch);
    CHECK_STATUS(KS_FENCED, commit_under(lane.session, "k", grant.stamp, "zombie", &grant, 0, NULL));
    CHECK_STATUS(KS_OK, commit_under(other, "k", heir.stamp, "heir", &heir, KS_COMMIT_RELEASE, NULL));
    c_lane_close(&lane);
}

static void a_closed_session_leaves_claims_to_others(void) {
    c_lane lane = c_lane_open();
    ks_session* holder = c_session(lane.store);
    const ks_grant grant = c_claim(holder, "k", 0);
    ks_grant heir;
    CHECK_STATUS(KS_HELD, ks_claim(lane.session, c_text("k"), NULL, &heir, NULL));
    ks_session_close(holder);
    CHECK_STATUS(KS_OK, ks_claim(lane.session, c_text("k"), NULL, &heir, NULL));
    CHECK(heir.stamp.epoch > grant.stamp.epoch);
    CHECK_STATUS(KS_FENCED, ks_release(lane.session, &grant, NULL));
    c_lane_close(&lane);
}

/* ---- Which grants are no tickets ---------------------------------------------------------------------------- */

static void a_grant_is_refused(ks_session* session, const char* key, const ks_grant* grant) {
    CHECK_STATUS(KS_E_GRANT, commit_under(session, key, grant->stamp, "forged", grant, 0, NULL));
    CHECK_STATUS(KS_E_GRANT,
                 commit_under(session, key, grant->stamp, "forged", grant, KS_COMMIT_RELEASE, NULL));
    CHECK_STATUS(KS_E_GRANT, ks_renew(session, grant, kMs, NULL));
    CHECK_STATUS(KS_E_GRANT, ks_release(session, grant, NULL));
}

static void forged_and_foreign_grants_are_refused(void) {
    c_lane lane = c_lane_open();
    ks_store* stranger = c_open(lane.url.text); /* another participant */
    const ks_grant grant = c_claim(lane.session, "k", 0), elsewhere = c_claim(lane.session, "elsewhere", 0);
    a_grant_is_refused(c_session(stranger), "k", &grant);

    ks_grant forged = grant;
    forged.owner ^= 1;
    a_grant_is_refused(lane.session, "k", &forged);
    forged.owner = 0;
    a_grant_is_refused(lane.session, "k", &forged);
    memset(&forged, 0, sizeof forged);
    a_grant_is_refused(lane.session, "k", &forged);
    memset(&forged, 0xff, sizeof forged);
    a_grant_is_refused(lane.session, "k", &forged);
    CHECK_STATUS(KS_E_GRANT, commit_under(lane.session, "k", elsewhere.stamp, "forged", &elsewhere, 0, NULL));

    CHECK_STATUS(KS_NOT_FOUND,
                 ks_get(lane.session, c_text("k"), NULL, 0, NULL, NULL)); /* none of it took effect */
    CHECK_STATUS(KS_OK,
                 commit_under(lane.session, "k", grant.stamp, "true", &grant, KS_COMMIT_RELEASE, NULL));
    ks_close(stranger);
    c_lane_close(&lane);
}

/* Epochs only grow: one below the key's was somebody's and is over, one above was never given out. */
static void a_grant_of_an_epoch_to_come_was_never_given(void) {
    c_lane lane = c_lane_open();
    const ks_grant first = c_claim(lane.session, "k", 0);
    CHECK_STATUS(KS_OK, ks_release(lane.session, &first, NULL));
    ks_grant owned = c_claim(lane.session, "k", 0), detached;
    CHECK_STATUS(KS_OK,
                 claim_with(lane.session, "d", KS_CLAIM_DETACHED, KS_LEASE_NS_MAX, 0, &detached, NULL));
    static const uint64_t steps[] = {2, UINT64_C(1) << 38, UINT64_C(1) << 39 /* another incarnation */};
    for (size_t i = 0; i < COUNT(steps); ++i) {
        ks_grant later = owned;
        later.stamp.epoch += steps[i];
        a_grant_is_refused(lane.session, "k", &later);
        later = detached;
        later.stamp.epoch += steps[i];
        a_grant_is_refused(lane.session, "d", &later);
    }
    CHECK_STATUS(KS_FENCED, commit_under(lane.session, "k", first.stamp, "late", &first, 0, NULL));
    CHECK_STATUS(KS_FENCED, ks_renew(lane.session, &first, kMs, NULL));
    CHECK_STATUS(KS_FENCED, ks_release(lane.session, &first, NULL));

    CHECK_STATUS(KS_OK,
                 ks_release(lane.session, &owned, NULL)); /* a free key: the next epoch is to come, too */
    owned.stamp.epoch += 2;
    a_grant_is_refused(lane.session, "k", &owned);
    CHECK_STATUS(KS_OK, ks_release(lane.session, &detached, NULL));
    c_lane_close(&lane);
}

static void a_grant_serves_every_session_of_its_open_store(void) {
    c_lane lane = c_lane_open();
    ks_session* other = c_session(lane.store);
    ks_store* stranger = c_open(lane.url.text); /* the same process, but another participant */
    ks_receipt receipt;
    const ks_grant grant = c_claim(lane.session, "k", 0);
    a_grant_is_refused(c_session(stranger), "k", &grant);
    CHECK_STATUS(KS_OK, commit_under(other, "k", grant.stamp, "v", &grant, 0, &receipt));
    CHECK_STATUS(KS_OK, ks_renew(other, &grant, KS_LEASE_NS_MAX, NULL));
    CHECK_STATUS(KS_HELD, ks_commit(other, c_text("k"), receipt.stamp, c_text("w"), NULL, NULL));
    CHECK_STATUS(KS_OK, ks_release(other, &grant, NULL));
    CHECK_STATUS(KS_FENCED, ks_release(lane.session, &grant, NULL));

    const ks_grant orphan = c_claim(lane.session, "k", 0); /* it ends with the session that claimed */
    ks_session_close(lane.session);
    CHECK_STATUS(KS_E_GRANT, ks_renew(other, &orphan, KS_LEASE_NS_MAX, NULL));
    ks_grant heir;
    CHECK_STATUS(KS_OK, ks_claim(other, c_text("k"), NULL, &heir, NULL));
    CHECK_STATUS(KS_FENCED, ks_release(other, &orphan, NULL));
    ks_close(stranger);
    c_lane_close(&lane);
}

/* ---- Detached claims ----------------------------------------------------------------------------------------- */

static void a_token_carries_a_detached_claim(void) {
    c_lane lane = c_lane_open();
    ks_store* successor = c_open(lane.url.text);
    ks_session* heir = c_session(successor);
    char token[KS_TOKEN_SIZE];
    ks_grant grant, parsed;
    CHECK_STATUS(KS_OK, claim_with(lane.session, "k", KS_CLAIM_DETACHED, KS_LEASE_NS_MAX, 0, &grant, NULL));
    CHECK_STATUS(KS_OK, ks_grant_format(&grant, token, sizeof token));
    CHECK(owner_of(heir, "k").detached == 1 && owner_of(heir, "k").pid == 0);
    CHECK(strcmp(owner_of(heir, "k").label, "(detached)") == 0);
    CHECK_STATUS(KS_E_ARGUMENT, ks_renew(lane.session, &grant, 0, NULL));

    ks_close(lane.store); /* its end leaves the claim alone */
    CHECK_STATUS(KS_HELD, ks_claim(heir, c_text("k"), NULL, &parsed, NULL));
    CHECK_STATUS(KS_NOT_FOUND, ks_grant_parse(heir, c_text("no such key"), token, &parsed));
    CHECK_STATUS(KS_OK, ks_grant_parse(heir, c_text("k"), token, &parsed));
    CHECK_U64(grant.stamp.epoch, parsed.stamp.epoch);
    CHECK_STATUS(KS_OK, commit_under(heir, "k", c_stamp_of(heir, "k"), "by token", &parsed, 0, NULL));
    CHECK_STATUS(KS_OK, commit_under(heir, "k", c_stamp_of(heir, "k"), "and again", &parsed, 0, NULL));
    CHECK_STATUS(KS_OK, ks_renew(heir, &parsed, KS_LEASE_NS_MAX, NULL));
    CHECK_STATUS(KS_OK, ks_release(heir, &parsed, NULL));
    CHECK_STATUS(KS_OK,
                 ks_grant_parse(heir, c_text("k"), token, &parsed)); /* whether it stands, its use tells */
    CHECK_STATUS(KS_FENCED, ks_release(heir, &parsed, NULL));
    ks_close(successor);
}

static void bad_tokens_are_refused(void) {
    c_lane lane = c_lane_open();
    char token[KS_TOKEN_SIZE], small[4];
    ks_grant grant, parsed;
    const ks_grant attached = c_claim(lane.session, "attached", 0);
    CHECK_STATUS(KS_E_GRANT, ks_grant_format(&attached, token, sizeof token));
    CHECK_STATUS(KS_OK, claim_with(lane.session, "k", KS_CLAIM_DETACHED, KS_LEASE_NS_MAX, 0, &grant, NULL));
    CHECK_STATUS(KS_TOO_SMALL, ks_grant_format(&grant, small, sizeof small));
    CHECK_STATUS(KS_E_ARGUMENT, ks_grant_format(NULL, token, sizeof token));
    CHECK_STATUS(KS_E_ARGUMENT, ks_grant_format(&grant, NULL, sizeof token));
    CHECK_STATUS(KS_OK, ks_grant_format(&grant, token, sizeof token));

    CHECK_STATUS(KS_E_ARGUMENT, ks_grant_parse(lane.session, c_text("k"), NULL, &parsed));
    CHECK_STATUS(KS_E_ARGUMENT, ks_grant_parse(lane.session, c_text("k"), token, NULL));
    char longer[KS_TOKEN_SIZE + 1];
    snprintf(longer, sizeof longer, "%s0", token);
    const char* const bad[] = {"",        " ",   "x", "-1", "0.0", "99999999999999999999999999999999",
                               token + 1, longer};
    for (size_t i = 0; i < COUNT(bad); ++i) {
        CHECK_STATUS(KS_E_GRANT, ks_grant_parse(lane.session, c_text("k"), bad[i], &parsed));
    }
    CHECK_STATUS(KS_OK, ks_release(lane.session, &grant, NULL));
    c_lane_close(&lane);
}

int main(void) {
    static const c_test tests[] = {
        {"a claim excludes others and serves its holder", a_claim_excludes_others_and_serves_its_holder},
        {"commit and release is one step", commit_and_release_is_one_step},
        {"a read from before an ownership is fenced", a_read_from_before_an_ownership_is_fenced},
        {"a lease that is over serves until somebody takes it",
         a_lease_that_is_over_serves_until_somebody_takes_it},
        {"an optimistic commit reclaims what is over", an_optimistic_commit_reclaims_what_is_over},
        {"a waiter gets the claim when the lease ends", a_waiter_gets_the_claim_when_the_lease_ends},
        {"a renewed lease runs anew", a_renewed_lease_runs_anew},
        {"bad claim options are refused", bad_claim_options_are_refused},
        {"reclaiming names one claim", reclaiming_names_one_claim},
        {"a closed session leaves claims to others", a_closed_session_leaves_claims_to_others},
        {"forged and foreign grants are refused", forged_and_foreign_grants_are_refused},
        {"a grant of an epoch to come was never given", a_grant_of_an_epoch_to_come_was_never_given},
        {"a grant serves every session of its open store", a_grant_serves_every_session_of_its_open_store},
        {"a token carries a detached claim", a_token_carries_a_detached_claim},
        {"bad tokens are refused", bad_tokens_are_refused},
    };
    return c_run(tests, COUNT(tests));
}
