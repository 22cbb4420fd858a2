"""What asyncio cancels is not lost, and what may wait has a form for it."""

import asyncio
import inspect
import os
import pathlib
import threading
import time

import pytest

import keystile
from keystile._waiting import THREADS_MAX


@pytest.fixture
def feed(durable):
    opened = durable.feed("now")
    yield opened
    opened.close()


def commit_some(store, count):
    stamp = store.get("k").stamp
    stamps = []
    for i in range(count):
        stamp = store.commit("k", b"%d" % i, stamp)
        stamps.append(stamp)
        time.sleep(0.005)
    return stamps


async def cancelled(feed):
    """anext() that waits in its thread, and is cancelled."""
    task = asyncio.create_task(feed.anext())
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_feed_loses_no_commit_to_timeouts_from_outside(durable, feed):
    async def read(count):
        seen = []
        while len(seen) < count:
            try:
                seen.append(await asyncio.wait_for(feed.anext(), 0.003))
            except TimeoutError:
                pass
        return seen

    async def main():
        writing = asyncio.create_task(asyncio.to_thread(commit_some, durable, 40))
        seen = await asyncio.wait_for(read(40), 60)
        assert [commit.changes[0].stamp for commit in seen] == await writing

    asyncio.run(main())


def test_what_a_cancelled_anext_would_have_got_the_next_call_gets(durable, feed):
    async def main():
        await cancelled(feed)
        first, second, third = commit_some(durable, 3)  # while the thread waits on
        commit = await feed.anext(timeout=5)
        assert commit.changes[0].stamp == first
        assert feed.next(timeout=5).changes[0].stamp == second
        assert (await feed.anext(timeout=5)).changes[0].stamp == third
        await cancelled(feed)
        return commit_some(durable, 1)[0]

    last = asyncio.run(main())
    assert feed.next(timeout=5).changes[0].stamp == last  # also without the loop
    assert feed.next(timeout=0) is None


def test_a_feed_is_closed_after_a_cancelled_anext(feed):
    asyncio.run(cancelled(feed))
    feed.close()
    with pytest.raises(keystile.ClosedError):
        feed.next()
    with pytest.raises(keystile.ClosedError), feed:
        pass


def test_a_feed_is_for_one_thread_or_task_at_a_time(durable, feed):
    async def main():
        waiting = asyncio.create_task(feed.anext())
        await asyncio.sleep(0.01)
        with pytest.raises(keystile.SessionBusyError):
            await feed.anext()
        with pytest.raises(keystile.SessionBusyError):
            feed.next(timeout=0)
        await durable.acommit("k", b"", keystile.NEVER)
        assert (await waiting).changes[0].key == "k"

    asyncio.run(main())
    thread = threading.Thread(target=feed.next)
    thread.start()
    time.sleep(0.02)
    with pytest.raises(keystile.SessionBusyError):
        feed.close()
    durable.update("k", lambda old: b"more")
    thread.join()


def test_a_forked_child_may_only_close_a_feed(feed):
    asyncio.run(cancelled(feed))
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            with pytest.raises(keystile.ForkedError):
                feed.next()
            feed.close()  # does not wait for a thread that only the parent has
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert feed.next(timeout=0.01) is None


# ---- What has been cancelled may be done all the same ----


def test_however_many_wait_what_is_to_be_done_is_done(durable, monkeypatch):
    """Threads that wait stand still here, and each has got something to wait for."""
    over, waits = threading.Event(), threading.Semaphore(0)
    watch = keystile.Store._watch

    def stand_still(self, key, stamp, timeout):
        if timeout:
            waits.release()
            over.wait()
        return watch(self, key, stamp, timeout)

    async def main():
        watchers = [asyncio.create_task(durable.awatch("w", keystile.NEVER)) for _ in range(THREADS_MAX + 1)]
        await asyncio.to_thread(lambda: [waits.acquire() for _ in range(THREADS_MAX)])
        try:
            await asyncio.wait_for(durable.aupdate("k", lambda _: b"done"), 60)
        finally:
            over.set()
        durable.update("w", lambda _: b"woken")
        await asyncio.gather(*watchers)

    monkeypatch.setattr(keystile.Store, "_watch", stand_still)
    asyncio.run(main())
    assert durable.get("k").value == b"done"


def test_a_cancelled_commit_is_done_all_the_same_or_not_and_the_key_says_so(durable):
    async def main():
        for i in range(10):
            seen = durable.get("k").stamp
            try:
                stamp = await asyncio.wait_for(durable.acommit("k", b"%d" % i, seen), 0.0001 * i)
            except TimeoutError:
                await durable.aupdate("k", lambda old: keystile.KEEP)
            else:
                assert durable.get("k") == keystile.Entry(b"%d" % i, stamp)

    asyncio.run(main())
    stamp = durable.get("k").stamp
    assert durable.commit("k", b"last", stamp).version == stamp.version + 1


# ---- The forms there are ----

FORMS = {
    keystile.Store: {
        "aclaim": "claim",
        "acheckpoint": "checkpoint",
        "acommit": "commit",
        "adelete": "delete",
        "aflush": "flush",
        "atransact": "transact",
        "atry_commit": "try_commit",
        "atry_delete": "try_delete",
        "aupdate": "update",
        "awatch": "watch",
        "await_durable": "wait_durable",
    },
    keystile.Grant: {"acommit": "commit", "adelete": "delete"},
    keystile.Transaction: {"acommit": "commit", "__aenter__": "__enter__", "__aexit__": "__exit__"},
    keystile.Feed: {"anext": "next", "__aiter__": "__iter__"},
    keystile.Files: {
        f"a{name}": name
        for name in "adopt claim gate publish read remove rename restore status update watch write".split()
    },
    keystile.FileGrant: {"aread": "read", "aremove": "remove", "awrite": "write"},
}

# What neither waits for somebody nor for the disk, or is for whoever looks after the store.
WITHOUT = {
    keystile.Store: "close closed feed get get_many grant is_durable list reclaim snapshot transaction url "
    "check participants reap stats",
    keystile.Grant: "epoch get is_over keep key release renew stamp token",
    keystile.Transaction: "delete expect get put release",
    keystile.Feed: "close",
    keystile.Files: "close grant key root store",
    keystile.FileGrant: "epoch is_over keep key release renew stamp token",
}


def parameters_of(function):
    return [name for name in inspect.signature(function).parameters if name != "self"]  # the native module tells none


@pytest.mark.parametrize("kind", FORMS)
def test_whatever_may_wait_has_a_form_for_asyncio(kind):
    forms = FORMS[kind]
    named = {name for name in dir(kind) if not name.startswith("_")}
    assert named == {name for pair in forms.items() for name in pair if name[0] != "_"} | set(WITHOUT[kind].split())
    for form, name in forms.items():
        made = getattr(kind, form)
        assert inspect.iscoroutinefunction(made) or inspect.isasyncgenfunction(made) or form == "aclaim"
        assert parameters_of(made) == parameters_of(getattr(kind, name))


def test_the_documentation_names_every_form():
    text = (pathlib.Path(__file__).parents[3] / "docs/python.md").read_text(encoding="utf-8")
    for forms in FORMS.values():
        for form, name in forms.items():
            assert form[0] == "_" or f"`{form}`" in text, name


def test_stores_forms_for_asyncio(durable, store):
    async def main(store):
        stamp = await store.acommit("k", b"1", keystile.NEVER)
        assert not await store.atry_commit("k", b"2", keystile.NEVER)
        answer = await store.atry_commit("k", b"2", stamp)
        assert not await store.atry_delete("k", stamp)
        assert await store.atry_delete("k", answer.stamp)
        async with store.transaction() as tx:
            tx.put("a", b"1")
            tx.put("b", b"2")
        assert store.get("b").value == b"2"
        tx = store.transaction()
        tx.put("a", b"2")
        assert (await tx.acommit())["a"] == store.get("a").stamp
        with pytest.raises(ZeroDivisionError):
            async with store.transaction() as tx:
                tx.delete("a")
                raise ZeroDivisionError
        with pytest.raises(keystile.Conflict):
            async with store.transaction() as tx:
                tx.expect("a", keystile.NEVER)
        async with store.aclaim("a") as grant:
            await grant.acommit(b"3")
            await grant.adelete(release=True)
            assert grant.is_over
        assert store.get("a").value is None

    for one in (durable, store):
        asyncio.run(main(one))


def test_files_forms_for_asyncio(tmp_path):
    ran_in = []

    def effect():
        ran_in.append(threading.current_thread())
        return (tmp_path / "b").read_bytes()

    async def coroutine():
        raise AssertionError

    async def main():
        async with files.aclaim("a") as grant:
            await grant.awrite(b"1")
            assert (await grant.aread()).value == b"1"
            await grant.aremove()
        stamp = await files.awrite("a", b"2", (await files.aread("a")).stamp)
        stamp = await files.arename("a", stamp, "b")
        assert await files.agate({"b": stamp}, effect) == b"2"
        (tmp_path / "b").write_bytes(b"by another program")
        assert [status.state for status in await files.astatus("b")] == ["edited"]
        stamp = await files.aadopt("b")
        assert (await files.aread("b")).value == b"by another program"
        (tmp_path / "b").write_bytes(b"again")
        await files.arestore("b")
        assert (await files.aread("b")).value == b"by another program"
        with pytest.raises(TypeError):
            await files.agate({"b": stamp}, coroutine)
        assert files.store.is_durable
        await files.store.acommit("other", b"", keystile.NEVER)

    with keystile.Files(tmp_path) as files:
        asyncio.run(main())
    keystile.destroy(f"file:{tmp_path}/.keystile")
    assert ran_in != [threading.current_thread()]
