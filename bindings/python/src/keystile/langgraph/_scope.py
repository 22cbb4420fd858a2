"""Which stamps the code that runs now has read.

BaseStore.put() has no argument for a version, so it is compared to what the same piece of work last read: an asyncio
task, or a thread, in one task of LangGraph. Context variables carry that to what a piece of work starts. The other way
goes by Reads.outer: what has been started and read in is known to who waits for it. Of two that run side by side each
has its own reads, even under one task id.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import Coroutine, Generator, Iterable
from contextvars import ContextVar
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, ref

from langgraph.config import get_config

from .._core import Stamp

KEYS_MAX = 1024
"""Reads remembered of one piece of work; of older ones a put overwrites."""

T = TypeVar("T")
Name = tuple[str, str]  # the store's URL, the key
Stamps = dict[Name, tuple[int, Stamp]]
"""With the number of the read or write: the largest is the newest."""

_numbers = itertools.count(1)
_lock = threading.RLock()
"""Of all Reads: threads that a piece of work starts add to its."""
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class Reads:
    """What a piece of work has read and written."""

    def __init__(self, work: Any, root: Reads | None, outer: Reads | None, inherited: Stamps) -> None:
        self.work = None if work is None else ref(work)
        self.is_thread = isinstance(work, threading.Thread)
        self.root = root
        """Of the LangGraph task; it is no piece of work itself."""
        self.outer = outer
        """Of who started this one."""
        self.known = inherited
        """What it has read and written: what it starts inherits this. Never changed, but replaced. Each context of one
        thread (Context.run) goes on from what it had itself: see _known()."""
        self.seen: Stamps = {}
        """What it has read itself, or by what it has started, and what that has made of it."""
        self.started: list[Reads] = []
        """Tasks that may run still: only what a task has read that is over was read for who started it."""
        self.started_max = 16

    def stamp(self, name: Name) -> Stamp | None:
        """What a write of this piece of work is compared to."""
        with _lock:
            newest = self._newest(name, self._known()) or (None if self.root is None else self.root._newest(name))
        return None if newest is None else newest[1]

    def read(self, news: Iterable[tuple[Name, Stamp]]) -> None:
        """Remember reads. A thread's count for who started it at once, as it is waited for (asyncio.to_thread)."""
        entries = {name: (next(_numbers), stamp) for name, stamp in news}
        with _lock:
            self._enter(_with(self._known(), entries))
            self.seen = _with(self.seen, entries)
            is_waited_for = self.is_thread
            for outer in self._outers():
                unseen = {name: entries[name] for name in entries if is_waited_for or outer._newest(name) is None}
                outer.seen = _with(outer.seen, unseen)
                is_waited_for = is_waited_for and outer.is_thread

    def wrote(self, news: Iterable[tuple[Name, Stamp | None, Stamp]]) -> None:
        """Remember writes, and what they replaced. Whoever started this one, and had read that, knows of them."""
        news = list(news)
        entries = {name: (next(_numbers), stamp) for name, _, stamp in news}
        with _lock:
            self._enter(_with(self._known(), entries))
            if _bound.get() is self:  # perhaps by another task, whose context is not this one's
                self.seen = _with(self.seen, entries)
            for outer in self._outers():
                outer.seen = _with(outer.seen, {name: entries[name] for name, old, _ in news if outer._has(name, old)})

    def _has(self, name: Name, stamp: Stamp | None) -> bool:
        newest = self._newest(name)
        return newest is not None and stamp is not None and newest[1].version == stamp.version

    def _known(self) -> Stamps:
        here, known = _here.get()
        return known if here is self else self.known

    def _enter(self, known: Stamps) -> None:
        self.known = known
        if _here.get()[0] is self:
            _here.set((self, known))

    def _outers(self) -> Generator[Reads]:
        outer = self.outer
        while outer is not None:
            yield outer
            outer = outer.outer

    def _newest(self, name: Name, known: Stamps | None = None) -> tuple[int, Stamp] | None:
        self._settle()
        found = [stamps[name] for stamps in (self.known if known is None else known, self.seen) if name in stamps]
        return max(found, key=lambda entry: entry[0], default=None)

    def _settle(self) -> None:
        """Take over what tasks have read that are over."""
        started, self.started = self.started, []
        for inner in started:
            task = None if inner.work is None else inner.work()
            if task is not None and not task.done():
                self.started.append(inner)
                continue
            inner._settle()
            newer = {
                name: entry
                for name, entry in inner.seen.items()
                if all(name not in stamps or stamps[name][0] < entry[0] for stamps in (self.known, self.seen))
            }
            self.seen = _with(self.seen, newer)

    def _start(self, work: Any, inherited: Stamps) -> Reads:
        inner = Reads(work, self.root or (self if self.work is None else None), self, inherited)
        if not inner.is_thread:
            with _lock:
                self.started.append(inner)
                if len(self.started) > self.started_max:
                    self._settle()
                    self.started_max = 2 * len(self.started) + 16
        return inner


_here: ContextVar[tuple[Reads | None, Stamps]] = ContextVar("keystile_reads", default=(None, {}))
_bound: ContextVar[Reads | None] = ContextVar("keystile_reads_bound", default=None)
_roots: WeakKeyDictionary[Any, Reads] = WeakKeyDictionary()
"""By what LangGraph makes anew for each run of a task, and gives all that runs in it: its function to send writes."""


def current() -> Reads:
    """Of what runs here. What the caller of a graph had read is not its tasks'."""
    bound = _bound.get()
    if bound is not None:
        return bound
    work, root = _work(), _root()
    here, inherited = _here.get()
    if here is not None and here.root is root and here.work is not None and here.work() is work:
        return here
    if here is not None and here.root is root:
        reads = here._start(work, inherited)
    else:
        reads = Reads(work, None, None, {}) if root is None else root._start(work, {})
    _here.set((reads, reads.known))
    return reads


def bound(coroutine: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
    """A coroutine of who made it, also if another task runs it: asyncio.wait_for(), gather(), create_task()."""
    reads = current()

    async def run() -> T:
        token = _bound.set(reads)
        try:
            return await coroutine
        finally:
            _bound.reset(token)

    return run()


def _work() -> Any:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs in this thread
        task = None
    return task or threading.current_thread()


def _root() -> Reads | None:
    try:
        send = get_config().get("configurable", {}).get("__pregel_send")
    except RuntimeError:  # outside of a graph
        return None
    if send is None:
        return None
    with _lock:
        root = _roots.get(send)
        if root is None:
            root = _roots[send] = Reads(None, None, None, {})
    return root


def _with(stamps: Stamps, news: Stamps) -> Stamps:
    """A copy, the newest last."""
    if not news:
        return stamps
    new = {name: stamps[name] for name in stamps if name not in news} | news
    return new if len(new) <= KEYS_MAX else dict(list(new.items())[-KEYS_MAX:])
