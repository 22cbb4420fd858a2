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
from langgraph.types import Command, interrupt

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


# ---- Beside each other, step by step ----


def address(thread_id="t", ns="", **parent):
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": ns, **parent}}


def step(saver, parent=None, value="a", version="1", news=None, source="loop", **metadata):
    """Put a checkpoint with one value. Its configuration."""
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"], checkpoint["channel_versions"] = {"x": value}, {"x": version}
    told = {"source": source, "step": 0, **metadata}
    return saver.put(parent or address(), checkpoint, told, {"x": version} if news is None else news)


def values(saver, config):
    found = saver.get_tuple(config)
    return None if found is None else found.checkpoint["channel_values"]


def once(monkeypatch, name, does, is_before=True):
    """What somebody else does just before (or after) the store's next call of that name."""
    real = getattr(keystile.Store, name)

    def call(*arguments, **named):
        monkeypatch.setattr(keystile.Store, name, real)
        if is_before:
            does()
        result = real(*arguments, **named)
        if not is_before:
            does()
        return result

    monkeypatch.setattr(keystile.Store, name, call)


def test_a_thread_that_is_begun_anew_is_not_swept_with_the_old_one(store, monkeypatch):
    saver, other, new = KeystileSaver(store), KeystileSaver(store), []
    step(saver)
    once(monkeypatch, "list", lambda: new.append(step(other, value="new")))
    saver.delete_thread("t")
    assert values(saver, CONFIG) == {"x": "new"}
    step(other, new[0])


def test_a_copy_is_whole_also_if_somebody_deletes_its_target(store, monkeypatch):
    saver, other = KeystileSaver(store), KeystileSaver(store)
    step(saver)
    once(monkeypatch, "transaction", lambda: other.delete_thread("copy"))
    saver.copy_thread("t", "copy")
    assert values(saver, address("copy")) == {"x": "a"}
    saver.delete_thread("copy")
    saver.delete_thread("t")
    assert store.list() == []


def test_a_copy_that_is_made_while_it_is_swept_stays(store, monkeypatch):
    saver, key = KeystileSaver(store), "langgraph/checkpoints/copy"
    step(saver)
    saver.copy_thread("t", "copy")
    life = store.get(key).value
    mark = f"{key}/{life.decode()}/copy"
    with store.transaction() as tx:  # back to where it is not the thread's yet
        tx.delete(key)
        tx.put(mark, b"is made")

    def end():
        with store.transaction() as tx:
            tx.delete(mark)
            tx.put(key, life)

    once(monkeypatch, "try_delete", end)
    saver.delete_thread("copy")
    assert values(saver, address("copy")) == {"x": "a"}


def test_a_copy_that_a_crash_has_cut_off_goes_with_the_next_deletion(store):
    saver = KeystileSaver(store)
    for part in ("copy", "/tip", "/blob/x/1"):
        store.update(f"langgraph/checkpoints/t/0123456789ab/{part}", lambda _: b"staged")
    step(saver)
    saver.delete_thread("other")
    assert len(store.list()) == 7
    saver.delete_thread("t")
    assert store.list() == []


def test_a_reader_beside_prune_sees_a_whole_checkpoint(store, monkeypatch):
    saver, other = KeystileSaver(store), KeystileSaver(store)
    first = step(saver, value="one")

    def go_on_and_prune():
        step(other, first, "two", "2")
        other.prune(["t"])

    once(monkeypatch, "get_many", go_on_and_prune)
    assert values(saver, CONFIG) == {"x": "two"}


def test_a_reader_beside_a_deletion_sees_a_whole_checkpoint_or_none(store, monkeypatch):
    saver, other = KeystileSaver(store), KeystileSaver(store)
    step(saver)
    blob = next(listed for listed in store.list() if "/blob/" in listed.key)

    def begin_to_delete():  # and it has come to the value, not yet to the record
        store.delete("langgraph/checkpoints/t", store.get("langgraph/checkpoints/t").stamp)
        store.delete(blob.key, blob.stamp)

    once(monkeypatch, "get_many", begin_to_delete)
    assert saver.get_tuple(CONFIG) is None
    assert list(other.list(CONFIG)) == []


def test_prune_leaves_what_begins_beside_it(store, monkeypatch):
    saver, other = KeystileSaver(store), KeystileSaver(store)
    step(saver, step(saver), version="2")
    nested = address(ns="nested:1")
    once(monkeypatch, "snapshot", lambda: step(other, nested, "nested"), is_before=False)
    saver.prune(["t"])
    assert values(saver, nested) == {"x": "nested"}
    assert [one.config["configurable"]["checkpoint_ns"] for one in saver.list(CONFIG)] == ["", "nested:1"]


def test_prune_leaves_what_goes_on_beside_it(store, monkeypatch):
    saver, other, last = KeystileSaver(store), KeystileSaver(store), []
    second = step(saver, step(saver, value="one"), "two", "2")
    once(monkeypatch, "snapshot", lambda: last.append(step(other, second, "two", "2", {})), is_before=False)
    saver.prune(["t"])
    assert [one.config for one in saver.list(CONFIG)] == last
    assert values(saver, CONFIG) == {"x": "two"}


def test_prune_of_more_than_one_commit_holds(store):
    saver, at = KeystileSaver(store), None
    for number in range(keystile.MULTI_KEYS_MAX + 2):
        at = step(saver, at, number, str(number))
    saver.prune(["t"])
    assert values(saver, CONFIG) == {"x": number}
    assert len(store.list()) == 4  # the thread, its tip, a record and a value


def test_a_fork_of_what_was_pruned_meanwhile_has_its_values(store):
    saver, other = KeystileSaver(store), KeystileSaver(store)
    first = step(saver, value="one")
    step(saver, first, "two", "2")
    other.prune(["t"])
    fork = step(saver, first, "one", "1", {}, source="update")  # had read it before
    assert values(saver, fork) == {"x": "one"}


def test_prune_leaves_the_values_that_a_fork_puts_beside_it(store, monkeypatch):
    saver, other, fork = KeystileSaver(store), KeystileSaver(store), []
    first = step(saver, step(saver, version="0"), value="one")
    step(saver, first, "two", "2")
    once(monkeypatch, "try_delete", lambda: fork.append(step(other, first, "one", "1", {}, source="update")))
    saver.prune(["t"])
    assert values(saver, fork[0]) == {"x": "one"}


def test_a_fork_whose_delta_channels_are_gone_is_refused(store):
    saver, other = KeystileSaver(store), KeystileSaver(store)
    first = step(saver)
    step(saver, first, version="2")
    other.prune(["t"])
    with pytest.raises(keystile.Conflict):
        step(saver, first, version="3", source="update", counters_since_delta_snapshot={"log": (1, 1)})


def test_the_same_put_again_is_the_same(store):
    saver = KeystileSaver(store)
    first = step(saver)
    checkpoint = empty_checkpoint()
    second = (first, checkpoint, {"source": "loop", "step": 1}, {})
    assert saver.put(*second) == saver.put(*second)
    with pytest.raises(keystile.Conflict):  # another one of that name
        saver.put(first, checkpoint, {"source": "loop", "step": 2}, {})
    assert len(list(saver.list(CONFIG))) == 2


def test_what_tasks_write_before_their_checkpoint_is_put_waits_for_it(store):
    saver = KeystileSaver(store)
    checkpoint = empty_checkpoint()
    config = address(checkpoint_id=checkpoint["id"])
    saver.put_writes(config, [("x", "early")], "task")
    assert store.list() == []
    assert saver.put(address(), checkpoint, {"source": "loop", "step": 0}, {})["configurable"] == config["configurable"]
    saver.put_writes(config, [("x", "late")], "other")
    assert sorted(saver.get_tuple(CONFIG).pending_writes) == [("other", "x", "late"), ("task", "x", "early")]


def test_what_waits_for_checkpoints_that_never_come_is_bounded(store, monkeypatch):
    monkeypatch.setattr("keystile.langgraph._threads.EARLY_MAX", 2)
    saver, checkpoints = KeystileSaver(store), [empty_checkpoint() for _ in range(3)]
    for checkpoint in checkpoints:
        saver.put_writes(address(checkpoint_id=checkpoint["id"]), [("x", "early")], "task")
    for checkpoint in checkpoints:
        saver.put(address(), checkpoint, {"source": "fork", "step": 0}, {})
    found = [saver.get_tuple(address(checkpoint_id=checkpoint["id"])).pending_writes for checkpoint in checkpoints]
    assert found == [[]] + [[("task", "x", "early")]] * 2  # the oldest was given up


def test_an_interrupt_may_come_before_its_checkpoint(store):
    """As it may in the durability mode "async", which is the default: both are put at once."""
    is_written = threading.Event()

    class Late(KeystileSaver):
        def put(self, config, checkpoint, metadata, new_versions):
            if metadata["step"] == 0:
                assert is_written.wait(60)
            return super().put(config, checkpoint, metadata, new_versions)

        def put_writes(self, config, writes, task_id, task_path=""):
            super().put_writes(config, writes, task_id, task_path)
            if any(channel == "__interrupt__" for channel, _ in writes):
                is_written.set()

    graph = graph_of(Late(store), lambda: interrupt("may I?"))
    graph.invoke({"log": ["in"]}, CONFIG, durability="async")
    assert graph.get_state(CONFIG).interrupts[0].value == "may I?"
    assert graph.invoke(Command(resume="yes"), CONFIG)["log"] == ["in", "did"]


def test_what_a_task_of_a_deleted_thread_writes_does_not_bring_it_back(store):
    saver, other = KeystileSaver(store), KeystileSaver(store)
    config = step(saver)
    other.delete_thread("t")
    saver.put_writes(config, [("x", "secret")], "task")
    for source in ("loop", "update", "fork"):
        with pytest.raises(keystile.Conflict):
            step(saver, config, source=source)
    assert store.list() == []
    step(saver, address("other"))
    saver.copy_thread("other", "t")
    assert saver.get_tuple(CONFIG).pending_writes == []


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
            graph_of(saver, sleep, "zombie").invoke({"log": ["to zombie"]}, CONFIG, durability="sync")
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


def test_of_two_turns_of_one_loop_one_waits_for_the_others_claim(store):
    saver, order = KeystileSaver(store), []

    async def turn(name, **wait):
        async with saver.aclaim("t", lease=60, **wait) as grant:
            order.append(name)
            await asyncio.sleep(0.01)
            await graph_of(saver, name=name).ainvoke({"log": []}, CONFIG)
            assert not grant.is_over

    async def main():
        await asyncio.gather(turn("a", wait=60), turn("b", wait=None), turn("c", wait=60))
        async with saver.aclaim("t", lease=60):
            await turn("d")  # nobody else's: this waits for nobody

    with pytest.raises(keystile.Held):
        asyncio.run(main())
    assert saver.get_tuple(CONFIG).checkpoint["channel_values"]["log"] == order
    assert sorted(order) == ["a", "b", "c"]


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
