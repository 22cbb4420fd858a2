"""Time, pauses, and the threads in which asyncio's waits wait."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from ._core import FOREVER

T = TypeVar("T")

SLICE = 0.1
"""Seconds that a wait lasts which nothing may wake: a claim's owner who died moves no stamp."""

THREADS_MAX = 32


def nanoseconds(seconds: float | None, what: str) -> int:
    """Seconds as the engine counts them; None: without end."""
    if seconds is None:
        return FOREVER
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"{what} is seconds (int or float) or None, not {type(seconds).__name__}")
    if seconds < 0 or seconds != seconds:  # NaN is not itself
        raise ValueError(f"{what} is 0 or more seconds, not {seconds!r}")
    return min(int(seconds * 1e9), FOREVER) if seconds < 1e10 else FOREVER


class Deadline:
    """The end of a timeout."""

    __slots__ = ("_end",)

    def __init__(self, timeout: float | None) -> None:
        nanoseconds(timeout, "timeout")
        self._end = None if timeout is None else time.monotonic() + timeout

    def left(self) -> float | None:
        """Seconds, 0 at the end; None: without end."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def slice(self, longest: float = SLICE) -> float:
        """What is left, but not longer than this."""
        left = self.left()
        return longest if left is None else min(left, longest)

    @property
    def is_over(self) -> bool:
        """The time ran out."""
        return self._end is not None and time.monotonic() >= self._end


def pause_of(attempt: int) -> float:
    """Seconds for who lost to wait, so that many losers do not meet again; none at first."""
    return random.random() * min(0.05, 0.0001 * 2 ** min(attempt, 10)) if attempt > 2 else 0.0


class _Threads:
    """Threads of the package's own, not of the loop's executor: who waits there keeps nobody out."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._pool: ThreadPoolExecutor | None = None
        self._pid = 0

    def start(self, function: Callable[..., T], *args: object) -> Future[T]:
        if self._pool is None or self._pid != os.getpid():  # a forked child has none of its parent's threads
            self._pool = ThreadPoolExecutor(THREADS_MAX, self._name)
            self._pid = os.getpid()
        return self._pool.submit(function, *args)


_working = _Threads("keystile")
"""What is done soon: a commit, and what else waits for the disk alone."""
_waiting = _Threads("keystile-wait")
"""What waits for somebody, a slice at a time. However many do, what is to be done is done."""


def start_waiting(function: Callable[..., T], *args: object) -> Future[T]:
    """Call what waits for somebody in a thread."""
    return _waiting.start(function, *args)


async def waited_in_thread(function: Callable[..., T], *args: object) -> T:
    """What it returns that waits for somebody, a slice at most, called in a thread."""
    return await asyncio.wrap_future(start_waiting(function, *args))


async def in_thread(function: Callable[..., T], *args: object) -> T:
    """What it returns, called in a thread. A call that has begun goes on when the task is cancelled."""
    return await asyncio.wrap_future(_working.start(function, *args))
