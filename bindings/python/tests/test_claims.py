"""Claims: who holds one keeps others out, who lost one cannot write."""

import copy
import gc
import pickle
import time

import pytest

import keystile


def test_a_claim_keeps_others_out_until_it_is_given_back(store):
    stamp = store.commit("plan", b"first", keystile.NEVER)
    with store.claim("plan", lease=60) as grant:
        with pytest.raises(keystile.Held) as caught:
            store.commit("plan", b"other", store.get("plan").stamp)
        owner = caught.value.owner
        assert (owner.epoch, owner.detached) == (grant.epoch, False)
        assert 0 < owner.lease_left <= 60
        with pytest.raises(keystile.Held):
            store.claim("plan")
        assert store.try_commit("plan", b"other", store.get("plan").stamp).owner.epoch == grant.epoch
        under = grant.commit(b"second")
        assert under.is_claimed
    assert grant.is_over
    assert store.get("plan").value == b"second"
    assert store.get("plan").stamp.version > stamp.version
    with pytest.raises(keystile.Fenced):  # read before somebody owned the key
        store.commit("plan", b"late", keystile.Stamp(store.get("plan").stamp.version, stamp.epoch))


def test_who_lost_the_claim_is_fenced_for_ever(store):
    grant = store.claim("plan")
    successor_epoch = store.reclaim("plan", grant.epoch, live=True).epoch
    assert successor_epoch > grant.epoch
    with pytest.raises(keystile.Fenced) as caught:
        grant.commit(b"zombie")
    assert caught.value.epoch == successor_epoch
    assert grant.is_over
    with pytest.raises(keystile.Fenced):
        grant.renew(1)
    assert store.get("plan").value is None
    with pytest.raises(keystile.Fenced):
        store.reclaim("plan", grant.epoch)


def test_the_end_of_the_block_tells_that_the_claim_was_lost(store):
    with pytest.raises(keystile.Fenced), store.claim("plan") as grant:
        store.reclaim("plan", grant.epoch, live=True)
    with pytest.raises(ZeroDivisionError), store.claim("plan") as grant:
        store.reclaim("plan", grant.epoch, live=True)
        raise ZeroDivisionError


def test_a_lease_that_is_over_is_taken(store):
    old = store.claim("plan", lease=0.001)
    new = store.claim("plan", wait=None)
    assert new.epoch > old.epoch
    with pytest.raises(keystile.Fenced):
        old.commit(b"late")
    assert new.commit(b"new", release=True) == store.get("plan").stamp
    assert new.is_over


def test_a_lease_is_renewed(store):
    grant = store.claim("plan", lease=0.05)
    grant.renew(3600)
    with pytest.raises(keystile.Held) as caught:
        store.claim("plan", wait=0.1)
    assert caught.value.owner.lease_left > 3000
    grant.renew(None)
    with pytest.raises(keystile.Held) as caught:
        store.claim("plan")
    assert caught.value.owner.lease_left is None


def test_a_detached_claim_goes_on_by_its_token(store, url):
    grant = store.claim("plan", lease=60, detached=True)
    token = grant.token()
    del grant  # outlives the object
    gc.collect()
    with keystile.open(url) as other:
        with pytest.raises(keystile.Held) as caught:
            other.claim("plan")
        assert caught.value.owner.detached
        assert "(detached)" in str(caught.value)
        taken = other.grant("plan", token)
        taken.commit(b"by token")
        with pytest.raises(keystile.GrantError):
            other.grant("plan", token[:-1])
        with pytest.raises(keystile.NotFound):
            other.grant("another", token)
        assert taken.release() == other.get("plan").stamp
        assert taken.release() is None
    with pytest.raises(keystile.GrantError):
        store.claim("other", lease=1).token()  # not a detached one


def test_a_token_names_its_own_claim_whoever_has_the_key_by_now(store):
    late = store.claim("plan", lease=0.01, detached=True)
    token = late.token()
    now = store.claim("plan", wait=10)
    again = store.grant("plan", token)
    assert again.epoch == again.stamp.epoch == late.epoch < now.epoch
    with pytest.raises(keystile.Fenced):
        again.commit(b"late")


def test_a_grant_that_is_forgotten_is_given_back(store):
    store.claim("plan")  # nobody keeps it
    gc.collect()
    kept = store.claim("plan")
    kept.keep()
    del kept
    with pytest.raises(keystile.Held):
        store.claim("plan")


@pytest.mark.parametrize("twice", [copy.copy, copy.deepcopy, pickle.dumps, lambda grant: grant.__reduce_ex__(2)])
def test_a_grant_is_not_copied(store, tmp_path, twice):
    with keystile.Files(tmp_path) as files:
        for grant in (store.claim("plan"), files.claim("plan")):
            with pytest.raises(TypeError, match="token"):
                twice(grant)
            gc.collect()
            grant.renew(60)  # nobody gave it back
    keystile.destroy(f"file:{tmp_path}/.keystile", force=True)


def write_with(store, grant):
    stamp = store.get("plan").stamp

    def put(tx):
        tx.put("plan", b"late", claim=grant)

    return (
        lambda: store.commit("plan", b"late", stamp, claim=grant),
        lambda: store.try_delete("plan", stamp, claim=grant),
        lambda: grant.commit(b"late"),
        lambda: grant.renew(1),
        lambda: store.transact(put),
        lambda: store.transact(lambda tx: grant.commit(b"late")),
        lambda: store.transaction().release(grant),
    )


def test_a_claim_that_is_known_to_be_lost_is_fenced_in_every_call(store):
    grant = store.claim("plan")
    begun = store.transaction()
    begun.put("plan", b"late", claim=grant)
    store.reclaim("plan", grant.epoch, live=True)
    with pytest.raises(keystile.Fenced):
        grant.renew(1)
    for call in (*write_with(store, grant), begun.commit):
        with pytest.raises(keystile.Fenced):
            call()
    assert begun.has_lost_a_claim
    assert store.get("plan").value is None


@pytest.mark.parametrize("end", [keystile._grants.Claimed.release, keystile._grants.Claimed.keep])
def test_a_claim_that_was_given_back_is_told_so(store, end):
    grant = store.claim("plan")
    begun = store.transaction()
    begun.put("plan", b"late", claim=grant)
    end(grant)
    for call in (*write_with(store, grant), begun.commit):
        with pytest.raises(keystile.GrantError, match="given back"):
            call()
    assert store.get("plan").value is None


def test_a_grant_commits_from_what_it_read(store):
    with store.claim("plan") as grant:
        first = grant.commit(b"a")
        grant.commit(b"b")
        with pytest.raises(keystile.Conflict):
            grant.commit(b"c", first)
        assert grant.get().value == b"b"
        grant.delete()
        assert grant.delete(release=True)  # nothing there; given back all the same
    assert store.get("plan").value is None
    store.claim("plan").release()


@pytest.mark.parametrize("kind", ["store", "durable"])
def test_a_grant_goes_on_from_whatever_was_committed_under_it(request, kind):
    store = request.getfixturevalue(kind)
    with store.claim("plan") as grant:
        assert store.commit("plan", b"1", grant.stamp, claim=grant) == grant.stamp
        assert store.try_commit("plan", b"2", grant.stamp, claim=grant).stamp == grant.stamp
        grant.commit(b"3")
        assert not store.try_commit("plan", b"late", keystile.NEVER, claim=grant)
        assert not store.try_delete("plan", keystile.NEVER, claim=grant)
        grant.commit(b"4")
        assert store.delete("plan", grant.stamp, claim=grant) == grant.stamp
        grant.commit(b"5")
    assert store.get("plan") == keystile.Entry(b"5", grant.stamp)


@pytest.mark.parametrize("last", ["commit", "try_commit", "delete", "try_delete", "delete of nothing"])
def test_a_grant_that_the_store_gave_back_is_over(store, last):
    with store.claim("plan") as grant:
        if last.startswith("delete of"):
            store.delete("plan", grant.stamp, claim=grant, release=True)
        else:
            grant.commit(b"1")
            value = () if "delete" in last else (b"2",)
            getattr(store, last)("plan", *value, grant.stamp, claim=grant, release=True)
        assert grant.is_over
        with store.claim("plan"):  # somebody else's by now, and the end of the block leaves it alone
            pass


def test_a_grant_of_another_key_is_refused(store):
    grant = store.claim("plan")
    stamp = store.get("other").stamp
    with pytest.raises(keystile.GrantError):
        store.commit("other", b"x", stamp, claim=grant)


def test_a_claim_waits_as_long_as_it_is_told(store):
    holder = store.claim("plan")
    began = time.monotonic()
    with pytest.raises(keystile.Held):
        store.claim("plan", wait=0.12)
    assert time.monotonic() - began >= 0.12
    holder.release()
    store.claim("plan", wait=0.12).release()
