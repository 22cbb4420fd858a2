"""Which stamps the code that runs now has read.

BaseStore.put() has no argument for a version, so it is compared to what the same piece of work last read. That is kept
in a context variable: every LangGraph task, every attempt of it, every tool of a ToolNode and every asyncio task has a
context of its own, so that of two that run side by side each has its own reads, even under one task id.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar

from langgraph.config import get_config

from .._core import Stamp

KEYS_MAX = 1024
"""Reads remembered of one piece of work; of older ones a put overwrites."""

Name = tuple[str, str]  # the store's URL, the key
_reads: ContextVar[tuple[str | None, dict[Name, Stamp]]] = ContextVar("keystile_reads", default=(None, {}))


def _task() -> str | None:
    """The id of the LangGraph task that runs here."""
    try:
        task: str | None = get_config().get("configurable", {}).get("__pregel_task_id")
    except RuntimeError:  # outside of a graph
        return None
    return task


def stamps() -> dict[Name, Stamp]:
    """What this task has read. What the caller of the graph had read is not the task's."""
    task, reads = _reads.get()
    return reads if task == _task() else {}


def remember(news: Iterable[tuple[Name, Stamp]]) -> None:
    """Add reads, and what was written. Contexts share what they inherited, so it is copied."""
    reads = dict(stamps())
    for name, stamp in news:
        reads.pop(name, None)  # so that the newest stands last
        reads[name] = stamp
    while len(reads) > KEYS_MAX:
        del reads[next(iter(reads))]
    _reads.set((_task(), reads))
