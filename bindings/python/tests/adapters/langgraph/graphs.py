"""Graphs without a model, checkpoints without a graph, and what others do beside."""

import contextvars
import multiprocessing
import operator
from typing import Annotated, TypedDict

from langgraph.checkpoint.base import empty_checkpoint
from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy

import keystile

TEAM = ("team", "x/y%")
FORK = multiprocessing.get_context("fork")
FAST = RetryPolicy(max_attempts=100, initial_interval=0.001, max_interval=0.01)  # retry_on is LangGraph's default
CONFIG = {"configurable": {"thread_id": "t"}}


def in_a_context_of_its_own(function):
    return contextvars.copy_context().run(function)


class State(TypedDict):
    log: Annotated[list, operator.add]


def graph_of(saver, work=lambda: None, name="did"):
    def node(state):
        work()
        return {"log": [name]}

    builder = StateGraph(State)
    builder.add_node("work", node)
    builder.add_edge(START, "work")
    builder.add_edge("work", END)
    return builder.compile(checkpointer=saver)


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
