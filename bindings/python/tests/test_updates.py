"""Loops that win, transactions, snapshots, watching."""

import asyncio
import threading

import pytest

import keystile


def increment(old):
    return b"%d" % (int(old or 0) + 1)


def test_update_reads_recomputes_and_commits(store):
    assert store.update("n", increment).value == b"1"
    assert store.update("n", increment) == store.get("n")
    kept = store.update("n", lambda old: keystile.KEEP)
    assert kept.value == b"2"
    assert store.update("n", lambda old: keystile.DELETE).value is None
    assert store.update("n", lambda old: keystile.DELETE).value is None


def test_update_tries_again_when_it_lost(store):
    tries = []

    def slow(old):
        tries.append(old)
        if len(tries) == 1:
            store.update("n", increment)  # somebody else, in between
        return increment(old)

    assert store.update("n", slow).value == b"2"
    assert tries == [None, b"1"]


def test_update_gives_up_when_its_time_is_over(store):
    def always_late(old):
        store.update("n", increment)
        return b"lost"

    with pytest.raises(keystile.Conflict):
        store.update("n", always_late, timeout=0.05)
    assert store.get("n").value != b"lost"
    with store.claim("n"), pytest.raises(keystile.Held):
        store.update("n", increment, timeout=0.05)


def test_update_waits_for_a_claim_and_takes_one_that_is_over(store):
    grant = store.claim("n", lease=60)
    releaser = threading.Timer(0.05, grant.release)
    releaser.start()
    assert store.update("n", increment).value == b"1"
    releaser.join()
    lost = store.claim("n", lease=0.01)
    assert store.update("n", increment).value == b"2"
    with pytest.raises(keystile.Fenced):
        lost.commit(b"late")


def test_what_update_calls_may_raise(store):
    with pytest.raises(ZeroDivisionError):
        store.update("n", lambda old: 1 / 0)
    assert store.get("n").value is None


def meet_a_lost_claim(store):
    lost = store.claim("a", lease=60)
    store.reclaim("a", lost.epoch, live=True)
    lost.commit(b"late")


def meet_a_conflict(store):
    store.commit("b", b"", keystile.Stamp(7, 0))


def meet_a_claim(store):
    with store.claim("b"):
        store.commit("b", b"", store.get("b").stamp)


@pytest.mark.parametrize(
    ("meet", "refusal"),
    [
        (meet_a_lost_claim, keystile.Fenced),
        (meet_a_conflict, keystile.Conflict),
        (meet_a_claim, keystile.Held),
    ],
)
def test_what_the_function_raises_is_not_tried_again(store, tmp_path, meet, refusal):
    tries = []

    def function(given):
        assert not tries
        tries.append(given)
        meet(store)

    with keystile.Files(tmp_path, store=store.url) as files:
        for loop in (
            lambda: store.update("c", function),
            lambda: asyncio.run(store.aupdate("c", function)),
            lambda: store.transact(function),
            lambda: asyncio.run(store.atransact(function)),
            lambda: files.update("c", function),
            lambda: asyncio.run(files.aupdate("c", function)),
        ):
            with pytest.raises(refusal):
                loop()
            tries.clear()


def test_a_transaction_that_met_a_change_while_it_read_is_tried_again(store):
    tries = []

    def function(tx):
        tries.append(store.get("a").stamp)
        tx.expect("a", tries[-1])
        if len(tries) == 1:
            store.update("a", increment)
        tx.put("b", tx.get("a").value)

    store.transact(function)
    assert store.get("b").value == b"1"
    assert len(tries) == 2


def test_a_transaction_is_all_or_nothing(store):
    with store.transaction() as tx:
        tx.put("a", b"1")
        tx.put("b", bytearray(b"2"))
        assert tx.get("a").value == b"1"
        assert store.get("a").value is None
    assert (store.get("a").value, store.get("b").value) == (b"1", b"2")
    stamp = store.get("a").stamp
    with pytest.raises(keystile.Conflict) as caught, store.transaction() as tx:
        tx.get("a")
        tx.put("b", b"3")
        tx.delete("c")
        store.commit("a", b"moved", stamp)
    assert store.get("b").value == b"2"
    conflict = caught.value
    assert conflict.key == "a"
    assert conflict.stamp == store.get("a").stamp
    assert [(key, status) for key, status, _, _ in conflict.refusals] == [(b"a", "KS_CONFLICT")]


def test_a_transaction_that_only_read_is_compared(store):
    with pytest.raises(keystile.Conflict), store.transaction() as tx:
        tx.get("a")
        store.update("a", increment)
    with store.transaction() as tx:
        tx.get("a")
        tx.expect("b", keystile.NEVER)


def test_a_transaction_whose_block_raises_does_nothing(store):
    with pytest.raises(ZeroDivisionError), store.transaction() as tx:
        tx.put("a", b"1")
        raise ZeroDivisionError
    assert store.get("a").value is None


def test_a_transaction_under_a_claim(store):
    grant = store.claim("a", lease=60)
    with pytest.raises(keystile.Held), store.transaction() as tx:
        tx.put("a", b"not mine")
    with store.transaction() as tx:
        tx.put("a", b"mine", claim=grant)
        tx.put("b", b"too")
    grant.commit(b"again")
    with store.transaction() as tx:
        tx.put("b", b"three")
        tx.release(grant)
    assert grant.is_over
    assert not store.get("a").stamp.is_claimed
    lost = store.claim("a")
    store.reclaim("a", lost.epoch, live=True)
    with pytest.raises(keystile.Fenced):
        store.transact(lambda tx: tx.put("a", b"zombie", claim=lost))


def test_mistakes_in_a_transaction(store):
    tx = store.transaction()
    tx.put("a", b"1")
    with pytest.raises(keystile.ArgumentError):
        tx.put("a", b"2")
    with pytest.raises(keystile.ArgumentError):
        tx.delete(b"a")
    tx.expect("b", keystile.NEVER)
    with pytest.raises(keystile.ArgumentError):
        tx.expect("b", keystile.Stamp(7, 0))
    with pytest.raises(TypeError):
        tx.put("c", "text")
    with pytest.raises(TypeError):
        tx.get(7)
    stamps = tx.commit()
    assert stamps["a"] == store.get("a").stamp
    with pytest.raises(keystile.ArgumentError):
        tx.commit()
    with pytest.raises(keystile.KeySizeError), store.transaction() as tx:
        tx.put("", b"")
    many = store.transaction()
    for i in range(keystile.MULTI_KEYS_MAX + 1):
        many.put(f"{i}", b"")
    with pytest.raises(keystile.ArgumentError):
        many.commit()
    assert store.get("0").value is None


def test_a_coroutine_function_is_of_atransact(store):
    async def put(tx):
        tx.put("k", b"1")

    with pytest.raises(TypeError, match="atransact"):
        store.transact(put)


def test_transact_moves_between_two_keys_and_loses_nothing(store):
    store.update("left", lambda old: b"1000")
    store.update("right", lambda old: b"0")

    def move(tx):
        left, right = int(tx.get("left").value), int(tx.get("right").value)
        tx.put("left", b"%d" % (left - 1))
        tx.put("right", b"%d" % (right + 1))
        return left

    def work():
        for _ in range(100):
            store.transact(move)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        cut = store.snapshot(["left", "right"])
        assert int(cut["left"].value) + int(cut["right"].value) == 1000
    for thread in threads:
        thread.join()
    assert (store.get("left").value, store.get("right").value) == (b"600", b"400")


def test_snapshots(store):
    for name in ("x/2", "x/1", "y"):
        store.commit(name, name.encode(), keystile.NEVER)
    assert list(store.snapshot(prefix="x/")) == ["x/1", "x/2"]
    assert list(store.snapshot(prefix=b"x/")) == [b"x/1", b"x/2"]
    assert len(store.snapshot()) == 3
    cut = store.snapshot(["y", b"none"])
    assert cut["y"] == store.get("y")
    assert cut[b"none"] == keystile.Entry(None, keystile.NEVER)
    assert store.snapshot([]) == {}
    with pytest.raises(TypeError):
        store.snapshot([3])


def test_watch_sees_what_another_does(store):
    stamp = store.get("k").stamp
    threading.Timer(0.02, lambda: store.update("k", increment)).start()
    now = store.watch("k", stamp)
    assert now == store.get("k").stamp
    assert store.watch("k", stamp) == now  # it is over already
    with pytest.raises(keystile.Timeout) as caught:
        store.watch("k", timeout=0.02)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.status == "KS_TIMEOUT"
    assert caught.value.errno == 0


def test_watch_waits_also_for_a_key_that_was_only_claimed(store):
    with store.claim("k"), pytest.raises(keystile.Timeout):
        store.watch("k", timeout=0.02)
