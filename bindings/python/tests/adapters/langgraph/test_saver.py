"""LangGraph's checkpointer: the framework's own conformance suite, and what it does not ask: two writers."""

import asyncio
import threading
from typing import Annotated, TypedDict

import pytest
from graphs import CONFIG, State, address, graph_of, step
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

import keystile
from keystile.langgraph import KeystileSaver


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


# ---- Branches ----


def branching(saver, work=lambda: None, **options):
    """A graph whose middle is a graph, which may have checkpoints of its own."""
    nested = graph_of(None, work, "nested").builder.compile(**options)
    builder = StateGraph(State)
    builder.add_node("first", lambda state: {"log": ["first"]})
    builder.add_node("nested", nested)
    builder.add_edge(START, "first")
    builder.add_edge("first", "nested")
    return builder.compile(checkpointer=saver)


def edit_an_earlier_message(saver, times=1):
    graph = branching(saver)
    graph.invoke({"log": ["one"]}, CONFIG)
    earlier = graph.get_state(CONFIG).config
    graph.invoke({"log": ["two"]}, CONFIG)
    for time in range(times):
        graph.invoke({"log": [f"edited {time}"]}, earlier)
    return graph.invoke({"log": ["on"]}, CONFIG)["log"]  # goes on from the last branch


def answer_again(saver, **options):
    graph = branching(saver, lambda: interrupt("?"), **options)
    graph.invoke({"log": ["one"]}, CONFIG)
    asked = graph.get_state(CONFIG).config
    graph.invoke(Command(resume="yes"), CONFIG)
    graph.invoke(Command(resume="no"), asked)
    return graph.get_state(CONFIG).values["log"]


BRANCHES = {
    "an edited message": edit_an_earlier_message,
    "edited twice": lambda saver: edit_an_earlier_message(saver, 2),
    "another answer": answer_again,
    "another answer, nested checkpoints": lambda saver: answer_again(saver, checkpointer=True),
}


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_run_that_names_an_older_checkpoint_branches_off(store, branch):
    assert BRANCHES[branch](KeystileSaver(store)) == BRANCHES[branch](InMemorySaver())


def test_of_two_that_branch_off_or_name_the_newest_one_is_told(store):
    saver = KeystileSaver(store)
    first = step(saver)
    for at in (first, step(saver, first, version="2")):  # an older one, then the newest
        at = address(checkpoint_id=at["configurable"]["checkpoint_id"])
        one, other = saver.get_tuple(at), saver.get_tuple(at)
        end = step(saver, one.config, version="3", source="input")
        with pytest.raises(keystile.Conflict):
            step(saver, other.config, version="4", source="input")
        assert saver.get_tuple(CONFIG).config == end
        step(saver, saver.get_tuple(at).config, version="5", source="input")  # has seen it


def test_mistakes(store):
    saver = KeystileSaver(store)
    with pytest.raises(ValueError, match="keep_latest"):
        saver.prune(["t"], strategy="all")
    with pytest.raises(ValueError, match="checkpoint_id"):
        saver.put_writes(CONFIG, [], "task")
    with pytest.raises(TypeError, match="URL"):
        KeystileSaver(3)
