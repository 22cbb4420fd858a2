"""Flows of the tests, and what their other processes do. CrewAI's own memory is left out: a LanceDB for each."""

import os
import pathlib
import signal
import threading
import time

from crewai.flow.async_feedback import HumanFeedbackPending
from crewai.flow.flow import Flow, FlowState, listen, start
from crewai.flow.human_feedback import human_feedback
from crewai.flow.persistence import persist
from crewai_core.lock_store import lock, set_lock_backend

import keystile
from keystile.crewai import KeystileFlowPersistence, KeystileLockBackend, unwrap


class State(FlowState):
    n: int = 0
    said: str = ""


def counting(persistence, before_save=lambda flow: None):
    """A flow that counts, and does this then."""

    @persist(persistence)
    class Count(Flow[State]):
        _skip_auto_memory = True

        @start()
        def count(self):
            self.state.n += 1
            before_save(self)

    return lambda **fields: Count(suppress_flow_events=True, **fields)


class Later:
    """Asks a human who is not there."""

    def request_feedback(self, context, flow):
        raise HumanFeedbackPending(context=context)


def reviewing(told=None, before_asking=lambda: None):
    """A flow that waits for a human, and tells what it heard."""

    class Review(Flow[State]):
        _skip_auto_memory = True

        @start()
        @human_feedback(message="Good?", provider=Later())
        def draft(self):
            self.state.n += 1
            before_asking()
            return "a draft"

        @listen(draft)
        def publish(self, result):
            self.state.said = result.feedback
            if told is not None:
                told.append(result.feedback)

    return Review


def told_of(function):
    """The name of the keystile error that it ends with, or what it returns."""
    try:
        return function()
    except Exception as error:
        return type(unwrap(error) or error).__name__


# ---- In other processes ----


def stall(url, lease, ready, wake, told):
    """Go on with a flow, and stand still in the middle of it."""
    persistence = KeystileFlowPersistence(url)

    def stand_still(flow):
        ready.set()
        wake.wait()

    def run():
        counting(persistence, stand_still)().kickoff(inputs={"id": "job"})
        return "saved"

    def run_with_a_claim():
        with persistence.claim("job", lease=lease):
            return run()

    told.put(told_of(run if lease is None else run_with_a_claim))


def add_under_lock(url, path, times):
    """Read, think and write a file under CrewAI's lock, which is ours."""
    set_lock_backend(KeystileLockBackend(url))
    for _ in range(times):
        with lock("file"):
            number = int(pathlib.Path(path).read_text())
            time.sleep(0.001)
            pathlib.Path(path).write_text(str(number + 1))


def hold(url, lease, ready, wake, told):
    """Hold a lock until told otherwise."""
    set_lock_backend(KeystileLockBackend(url, lease=lease))

    def run():
        with lock("file"):
            ready.set()
            wake.wait()
        return "released"

    told.put(told_of(run))


def freeze(process):
    os.kill(process.pid, signal.SIGSTOP)


def thaw(process):
    os.kill(process.pid, signal.SIGCONT)


def in_thread(function, *arguments):
    """In a thread with a context of its own; what it returned or raised."""
    told = []
    thread = threading.Thread(target=lambda: told.append(told_of(lambda: function(*arguments))))
    thread.start()
    thread.join()
    return told[0]


def is_free(store, name):
    """Whether nobody holds this key."""
    try:
        with store.claim(name):
            return True
    except keystile.Held:
        return False
