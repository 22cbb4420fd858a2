"""What this thread, or this task, is inside of: who waits there for its own end would wait for ever."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Protocol

from ._aliases import key_bytes
from ._errors import Held, Refused

if TYPE_CHECKING:
    from ._store import Store

__all__ = ["Block", "enter", "entered", "is_own", "leave"]


class Block(Protocol):
    """The `with` block of a claim, or a gate's effect."""

    @property
    def is_over(self) -> bool:
        """Nothing is held by it any more."""

    def _keeps(self, store: Store, key: bytes, epoch: int) -> bool:
        """That claim ends when this block does, as far as this process goes, and not before."""


class _Here(threading.local):
    def __init__(self) -> None:
        self.blocks: list[tuple[Block, asyncio.Task[Any] | None]] = []


_here = _Here()


def enter(block: Block) -> None:
    """From now on this thread is inside of it."""
    blocks = [one for one in _here.blocks if not one[0].is_over]  # some were left in another thread
    _here.blocks = [*blocks, (block, _task())]


def leave(block: Block) -> None:
    """It is not any more."""
    _here.blocks = [one for one in _here.blocks if one[0] is not block]


def entered() -> list[Block]:
    """What this thread is inside of."""
    return [block for block, _ in _here.blocks]


def is_own(store: Store, refusal: Refused, *, is_task: bool = False) -> bool:
    """What refuses is a claim whose block this thread is in; is_task: only the task waits, the loop's others go on."""
    if not _here.blocks or not isinstance(refusal, Held) or refusal.owner is None:
        return False
    if refusal.owner.detached or refusal.owner.lease_left == 0:  # others may end it
        return False
    key, epoch, task = key_bytes(refusal.key), refusal.owner.epoch, _task() if is_task else None
    return any(block._keeps(store, key, epoch) for block, by in _here.blocks if not is_task or by is None or by is task)


def _task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs in this thread
        return None
