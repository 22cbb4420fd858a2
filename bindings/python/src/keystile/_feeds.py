"""The feed of a durable store."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from concurrent import futures
from types import TracebackType
from typing import NamedTuple, TypeAlias

from . import _core
from ._aliases import Key
from ._core import FOREVER, Stamp
from ._errors import ClosedError, ForkedError, SessionBusyError
from ._waiting import SLICE, Deadline, nanoseconds, start_waiting

__all__ = ["Change", "Commit", "Feed"]


class Change(NamedTuple):
    """What a commit did to one key."""

    key: str | bytes
    value: bytes | None
    """None: it was deleted."""
    stamp: Stamp
    version_before: int
    """What it replaced; 0: the key had never been written."""


class Commit(NamedTuple):
    """One commit, of one key or many."""

    lsn: int
    time: datetime.datetime
    """By the committer's clock, some milliseconds coarse: for people."""
    label: str
    """Of the process that committed."""
    changes: list[Change]


Told: TypeAlias = tuple[int, int, str, list[tuple[bytes, bytes | None, Stamp, int]]]


class Feed:
    """Every commit of a durable store that wrote, once, in order: to follow a store, copy it, audit it.

    It shows what is on disk. It needs no open store, changes nothing and delays nobody. Iterating waits for more
    without end; with a `timeout`, until nothing came for so long. `async for` does the same for asyncio. One thread
    or task at a time: a second one gets SessionBusyError.

    url       file:/DIR.
    from_lsn  the first commit at or after it (to go on: the last one's lsn + 1); 0: the oldest there is; "now":
              from behind what is on disk now.
    prefix    only changes of keys that start with it; str: keys come as str, bytes: as bytes.
    timeout   seconds; None: without end; 0: only what is there.

    Raises Lagged if checkpoints replaced what was to be read: read the values anew, go on from its `oldest`.
    """

    def __init__(self, url: str, from_lsn: int | str = 0, *, prefix: Key = "", timeout: float | None = None) -> None:
        if isinstance(from_lsn, str) and from_lsn != "now":
            raise ValueError(f'from_lsn is a number or "now", not {from_lsn!r}')
        nanoseconds(timeout, "timeout")
        self._is_text = isinstance(prefix, str)
        self._prefix = prefix.encode("utf-8", "surrogateescape") if isinstance(prefix, str) else prefix
        self._timeout = timeout
        self._feed = _core.open_feed(url, FOREVER if isinstance(from_lsn, str) else from_lsn)
        self._pid = os.getpid()
        self._is_closed = False
        self._use = threading.Lock()  # nobody waits for it
        self._thread: futures.Future[Told | None] | None = None
        """What waits for anext(). A task that is cancelled leaves it here, with what it gets, for the next call."""

    def next(self, timeout: float | None = None) -> Commit | None:
        """The next commit; None: none came for `timeout` seconds."""
        deadline = Deadline(timeout)
        with self._used():
            if self._thread is None:
                told = self._feed.next(0)
            elif futures.wait([self._thread], deadline.left()).done:
                told = self._take()
            else:
                return None
            while True:
                commit = None if told is None else self._read(told)
                if commit is not None:
                    return commit
                if told is None and deadline.is_over:
                    return None
                told = self._feed.next(nanoseconds(deadline.left(), "timeout"))

    async def anext(self, timeout: float | None = None) -> Commit | None:
        """next() for asyncio. If it is cancelled, no commit is lost: the next call gets what this one would have."""
        deadline = Deadline(timeout)
        with self._used():
            told = self._feed.next(0) if self._thread is None else await self._await_thread(self._thread)
            while True:
                commit = None if told is None else self._read(told)
                if commit is not None:
                    return commit
                if told is None and deadline.is_over:
                    return None
                pause = nanoseconds(deadline.slice(SLICE), "timeout")
                self._thread = start_waiting(self._feed.next, pause)
                told = await self._await_thread(self._thread)

    async def _await_thread(self, thread: futures.Future[Told | None]) -> Told | None:
        with contextlib.suppress(Exception):  # _take() raises it
            await asyncio.wrap_future(thread)  # cancelled here, it stays
        return self._take()

    def _take(self) -> Told | None:
        """What the thread got, once. Whoever took a commit returns it: nothing is awaited in between."""
        assert self._thread is not None
        thread, self._thread = self._thread, None
        return thread.result()

    @contextlib.contextmanager
    def _used(self) -> Generator[None]:
        if self._pid != os.getpid():
            raise ForkedError("the feed was opened before fork()", "KS_E_FORKED")
        if not self._use.acquire(blocking=False):
            raise SessionBusyError("another thread or task is in the feed", "KS_E_SESSION_BUSY")
        try:
            if self._thread is not None and self._thread.cancelled():  # before it began
                self._thread = None
            yield
        finally:
            self._use.release()

    def _read(self, told: Told) -> Commit | None:
        lsn, wall_ns, label, entries = told
        changes = [
            Change(key.decode("utf-8", "surrogateescape") if self._is_text else key, value, stamp, before)
            for key, value, stamp, before in entries
            if key.startswith(self._prefix)
        ]
        if not changes:
            return None
        return Commit(lsn, datetime.datetime.fromtimestamp(wall_ns / 1e9, datetime.UTC), label, changes)

    def close(self) -> None:
        """Let the files go. What is left of a cancelled anext() is waited for, a tenth of a second at most."""
        if self._thread is not None and self._pid == os.getpid():
            futures.wait([self._thread])
        try:
            self._feed.close()
        except ClosedError:  # it is in use
            raise SessionBusyError("another thread is in the feed", "KS_E_SESSION_BUSY") from None
        self._is_closed = True

    def __iter__(self) -> Iterator[Commit]:
        while (commit := self.next(self._timeout)) is not None:
            yield commit

    async def __aiter__(self) -> AsyncIterator[Commit]:
        while (commit := await self.anext(self._timeout)) is not None:
            yield commit

    def __enter__(self) -> Feed:
        if self._is_closed:
            raise ClosedError("the feed is closed", "KS_E_HANDLE")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
