"""The feed of a durable store."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import NamedTuple

from . import _core
from ._aliases import Key
from ._core import FOREVER, Stamp
from ._waiting import SLICE, Deadline, in_thread, nanoseconds

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


class Feed:
    """Every commit of a durable store that wrote, once, in order: to follow a store, copy it, audit it.

    It shows what is on disk. It needs no open store, changes nothing and delays nobody. Iterating waits for more
    without end; with a `timeout`, until nothing came for so long. `async for` does the same for asyncio. One thread
    at a time.

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

    def next(self, timeout: float | None = None) -> Commit | None:
        """The next commit; None: none came for `timeout` seconds."""
        deadline = Deadline(timeout)
        while True:
            left = deadline.left()
            told = self._feed.next(nanoseconds(left, "timeout"))
            if told is None:
                return None
            commit = self._read(told)
            if commit is not None:
                return commit

    async def anext(self, timeout: float | None = None) -> Commit | None:
        """next() for asyncio."""
        deadline = Deadline(timeout)
        told = self._feed.next(0)
        while True:
            commit = None if told is None else self._read(told)
            if commit is not None:
                return commit
            if told is None and deadline.is_over:
                return None
            told = await in_thread(self._feed.next, nanoseconds(deadline.slice(SLICE), "timeout"))

    def _read(self, told: tuple[int, int, str, list[tuple[bytes, bytes | None, Stamp, int]]]) -> Commit | None:
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
        """Let the files go."""
        self._feed.close()

    def __iter__(self) -> Iterator[Commit]:
        while (commit := self.next(self._timeout)) is not None:
            yield commit

    async def __aiter__(self) -> AsyncIterator[Commit]:
        while (commit := await self.anext(self._timeout)) is not None:
            yield commit

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
