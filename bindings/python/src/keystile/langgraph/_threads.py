"""Where a saver keeps a thread, and what waits for a checkpoint that is not there yet."""

from __future__ import annotations

import threading
import uuid
from typing import Any

from .._adapting import join

EARLY_MAX = 1024
"""Checkpoints whose writes may wait. The oldest is given up then: its run was refused, or it would be there."""

Writes = dict[int, list[Any]]
"""What a task writes, packed, by index."""


class Thread:
    """The names of a thread's keys.

    PREFIX THREAD                             its life: what all else is under; deleting it deletes the thread
    PREFIX THREAD/LIFE/copy                   while it is made by copy_thread(): it is not the thread's yet
    PREFIX THREAD/LIFE/NS/tip                 the newest checkpoint's id
    PREFIX THREAD/LIFE/NS/checkpoint/ID       parent, checkpoint without values, metadata
    PREFIX THREAD/LIFE/NS/blob/CHANNEL/VERSION
    PREFIX THREAD/LIFE/NS/tasks/ID            who has written for that checkpoint
    PREFIX THREAD/LIFE/NS/writes/ID/TASK      what

    A life is never a thread's again. A checkpoint's record goes before its values, and in one commit with its tip:
    while it is there, they are, and nobody goes on from one that is going.
    """

    def __init__(self, prefix: str, name: str, life: bytes | None = None) -> None:
        self.name = name
        self.key = join(prefix, [name])
        self.life = uuid.uuid4().hex[:12].encode() if life is None else life
        self.prefix = f"{self.key}/{self.life.decode()}/"

    def __call__(self, *parts: str) -> str:
        return join(self.prefix, parts)


class OldId(str):
    """The id of a checkpoint that was not the newest when it was read.

    LangGraph hands it on, from what it has read, to what it puts: a fork, and `tip` was the newest then.
    """

    tip: str | None = None


class Early:
    """What tasks have written for checkpoints that are not put yet: LangGraph does both at once, in any order.

    It waits here, and not in the store: whether a checkpoint is still to come or was deleted cannot be told there, and
    what a deleted thread's worker writes would bring the thread back.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._writes: dict[tuple[str, str, str], list[tuple[str, Writes]]] = {}

    def __reduce__(self) -> Any:
        return (Early, ())

    def add(self, checkpoint: tuple[str, str, str], task_id: str, writes: Writes) -> None:
        """Call it with the lock, after a look for the checkpoint: take() comes after it, or the look finds it."""
        self._writes.setdefault(checkpoint, []).append((task_id, writes))
        if len(self._writes) > EARLY_MAX:
            del self._writes[next(iter(self._writes))]

    def take(self, checkpoint: tuple[str, str, str]) -> list[tuple[str, Writes]]:
        """Call it after the checkpoint's commit."""
        with self.lock:
            return self._writes.pop(checkpoint, [])
