"""agent-framework's session store and checkpoint storage, and that nothing is lost, whoever writes beside.

There is no upstream.py here: the source distribution of agent-framework-core 1.23.0 has no tests to run ours in.
"""

import asyncio
import contextvars
import multiprocessing
import pathlib
import subprocess
import sys
from dataclasses import dataclass, replace

import agent_framework
import pytest
from agent_framework import AgentSession, Executor, WorkflowBuilder, WorkflowCheckpoint, WorkflowContext, handler

import keystile
from keystile import _lineage
from keystile.agent_framework import CheckpointStorage, SessionStore

EXAMPLES = pathlib.Path(__file__).parents[3] / "examples"
FORK = multiprocessing.get_context("fork")


def elsewhere(coroutine):
    """In a task that has read nothing."""
    return asyncio.create_task(coroutine, context=contextvars.Context())


@pytest.fixture(params=["store", "durable"])
def sessions(request):
    return SessionStore(request.getfixturevalue(request.param))


# ---- Sessions: what every session store does ----


def test_sessions_come_back_as_copies(sessions):
    async def main():
        assert isinstance(sessions, agent_framework.SessionStore)
        assert await sessions.get("user/7%") is None
        session = AgentSession(session_id="inner", service_session_id={"id": "x"})
        session.state["a"] = {"b": [1, None, "ä\0"]}
        await sessions.set("user/7%", session)
        session.state["a"] = "later"
        one, two = await sessions.get("user/7%"), await sessions.get("user/7%")
        assert one is not two and one.session_id == "inner" and one.service_session_id == {"id": "x"}
        assert one.state == two.state == {"a": {"b": [1, None, "ä\0"]}}
        assert await sessions.get("user") is None
        await sessions.delete("user/7%")
        await sessions.delete("user/7%")
        assert await sessions.get("user/7%") is None
        await sessions.set("user/7%", AgentSession())

    asyncio.run(main())


@pytest.mark.parametrize("name", ["", None, 7])
def test_names_that_are_none(sessions, name):
    async def main():
        for call in (sessions.get(name), sessions.set(name, AgentSession()), sessions.delete(name)):
            with pytest.raises(ValueError):
                await call

    asyncio.run(main())


def test_what_is_no_session(sessions):
    class Own(AgentSession):
        pass

    for thing in (Own(), {}, None):
        with pytest.raises(TypeError):
            asyncio.run(sessions.set("s", thing))
    with pytest.raises(TypeError):
        SessionStore(7)


# ---- Sessions: that nothing is lost ----


def test_a_set_replaces_only_what_was_read(sessions):
    async def main():
        await elsewhere(sessions.set("s", AgentSession(session_id="1")))
        one, two = await elsewhere(sessions.get("s")), await elsewhere(sessions.get("s"))
        await elsewhere(sessions.set("s", two))  # the object itself knows what it was read from
        await elsewhere(sessions.set("s", two))
        with pytest.raises(keystile.Conflict):
            await elsewhere(sessions.set("s", one))
        with pytest.raises(keystile.Conflict):
            await elsewhere(SessionStore(sessions.store).set("s", AgentSession()))  # has read nothing
        fresh = await sessions.get("s")
        await elsewhere(sessions.set("s", two))
        with pytest.raises(keystile.Conflict):
            await sessions.set("s", fresh)
        with pytest.raises(keystile.Conflict):
            await sessions.delete("s")

    asyncio.run(main())


def test_of_two_that_saw_none_one_creates(sessions):
    async def main():
        both = asyncio.Barrier(2)

        async def create():
            assert await sessions.get("s") is None
            await both.wait()
            await sessions.set("s", AgentSession())

        told = await asyncio.gather(create(), create(), return_exceptions=True)
        assert sorted(type(one).__name__ for one in told) == ["Conflict", "NoneType"]

    asyncio.run(main())


def test_who_has_read_nothing_replaces_nothing_of_its_own_process_either(sessions):
    async def main():
        made = AgentSession(session_id="one")
        await asyncio.create_task(sessions.set("s", made))
        with pytest.raises(keystile.Conflict):
            await asyncio.create_task(sessions.set("s", AgentSession(session_id="two")))
        assert (await asyncio.create_task(sessions.get("s"))).session_id == "one"
        await asyncio.create_task(sessions.set("s", made))  # the object that made it knows

    asyncio.run(main())


def changed(session, **state):
    """Another object with what this one has, and more."""
    copy = AgentSession.from_dict(session.to_dict())
    copy.state.update(state)
    return copy


def test_of_tasks_that_one_read_was_for_one_is_told(sessions):
    async def main():
        await sessions.set("s", AgentSession())
        read = await sessions.get("s")
        first = asyncio.create_task(sessions.set("s", changed(read, first=1)))
        second = asyncio.create_task(sessions.set("s", changed(read, second=1)))
        told = await asyncio.gather(first, second, return_exceptions=True)
        assert [type(one).__name__ for one in told] == ["NoneType", "Conflict"]
        assert (await sessions.get("s")).state == {"first": 1}

    asyncio.run(main())


@pytest.mark.parametrize("where", ["the same task", "a task it started"])
def test_the_object_that_was_read_replaces_nothing_that_another_object_has_written(sessions, where):
    async def main():
        await sessions.set("s", AgentSession())
        read = await sessions.get("s")
        other = sessions.set("s", changed(read, other=1))
        await (other if where == "the same task" else asyncio.create_task(other))
        with pytest.raises(keystile.Conflict):
            await sessions.set("s", read)
        assert (await sessions.get("s")).state == {"other": 1}

    asyncio.run(main())


def test_a_task_knows_what_was_read_when_it_was_started(sessions):
    async def main():
        await sessions.set("s", AgentSession())
        read = await sessions.get("s")
        late = asyncio.create_task(sessions.set("s", changed(read, late=1)))
        await sessions.set("s", read)
        with pytest.raises(keystile.Conflict):
            await late
        await asyncio.create_task(sessions.set("s", changed(read, known=1)))
        with pytest.raises(keystile.Conflict):
            await sessions.set("s", changed(read, unseen=1))
        assert (await sessions.get("s")).state == {"known": 1}

    asyncio.run(main())


def test_what_is_remembered_of_a_task_has_a_bound(store, monkeypatch):
    monkeypatch.setattr(_lineage, "KEYS_MAX", 3)
    sessions = SessionStore(store)

    async def main():
        for name in "abcd":
            await elsewhere(sessions.set(name, AgentSession()))
        read = {name: await sessions.get(name) for name in "abcd"}
        with pytest.raises(keystile.Conflict):  # as one that has not read it
            await sessions.set("a", changed(read["a"]))
        await sessions.set("b", changed(read["b"]))
        await sessions.set("a", read["a"])  # the object knows

    asyncio.run(main())


def test_somebodys_claim_meanwhile_is_a_conflict_and_not_fenced(sessions):
    async def main():
        await sessions.set("s", AgentSession())
        session = await sessions.get("s")
        with sessions.store.claim("agent-framework/sessions/s"):
            pass
        with pytest.raises(keystile.Conflict):
            await sessions.set("s", session)

    asyncio.run(main())


def test_processes_lose_nothing(url):
    sys.path.insert(0, str(EXAMPLES))
    import agent_framework_session as example

    with keystile.open(url):
        assert example.count(SessionStore, url) == example.PROCESSES * example.TURNS


def test_the_built_in_store_loses_what_was_written_meanwhile(tmp_path):
    async def main():
        sessions = agent_framework.FileSessionStore(tmp_path)
        await sessions.set("s", AgentSession())
        one, two = await sessions.get("s"), await sessions.get("s")
        one.state["one"], two.state["two"] = 1, 2
        await sessions.set("s", one)
        await sessions.set("s", two)
        assert (await sessions.get("s")).state == {"two": 2}

    asyncio.run(main())


def zombie(url, ready, wake, told):
    async def main():
        sessions = SessionStore(url)
        try:
            async with sessions.claim("s", lease=0.05):
                session = await sessions.get("s")
                ready.set()
                wake.wait()
                session.state["who"] = "zombie"
                await sessions.set("s", session)
            told.put("done")
        except keystile.Fenced:
            told.put("fenced")

    asyncio.run(main())


def test_who_lost_its_claim_is_fenced(store, url):
    sessions = SessionStore(store)
    asyncio.run(sessions.set("s", AgentSession()))
    ready, wake, told = FORK.Event(), FORK.Event(), FORK.Queue()
    process = FORK.Process(target=zombie, args=(url, ready, wake, told))
    process.start()
    assert ready.wait(60)

    async def main():
        async with sessions.claim("s", lease=60):  # waits until the lease is over
            session = await sessions.get("s")
            session.state["who"] = "successor"
            await sessions.set("s", session)
            with pytest.raises(keystile.Held):
                with keystile.open(url) as other:
                    late = SessionStore(other)
                    await elsewhere(late.delete("s"))

    asyncio.run(main())
    wake.set()
    assert told.get(timeout=60) == "fenced"
    process.join()
    assert asyncio.run(sessions.get("s")).state == {"who": "successor"}


# ---- Checkpoints ----


def checkpoint(number, previous=None, workflow="w"):
    return WorkflowCheckpoint(
        workflow_name=workflow,
        graph_signature_hash="h",
        checkpoint_id=f"c/{number}",
        previous_checkpoint_id=previous,
        timestamp=f"2026-01-01T00:00:{number:02}+00:00",
        state={"n": number, "set": {1, 2}},
    )


@pytest.fixture(params=["store", "durable"])
def storage(request):
    return CheckpointStorage(request.getfixturevalue(request.param))


def test_checkpoints_come_back(storage):
    async def main():
        assert await storage.get_latest(workflow_name="w") is None
        for one in (checkpoint(2), checkpoint(1), checkpoint(3, workflow="w/x")):
            assert await storage.save(one) == one.checkpoint_id
        assert await storage.load("c/2") == checkpoint(2)
        assert await storage.list_checkpoints(workflow_name="w") == [checkpoint(1), checkpoint(2)]
        assert sorted(await storage.list_checkpoint_ids(workflow_name="w")) == ["c/1", "c/2"]
        assert await storage.get_latest(workflow_name="w") == checkpoint(2)
        assert await storage.delete("c/2") and not await storage.delete("c/2")
        assert await storage.get_latest(workflow_name="w") == checkpoint(1)
        with pytest.raises(agent_framework.WorkflowCheckpointException):
            await storage.load("c/2")

    asyncio.run(main())


class Unknown:
    pass


def test_what_could_not_be_read_back_is_not_stored(storage):
    async def main():
        with pytest.raises(agent_framework.WorkflowCheckpointException):
            await storage.save(replace(checkpoint(1), state={"x": Unknown()}))
        assert await storage.list_checkpoint_ids(workflow_name="w") == []

    asyncio.run(main())


def test_a_checkpoint_has_one_successor(storage):
    async def main():
        await storage.save(checkpoint(1))
        await storage.save(checkpoint(2, "c/1"))
        await storage.save(checkpoint(2, "c/1"))  # the same again is no other
        with pytest.raises(keystile.Conflict):
            await storage.save(checkpoint(3, "c/1"))
        assert storage.refused is not None
        await storage.delete("c/1")
        with pytest.raises(keystile.Conflict):
            await storage.save(checkpoint(3, "c/1"))
        assert await storage.list_checkpoint_ids(workflow_name="w") == ["c/2"]
        forking = CheckpointStorage(storage.store, may_fork=True)
        await forking.save(checkpoint(3, "c/1"))

    asyncio.run(main())


@dataclass
class Plan:
    steps: int


def test_what_one_worker_cannot_decode_is_in_nobodys_way(storage, caplog):
    knowing = CheckpointStorage(storage.store, allowed_checkpoint_types=[f"{__name__}:Plan"])

    async def main():
        await storage.save(checkpoint(1))
        await knowing.save(replace(checkpoint(2), state={"plan": Plan(3)}))
        assert (await knowing.get_latest(workflow_name="w")).state["plan"] == Plan(3)
        assert await storage.list_checkpoint_ids(workflow_name="w") == ["c/1"]
        assert "c/2" in caplog.text
        assert await storage.get_latest(workflow_name="w") == checkpoint(1)
        with pytest.raises(agent_framework.WorkflowCheckpointException):
            await storage.load("c/2")
        assert await storage.delete("c/2")
        assert await knowing.get_latest(workflow_name="w") == checkpoint(1)

    asyncio.run(main())


@pytest.mark.parametrize("value", [b"{}", b"[]", b"\xff", b"null", b'{"workflow_name": 7}', b'{"workflow_name": "w"}'])
def test_a_damaged_checkpoint_is_left_out_and_can_be_deleted(store, value):
    storage = CheckpointStorage(store)

    async def main():
        for one in (checkpoint(1), checkpoint(3, workflow="w/x")):
            await storage.save(one)
        others = {one.key for one in store.list()}
        await storage.save(checkpoint(2))
        store.update("agent-framework/checkpoints/id/c%2F2", lambda _: value)
        assert await storage.list_checkpoints(workflow_name="w") == [checkpoint(1)]
        assert await storage.get_latest(workflow_name="w") == checkpoint(1)
        with pytest.raises(agent_framework.WorkflowCheckpointException):
            await storage.load("c/2")
        assert await storage.delete("c/2") and not await storage.delete("c/2")
        assert {one.key for one in store.list()} == others

    asyncio.run(main())


class Count(Executor):
    @handler
    async def count(self, number: int, ctx: WorkflowContext[int, int]) -> None:
        await (ctx.send_message(number - 1) if number else ctx.yield_output(0))


def workflow(storage):
    one, two = Count(id="one"), Count(id="two")
    builder = WorkflowBuilder(name="counting", start_executor=one, checkpoint_storage=storage)
    return builder.add_edge(one, two).add_edge(two, one).build()


def test_of_two_workers_that_resume_one_checkpoint_one_is_told(storage):
    async def main():
        await workflow(storage).run(4)
        saved = await storage.list_checkpoints(workflow_name="counting")
        assert len(saved) > 2 and storage.refused is None
        resumed = await workflow(storage).run(checkpoint_id=saved[0].checkpoint_id)
        assert resumed.get_outputs() == [0]  # the framework only logs it
        assert isinstance(storage.refused, keystile.Conflict)
        assert await storage.list_checkpoints(workflow_name="counting") == saved

    asyncio.run(main())


def test_the_example_runs():
    subprocess.run([sys.executable, str(EXAMPLES / "agent_framework_session.py")], check=True)
