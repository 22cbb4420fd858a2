"""Durable stores: what is on disk comes back, and the feed shows it in order."""

import asyncio
import os
import pickle
import subprocess
import sys
import threading

import pytest

import keystile

CRASH = """
import os, sys, keystile
store = keystile.open(sys.argv[1])
stamp = store.get("k").stamp
stamp = store.commit("k", b"durable", stamp, durable=True)
with store.transaction() as tx:
    tx.put("a", b"1")
    tx.put("b", b"2")
store.wait_durable(store.get("b").stamp)
os.kill(os.getpid(), 9)
"""


def test_what_was_acknowledged_comes_back(folder):
    crashed = subprocess.run([sys.executable, "-c", CRASH, folder], check=False)
    assert crashed.returncode == -9
    for name in os.listdir("/dev/shm"):  # the memory is lost too
        if name.startswith("keystile.") and folder.rpartition("/")[2] in name:
            os.unlink(f"/dev/shm/{name}")
    with keystile.open(folder) as store:
        assert store.get("k").value == b"durable"
        assert (store.get("a").value, store.get("b").value) == (b"1", b"2")


def test_durability_is_asked_for_in_each_way(durable, folder):
    stamp = durable.commit("k", b"v", keystile.NEVER)  # the store's default
    durable.wait_durable(stamp, timeout=0)
    relaxed = durable.commit("k", b"w", stamp, durable=False)
    durable.wait_durable(relaxed)
    durable.wait_durable(relaxed.version)
    durable.flush()
    durable.checkpoint()
    durable.delete("k", relaxed)
    with pytest.raises(keystile.ArgumentError):
        durable.wait_durable(relaxed.version + 1000)  # nobody made that commit
    with keystile.open(folder) as other:
        assert not other.is_durable
    again = pickle.loads(pickle.dumps(durable))
    assert again.is_durable
    again.close()


def test_the_feed_shows_every_commit_in_order(durable, folder):
    first = durable.commit("a", b"1", keystile.NEVER)
    with durable.transaction() as tx:
        tx.put("a", b"2")
        tx.put("b", b"3")
    durable.delete("a", durable.get("a").stamp)
    commits = list(durable.feed(timeout=0))
    assert [len(commit.changes) for commit in commits] == [1, 2, 1]
    assert commits[0].changes[0] == keystile.Change("a", b"1", first, 0)
    assert {change.key: change.value for change in commits[1].changes} == {"a": b"2", "b": b"3"}
    assert commits[2].changes[0].value is None
    assert commits[0].lsn < commits[1].lsn < commits[2].lsn
    assert commits[0].time.tzinfo is not None
    only = list(keystile.Feed(folder, commits[1].lsn, prefix=b"b", timeout=0))
    assert [change.key for commit in only for change in commit.changes] == [b"b"]


def test_the_feed_waits_for_more(durable):
    feed = durable.feed("now")
    assert feed.next(timeout=0.01) is None
    threading.Timer(0.02, lambda: durable.commit("k", b"v", keystile.NEVER)).start()
    assert feed.next().changes[0].key == "k"
    feed.close()
    with pytest.raises(keystile.ClosedError):
        feed.next(timeout=0)


def test_asyncio_durable_waits_and_feeds(durable):
    async def follow():
        return [commit.changes[0].value async for commit in durable.feed(timeout=0.3)]

    async def main():
        following = asyncio.create_task(follow())
        stamp = keystile.NEVER
        for i in range(3):
            stamp = await durable.acommit("k", b"%d" % i, stamp)
        await durable.await_durable(stamp)
        await durable.aflush()
        await durable.acheckpoint()
        await durable.adelete("k", stamp)
        entry = await durable.aupdate("k", lambda old: b"new")
        assert entry.value == b"new"
        async with durable.aclaim("k") as grant:
            await grant.acommit(b"last")
        return await following

    assert asyncio.run(main()) == [b"0", b"1", b"2", None, b"new", b"last"]


def test_threads_commit_durably_at_once(durable):
    def work(name):
        stamp = keystile.NEVER
        for i in range(20):
            stamp = durable.commit(name, b"%d" % i, stamp)

    threads = [threading.Thread(target=work, args=(f"k{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(durable.get(f"k{i}").value == b"19" for i in range(4))


def test_a_feed_that_lagged_says_where_to_go_on(folder):
    with keystile.open(folder) as store:
        for _ in range(4):
            store.update("k", lambda old: os.urandom(1 << 20))
            store.flush()
            store.checkpoint()
        with pytest.raises(keystile.Lagged) as caught:
            keystile.Feed(folder, 1)
        assert caught.value.oldest > 1
        assert list(keystile.Feed(folder, caught.value.oldest, timeout=0)) is not None
