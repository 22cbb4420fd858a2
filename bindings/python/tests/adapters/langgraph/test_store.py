"""LangGraph's BaseStore: what every one does, and that nothing is lost, whoever writes beside."""

import asyncio
import concurrent.futures
import contextvars
import inspect
import json
import pathlib
import sqlite3
import subprocess
import sys
import threading
import time
from typing import TypedDict

import pytest
from graphs import FAST, FORK, TEAM, in_a_context_of_its_own
from langgraph.graph import START, StateGraph
from langgraph.store.base import BaseStore, GetOp, InvalidNamespaceError, ListNamespacesOp, PutOp, SearchOp
from langgraph.store.memory import InMemoryStore
from langgraph.store.sqlite import SqliteStore

import keystile
from keystile.langgraph import KeystileStore

# ---- What every BaseStore does ----


def test_put_get_delete(items):
    assert items.get(TEAM, "k") is None
    items.put(TEAM, "k", {"a": [1, None, "ä"], "b": {"c": 2.5}})
    first = items.get(TEAM, "k")
    assert (first.key, first.namespace, first.value) == ("k", TEAM, {"a": [1, None, "ä"], "b": {"c": 2.5}})
    assert first.created_at == first.updated_at
    assert first.created_at.tzinfo is not None
    items.put(TEAM, "k", {"a": 2})
    second = items.get(TEAM, "k")
    assert (second.value, second.created_at) == ({"a": 2}, first.created_at)
    assert second.updated_at > first.updated_at
    items.delete(TEAM, "k")
    assert items.get(TEAM, "k") is None
    items.delete(TEAM, "k")
    items.put(TEAM, "k", {})
    assert items.get(TEAM, "k").value == {}


def test_names_are_not_confused(items):
    names = [(("a",), "b/c"), (("a", "b"), "c"), (("a/b",), "c"), (("a",), "b%2Fc"), (("a",), ""), (("a%",), "2F")]
    for number, (namespace, key) in enumerate(names):
        items.put(namespace, key, {"n": number})
    assert [items.get(*name).value["n"] for name in names] == list(range(len(names)))
    assert {(one.namespace, one.key) for one in items.search((), limit=100)} == set(names)


def test_search(items):
    for number in range(12):
        items.put(("docs", "even" if number % 2 == 0 else "odd"), f"d{number}", {"n": number, "kind": {"of": "doc"}})
    items.put(("docsx",), "other", {"n": 0})
    assert len(items.search(("docs",))) == 10
    assert [one.key for one in items.search(("docs",), limit=2)] == ["d11", "d10"]  # the newest first
    assert [one.key for one in items.search(("docs",), limit=2, offset=2)] == ["d9", "d8"]
    assert {one.key for one in items.search(("docs", "even"))} == {"d0", "d2", "d4", "d6", "d8", "d10"}

    def found(**wanted):
        return {one.value["n"] for one in items.search(("docs",), filter=wanted, limit=100)}

    assert found(n=3) == {3}
    assert found(n={"$gte": 3, "$lt": 5}) == {3, 4}
    assert found(n={"$ne": 3}) == set(range(12)) - {3}
    assert found(n={"$eq": 3}, kind={"of": "doc"}) == {3}
    assert (
        found(kind={"of": "other"}) == found(missing=1) == found(missing={"$gt": 1}) == found(n={"$gt": "1"}) == set()
    )
    assert found(missing=None) == set(range(12))
    with pytest.raises(ValueError, match=r"\$near"):
        found(n={"$near": 3})
    items.delete(("docs", "even"), "d10")
    assert [one.key for one in items.search(("docs",), limit=2)] == ["d11", "d9"]


def test_namespaces(items):
    for namespace in [("a", "b", "c"), ("a", "b", "d"), ("a", "x", "c"), ("z",)]:
        items.put(namespace, "k", {})
        items.put(namespace, "l", {})
    assert items.list_namespaces() == [("a", "b", "c"), ("a", "b", "d"), ("a", "x", "c"), ("z",)]
    assert items.list_namespaces(prefix=("a", "*"), suffix=("c",)) == [("a", "b", "c"), ("a", "x", "c")]
    assert items.list_namespaces(prefix=("a", "b")) == [("a", "b", "c"), ("a", "b", "d")]
    assert items.list_namespaces(max_depth=2) == [("a", "b"), ("a", "x"), ("z",)]
    assert items.list_namespaces(max_depth=2, limit=1, offset=1) == [("a", "x")]
    assert items.list_namespaces(prefix=("z", "*")) == []


def test_a_batch_reads_what_was_before_its_writes_and_the_last_put_wins(items):
    items.put(TEAM, "a", {"n": 1})
    ops = [
        PutOp(TEAM, "a", {"n": 2}),
        PutOp(TEAM, "a", {"n": 3}),
        GetOp(TEAM, "a"),
        SearchOp(("team",)),
        ListNamespacesOp(),
        PutOp(TEAM, "b", None),
        GetOp(TEAM, "b"),
    ]
    told = items.batch(ops)
    assert told[:2] == [None, None]
    assert told[2].value == {"n": 1}
    assert [one.value for one in told[3]] == [{"n": 1}]
    assert told[4] == [TEAM]
    assert told[5:] == [None, None]
    assert items.get(TEAM, "a").value == {"n": 3}


def test_any_tool_can_read_it(items, store):
    items.put(TEAM, "k", {"n": 1})
    assert json.loads(store.get("langgraph/store/team/x%2Fy%25/k").value)["value"] == {"n": 1}


def test_mistakes(items, store):
    for namespace in [(), ("a.b",), ("",), ("langgraph",)]:
        with pytest.raises(InvalidNamespaceError):
            items.put(namespace, "k", {})
    for wrong in [lambda: items.get((), "k"), lambda: items.batch([GetOp(("a.b",), "k")])]:
        with pytest.raises(ValueError, match="amespace"):
            wrong()
    for wrong in ["text", 1, [1]]:
        with pytest.raises(TypeError):
            items.put(TEAM, "k", wrong)
    with pytest.raises(TypeError, match="JSON"):
        items.put(TEAM, "k", {"a": object()})
    with pytest.raises(NotImplementedError):
        items.put(TEAM, "k", {}, ttl=5)
    with pytest.raises(NotImplementedError, match="vectors"):
        items.search(TEAM, query="like this")
    with pytest.raises(keystile.KeySizeError):
        items.put(TEAM, "k" * 2000, {})
    with pytest.raises(keystile.ValueSizeError):
        items.put(TEAM, "k", {"a": "a" * 17_000_000})
    with pytest.raises(keystile.LimitError):
        items.batch([PutOp(TEAM, str(number), {}) for number in range(1025)])
    with pytest.raises(ValueError, match="limit"):
        items.search(TEAM, limit=-1)
    with pytest.raises(ValueError, match="operation"):
        items.batch([("get", "k")])
    assert store.list() == []


@pytest.mark.parametrize("name", ["aget", "asearch", "aput", "adelete"])
def test_the_signatures_are_langgraphs(name):
    def shape(kind):
        parameters = inspect.signature(getattr(kind, name)).parameters.values()
        return [(one.name, one.kind, one.default) for one in parameters]

    assert shape(KeystileStore) == shape(BaseStore)


@pytest.mark.parametrize("opened", ["store", "durable"])
def test_asyncio(opened, request):
    items = KeystileStore(request.getfixturevalue(opened))

    async def bump(old):
        await asyncio.sleep(0)
        return {"n": (old or {"n": 0})["n"] + 1}

    async def main():
        await items.aput(TEAM, "k", {"n": 0})
        assert (await items.aget(TEAM, "k")).value == {"n": 0}
        await asyncio.gather(*(items.aupdate(TEAM, "k", bump) for _ in range(20)))
        assert [one.value for one in await items.asearch(("team",))] == [{"n": 20}]
        assert await items.alist_namespaces() == [TEAM]
        await items.adelete(TEAM, "k")
        assert await items.aget(TEAM, "k") is None
        # Two puts in one tick stay two: neither is merged away, and the second is compared to the first.
        await asyncio.gather(items.aput(TEAM, "a", {"n": 1}), items.aput(TEAM, "b", {"n": 2}))
        assert len(await items.asearch(("team",))) == 2

    asyncio.run(main())


# ---- That nothing is lost ----


def test_a_put_is_compared_to_what_was_read(items):
    items.put(TEAM, "k", {"n": 1})
    items.get(TEAM, "k")
    in_a_context_of_its_own(lambda: items.update(TEAM, "k", lambda old: {"n": 3}))
    for _ in range(2):  # and stays so, until it is read again
        with pytest.raises(keystile.Conflict):
            items.put(TEAM, "k", {"n": "lost"})
        with pytest.raises(keystile.Conflict):
            items.delete(TEAM, "k")
    assert items.get(TEAM, "k").value == {"n": 3}
    items.put(TEAM, "k", {"n": 4})
    items.put(TEAM, "k", {"n": 5})  # its own put is what it knows


def test_what_was_found_missing_is_compared_too(items):
    assert items.get(TEAM, "k") is None
    in_a_context_of_its_own(lambda: items.update(TEAM, "k", lambda old: {"n": 1}))
    with pytest.raises(keystile.Conflict):
        items.put(TEAM, "k", {"n": "lost"})


def test_what_a_search_found_is_compared_too(items):
    items.put(TEAM, "k", {"n": 1})
    found = items.search(("team",))[0]
    in_a_context_of_its_own(lambda: items.update(TEAM, "k", lambda old: {"n": 2}))
    with pytest.raises(keystile.Conflict):
        items.put(found.namespace, found.key, {"n": "lost"})


def test_a_put_of_what_was_not_read_overwrites(items):
    def put(value):
        items.put(TEAM, "k", value)

    in_a_context_of_its_own(lambda: put({"n": 1}))
    in_a_context_of_its_own(lambda: put({"n": 2}))
    assert items.get(TEAM, "k").value == {"n": 2}


def test_a_batch_is_written_whole_or_not(items):
    items.put(TEAM, "a", {"n": 1})
    items.get(TEAM, "a")
    in_a_context_of_its_own(lambda: items.update(TEAM, "a", lambda old: {"n": 2}))
    with pytest.raises(keystile.Conflict):
        items.batch([PutOp(TEAM, "a", {"n": "lost"}), PutOp(TEAM, "b", {"n": 1}), GetOp(TEAM, "a")])
    with pytest.raises(keystile.Conflict):  # the batch's own read does not make its put one that had read
        items.put(TEAM, "a", {"n": "lost"})
    assert items.get(TEAM, "b") is None


class State(TypedDict):
    x: int


NODES = 4


def count(store, thoughtful, **options):
    """NODES parallel nodes of one graph: read, think, write. What the counter is then, and how often a node ran."""
    together = threading.Barrier(NODES)
    runs = []

    def node(state, *, store: BaseStore):
        number = store.get(("team",), "counter").value["n"]
        runs.append(number)
        if thoughtful and len(runs) <= NODES:  # all have read before the first one writes
            together.wait()
        store.put(("team",), "counter", {"n": number + 1})

    builder = StateGraph(State)
    for name in "abcd":
        builder.add_node(name, node, **options)
        builder.add_edge(START, name)
    store.put(("team",), "counter", {"n": 0})
    builder.compile(store=store).invoke({"x": 0})
    return store.get(("team",), "counter").value["n"], len(runs)


def test_parallel_nodes_lose_with_the_built_in_store():
    assert count(InMemoryStore(), True, retry_policy=FAST) == (1, NODES)  # and nobody was told


def test_parallel_nodes_lose_nothing(items):
    total, runs = count(items, True, retry_policy=FAST)
    assert total == NODES
    assert runs > NODES  # LangGraph's own default retry_on ran those again that were told Conflict


def test_without_a_retry_policy_the_graph_is_told(items):
    with pytest.raises(keystile.Conflict):
        count(items, True)


def test_async_nodes_lose_nothing(items):
    async def node(state, *, store: BaseStore):
        number = (await store.aget(("team",), "counter")).value["n"]
        await asyncio.sleep(0)
        await store.aput(("team",), "counter", {"n": number + 1})

    async def main():
        builder = StateGraph(State)
        for name in "abcd":
            builder.add_node(name, node, retry_policy=FAST)
            builder.add_edge(START, name)
        await items.aput(("team",), "counter", {"n": 0})
        await builder.compile(store=items).ainvoke({"x": 0})
        return (await items.aget(("team",), "counter")).value["n"]

    assert asyncio.run(main()) == NODES


def test_parallel_tools_of_one_node_are_told(items):
    """They run under one task id, each in a copy of the node's context."""
    together = threading.Barrier(2)
    told = []

    def tool():
        number = items.get(("team",), "counter").value["n"]
        together.wait()
        try:
            items.put(("team",), "counter", {"n": number + 1})
            told.append("ok")
        except keystile.Conflict:
            told.append("conflict")

    def node(state):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for _ in range(2):
                pool.submit(contextvars.copy_context().run, tool)

    items.put(("team",), "counter", {"n": 0})
    builder = StateGraph(State)
    builder.add_node("tools", node)
    builder.add_edge(START, "tools")
    builder.compile().invoke({"x": 0})
    assert sorted(told) == ["conflict", "ok"]


# ---- Reads that another task or thread does for this one ----


async def wrapped(items, key="counter"):
    """A task's own coroutine, which calls the store when it runs."""
    return await items.aget(("team",), key)


READERS = {
    "itself": lambda items: items.aget(("team",), "counter"),
    "wait_for": lambda items: asyncio.wait_for(items.aget(("team",), "counter"), 60),
    "create_task": lambda items: asyncio.create_task(items.aget(("team",), "counter")),
    "to_thread": lambda items: asyncio.to_thread(items.get, ("team",), "counter"),
    "a wrapper in a task": lambda items: asyncio.create_task(wrapped(items)),
}


async def read_by(reader, items):
    return (await READERS[reader](items)).value["n"]


async def increment(reader, items, told):
    while True:
        number = await read_by(reader, items)
        await asyncio.sleep(0.001)
        try:
            return await items.aput(("team",), "counter", {"n": number + 1})
        except keystile.Conflict as conflict:
            told.append(conflict)
            assert len(told) < 1000, "for ever"


@pytest.mark.parametrize(  # who has not, and reads by others alone, cannot be told from these: see docs/langgraph.md
    ("reader", "has_called_the_store"),
    [(reader, True) for reader in READERS] + [(reader, False) for reader in ("itself", "wait_for", "create_task")],
)
def test_tasks_that_read_by_another_lose_nothing(items, reader, has_called_the_store):
    async def work(told):
        if has_called_the_store:
            await items.aget(("team",), "counter")  # an older read, which must not stand in its way for ever
            await asyncio.sleep(0.001)
        await increment(reader, items, told)

    async def main():
        await items.aput(("team",), "counter", {"n": 0})
        told = []
        await asyncio.gather(*(work(told) for _ in range(5)))
        assert told
        assert (await items.aget(("team",), "counter")).value["n"] == 5

    asyncio.run(main())


@pytest.mark.parametrize("reader", READERS)
def test_nodes_that_read_by_another_lose_nothing(items, reader):
    together = asyncio.Barrier(NODES)
    runs = []

    async def node(state):
        number = await read_by(reader, items)
        runs.append(number)
        if len(runs) <= NODES:
            await together.wait()
        await items.aput(("team",), "counter", {"n": number + 1})

    async def main():
        builder = StateGraph(State)
        for name in "abcd":
            builder.add_node(name, node, retry_policy=FAST)
            builder.add_edge(START, name)
        await items.aput(("team",), "counter", {"n": 0})
        await builder.compile().ainvoke({"x": 0})
        assert (await items.aget(("team",), "counter")).value["n"] == NODES
        assert len(runs) > NODES

    asyncio.run(main())


def test_a_put_belongs_to_who_called_it(items):
    async def main():
        await asyncio.wait_for(items.aput(TEAM, "k", {"n": 1}), 60)
        in_a_context_of_its_own(lambda: items.update(TEAM, "k", lambda old: {"n": 2}))
        with pytest.raises(keystile.Conflict):
            await items.aput(TEAM, "k", {"n": "lost"})

    asyncio.run(main())


def test_of_two_tasks_that_have_read_one_is_told(items):
    async def main():
        both = asyncio.Barrier(2)
        await items.aput(TEAM, "other", {})  # their parent has reads of its own

        async def work():
            await items.aget(TEAM, "k")
            await both.wait()
            await items.aput(TEAM, "k", {})

        told = await asyncio.gather(work(), work(), return_exceptions=True)
        assert sorted(type(one).__name__ for one in told) == ["Conflict", "NoneType"]
        await items.aput(TEAM, "k", {})  # who waited for both knows what they have read and written

    asyncio.run(main())


def test_what_a_task_reads_that_still_runs_is_its_own(items):
    async def main():
        await items.aput(TEAM, "k", {"n": 1})
        await items.aget(TEAM, "k")
        has_read, end = asyncio.Event(), asyncio.Event()

        async def watch():
            await items.aget(TEAM, "k")
            has_read.set()
            await end.wait()

        in_a_context_of_its_own(lambda: items.update(TEAM, "k", lambda old: {"n": 2}))
        watching = asyncio.create_task(watch())
        await has_read.wait()
        with pytest.raises(keystile.Conflict):
            await items.aput(TEAM, "k", {"n": "lost"})
        end.set()
        await watching
        await items.aput(TEAM, "k", {"n": 3})

    asyncio.run(main())


def test_a_task_inherits_what_was_read_before_it_began(items):
    async def main():
        await items.aput(TEAM, "k", {"n": 1})
        go = asyncio.Event()

        async def write():
            await go.wait()
            await items.aput(TEAM, "k", {"n": "lost"})

        writing = asyncio.create_task(write())
        in_a_context_of_its_own(lambda: items.update(TEAM, "k", lambda old: {"n": 2}))
        await items.aget(TEAM, "k")
        go.set()
        with pytest.raises(keystile.Conflict):
            await writing
        await items.aput(TEAM, "k", {"n": 3})

    asyncio.run(main())


def test_what_one_task_has_read_is_not_its_siblings(items):
    async def main():
        await items.aput(TEAM, "other", {})
        await asyncio.create_task(items.asearch(TEAM))
        await asyncio.create_task(wrapped(items, "k"))
        in_a_context_of_its_own(lambda: items.update(("team",), "k", lambda old: {"n": 2}))

        async def overwrite():
            await items.aput(("team",), "k", {"n": 3})

        await asyncio.create_task(overwrite())  # has not read it: as with every BaseStore

    asyncio.run(main())


def test_what_the_caller_had_read_is_not_the_nodes(items):
    items.put(TEAM, "k", {"n": 1})
    items.get(TEAM, "k")
    in_a_context_of_its_own(lambda: items.update(TEAM, "k", lambda old: {"n": 2}))
    builder = StateGraph(State)
    builder.add_node("node", lambda state: items.put(TEAM, "k", {"n": "the node's"}))
    builder.add_edge(START, "node")
    builder.compile().invoke({"x": 0})
    assert items.get(TEAM, "k").value == {"n": "the node's"}


PROCESSES, TIMES = 4, 25


def worker(store_of, where, go):
    store = store_of(where)
    go.wait()
    for _ in range(TIMES):
        while True:
            number = store.get(("team",), "counter").value["n"]
            time.sleep(0.001)
            try:
                store.put(("team",), "counter", {"n": number + 1})
                break
            except keystile.Conflict:
                pass


def open_sqlite(path):
    return SqliteStore(sqlite3.connect(path, isolation_level=None, check_same_thread=False))


def run_workers(store_of, where):
    go = FORK.Barrier(PROCESSES)
    running = [FORK.Process(target=worker, args=(store_of, where, go)) for _ in range(PROCESSES)]
    for process in running:
        process.start()
    for process in running:
        process.join()
    assert [process.exitcode for process in running] == [0] * PROCESSES


def test_processes_lose_nothing_and_with_the_built_in_store_most(items, url, tmp_path):
    items.put(("team",), "counter", {"n": 0})
    run_workers(KeystileStore, url)
    assert items.get(("team",), "counter").value["n"] == PROCESSES * TIMES

    path = str(tmp_path / "store.db")
    with SqliteStore.from_conn_string(path) as sqlite:
        sqlite.setup()
        sqlite.put(("team",), "counter", {"n": 0})
        run_workers(open_sqlite, path)
        assert sqlite.get(("team",), "counter").value["n"] < PROCESSES * TIMES


# ---- The examples ----


@pytest.mark.parametrize("name", ["langgraph_store", "langgraph_checkpoints"])
def test_examples_run(name):
    path = pathlib.Path(__file__).parents[3] / "examples" / f"{name}.py"
    subprocess.run([sys.executable, str(path)], check=True)
