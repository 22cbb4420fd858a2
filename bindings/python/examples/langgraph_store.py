"""LangGraph: parallel nodes share a counter. With the built-in store most of it is lost, with Keystile's nothing is."""

import os
import time
from typing import TypedDict

from langgraph.graph import START, StateGraph
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.types import RetryPolicy

import keystile
from keystile.langgraph import KeystileStore

NODES = 8


class State(TypedDict):
    x: int


def work(state, *, store: BaseStore):
    """Read, think, write: as every agent does with a plan, a memory or a to-do list."""
    seen = store.get(("team",), "counter").value["n"]
    time.sleep(0.01)
    store.put(("team",), "counter", {"n": seen + 1})


def run(store):
    builder = StateGraph(State)
    for number in range(NODES):
        # LangGraph's own default: what it retries are Conflict and Held, and not Fenced
        builder.add_node(f"agent {number}", work, retry_policy=RetryPolicy(max_attempts=50, initial_interval=0.01))
        builder.add_edge(START, f"agent {number}")
    store.put(("team",), "counter", {"n": 0})
    builder.compile(store=store).invoke({"x": 0})
    return store.get(("team",), "counter").value["n"]


print(f"built-in store: {run(InMemoryStore())} of {NODES}")

url = f"shm:langgraph-example-{os.getpid()}"  # or "file:" and a new folder: survives reboot and power loss
try:
    with keystile.open(url) as opened:
        store = KeystileStore(opened)
        count = run(store)
        print(f"Keystile:       {count} of {NODES}")
        assert count == NODES

        # For what is only computed from the old value there is no need to run a node again.
        print("update():      ", store.update(("team",), "counter", lambda old: {"n": old["n"] + 1}))
finally:
    keystile.destroy(url)
