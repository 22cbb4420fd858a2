"""CrewAI's flow persistence, on its real paths, and that nothing is lost, whoever saves beside."""

import asyncio
import contextvars
import datetime
import functools
import multiprocessing
import pathlib
import re
import subprocess
import sys
import time
import uuid

import pytest
from crewai.flow.async_feedback import HumanFeedbackPending, PendingFeedbackContext
from crewai.flow.flow import Flow, listen, start
from crewai.flow.persistence import FlowPersistence, persist
from crewai.flow.persistence.factory import set_flow_persistence_factory
from crewai_core.lock_store import lock, set_lock_backend
from flows import State, counting, in_thread, is_free, reviewing, stall, told_of
from pydantic import Field, field_serializer

import keystile
from keystile.crewai import KeystileFlowPersistence, unwrap

EXAMPLES = pathlib.Path(__file__).parents[3] / "examples"
PAGE = pathlib.Path(__file__).parents[5] / "docs" / "crewai.md"

pytestmark = pytest.mark.filterwarnings("ignore:coroutine 'Flow.kickoff")  # CrewAI makes one where it cannot run it


def elsewhere(function, *arguments, **named):
    """In a context that has loaded nothing."""
    return contextvars.Context().run(function, *arguments, **named)


@pytest.fixture(params=["store", "durable"])
def persistence(request):
    return KeystileFlowPersistence(request.getfixturevalue(request.param))


@pytest.fixture
def by_factory():
    yield set_flow_persistence_factory
    set_flow_persistence_factory(None)


def question(flow_id, message="Good?"):
    return PendingFeedbackContext(
        flow_id=flow_id, flow_class="x.Y", method_name="draft", method_output="a draft", message=message
    )


def save(persistence, flow_id, **state):
    persistence.save_state(flow_id, "m", {"id": flow_id, **state})


def touch(persistence, flow_id):
    """What another process does: save what is there."""
    store, key = keystile.shared(persistence.url), f"crewai/flows/{flow_id}"
    value, stamp = store.get(key)
    store.commit(key, value, stamp)


# ---- States ----


def test_states_come_back(persistence):
    assert isinstance(persistence, FlowPersistence)
    persistence.init_db()
    assert persistence.load_state("job/7%") is None
    save(persistence, "job/7%", a={"b": [1, None, "ä\0"]})
    assert persistence.load_state("job/7%") == {"id": "job/7%", "a": {"b": [1, None, "ä\0"]}}
    persistence.save_state("job/7%", "m", State(id="job/7%", n=3))
    assert persistence.load_state("job/7%") == {"id": "job/7%", "n": 3, "said": ""}
    assert persistence.load_state("job") is None


def test_what_json_has_no_form_for(persistence):
    class Odd:
        def __str__(self):
            return "odd"

    now, number = datetime.datetime.now(datetime.UTC), uuid.uuid4()
    save(persistence, "s", now=now, number=number, tags={"x"}, model=State(id="i"), odd=Odd(), text=b"bytes")
    model = {"id": "i", "n": 0, "said": ""}
    loaded = {"now": now.isoformat(), "number": str(number), "tags": ["x"], "model": model, "odd": "odd"}
    assert persistence.load_state("s") == {"id": "s", **loaded, "text": "bytes"}
    with pytest.raises(ValueError):
        save(persistence, "s", text=b"\xff")
    assert persistence.load_state("s")["text"] == "bytes"


def test_what_is_no_state_no_id_or_no_store(persistence):
    for call in (
        lambda: persistence.save_state("s", "m", [1]),
        lambda: persistence.save_pending_feedback("s", question("s"), None),
        lambda: save(persistence, 7),
        lambda: persistence.load_state(None),
    ):
        with pytest.raises(TypeError):
            call()
    assert persistence.load_state("s") is None
    with pytest.raises(ValueError):
        KeystileFlowPersistence(7)
    with pytest.raises(ValueError):
        KeystileFlowPersistence()
    with pytest.raises(keystile.UrlError):
        KeystileFlowPersistence("flows.db")
    with pytest.raises(keystile.KeySizeError):
        save(persistence, "x" * 2000)


def test_a_flow_that_was_written_down_finds_its_store_again(url):
    with keystile.open(url, flush_interval=0.5) as store:
        persistence = KeystileFlowPersistence(store, prefix="mine/")
        save(persistence, "s", a=1)
        again = counting(None)(persistence=persistence.model_dump(mode="json")).persistence
        assert type(again) is KeystileFlowPersistence
        assert again.load_state("s") == {"id": "s", "a": 1}
        assert again.options == {"flush_interval": 0.5}


# ---- That nothing is lost ----


def test_a_save_replaces_only_what_was_loaded(persistence):
    elsewhere(save, persistence, "s")
    assert persistence.load_state("s") == {"id": "s"}
    touch(persistence, "s")
    with pytest.raises(keystile.Conflict) as caught:
        save(persistence, "s", a=1)
    assert not hasattr(caught.value, "__notes__")
    with pytest.raises(keystile.Conflict):
        save(persistence, "s", a=1)  # again and again, until it is loaded anew
    persistence.load_state("s")
    save(persistence, "s", a=2)
    save(persistence, "s", a=3)
    assert persistence.load_state("s") == {"id": "s", "a": 3}


def test_who_has_loaded_nothing_replaces_nothing_and_is_told_why(persistence):
    def late():
        with pytest.raises(keystile.Conflict, match="changed since") as caught:
            save(persistence, "s", a=2)
        assert "has loaded the flow" in caught.value.__notes__[0]

    elsewhere(persistence.load_state, "s")
    persistence.load_state("s")
    save(persistence, "s", a=1)
    elsewhere(late)
    assert persistence.load_state("s") == {"id": "s", "a": 1}


def test_what_its_own_process_made_is_replaced_until_somebody_else_writes_it(persistence):
    for number in range(2):
        elsewhere(save, persistence, "s", a=number)
    assert elsewhere(persistence.load_state, "s")["a"] == 1
    touch(persistence, "s")
    with pytest.raises(keystile.Conflict):
        elsewhere(save, persistence, "s", a=2)


def test_of_two_that_load_and_make_a_flow_one_is_told(persistence):
    others = []

    def meddle(flow):
        if not others:
            others.append(counting(persistence)())
            in_thread(lambda: others[0].kickoff(inputs={"id": "job"}))

    assert told_of(lambda: counting(persistence, meddle)().kickoff(inputs={"id": "job"})) == "Conflict"
    assert persistence.load_state("job")["n"] == 1


def test_of_two_that_saw_none_one_creates(persistence):
    persistence.load_state("s")

    def create():
        persistence.load_state("s")
        save(persistence, "s", by="other")

    elsewhere(create)
    with pytest.raises(keystile.Conflict):
        save(persistence, "s")
    assert persistence.load_state("s")["by"] == "other"


def test_somebodys_claim_meanwhile_is_a_conflict_and_not_fenced(persistence):
    save(persistence, "s")
    with elsewhere(persistence.claim, "s"):
        pass
    with pytest.raises(keystile.Conflict):
        save(persistence, "s", a=1)


def test_under_a_claim_others_are_held(persistence):
    save(persistence, "s")
    with persistence.claim("s", lease=60) as grant:
        persistence.load_state("s")
        save(persistence, "s", a=1)
        grant.renew(60)

        def other():
            persistence.load_state("s")
            with pytest.raises(keystile.Held):
                save(persistence, "s", a=2)
            with pytest.raises(keystile.Held), persistence.claim("s", wait=0):
                pass

        elsewhere(other)
    assert persistence.load_state("s")["a"] == 1


def test_a_durable_save_is_on_disk(folder):
    for is_durable in (False, True):
        with keystile.open(folder, durable=is_durable, flush_interval=60) as store:
            persistence = KeystileFlowPersistence(store)
            persistence.load_state("s")
            save(persistence, "s", durable=is_durable)
            stamp = store.get("crewai/flows/s").stamp
            if is_durable:
                store.wait_durable(stamp, timeout=0)
            else:
                with pytest.raises(keystile.Timeout):
                    store.wait_durable(stamp, timeout=0)


def save_in_child(persistence, told):
    told.put(told_of(lambda: save(persistence, "child", a=1)))


def test_a_forked_child_opens_its_own(persistence):
    save(persistence, "s")
    fork = multiprocessing.get_context("fork")
    told = fork.Queue()
    process = fork.Process(target=save_in_child, args=(persistence, told), daemon=True)
    process.start()
    assert told.get(timeout=60) is None
    process.join()
    assert persistence.load_state("child") == {"id": "child", "a": 1}
    save(persistence, "s", a=1)


# ---- Questions to humans ----


def test_state_and_question_are_one_commit(persistence):
    store = keystile.shared(persistence.url)
    assert persistence.load_pending_feedback("s") is None
    save(persistence, "s", a=1)
    assert persistence.load_pending_feedback("s") is None
    before = store.get("crewai/flows/s").stamp.version
    persistence.save_pending_feedback("s", question("s"), {"id": "s", "a": 2})
    asked = store.get("crewai/flows/s").stamp.version
    state, context = persistence.load_pending_feedback("s")
    assert state == persistence.load_state("s") == {"id": "s", "a": 2}
    assert (context.flow_id, context.message, context.method_output) == ("s", "Good?", "a draft")
    save(persistence, "s", a=3)  # the question stands, and is of its state
    assert persistence.load_pending_feedback("s")[0]["a"] == 2
    persistence.save_pending_feedback("s", question("s", "And now?"), State(id="s", n=4))
    state, context = persistence.load_pending_feedback("s")
    assert (state["n"], context.message) == (4, "And now?")
    persistence.clear_pending_feedback("s")
    assert persistence.load_pending_feedback("s") is None
    assert persistence.load_state("s")["n"] == 4
    if not store.is_durable:  # versions are counted one by one, of all keys
        assert asked - before == 1


def test_clearing_what_is_not_there(persistence):
    persistence.clear_pending_feedback("s")
    persistence.load_state("s")
    persistence.clear_pending_feedback("s")
    assert persistence.load_state("s") is None


def test_of_two_that_resume_one_flow_one_does(persistence):
    persistence.save_pending_feedback("s", question("s"), {"id": "s"})
    contexts = [contextvars.Context(), contextvars.Context()]
    for context in contexts:
        assert context.run(persistence.load_pending_feedback, "s")
    contexts[1].run(persistence.clear_pending_feedback, "s")
    with pytest.raises(keystile.Conflict):
        contexts[0].run(persistence.clear_pending_feedback, "s")
    with pytest.raises(keystile.Conflict):
        contexts[0].run(persistence.save_pending_feedback, "s", question("s", "Again?"), {"id": "s"})
    assert persistence.load_pending_feedback("s") is None


# ---- Real flows ----


def test_flows_go_on_from_what_was_saved(persistence):
    count = counting(persistence)
    first = count()
    first.kickoff()
    first.kickoff()  # the same flow on, which only this process has written
    assert persistence.load_state(first.state.id)["n"] == 2
    second = count()
    second.kickoff(inputs={"id": first.state.id})
    assert persistence.load_state(first.state.id)["n"] == second.state.n == 3
    asyncio.run(count().kickoff_async(inputs={"id": first.state.id}))
    assert persistence.load_state(first.state.id)["n"] == 4
    for _ in range(2):
        count().kickoff(inputs={"id": "job"})
    assert persistence.load_state("job")["n"] == 2


def test_a_flow_goes_on_in_another_id(persistence):
    count = counting(persistence)
    count().kickoff(inputs={"id": "old"})
    fork = count()
    fork.kickoff(restore_from_state_id="old")
    count().kickoff(restore_from_state_id="old", inputs={"id": "new"})
    assert [persistence.load_state(name)["n"] for name in ("old", fork.state.id, "new")] == [1, 2, 2]
    elsewhere(save, persistence, "taken", n=7)
    touch(persistence, "taken")
    with pytest.raises(RuntimeError) as caught:  # it has loaded "old", and not what it would replace
        count().kickoff(restore_from_state_id="old", inputs={"id": "taken"})
    assert isinstance(unwrap(caught.value), keystile.Conflict)
    persistence.load_state("taken")
    count().kickoff(restore_from_state_id="old", inputs={"id": "taken"})
    assert persistence.load_state("taken")["n"] == 2


BRANCHES = 4  # not more than asyncio has threads, where CrewAI saves


class Slow(State):
    done: list[int] = Field(default_factory=list)

    @field_serializer("done")
    def slowly(self, done):
        seen = [*done]
        time.sleep(0.02 * (BRANCHES - len(seen)))  # so that what is older comes later
        return seen


@pytest.mark.parametrize("loads", [True, False])
def test_branches_of_one_run_are_not_in_each_others_way(persistence, loads):
    def branch(number):
        async def run(self):
            await asyncio.sleep(0.001 * number)
            self.state.done.append(number)

        run.__name__ = f"branch_{number}"
        return start()(run)

    body = {f"branch_{number}": branch(number) for number in range(BRANCHES)}
    wide = persist(persistence)(type("Wide", (Flow[Slow],), {"_skip_auto_memory": True, **body}))
    flow = wide(suppress_flow_events=True)
    flow.kickoff(inputs={"id": "job"} if loads else None)
    done = persistence.load_state(flow.state.id)["done"]
    assert done == flow.state.done
    assert sorted(done) == [*range(BRANCHES)]


def test_several_persistences_of_one_flow_know_the_same(url, by_factory):
    by_factory(lambda: KeystileFlowPersistence(url))

    @persist()
    class Two(Flow[State]):
        _skip_auto_memory = True

        @start()
        @persist()
        def one(self):
            self.state.n += 1

        @listen(one)
        def two(self):
            self.state.n += 1

    with keystile.open(url):
        first = Two(suppress_flow_events=True)
        first.kickoff()
        Two(suppress_flow_events=True).kickoff(inputs={"id": first.state.id})
        assert KeystileFlowPersistence(url).load_state(first.state.id)["n"] == 4


def test_a_method_alone_is_saved(persistence):
    class Half(Flow[State]):
        _skip_auto_memory = True

        @start()
        @persist(persistence)
        def saved(self):
            self.state.n = 1

        @listen(saved)
        def not_saved(self):
            self.state.n = 2

    flow = Half(suppress_flow_events=True)
    flow.kickoff()
    assert persistence.load_state(flow.state.id)["n"] == 1


def test_a_flow_waits_for_a_human_and_goes_on(persistence):
    told = []
    review = persist(persistence)(reviewing(told))
    paused = review(suppress_flow_events=True).kickoff()
    assert isinstance(paused, HumanFeedbackPending)
    flow_id = paused.context.flow_id
    flow = review.from_pending(flow_id, persistence, suppress_flow_events=True)
    assert flow.state.n == 1
    flow.resume("yes")
    assert told == ["yes"]
    assert persistence.load_state(flow_id) == {"id": flow_id, "n": 1, "said": "yes"}
    assert persistence.load_pending_feedback(flow_id) is None


def test_what_was_loaded_in_one_thread_is_not_resumed_in_another(persistence):
    paused = reviewing()(persistence=persistence, suppress_flow_events=True).kickoff()
    other = KeystileFlowPersistence(persistence.url)  # another process's, which has not made the flow
    flow = reviewing().from_pending(paused.context.flow_id, other, suppress_flow_events=True)
    assert in_thread(flow.resume, "yes") == "Conflict"
    told = []
    flow = reviewing(told).from_pending(paused.context.flow_id, other, suppress_flow_events=True)
    in_thread(contextvars.copy_context().run, flow.resume, "yes")
    assert told == ["yes"]
    assert other.load_pending_feedback(paused.context.flow_id) is None


@pytest.mark.parametrize("is_persisted", [True, False])
def test_of_two_answers_one_counts(persistence, is_persisted):
    told = []
    review = reviewing(told)
    if is_persisted:
        persist(persistence)(review)
    paused = review(persistence=persistence, suppress_flow_events=True).kickoff()
    flow_id = paused.context.flow_id
    contexts = [contextvars.Context(), contextvars.Context()]
    load = functools.partial(review.from_pending, flow_id, persistence, suppress_flow_events=True)
    flows = [context.run(load) for context in contexts]
    contexts[1].run(flows[1].resume, "second")
    with pytest.raises((RuntimeError, keystile.Conflict)) as caught:
        contexts[0].run(flows[0].resume, "first")
    assert isinstance(unwrap(caught.value), keystile.Conflict)
    assert told == ["second"]


def test_a_question_of_a_run_that_was_overtaken_is_refused(persistence):
    review = reviewing(before_asking=lambda: touch(persistence, "job"))
    save(persistence, "job")
    with pytest.raises(keystile.Conflict):  # this one CrewAI does not wrap
        review(persistence=persistence, suppress_flow_events=True).kickoff(inputs={"id": "job"})
    assert persistence.load_pending_feedback("job") is None


class Answer:
    def request_input(self, message, flow, metadata=None):
        return "yes"


def test_a_checkpoint_before_a_question_is_saved_and_its_refusal_is_told_later(persistence):
    seen = []

    @persist(persistence)
    class Asking(Flow[State]):
        _skip_auto_memory = True

        @start()
        def ask_them(self):
            self.state.said = "before"
            if self.state.n:
                touch(persistence, "job")
            answer = self.ask("Well?")
            seen.append(elsewhere(persistence.load_state, "job")["said"])
            self.state.said = answer
            self.state.n += 1

    def run():
        Asking(suppress_flow_events=True, input_provider=Answer()).kickoff(inputs={"id": "job"})

    run()
    assert seen == ["before"]
    assert told_of(run) == "Conflict"  # CrewAI swallows the first refusal, of ask(); not the second
    assert persistence.load_state("job")["said"] == "yes"


# ---- What CrewAI makes of a refusal ----


def test_unwrap_finds_the_refusal(persistence):
    count = counting(persistence, lambda flow: touch(persistence, "job"))
    save(persistence, "job")

    with pytest.raises(RuntimeError, match="State persistence failed") as once:
        count().kickoff(inputs={"id": "job"})

    async def in_a_loop():
        count().kickoff(inputs={"id": "job"})

    with pytest.raises(RuntimeError, match=r"asyncio\.run\(\) cannot") as twice:
        asyncio.run(in_a_loop())

    async def asynchronously():
        await count().kickoff_async(inputs={"id": "job"})

    with pytest.raises(RuntimeError, match="State persistence failed") as thrice:
        asyncio.run(asynchronously())
    for caught in (once, twice, thrice):
        conflict = unwrap(caught.value)
        assert isinstance(conflict, keystile.Conflict) and conflict.key == "crewai/flows/job"
        assert unwrap(conflict) is conflict


def test_unwrap_of_what_has_none():
    assert unwrap(None) is None
    assert unwrap(ValueError()) is None
    one, two = ValueError(), ValueError()
    one.__cause__, two.__cause__ = two, one
    assert unwrap(one) is None
    try:
        try:
            raise keystile.NoStoreError("x")
        except keystile.NoStoreError:
            raise ValueError from None  # who says that it has nothing to do with it is believed
    except ValueError as error:
        assert unwrap(error) is None


def test_a_fault_is_found_too_and_is_not_taken_for_a_conflict(url):
    with keystile.open(url):
        persistence = KeystileFlowPersistence(keystile.open(url, read_only=True))
        with pytest.raises(RuntimeError) as caught:
            counting(persistence)().kickoff(inputs={"id": "job"})
        assert isinstance(unwrap(caught.value), keystile.ReadOnlyError)


def test_a_new_flow_goes_on_after_a_conflict_and_the_old_one_does_not(persistence):
    tries = []

    def meddle_once(flow):
        tries.append(flow.state.n)
        if len(tries) == 1:
            other = counting(persistence)()
            in_thread(lambda: other.kickoff(inputs={"id": "job"}))

    count = counting(persistence, meddle_once)
    save(persistence, "job", n=10)
    flow = count()
    assert told_of(lambda: flow.kickoff(inputs={"id": "job"})) == "Conflict"
    flow.kickoff(inputs={"id": "job"})  # CrewAI takes the method for done already
    assert tries == [11]
    assert persistence.load_state("job")["n"] == 11
    count().kickoff(inputs={"id": "job"})
    assert tries == [11, 12]
    assert persistence.load_state("job")["n"] == 12


def test_what_the_page_says_runs(url, folder):
    names = {"__name__": "page"}
    code = "".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
    try:
        exec(code.replace("file:/var/lib/agents", folder).replace("shm:agents", url), names)
        with lock("x"):
            assert not is_free(keystile.shared(url), "crewai/locks/x")
    finally:
        set_lock_backend(None)
    assert names["persistence"].load_state("job-7") == {"id": "job-7", "n": 1}


# ---- Processes ----


@pytest.mark.parametrize("lease", [None, 0.05])
def test_a_zombie_saves_nothing(store, url, processes, lease):
    persistence = KeystileFlowPersistence(store)
    save(persistence, "job")
    ready, wake, told = processes.Event(), processes.Event(), processes.Queue()
    process = processes.Process(target=stall, args=(url, lease, ready, wake, told), daemon=True)
    process.start()
    assert ready.wait(60)
    if lease is None:
        counting(persistence)().kickoff(inputs={"id": "job"})
    else:
        with persistence.claim("job", lease=60):  # waits until the lease is over
            counting(persistence)().kickoff(inputs={"id": "job"})
            assert in_thread(lambda: counting(persistence)().kickoff(inputs={"id": "job"})) == "Held"
    before = store.get("crewai/flows/job")
    wake.set()
    assert told.get(timeout=60) == ("Conflict" if lease is None else "Fenced")
    process.join()
    assert store.get("crewai/flows/job") == before
    assert persistence.load_state("job")["n"] == 1


def test_processes_lose_nothing_in_ours_and_most_in_the_built_in_one():
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "crewai_flow.py")], check=True, capture_output=True, text=True
    )
    stock, ours = re.search(r"SQLiteFlowPersistence: (\d+) of 40.*Keystile: +(\d+) of 40", done.stdout, re.S).groups()
    assert int(stock) < 40
    assert int(ours) == 40
