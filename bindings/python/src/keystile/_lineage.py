"""Versions for stores whose save() has no argument for one: what a run has loaded is what it may replace."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, Generator
from contextvars import ContextVar
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from ._adapting import check_claim, claim_of, conflict_of, under
from ._aliases import Value
from ._core import Entry, Stamp
from ._errors import Conflict, Refused
from ._grants import Grant
from ._store import Store

T = TypeVar("T")

_CREATED_MAX = 65536
"""A run that made so many keys ago its own is told Conflict when it saves from a context that has not loaded it."""


class Cell:
    """What one run knows of a key. Tasks and threads that a run starts have copies of its context, and this object."""

    __slots__ = ("stamp",)

    def __init__(self, stamp: Stamp) -> None:
        self.stamp = stamp


class Lineage(Generic[T]):
    """Keys of one store; every write is compared to the read it comes from.

    Which read that is: of the object that was read (bind()), if the caller gives it back; else the last one in this
    context (asyncio task or thread, and those it was started from). Who has read nothing creates: Conflict if there is
    a value already. With keeps_created=True everybody may also replace what this object itself created, as long as
    nobody else has written it since.
    """

    def __init__(self, store: Store, *, keeps_created: bool = False) -> None:
        self.store = store
        self._keeps_created = keeps_created
        self._cells: ContextVar[dict[str, Cell]] = ContextVar("keystile_lineage")
        self._created: OrderedDict[str, Cell] = OrderedDict()
        self._objects: WeakKeyDictionary[T, dict[str, Cell]] = WeakKeyDictionary()

    def read(self, key: str) -> Entry:
        """Read, and remember it as what the next write of this context replaces."""
        entry = self.store.get(key)
        self._remember(key, Cell(entry.stamp))
        return entry

    def has_read(self, key: str) -> bool:
        """Whether there is a version to compare the next write with."""
        return self._cell_of(key, None) is not None

    def bind(self, key: str, thing: T) -> None:
        """Tie `thing` to what this context just read: a write of it replaces that, in whatever context."""
        self._objects.setdefault(thing, {})[key] = self._cells.get({})[key]

    async def awrite(self, key: str, value: Value | None, thing: T | None = None) -> Stamp:
        """write() for asyncio: done at once, only the disk is waited for."""
        stamp = self.write(key, value, thing, durable=False)
        if self.store.is_durable:
            await self.store.await_durable(stamp)
        return stamp

    def write(self, key: str, value: Value | None, thing: T | None = None, *, durable: bool | None = None) -> Stamp:
        """Commit (None: delete) from what was read. Raises Conflict, Held, and Fenced if a claim was lost."""
        grant = claim_of(self.store, key)
        cell, entry = self._cell_of(key, thing), None
        if cell is None or grant is not None:
            entry = self.store.get(key)
            check_claim(key, entry.stamp, grant)
        if cell is None:
            assert entry is not None
            if entry.value is not None:
                raise Conflict(key, entry.stamp, None)
            cell = Cell(entry.stamp)
            if self._keeps_created:
                self._created[key] = cell
                while len(self._created) > _CREATED_MAX:
                    self._created.popitem(last=False)
        stamp = cell.stamp
        if grant is not None and entry is not None and entry.stamp.version == stamp.version:
            stamp = entry.stamp  # the claim itself has moved the epoch only
        try:
            if value is None:
                cell.stamp = self.store.delete(key, stamp, claim=grant, durable=durable)
            else:
                cell.stamp = self.store.commit(key, value, stamp, claim=grant, durable=durable)
        except Refused as refusal:
            if grant is not None:
                raise
            raise conflict_of(refusal) from None
        self._remember(key, cell)
        if thing is not None:
            self._objects.setdefault(thing, {})[key] = cell
        return cell.stamp

    @contextlib.contextmanager
    def claim(self, key: str, lease: float | None, wait: float | None) -> Generator[Grant]:
        """Own the key: what this context writes is under the claim, and others get Held."""
        with self.store.claim(key, lease=lease, wait=wait) as grant, under(grant):
            yield grant

    @contextlib.asynccontextmanager
    async def aclaim(self, key: str, lease: float | None, wait: float | None) -> AsyncGenerator[Grant]:
        """claim() for asyncio."""
        async with self.store.aclaim(key, lease=lease, wait=wait) as grant:
            with under(grant):
                yield grant

    def _cell_of(self, key: str, thing: T | None) -> Cell | None:
        bound = self._objects.get(thing, {}).get(key) if thing is not None else None
        return bound or self._cells.get({}).get(key) or self._created.get(key)

    def _remember(self, key: str, cell: Cell) -> None:
        self._cells.set({**self._cells.get({}), key: cell})
