"""Sessions of the OpenAI Agents SDK in a Keystile store: of two runs on one session, one is told, and none loses items.

from keystile.openai_agents import KeystileSession

result = await Runner.run(agent, "Hello", session=KeystileSession("user-7", "file:/var/lib/agents"))

Needs the SDK: pip install "./bindings/python[openai-agents]".
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import uuid
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple

try:
    from agents.memory.session_settings import SessionSettings, coerce_session_settings, resolve_session_limit
except ImportError as error:
    raise ImportError(
        f'keystile.openai_agents needs the OpenAI Agents SDK: pip install "./bindings/python[openai-agents]" ({error})'
    ) from error

from ._adapting import check_claim, claim_of, join, store_of, transact, under
from ._core import MULTI_KEYS_MAX, Entry, Stamp
from ._errors import Conflict
from ._grants import Grant
from ._lineage import with_newest
from ._store import NEVER, Store
from ._transactions import Transaction

__all__ = ["KeystileSession"]

Items = list[Any]


class _Read:
    """What a run has read, or a task outside of its runs. The tasks that it starts have this object too."""

    __slots__ = ("_reader", "is_of_run", "stamp")

    def __init__(self, stamp: Stamp, run: Any) -> None:
        reader = asyncio.current_task() if run is None else run
        self.stamp: Stamp = stamp
        self.is_of_run = run is not None
        self._reader: weakref.ref[Any] | None = None if reader is None else weakref.ref(reader)

    @property
    def is_mine(self) -> bool:
        """It is of the task that asks."""
        reader = None if self._reader is None else self._reader()
        return not self.is_of_run and reader is asyncio.current_task()

    @property
    def is_over(self) -> bool:
        """Nobody will ask it again."""
        return self._reader is not None and self._reader() is None


_Reads = dict[tuple[str, str], tuple[_Read, ...]]
"""By the store's URL and the session's key: of this task, its runs, and the runs and tasks that it is a part of; the
innermost last."""

_reads: ContextVar[_Reads] = ContextVar("keystile_session_reads", default={})  # noqa: B039
"""The dict is replaced when it changes."""


class _Head(NamedTuple):
    """The value of a session's key."""

    life: str
    """What its records are under; a cleared session has another one."""
    records: int
    """One a call of add_items()."""


class KeystileSession:
    """A session (agents.memory.Session) that several processes may use.

    add_items(), pop_item() and clear_session() raise keystile.Conflict if somebody else wrote the session since the
    same run read it (outside of runs: the same asyncio task; the runs and tasks that it has started are not others).
    Who has not read it adds, pops and clears what is there; each call is one commit. claim() makes one run after the
    other of them.
    """

    session_id: str
    session_settings: SessionSettings | None

    def __init__(
        self,
        session_id: str,
        store: Store | str,
        *,
        prefix: str = "openai-agents/sessions/",
        session_settings: SessionSettings | dict[str, Any] | None = None,
    ) -> None:
        """Keep the items in `store` (an open one, or a URL: keystile.shared()), under keys that start with `prefix`."""
        if not isinstance(session_id, str) or not session_id:
            raise TypeError(f"a session's id is a str of one character or more, not {session_id!r}")
        self.session_id = session_id
        self.session_settings = coerce_session_settings({} if session_settings is None else session_settings)
        self.store = store_of(store)
        self.key = join(prefix, [session_id])
        self._runs: weakref.WeakKeyDictionary[Any, _Read] = weakref.WeakKeyDictionary()

    # ---- The Session protocol; the Runner gives every call of one run the same wrapper ----

    async def get_items(self, limit: int | None = None, *, wrapper: Any = None) -> Items:
        """The session's items, oldest first; of a limit, the newest ones, and of one below 0 all, as SQLiteSession."""
        limit = resolve_session_limit(limit, self.session_settings)
        if limit is not None and limit < 0:
            limit = None
        while True:
            entry = self.store.get(self.key)
            found = self._load(_head_of(entry), limit)
            if self.store.get(self.key).stamp == entry.stamp:  # else records may have gone meanwhile
                self._remember(wrapper, entry.stamp)
                return found

    async def add_items(self, items: Items, *, wrapper: Any = None) -> None:
        """Append items, all or none."""
        if not items:
            return
        _check_items(items, "add_items() takes")
        record = _dump(items)

        def add(tx: Transaction, head: _Head) -> _Head:
            tx.put(self._record(head, head.records), record)
            return head._replace(records=head.records + 1)

        await self._write(wrapper, add)

    async def pop_item(self, *, wrapper: Any = None) -> Any | None:
        """Remove and return the newest item; None: there is none."""
        popped: Any = None

        def pop(tx: Transaction, head: _Head) -> _Head | None:
            nonlocal popped
            popped = None
            if not head.records:
                return None
            last = self._record(head, head.records - 1)
            *rest, popped = _items_of(tx.get(last))
            if rest:
                tx.put(last, _dump(rest))
                return head
            tx.delete(last)
            return head._replace(records=head.records - 1)

        await self._write(wrapper, pop)
        return popped

    async def clear_session(self, *, wrapper: Any = None) -> None:
        """Remove all items."""
        await self._replace(wrapper, [])

    # ---- What the protocol has not ----

    async def update(self, function: Callable[[Items], Items | Awaitable[Items]], *, wrapper: Any = None) -> Items:
        """Replace the history by what function makes of it, until it wins: what others add meanwhile is in it.

        function gets all items and returns the new ones (a summary, say); it may be a coroutine function, and is called
        once a try.
        """
        while True:
            entry = self.store.get(self.key)
            items = self._load(_head_of(entry), None)
            if self.store.get(self.key).stamp != entry.stamp:
                continue
            called = function(items)
            new: Items = await called if inspect.isawaitable(called) else called
            _check_items(new, "update()'s function returns")
            self._remember(wrapper, entry.stamp)
            with contextlib.suppress(Conflict):
                await self._replace(wrapper, new)
                return new

    @contextlib.asynccontextmanager
    async def claim(self, *, lease: float | None = None, wait: float | None = None) -> AsyncGenerator[Grant]:
        """Be the only one that writes this session: `async with session.claim(lease=60): await Runner.run(...)`.

        Waits for its turn (wait: seconds, then keystile.Held). What this task writes is under the claim then, and what
        the tasks and runs write that it starts meanwhile; others get keystile.Held. If the lease is over and somebody
        else claimed the session, these get keystile.Fenced. Yields the keystile.Grant, to renew() the lease.
        """
        async with self.store.aclaim(self.key, lease=lease, wait=wait) as grant:
            with under(grant):
                yield grant

    # ---- Inside ----

    def _record(self, head: _Head, number: int) -> str:
        return f"{self.key}/{head.life}/{number:09}"

    def _load(self, head: _Head, limit: int | None) -> Items:
        """The items, as far as they are still there: the caller looks whether the session has moved."""
        found: list[Items] = []
        count, end, step = 0, head.records, head.records if limit is None else 8
        while end > 0 and (limit is None or count < limit):
            names = [self._record(head, number) for number in range(max(0, end - step), end)]
            part = [item for entry in self.store.get_many(names) for item in _items_of(entry)]
            found.append(part)
            count, end, step = count + len(part), end - len(names), step * 2
        items = [item for part in reversed(found) for item in part]
        return items if limit is None else items[max(0, len(items) - limit) :]

    def _known(self) -> tuple[_Read, ...]:
        return _reads.get().get((self.store.url, self.key), ())

    def _read_of(self, wrapper: Any) -> _Read | None:
        """What a write is compared to: what the run has read, or else the innermost task that has read anything."""
        if wrapper is not None:
            return self._runs.get(wrapper)
        return next((read for read in reversed(self._known()) if not read.is_of_run), None)

    def _remember(self, wrapper: Any, stamp: Stamp) -> None:
        inherited, read = self._read_of(None), self._read_of(wrapper)
        if read is None or not (read.is_of_run or read.is_mine):
            read = _Read(stamp, wrapper)
        read.stamp = stamp
        if wrapper is not None:
            self._runs[wrapper] = read
        known = self._known()
        if read not in known:
            kept = (one for one in known if one is inherited or not one.is_over)
            _reads.set(with_newest(_reads.get(), (self.store.url, self.key), (*kept, read)))

    def _follow(self, replaced: Stamp, stamp: Stamp) -> None:
        """The runs and tasks that this is a part of, and that had read what was replaced, know of what was done."""
        for read in self._known():
            if read.stamp.version == replaced.version:
                read.stamp = stamp

    async def _replace(self, wrapper: Any, items: Items) -> None:
        record = _dump(items) if items else None
        old = _Head("", 0)

        def replace(tx: Transaction, head: _Head) -> _Head:
            nonlocal old
            old, new = head, _new_head()
            if record is not None:
                tx.put(self._record(new, 0), record)
                new = new._replace(records=1)
            for number in range(min(old.records, MULTI_KEYS_MAX - 8)):
                tx.delete(self._record(old, number))
            return new

        await self._write(wrapper, replace)
        for number in range(MULTI_KEYS_MAX - 8, old.records):  # nobody sees them any more
            name = self._record(old, number)
            self.store.try_delete(name, self.store.get(name).stamp, durable=False)

    async def _write(self, wrapper: Any, edit: Callable[[Transaction, _Head], _Head | None]) -> None:
        """Commit what edit does, from what the run has read. It is done at once; only the disk is waited for."""
        read = self._read_of(wrapper)
        seen = None if read is None else read.stamp
        claim = claim_of(self.store, self.key)
        replaced = NEVER

        def write(tx: Transaction) -> None:
            nonlocal replaced
            entry = tx.get(self.key)
            replaced = entry.stamp
            check_claim(self.key, entry.stamp, claim)
            if seen is not None and entry.stamp.version != seen.version:  # a claim alone moves only the epoch
                raise Conflict(self.key, entry.stamp, None)
            head = edit(tx, _head_of(entry))
            if head is not None:
                tx.put(self.key, json.dumps(head).encode(), claim=claim)

        stamps = transact(self.store, write, durable=False)
        if self.key in stamps:
            self._follow(replaced, stamps[self.key])
            self._remember(wrapper, stamps[self.key])
            if self.store.is_durable:
                await self.store.await_durable(stamps[self.key])


def _new_head() -> _Head:
    return _Head(uuid.uuid4().hex[:12], 0)


def _head_of(entry: Entry) -> _Head:
    return _new_head() if entry.value is None else _Head(*json.loads(entry.value))


def _items_of(entry: Entry) -> Items:
    return [] if entry.value is None else json.loads(entry.value)


def _check_items(items: object, who: str) -> None:
    # What forgot its return would erase the history, and a text's characters are no items.
    if items is None or isinstance(items, str | bytes | Mapping):
        raise TypeError(f"{who} a list of items, not {type(items)!r}")


def _dump(items: Items) -> bytes:
    return json.dumps(list(items)).encode()
