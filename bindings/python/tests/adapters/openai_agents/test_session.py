"""The Session protocol of the OpenAI Agents SDK, and that nothing is lost, whoever writes beside."""

import asyncio
import multiprocessing
import subprocess
import sys

import pytest
from agents import Agent, Runner, SessionSettings, SQLiteSession
from agents.memory import Session
from scripted import EXAMPLES, ScriptedModel, answering, count_items, in_a_task_of_its_own, item, texts

import keystile
from keystile import _lineage
from keystile.openai_agents import KeystileSession

FORK = multiprocessing.get_context("fork")


# ---- What every session does ----


def test_it_is_a_session(store):
    session = KeystileSession("s", store)
    assert isinstance(session, Session)
    assert session.session_id == "s"
    assert session.session_settings == SessionSettings()


def test_items(session):
    async def main():
        assert await session.get_items() == []
        assert await session.pop_item() is None
        await session.clear_session()
        await session.add_items([])
        await session.add_items([item("a"), item("b", "assistant")])
        await session.add_items([item("ä\0'; --")])
        assert await session.get_items() == [item("a"), item("b", "assistant"), item("ä\0'; --")]
        assert texts(await session.get_items(limit=2)) == ["b", "ä\0'; --"]
        assert texts(await session.get_items(limit=1)) == ["ä\0'; --"]
        assert await session.get_items(limit=0) == []
        assert len(await session.get_items(limit=-1)) == 3  # as the SDK's own
        assert len(await session.get_items(limit=100)) == 3
        assert await session.pop_item() == item("ä\0'; --")
        assert await session.pop_item() == item("b", "assistant")
        assert await session.get_items() == [item("a")]
        await session.add_items([item("c")])
        assert texts(await session.get_items()) == ["a", "c"]
        await session.clear_session()
        assert await session.get_items() == []
        await session.add_items([item("anew")])
        assert texts(await session.get_items()) == ["anew"]

    asyncio.run(main())


def test_limits_of_long_histories(store):
    async def main():
        session = KeystileSession("s", store, session_settings=SessionSettings(limit=5))
        for number in range(100):
            await session.add_items([item(str(number))] * (number % 3 + 1))
        every = [str(number) for number in range(100) for _ in range(number % 3 + 1)]
        assert texts(await session.get_items()) == every[-5:]
        for limit in (1, 7, 50, 198, 199, 1000):
            assert texts(await session.get_items(limit)) == every[-limit:]
        await session.clear_session()
        assert len(store.list()) == 1  # nothing but the session's own key is left

    asyncio.run(main())


def test_a_long_history_is_cleared_whole(store):
    async def main():
        session = KeystileSession("s", store)
        for number in range(1100):
            await session.add_items([item(str(number))])
        await session.clear_session()
        assert await session.get_items() == []
        assert len(store.list()) == 1

    asyncio.run(main())


def test_sessions_are_separate_and_last(folder):
    async def write():
        with keystile.open(folder, durable=True) as store:
            for name in ("a", "a/b", "a%2Fb"):
                await KeystileSession(name, store).add_items([item(name)])

    async def read():
        with keystile.open(folder) as store:
            for name in ("a", "a/b", "a%2Fb"):
                assert texts(await KeystileSession(name, store).get_items()) == [name]

    asyncio.run(write())
    asyncio.run(read())


def test_mistakes(store):
    for wrong in ("", None, 3):
        with pytest.raises(TypeError):
            KeystileSession(wrong, store)
    with pytest.raises(TypeError, match="URL"):
        KeystileSession("s", 3)

    async def main():
        session = KeystileSession("s", store)
        with pytest.raises(TypeError, match="JSON"):
            await session.add_items([item("ok"), {"content": object()}])
        with pytest.raises(keystile.ValueSizeError):
            await session.add_items([item("a" * 17_000_000)])
        assert await session.get_items() == []

    asyncio.run(main())


# ---- That nothing is lost ----


def test_a_write_is_compared_to_what_was_read(store):
    async def main():
        session, other = KeystileSession("s", store), KeystileSession("s", store)
        await session.add_items([item("a")])
        await session.get_items()
        await in_a_task_of_its_own(other.add_items([item("b")]))
        for call in (lambda: session.add_items([item("c")]), session.pop_item, session.clear_session):
            with pytest.raises(keystile.Conflict):
                await call()
        assert texts(await session.get_items()) == ["a", "b"]
        await session.add_items([item("c")])
        await session.add_items([item("d")])  # its own write is what it knows
        assert texts(await session.get_items()) == ["a", "b", "c", "d"]

    asyncio.run(main())


def test_a_task_knows_what_its_own_runs_and_tasks_have_done(store):
    async def main():
        mine = KeystileSession("s", store)
        await mine.add_items([item("one")])
        agent = Agent(name="a", model=ScriptedModel(lambda input: "two"))
        assert len(await mine.get_items()) == 1
        await Runner.run(agent, "go", session=mine)
        await asyncio.create_task(mine.add_items([item("three")]))
        await asyncio.gather(asyncio.create_task(mine.add_items([item("b")])), mine.add_items([item("c")]))
        await mine.clear_session()  # nobody else has written
        await asyncio.create_task(Runner.run(agent, "go", session=mine))
        assert len(await mine.get_items()) == 2
        await in_a_task_of_its_own(mine.add_items([item("other")]))
        with pytest.raises(keystile.Conflict):
            await asyncio.create_task(mine.clear_session())
        with pytest.raises(keystile.Conflict):
            await mine.clear_session()
        assert len(await mine.get_items()) == 3

    asyncio.run(main())


def test_of_two_tasks_that_have_read_one_is_told(store):
    async def append(mine, told, both_have_read):
        await mine.get_items()
        await both_have_read.wait()
        try:
            await mine.add_items([item("x")])
        except keystile.Conflict as conflict:
            told.append(conflict)

    async def main():
        mine = KeystileSession("s", store)
        await mine.get_items()  # what both were started from
        told, both_have_read = [], asyncio.Barrier(2)
        await asyncio.gather(*(append(mine, told, both_have_read) for _ in range(2)))
        assert len(told) == 1
        assert len(await mine.get_items()) == 1

    asyncio.run(main())


def test_sessions_that_a_task_remembers_have_a_bound(store, monkeypatch):
    monkeypatch.setattr(_lineage, "KEYS_MAX", 2)

    async def main():
        sessions = [KeystileSession(str(number), store) for number in range(3)]
        for session in sessions:
            await session.get_items()
        for session in sessions:
            await in_a_task_of_its_own(session.add_items([item("other")]))
        await sessions[0].add_items([item("as one that has not read it")])
        with pytest.raises(keystile.Conflict):
            await sessions[2].add_items([item("not seen")])

    asyncio.run(main())


def test_settings_may_be_a_dict(store):
    assert KeystileSession("s", store, session_settings={"limit": 3}).session_settings == SessionSettings(limit=3)
    with pytest.raises(Exception, match="limitt"):
        KeystileSession("s", store, session_settings={"limitt": 3})


def test_who_has_not_read_adds_to_what_is_there(store):
    async def main():
        await asyncio.gather(*(KeystileSession("s", store).add_items([item(str(n))]) for n in range(20)))
        assert sorted(map(int, texts(await KeystileSession("s", store).get_items()))) == list(range(20))

    asyncio.run(main())


def append(where, times):
    async def main():
        session = KeystileSession("s", where) if where.startswith("shm:") else SQLiteSession("s", where)
        for number in range(times):
            await in_a_task_of_its_own(session.add_items([item(f"m{number}")]))
            await asyncio.sleep(0.001)

    asyncio.run(main())


@pytest.mark.parametrize("wrong", [None, "text", {"role": "user"}])
def test_what_is_no_list_of_items_erases_nothing(url, wrong):
    async def main():
        session = KeystileSession("s", url)
        await session.add_items([item("one")])
        with pytest.raises(TypeError, match="a list of items"):
            await session.update(lambda items: wrong)
        if wrong is not None:
            with pytest.raises(TypeError, match="a list of items"):
                await session.add_items(wrong)
        assert await session.get_items() == [item("one")]

    asyncio.run(main())


def rewrite(where, stop):
    """As one that summarizes: read, clear, write."""

    async def main():
        session = KeystileSession("s", where) if where.startswith("shm:") else SQLiteSession("s", where)
        while not stop.is_set():
            if where.startswith("shm:"):
                await session.update(lambda items: items)
            else:
                items = await session.get_items()
                await session.clear_session()
                await session.add_items(items)
            await asyncio.sleep(0.001)

    asyncio.run(main())


def append_beside_a_rewriter(where, times):
    stop = FORK.Event()
    rewriter = FORK.Process(target=rewrite, args=(where, stop))
    appenders = [FORK.Process(target=append, args=(where, times)) for _ in range(3)]
    for process in [rewriter, *appenders]:
        process.start()
    for process in appenders:
        process.join()
    stop.set()
    rewriter.join()
    assert [process.exitcode for process in [rewriter, *appenders]] == [0] * 4


def test_processes_lose_nothing_beside_one_that_rewrites(store, url):
    append_beside_a_rewriter(url, 30)
    items = texts(asyncio.run(KeystileSession("s", store).get_items()))
    assert sorted(items) == sorted([f"m{number}" for number in range(30)] * 3)


def test_with_the_built_in_session_a_rewrite_loses_what_was_added_meanwhile(tmp_path):
    """In one process, in the order that it takes: nobody is told."""

    async def main():
        one, other = (SQLiteSession("s", tmp_path / "s.db") for _ in range(2))
        await one.add_items([item("a")])
        items = await one.get_items()
        await other.add_items([item("b")])
        await one.clear_session()
        await one.add_items(items)
        assert texts(await one.get_items()) == ["a"]

    asyncio.run(main())


# ---- Claims: another process ----


def zombie(url, ready, wake, told):
    async def main():
        session = KeystileSession("s", url)

        async def sleep():
            ready.set()
            wake.wait()

        try:
            async with session.claim(lease=0.05):
                await Runner.run(answering(ScriptedModel(count_items, sleep)), "the zombie's", session=session)
            told.put("done")
        except Exception as error:
            told.put(type(error).__name__)

    asyncio.run(main())


def test_a_run_that_lost_its_claim_is_fenced(store, url):
    ready, wake, told = FORK.Event(), FORK.Event(), FORK.Queue()
    process = FORK.Process(target=zombie, args=(url, ready, wake, told))
    process.start()
    assert ready.wait(60)

    async def main():
        session = KeystileSession("s", store)
        async with session.claim():  # waits until the lease is over
            await Runner.run(answering(ScriptedModel(count_items)), "the successor's", session=session)
        return texts(await session.get_items())

    items = asyncio.run(main())
    wake.set()
    assert told.get(timeout=60) == "Fenced"
    process.join()
    assert texts(asyncio.run(KeystileSession("s", store).get_items())) == items
    assert items == ["the zombie's", "the successor's", "I have seen 2"]


def test_two_tasks_of_one_session_have_a_claim_each(store):
    async def main():
        session = KeystileSession("s", store)
        await in_a_task_of_its_own(session.add_items([item("first")]))
        is_late, is_taken, is_refused = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def sleep_over_the_lease():
            async with session.claim(lease=0.05):
                is_late.set()
                await is_taken.wait()
                writes = [session.add_items([item("zombie")]), session.pop_item(), session.clear_session()]
                writes.append(asyncio.create_task(session.add_items([item("the zombie's child")])))
                try:
                    for write in writes:
                        with pytest.raises(keystile.Fenced):
                            await write
                finally:
                    is_refused.set()

        async def succeed():
            await is_late.wait()
            async with session.claim(lease=60):  # waits until the lease is over
                is_taken.set()
                await is_refused.wait()
                await session.add_items([item("successor")])
                await asyncio.create_task(session.add_items([item("its child")]))

        zombie, successor = await asyncio.gather(sleep_over_the_lease(), succeed(), return_exceptions=True)
        assert isinstance(zombie, keystile.Fenced)  # from the end of its block
        assert successor is None
        assert texts(await session.get_items()) == ["first", "successor", "its child"]

    asyncio.run(main())


def test_what_outlives_its_claim_is_fenced(store):
    async def main():
        session, is_over = KeystileSession("s", store), asyncio.Event()

        async def late():
            await is_over.wait()
            await session.add_items([item("late")])

        async with session.claim():
            task = asyncio.create_task(late())
        is_over.set()
        with pytest.raises(keystile.Fenced):
            await task
        await session.add_items([item("not under it")])
        assert texts(await session.get_items()) == ["not under it"]

    asyncio.run(main())


def test_a_claimed_session_refuses_others(store, url):
    async def main():
        session = KeystileSession("s", store)
        with keystile.open(url) as opened:
            async with KeystileSession("s", opened).claim():
                with pytest.raises(keystile.Held):
                    await session.add_items([item("not now")])
                with pytest.raises(keystile.Held):
                    async with session.claim(wait=0):
                        pass
        await session.add_items([item("now")])

    asyncio.run(main())


def test_the_example_runs():
    subprocess.run([sys.executable, str(EXAMPLES / "openai_session.py")], check=True)
