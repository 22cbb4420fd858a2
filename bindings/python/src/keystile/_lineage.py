"""Versions for stores whose save() has no argument for one: what a run has loaded is what it may replace."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, Generator, Mapping
from contextvars import ContextVar
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from ._adapting import check_claim, claim_of, conflict_of, under
from ._aliases import Value
from ._core import Entry, Stamp
from ._errors import Conflict, Refused
from ._grants import Grant
from ._store import Store

K = TypeVar("K")
T = TypeVar("T")

KEYS_MAX = 1024
"""Keys of which a context remembers what it has read; of one that it read before these it has read nothing."""

_CREATED_MAX = 65536
"""A run that made so many keys ago its own is told Conflict when it saves from a context that has not loaded it."""


def with_newest(known: Mapping[K, T], key: K, thing: T) -> dict[K, T]:
    """A copy that has this as its newest entry, and no more than KEYS_MAX."""
    new = dict(known)
    new.pop(key, None)
    new[key] = thing
    while len(new) > KEYS_MAX:
        del new[next(iter(new))]
    return new


class Cell:
    """The version of a key that somebody has read or written. Contexts inherit this object from who started them."""

    __slots__ = ("stamp",)

    def __init__(self, stamp: Stamp) -> None:
        self.stamp = stamp


class Lineage(Generic[T]):
    """Keys of one store; every write is compared to the read it comes from.

    Which read that is: of the object that was read (bind()), if the caller gives it back; else the last one in this
    context (asyncio task or thread), or, if it has read nothing itself, the last one that who started it had made by
    then. Who has read nothing creates: Conflict if there is a value already.

    With are_one=True all that was started from one read is one writer: what it writes is known to all of it. And
    everybody may replace what this object itself created, as long as nobody else has written it since.
    """

    def __init__(self, store: Store, *, are_one: bool = False) -> None:
        self.store = store
        self._are_one = are_one
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

    def forget(self, key: str) -> None:
        """Let this context be one that has not read the key."""
        self._cells.set({name: cell for name, cell in self._cells.get({}).items() if name != key})

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
            if self._are_one:
                self._created[key] = cell
                while len(self._created) > _CREATED_MAX:
                    self._created.popitem(last=False)
        stamp = cell.stamp
        if grant is not None and entry is not None and entry.stamp.version == stamp.version:
            stamp = entry.stamp  # the claim itself has moved the epoch only
        try:
            if value is None:
                new = self.store.delete(key, stamp, claim=grant, durable=durable)
            else:
                new = self.store.commit(key, value, stamp, claim=grant, durable=durable)
        except Refused as refusal:
            if grant is not None:
                raise
            raise conflict_of(refusal) from None
        if self._are_one:
            cell.stamp = new
        else:  # of who has the old cell, nobody has seen what was written: siblings, who started them, other objects
            cell = Cell(new)
        self._remember(key, cell)
        if thing is not None:
            self._objects.setdefault(thing, {})[key] = cell
        return new

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
        self._cells.set(with_newest(self._cells.get({}), key, cell))
