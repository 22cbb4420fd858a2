"""What asyncio cancels is not lost, and what may wait has a form for it."""

import asyncio
import threading
import time

import pytest

import keystile


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
