"""LangGraph's checkpointer: the framework's own conformance suite, and what it does not ask: two writers."""

import asyncio
import concurrent.futures
import multiprocessing
import operator
import threading
from typing import Annotated, TypedDict

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph

import keystile
from keystile.langgraph import KeystileSaver

FORK = multiprocessing.get_context("fork")


@pytest.mark.parametrize("opened", ["store", "durable"])
def test_langgraphs_conformance_suite(opened, request):
    store = request.getfixturevalue(opened)

    @checkpointer_test(name="KeystileSaver")
    async def saver():
        yield KeystileSaver(store)

    report = asyncio.run(validate(saver))
    told = {name: (result.tests_passed, result.failures) for name, result in report.results.items() if result.detected}
    assert told == {
        name: (passed, [])
        for name, passed in {
            "put": 17,
            "put_writes": 10,
            "get_tuple": 10,
            "list": 16,
            "delete_thread": 5,
            "delete_for_runs": 7,
            "copy_thread": 8,
            "prune": 8,
        }.items()
    }
    assert report.passed_all_base()
    assert store.check().problems == []


class State(TypedDict):
    log: Annotated[list, operator.add]


CONFIG = {"configurable": {"thread_id": "t"}}


def graph_of(saver, work=lambda: None, name="did"):
    def node(state):
        work()
        return {"log": [name]}

    builder = StateGraph(State)
    builder.add_node("work", node)
    builder.add_edge(START, "work")
    builder.add_edge("work", END)
    return builder.compile(checkpointer=saver)


def two_workers(saver):
    """Two workers resume one thread, both have begun before one of them ends. What each was told."""
    graph_of(saver).invoke({"log": ["seed"]}, CONFIG)
    both = threading.Barrier(2)
    told = []

    def run(name):
        try:
            graph_of(saver, both.wait, name).invoke({"log": [f"to {name}"]}, CONFIG)
            told.append(None)
        except Exception as error:
            told.append(error)

    workers = [threading.Thread(target=run, args=(name,)) for name in ("a", "b")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return told, graph_of(saver).get_state(CONFIG).values["log"]


def test_the_built_in_saver_loses_a_whole_turn():
    told, log = two_workers(InMemorySaver())
    assert told == [None, None]  # and both were told that all is well
    assert len(log) < 6


def test_of_two_workers_on_one_thread_one_is_told(store):
    told, log = two_workers(KeystileSaver(store))
    assert sorted(type(error).__name__ for error in told) == ["Conflict", "NoneType"]
    assert log[:2] == ["seed", "did"]
    assert len({"a", "b"} & set(log)) == 1  # the winner's turn is whole, the other was told that it has none
    assert f"to {log[-1]}" in log


def test_update_state_history_and_time_travel_go_on(store):
    graph = graph_of(KeystileSaver(store))
    graph.invoke({"log": ["in"]}, CONFIG)
    graph.update_state(CONFIG, {"log": ["by hand"]})
    assert graph.get_state(CONFIG).values["log"] == ["in", "did", "by hand"]
    history = list(graph.get_state_history(CONFIG))
    assert len(history) == 4
    start = next(one for one in history if one.next == ("work",))
    forked = graph.update_state(start.config, {"log": ["another past"]})
    assert graph.invoke(None, forked)["log"] == ["in", "another past", "did"]


def test_a_forgotten_thread_takes_nothing_from_a_worker_that_is_still_at_it(store):
    saver = KeystileSaver(store)
    with pytest.raises(keystile.Conflict):
        graph_of(saver, lambda: saver.delete_thread("t")).invoke({"log": ["in"]}, CONFIG)
    assert saver.get_tuple(CONFIG) is None
    assert list(saver.list(None)) == []


def test_a_copy_never_replaces_a_thread(store):
    saver = KeystileSaver(store)
    graph = graph_of(saver)
    graph.invoke({"log": ["in"]}, CONFIG)
    other = {"configurable": {"thread_id": "other/%2F"}}
    saver.copy_thread("t", "other/%2F")
    assert graph.get_state(other).values["log"] == ["in", "did"]
    keys = len(store.list())
    with pytest.raises(keystile.Conflict):
        saver.copy_thread("t", "other/%2F")
    assert len(store.list()) == keys


def test_a_crash_in_the_middle_of_a_deletion_is_not_seen(store):
    """The thread's own key is the deletion; what is left behind belongs to nobody, and the next deletion removes it."""
    saver = KeystileSaver(store)
    graph_of(saver).invoke({"log": ["in"]}, CONFIG)
    key = "langgraph/checkpoints/t"
    store.delete(key, store.get(key).stamp)  # as delete_thread begins
    assert saver.get_tuple(CONFIG) is None
    assert graph_of(saver).invoke({"log": ["anew"]}, CONFIG)["log"] == ["anew", "did"]
    assert len(list(saver.list(CONFIG))) == 3
    saver.delete_thread("t")
    assert store.list() == []


def test_asyncio(durable):
    async def main():
        graph = graph_of(KeystileSaver(durable))
        await graph.ainvoke({"log": ["in"]}, CONFIG)
        assert (await graph.aget_state(CONFIG)).values["log"] == ["in", "did"]
        assert [one async for one in graph.aget_state_history(CONFIG)]

    asyncio.run(main())


def test_prune_keeps_what_a_delta_channel_is_rebuilt_from(store):
    from langgraph.channels.delta import DeltaChannel

    def reducer(state, writes):
        return state + [one for write in writes for one in write]

    class Delta(TypedDict):
        log: Annotated[list, DeltaChannel(reducer, snapshot_frequency=1000)]

    saver = KeystileSaver(store)
    builder = StateGraph(Delta)
    builder.add_node("work", lambda state: {"log": ["did"]})
    builder.add_edge(START, "work")
    graph = builder.compile(checkpointer=saver)
    for _ in range(3):
        graph.invoke({"log": ["in"]}, CONFIG)
    assert graph.get_state(CONFIG).values["log"] == ["in", "did"] * 3
    saver.prune(["t"])
    assert graph.get_state(CONFIG).values["log"] == ["in", "did"] * 3


# ---- Claims ----


def an_empty_one():
    return empty_checkpoint(), {"source": "loop", "step": 0}, {}


def zombie(url, ready, wake, told):
    def sleep():
        ready.set()
        wake.wait()

    saver = KeystileSaver(url)
    try:
        with saver.claim("t", lease=0.05):
            graph_of(saver, sleep, "zombie").invoke({"log": ["to zombie"]}, CONFIG)
        told.put("done")
    except Exception as error:
        told.put(type(error).__name__)


def test_a_worker_that_lost_its_thread_is_fenced(store, url):
    ready, wake, told = FORK.Event(), FORK.Event(), FORK.Queue()
    process = FORK.Process(target=zombie, args=(url, ready, wake, told))
    process.start()
    assert ready.wait(60)
    saver = KeystileSaver(store)
    with saver.claim("t", wait=None):  # when the lease is over
        graph_of(saver, name="successor").invoke({"log": ["to successor"]}, CONFIG)
        wake.set()
        assert told.get(timeout=60) == "Fenced"
    process.join()
    assert graph_of(saver).get_state(CONFIG).values["log"] == ["to zombie", "to successor", "successor"]


def test_two_workers_of_one_saver_have_a_claim_each(store):
    saver = KeystileSaver(store)
    start = saver.put(CONFIG | {"configurable": {**CONFIG["configurable"], "checkpoint_ns": ""}}, *an_empty_one())
    is_late, is_taken, is_refused = threading.Event(), threading.Event(), threading.Event()

    def sleep_over_the_lease():
        with saver.claim("t", lease=0.05):
            is_late.set()
            assert is_taken.wait(60)
            try:
                for call in (
                    lambda: saver.put_writes(start, [("x", "zombie")], "task"),
                    lambda: saver.put(start, *an_empty_one()),
                    lambda: saver.delete_thread("t"),
                ):
                    with pytest.raises(keystile.Fenced):
                        call()
            finally:
                is_refused.set()

    def succeed():
        assert is_late.wait(60)
        with saver.claim("t", lease=60, wait=None):  # when the lease is over
            is_taken.set()
            assert is_refused.wait(60)
            saver.put_writes(start, [("x", "successor")], "task")
            return saver.put(start, *an_empty_one())

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        zombie, successor = pool.submit(sleep_over_the_lease), pool.submit(succeed)
        with pytest.raises(keystile.Fenced):  # from the end of its block
            zombie.result(60)
        end = successor.result(60)
    assert saver.get_tuple(CONFIG).config == end
    assert saver.get_tuple(start).pending_writes == [("task", "x", "successor")]


def test_a_claim_holds_for_what_asyncio_writes_to_the_disk(durable):
    async def main():
        saver = KeystileSaver(durable)
        with saver.claim("t", lease=60):
            await graph_of(saver).ainvoke({"log": ["in"]}, CONFIG)
            await saver.adelete_thread("t")
        assert saver.get_tuple(CONFIG) is None

    asyncio.run(main())


def test_claims_of_one_context_may_overlap(store):
    saver = KeystileSaver(store)
    one, two = saver.claim("t", lease=60), saver.claim("other", lease=60)
    one.__enter__()
    two.__enter__()
    one.__exit__(None, None, None)
    graph_of(saver).invoke({"log": ["in"]}, {"configurable": {"thread_id": "other"}})  # is claimed still
    two.__exit__(None, None, None)
    graph_of(saver).invoke({"log": ["in"]}, {"configurable": {"thread_id": "other"}})
    graph_of(saver).invoke({"log": ["in"]}, CONFIG)


def test_a_claimed_thread_refuses_others(store, url):
    saver = KeystileSaver(store)
    with keystile.open(url) as opened, KeystileSaver(opened).claim("t"):
        with pytest.raises(keystile.Held) as held:
            graph_of(saver).invoke({"log": ["in"]}, CONFIG)
        assert held.value.owner is not None
    graph_of(saver).invoke({"log": ["in"]}, CONFIG)


def test_a_workers_whole_claim(store):
    saver = KeystileSaver(store)
    graph = graph_of(saver)
    with saver.claim("t", lease=60) as grant:
        graph.invoke({"log": ["in"]}, CONFIG)
        grant.renew(60)
        saver.delete_thread("t")
        graph.invoke({"log": ["anew"]}, CONFIG)
    assert graph.invoke({"log": ["free"]}, CONFIG)["log"] == ["anew", "did", "free", "did"]


def test_mistakes(store):
    saver = KeystileSaver(store)
    with pytest.raises(ValueError, match="keep_latest"):
        saver.prune(["t"], strategy="all")
    with pytest.raises(ValueError, match="checkpoint_id"):
        saver.put_writes(CONFIG, [], "task")
    with pytest.raises(TypeError, match="URL"):
        KeystileSaver(3)
