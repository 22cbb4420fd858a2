"""Threads, asyncio, and what both must not keep."""

import asyncio
import gc
import sys
import threading
import time

import pytest

import keystile


def increment(old):
    return b"%d" % (int(old or 0) + 1)


def run_threads(count, function):
    failures = []

    def guarded():
        try:
            function()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_reader_never_sees_one_commit_s_value_with_another_one_s_stamp(store):
    key, sizes = "plan", (10, 3000, 100_000)  # in the buffer on the stack, in one of its own, without the GIL
    stamp = store.commit(key, b"1" * 10, keystile.NEVER)
    is_over = threading.Event()

    def write():
        nonlocal stamp
        try:
            for turn in range(600):
                text = b"%d." % (stamp.version + 1)
                stamp = store.commit(key, text * (sizes[turn // 3 % 3] // len(text)), stamp)
        finally:
            is_over.set()

    def read():
        while not is_over.is_set():
            value, seen = store.get(key)
            assert seen.version == 1 or set(value.split(b".")) == {b"%d" % seen.version, b""}

    writer = threading.Thread(target=write)
    writer.start()
    run_threads(3, read)
    writer.join()
    assert stamp.version == 601


def test_a_large_commit_lands_on_its_own_key(store):
    """Without the GIL, other threads make the store know other keys: in the same place, here."""
    key, late = "".join(["m", "ine"]), b"late" * 20_000
    others = [f"other {i}" for i in range(10_000)]
    place = [other for other in others if (id(other) ^ id(key)) & 0x3F0 == 0]  # of known[], core.h
    assert len(place) > 1
    for other in place:
        store.commit(other, b"small", keystile.NEVER)
    stale = store.commit(key, b"first", keystile.NEVER)  # as others' are: of the first commit of a key
    store.commit(key, b"second", stale)
    is_over = threading.Event()

    def read():
        while not is_over.is_set():
            for other in place:
                store.get(other)

    reader = threading.Thread(target=read)
    reader.start()
    won = 0
    for _ in range(30_000):
        store.get(key)
        won += store.try_commit(key, late, stale).ok
    is_over.set()
    reader.join()
    assert won == 0
    assert {store.get(other).value for other in place} == {b"small"}


def test_threads_share_a_store(store):
    def count():
        for _ in range(200):
            store.update("n", increment)

    run_threads(4, count)
    assert store.get("n").value == b"800"


def test_a_wait_does_not_hold_the_interpreter(store):
    grant = store.claim("k")
    done = []

    def claim():
        with store.claim("k", wait=None):
            done.append(1)

    thread = threading.Thread(target=claim)
    thread.start()
    total = sum(range(100000))
    assert not done
    assert total
    grant.release()
    thread.join()
    assert done


def test_a_grant_may_be_used_in_another_thread(store):
    grant = store.claim("k", lease=60)
    run_threads(1, lambda: grant.commit(b"by another"))
    grant.commit(b"by me")
    grant.release()


def test_a_claim_outlives_the_thread_that_made_it(store, url):
    kept = []
    run_threads(1, lambda: kept.append(store.claim("k")))
    with pytest.raises(keystile.Held):
        store.claim("k", wait=0.1)
    kept[0].commit(b"still mine")
    store.close()
    with keystile.open(url) as again:
        again.claim("k").release()  # of a dead owner


def test_closing_wakes_who_waits(store):
    raised = []

    def wait():
        with pytest.raises(keystile.ClosedError):
            store.watch("k")
        raised.append(1)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    store.close()
    for thread in threads:
        thread.join()
    assert raised == [1, 1, 1]


def test_many_threads_come_and_go(store):
    for _ in range(100):
        run_threads(2, lambda: store.update("n", increment))
    assert store.get("n").value == b"200"
    assert store.stats().sessions <= 4


# ---- asyncio ----


def test_asyncio_updates_lose_nothing(store):
    async def slow_increment(old):
        await asyncio.sleep(0)
        return increment(old)

    async def work():
        for _ in range(25):
            await store.aupdate("n", slow_increment)

    async def main():
        await asyncio.gather(*(work() for _ in range(4)))
        await store.aupdate("n", increment)

    asyncio.run(main())
    assert store.get("n").value == b"101"


def test_asyncio_claims_are_waited_for(store):
    order = []

    async def holder():
        async with store.aclaim("k", lease=60) as grant:
            await asyncio.sleep(0.05)
            await grant.acommit(b"first")
            order.append("first")

    async def follower():
        grant = await store.aclaim("k", wait=None)
        order.append("second")
        assert grant.get().value == b"first"
        grant.release()
        with store.claim("k"), pytest.raises(keystile.Held):
            await store.aclaim("k", wait=0.03)

    async def main():
        first = asyncio.create_task(holder())
        await asyncio.sleep(0)
        await asyncio.gather(first, follower())

    asyncio.run(main())
    assert order == ["first", "second"]


def test_asyncio_waits_keep_the_loop_running(store):
    ticks = []

    async def tick():
        while True:
            ticks.append(1)
            await asyncio.sleep(0.001)

    async def main():
        ticker = asyncio.create_task(tick())
        with pytest.raises(keystile.Timeout):
            await store.awatch("k", timeout=0.2)
        ticker.cancel()
        seen = store.get("k").stamp
        watcher = asyncio.create_task(store.awatch("k", seen))
        await asyncio.sleep(0.01)
        store.update("k", increment)
        assert await watcher == store.get("k").stamp

    asyncio.run(main())
    assert len(ticks) > 20


def test_a_cancelled_claim_is_nobodys(store):
    async def main():
        grant = store.claim("k", lease=60)
        waiting = asyncio.create_task(store.aclaim("k", wait=None).__aenter__())
        await asyncio.sleep(0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        grant.release()
        await asyncio.sleep(0.15)
        store.claim("k").release()

    asyncio.run(main())


def test_asyncio_transactions(store):
    async def add(tx):
        seen = tx.get("n")
        await asyncio.sleep(0)
        tx.put("n", increment(seen.value))
        tx.put(f"n/{int(seen.value or 0)}", b"")
        return seen

    async def main():
        await asyncio.gather(*(store.atransact(add) for _ in range(20)))

    asyncio.run(main())
    assert store.get("n").value == b"20"
    assert len(store.list("n/")) == 20


def test_a_hundred_waiters(store):
    async def main():
        seen = store.get("k").stamp
        watchers = [asyncio.create_task(store.awatch("k", seen)) for _ in range(100)]
        await asyncio.sleep(0.01)
        store.update("k", increment)
        return await asyncio.gather(*watchers)

    assert set(asyncio.run(main())) == {store.get("k").stamp}


# ---- What is kept ----


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def exercise(store):
    stamp = store.get("k").stamp
    stamp = store.commit("k", b"x" * 3000, stamp)
    for value, given in ((b"y", keystile.NEVER), ("text", stamp), (b"y", None)):
        try:
            store.commit("k", value, given)
        except (keystile.Conflict, TypeError):
            pass
    store.try_commit("k", bytearray(b"z"), keystile.NEVER)
    try:
        store.get("")
    except keystile.KeySizeError:
        pass
    with store.claim("k", lease=5) as grant:
        grant.commit(b"w" * 100)
        try:
            store.claim("k")
        except keystile.Held as held:
            assert held.owner
    store.list(all=True)
    store.snapshot()
    store.get_many(["k", "l", b"m"])
    with store.transaction() as tx:
        tx.get("k")
        tx.put("l", b"x" * 1000)
    store.stats()
    store.participants()
    try:
        store.watch("k", timeout=0)
    except keystile.Timeout:
        pass


def test_nothing_leaks(store):
    for _ in range(200):
        exercise(store)
    gc.collect()
    objects, memory = len(gc.get_objects()), resident()
    for _ in range(1000):
        exercise(store)
    gc.collect()
    assert len(gc.get_objects()) - objects < 50
    assert resident() - memory < 1 << 20  # a reference lost in each round would be 1000 values of 3000 bytes


def test_no_reference_is_kept(store):
    key, value, stamp = "k" * 50, b"v" * 50, keystile.Stamp(1, 1)
    calls = [
        lambda: store.get(key),
        lambda: store.try_commit(key, value, stamp),
        lambda: store.try_commit(key=key, value=value, stamp=stamp, claim=None, durable=None, release=False),
        lambda: store.try_delete(key, stamp),
        lambda: store.get_many([key]),
        lambda: store.snapshot([key]),
        lambda: store.commit(key, value, stamp),
        lambda: store.commit(key, 3, stamp),
        lambda: store.commit(key, value, value),
        lambda: store.commit(key, value, stamp, claim=value),
        lambda: store._watch(key, stamp, 0),
        lambda: store._list(key, 0),
    ]
    for call in calls:
        before = [sys.getrefcount(thing) for thing in (key, value, stamp)]
        for _ in range(10):
            try:
                call()
            except (keystile.Conflict, TypeError):
                pass
        assert [sys.getrefcount(thing) for thing in (key, value, stamp)] == before


def test_a_key_that_is_known_is_kept_once_and_until_the_store_is_closed(store):
    key = "".join(["a key", " that nobody else has"])
    before = sys.getrefcount(key)
    stamp = store.commit(key, b"1", keystile.NEVER)
    for value in (b"2", b"3"):
        stamp = store.commit(key, value, stamp)
        assert store.get(key).value == value
    assert sys.getrefcount(key) == before + 1
    for i in range(1000):  # others take its place
        store.commit(f"k{i}", b"", keystile.NEVER)
    assert store.get(key) == keystile.Entry(b"3", stamp)
    store.close()
    assert sys.getrefcount(key) == before


def test_stores_that_are_opened_and_forgotten_are_closed(url):
    keeper = keystile.open(url)
    for _ in range(20):
        keystile.open(url).get("k")
    gc.collect()
    assert keeper.stats().participants == 1
    assert time.monotonic()
    keeper.close()


def test_threads_that_open_it_at_once_share_one_store(url):
    for _ in range(20):
        found, together = [], threading.Barrier(8)

        def share(found=found, together=together):
            together.wait()
            found.append(keystile.shared(url))

        threads = [threading.Thread(target=share) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(one) for one in found}) == 1
        assert found[0].get("k").value is None
        found[0].close()
