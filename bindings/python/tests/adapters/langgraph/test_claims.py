"""Claims of items and threads."""

import asyncio
import concurrent.futures
import threading

import pytest
from graphs import CONFIG, FAST, FORK, TEAM, State, graph_of, in_a_context_of_its_own
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.graph import START, StateGraph

import keystile
from keystile.langgraph import KeystileSaver, KeystileStore

# ---- Items ----


def test_a_claim(items, url):
    with keystile.open(url) as opened:
        with KeystileStore(opened).claim(TEAM, "k", lease=60) as plan:
            assert plan.get() is None
            plan.put({"n": 1})
            with pytest.raises(keystile.Held):
                items.put(TEAM, "k", {"n": "not now"})
            plan.put({"n": 2})
        assert items.get(TEAM, "k").value == {"n": 2}
        in_a_context_of_its_own(lambda: KeystileStore(opened).claim(TEAM, "k").__exit__(None, None, None))
    with pytest.raises(keystile.Conflict):  # not Fenced: no claim of this task was lost
        items.put(TEAM, "k", {"n": 3})
    assert items.get(TEAM, "k").value == {"n": 2}
    items.put(TEAM, "k", {"n": 3})


def test_who_is_in_the_block_of_a_claim_is_not_left_to_wait_for_it(items):
    with items.claim(TEAM, "k"):
        with pytest.raises(keystile.Held):
            items.update(TEAM, "k", lambda old: {"n": 1}, timeout=60)
        with pytest.raises(keystile.Held):
            items.claim(TEAM, "k", wait=None)


def test_what_a_task_does_under_a_claim_it_knows(items):
    for key in ("missing", "there", "read"):
        if key != "missing":
            items.put(TEAM, key, {"n": 0})
        items.get(TEAM, key)
        with items.claim(TEAM, key) as item:
            if key != "read":
                item.put({"n": 1})
        items.put(TEAM, key, {"n": 2})
        assert items.get(TEAM, key).value == {"n": 2}
    with items.claim(TEAM, "there") as item:
        item.delete()
    items.put(TEAM, "there", {"n": 3})


def test_what_it_reads_under_a_claim_is_compared(items):
    with in_a_context_of_its_own(lambda: items.claim(TEAM, "k")) as item:
        assert item.get() is None
    in_a_context_of_its_own(lambda: items.update(TEAM, "k", lambda old: {"n": 1}))
    with pytest.raises(keystile.Conflict):
        items.put(TEAM, "k", {"n": "lost"})


def test_a_claim_alone_does_not_make_an_old_read_new(items):
    items.get(TEAM, "k")
    in_a_context_of_its_own(lambda: items.update(TEAM, "k", lambda old: {"n": 1}))
    with items.claim(TEAM, "k"):
        pass
    with pytest.raises(keystile.Conflict):
        items.put(TEAM, "k", {"n": "lost"})


@pytest.mark.parametrize("opened", ["store", "durable"])
def test_a_claim_for_asyncio(opened, request):
    items = KeystileStore(request.getfixturevalue(opened))

    async def main():
        beats = []

        async def beat():
            while True:
                beats.append(None)
                await asyncio.sleep(0.001)

        async def work(wait):
            async with items.aclaim(TEAM, "k", lease=60, wait=wait) as item:
                found = item.get()
                seen = len(beats)
                while len(beats) < seen + 3:  # the loop goes on beside those who wait
                    await asyncio.sleep(0.001)
                await item.aput({"n": 1 if found is None else found.value["n"] + 1})

        beating = asyncio.create_task(beat())
        await asyncio.wait_for(asyncio.gather(work(60), work(None), work(60)), 60)
        beating.cancel()
        async with items.aclaim(TEAM, "k", lease=60):
            with pytest.raises(keystile.Held):
                await work(0)
            with pytest.raises(keystile.Held):
                await work(None)  # would wait for itself
        assert (await items.aget(TEAM, "k")).value == {"n": 3}
        async with items.aclaim(TEAM, "k") as item:
            await asyncio.wait_for(item.adelete(), 60)
        await items.aput(TEAM, "k", {"n": 4})  # knows of it

    asyncio.run(main())


def node_that_sleeps(url, ready, wake, told):
    items = KeystileStore(url)
    runs = []

    def node(state):
        runs.append(state)
        with items.claim(("team",), "plan", lease=0.05) as plan:
            ready.set()
            wake.wait()
            plan.put({"by": "zombie"})

    builder = StateGraph(State)
    builder.add_node("node", node, retry_policy=FAST)
    builder.add_edge(START, "node")
    try:
        builder.compile().invoke({"log": []})
    except Exception as error:
        told.put((type(error).__name__, len(runs)))


def test_a_node_that_lost_its_claim_is_fenced_and_not_run_again(items, url):
    ready, wake, told = FORK.Event(), FORK.Event(), FORK.Queue()
    process = FORK.Process(target=node_that_sleeps, args=(url, ready, wake, told))
    process.start()
    assert ready.wait(60)
    with items.claim(("team",), "plan", wait=None) as plan:  # when the lease is over
        plan.put({"by": "successor"})
    wake.set()
    assert told.get(timeout=60) == ("Fenced", 1)
    process.join()
    assert items.get(("team",), "plan").value == {"by": "successor"}


# ---- Threads ----


def an_empty_one():
    return empty_checkpoint(), {"source": "loop", "step": 0}, {}


def worker_that_sleeps(url, ready, wake, told):
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
    process = FORK.Process(target=worker_that_sleeps, args=(url, ready, wake, told))
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
