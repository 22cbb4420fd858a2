"""Stores: what one works with. The calls of nanoseconds are the native module's own; the rest is here."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import time
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from . import _core
from ._aliases import Key, Value
from ._blocks import entered, is_own
from ._core import Answer, Entry, Stamp
from ._edits import DELETE, KEEP, Edit
from ._errors import ClosedError, Fenced, Held, NotFound, Refused, Timeout
from ._feeds import Feed
from ._grants import Claiming, Grant, lease_of
from ._transactions import Transaction, value_bytes
from ._values import Counters, Owner, Participant, Report, Stats
from ._waiting import SLICE, Deadline, in_thread, nanoseconds, pause_of, waited_in_thread

__all__ = ["DELETE", "KEEP", "NEVER", "Listed", "Store"]

T = TypeVar("T")

NEVER: Final = Stamp(0, 0)
"""The stamp of a key that nobody has touched."""


Edited = Value | Edit
Participants: TypeAlias = list[Participant]  # inside of the class, list() is a store's


class Listed(NamedTuple):
    """A key that list() met."""

    key: str | bytes
    stamp: Stamp
    size: int
    deleted: bool
    owner: Owner | None
    """Who holds its claim."""


class Store(_core.Store):
    """An open store; keystile.open() makes it.

    All threads may use it. A forked child may not (ForkedError): it opens the store again. Pickled, as an argument of
    multiprocessing say, it becomes the other process's own opening of the same store. A context manager that closes.
    """

    __slots__ = ("__weakref__", "_options", "_url")

    _url: str
    _options: dict[str, Any]

    @property
    def url(self) -> str:
        """What it was opened by."""
        return self._url

    @property
    def is_durable(self) -> bool:
        """Commits that do not say otherwise return when they are on disk."""
        return bool(self._options.get("durable", False))

    def __repr__(self) -> str:
        return f"<keystile.Store {self._url}{', closed' if self.closed else ''}>"

    def __reduce__(self) -> tuple[Any, ...]:
        from ._opening import reopen

        return reopen, (self._url, self._options)

    def __enter__(self) -> Store:
        if self.closed:
            raise ClosedError("the store is closed", "KS_E_HANDLE")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- Read, recompute, commit ----

    def update(
        self,
        key: Key,
        function: Callable[[bytes | None], Edited],
        *,
        durable: bool | None = None,
        timeout: float | None = None,
    ) -> Entry:
        """Read, recompute and commit, until it wins. Returns what the key is then.

        function gets the value (None: there is none) and returns the new one, or DELETE, or KEEP. It is called once a
        try, so it should have no side effects; what it raises is raised. Who meets a claim waits for its end; one whose
        owner died, or whose lease is over, is reclaimed. timeout: seconds; over, the last refusal is raised.

        Inside of `with store.claim(key)` it raises Held at once, for its own thread's claim would not end while it
        waited (grant.commit() writes under it). A claim held in any other way, by this process too, is waited for.
        """
        deadline = Deadline(timeout)
        attempt = 0
        while True:
            seen = self.get(key)
            done = self._edit(key, seen, function(seen.value), durable)
            if isinstance(done, Entry):
                return done
            attempt += 1
            refusal = _refusal_of(key, done)
            if deadline.is_over or is_own(self, refusal):
                raise refusal
            self._wait_after(refusal, attempt, deadline)

    async def aupdate(
        self,
        key: Key,
        function: Callable[[bytes | None], Edited | Awaitable[Edited]],
        *,
        durable: bool | None = None,
        timeout: float | None = None,
    ) -> Entry:
        """update() for asyncio; function may be a coroutine function. Cancelled, it may be committed all the same."""
        deadline = Deadline(timeout)
        attempt = 0
        while True:
            seen = self.get(key)
            edited = function(seen.value)
            value: Edited = await edited if inspect.isawaitable(edited) else edited
            done = await self._in_thread_if(durable, functools.partial(self._edit, key, seen, value, durable))
            if isinstance(done, Entry):
                return done
            attempt += 1
            refusal = _refusal_of(key, done)
            if deadline.is_over or is_own(self, refusal, is_task=True):
                raise refusal
            await self._await_after(refusal, attempt, deadline)

    def _edit(self, key: Key, seen: Entry, value: Edited, durable: bool | None) -> Entry | _core.Answer:
        if value is KEEP:
            return seen
        if value is DELETE:
            answer = self.try_delete(key, seen.stamp, durable=durable)
            return Entry(None, answer.stamp) if answer or answer.status == "KS_NOT_FOUND" else answer
        if isinstance(value, Edit) or value is None:
            raise TypeError("update()'s function returns bytes, or keystile.DELETE, or keystile.KEEP; not None")
        copied = value_bytes(value)
        answer = self.try_commit(key, copied, seen.stamp, durable=durable)
        return Entry(copied, answer.stamp) if answer else answer

    def _wait_after(self, refusal: Refused, attempt: int, deadline: Deadline) -> None:
        if isinstance(refusal, Held):
            if not self._take_what_is_over(refusal):
                self._watch(refusal.key, refusal.stamp, _held_slice(refusal, deadline))
        elif pause := min(pause_of(attempt), deadline.slice()):
            time.sleep(pause)

    async def _await_after(self, refusal: Refused, attempt: int, deadline: Deadline) -> None:
        if isinstance(refusal, Held):
            if not self._take_what_is_over(refusal):
                await waited_in_thread(self._watch, refusal.key, refusal.stamp, _held_slice(refusal, deadline))
        else:
            await asyncio.sleep(min(pause_of(attempt), deadline.slice()))

    def _take_what_is_over(self, held: Held) -> bool:
        if held.owner is None or held.owner.lease_left != 0:
            return False
        with contextlib.suppress(Fenced, Held, NotFound):  # somebody was faster, or it was renewed
            self._reclaim(held.key, held.owner.epoch, False)
        return True

    # ---- Claims ----

    def claim(self, key: Key, *, lease: float | None = None, wait: float | None = 0, detached: bool = False) -> Grant:
        """Claim the exclusive right to write a key: `with store.claim("plan", lease=30) as grant`.

        lease     seconds, 0.001 to a year, after which others may take the claim; None: until this process dies.
        wait      seconds to wait for somebody else's claim to end; 0: not at all; None: without end.
        detached  the claim belongs to whoever has its token() (needs a lease), and not to this process.

        Raises Held, with the owner. If it is to wait without end and this thread is in the `with` block of that very
        claim, which would not end meanwhile, at once. A claim whose owner is dead, or whose lease is over, is taken. It
        belongs to this open store, not to a thread: every thread may use the grant, and close() makes it one of a dead
        owner.
        """
        lease_ns, wait_ns = lease_of(lease), nanoseconds(wait, "wait")
        if wait is None and entered():
            try:
                raw, stamp = self._claim(key, lease_ns, 0, detached)
                return Grant(self, key, raw, stamp, detached)
            except Held as held:
                if is_own(self, held):
                    raise
        raw, stamp = self._claim(key, lease_ns, wait_ns, detached)
        return Grant(self, key, raw, stamp, detached)

    def aclaim(
        self, key: Key, *, lease: float | None = None, wait: float | None = 0, detached: bool = False
    ) -> Claiming[Grant]:
        """claim() for asyncio: `await store.aclaim(...)` or `async with store.aclaim(...) as grant`."""

        async def claim() -> Grant:
            deadline = Deadline(wait)
            while True:
                try:  # at once; only the waiting is another thread's, so that nobody is left with a claim by a cancel
                    return self.claim(key, lease=lease, detached=detached)
                except Held as held:
                    if deadline.is_over or (wait is None and is_own(self, held, is_task=True)):
                        raise
                    pause = _held_slice(held, deadline)
                    await waited_in_thread(self._watch, key, held.stamp, pause)

        return Claiming(claim)

    def grant(self, key: Key, token: str) -> Grant:
        """The detached claim of this key that another process gave the token of."""
        if not isinstance(token, str):
            raise TypeError(f"a token is str, not {type(token)!r}")
        raw, stamp = self._parse(key, token)
        return Grant(self, key, raw, stamp, True)

    def reclaim(self, key: Key, epoch: int, *, live: bool = False) -> Stamp:
        """Take the claim that `epoch` names (Held.owner.epoch) from its owner, whose commits are Fenced from now on.

        Only if the owner is dead or the lease is over, unless `live`. Raises Held (it is alive), Fenced (that claim is
        over already), NotFound.
        """
        return self._reclaim(key, epoch, live)

    # ---- Many keys ----

    def transaction(self) -> Transaction:
        """Begin a transaction: `with store.transaction() as tx`; the end of the block commits. Or call tx.commit().

        For asyncio `async with`, or tx.acommit().
        """
        return Transaction(self)

    def transact(
        self, function: Callable[[Transaction], T], *, durable: bool | None = None, timeout: float | None = None
    ) -> T:
        """Call function with a transaction and commit it, until it wins; returns what function returned.

        As update(): function is called once a try. Only what the commit is told is tried again: what function raises
        itself is raised, and so is Fenced if it wrote under a lost claim.
        """
        deadline = Deadline(timeout)
        attempt = 0
        while True:
            transaction = Transaction(self)
            try:
                result = function(transaction)
                if inspect.isawaitable(result):
                    if inspect.iscoroutine(result):
                        result.close()  # or it says that nobody awaited it
                    raise TypeError("transact()'s function is a coroutine function: that is atransact()")
                transaction.commit(durable=durable)
                return result
            except Refused as refusal:
                if not transaction.has_lost_a_race or deadline.is_over or is_own(self, refusal):
                    raise
                attempt += 1
                self._wait_after(refusal, attempt, deadline)

    async def atransact(
        self,
        function: Callable[[Transaction], T | Awaitable[T]],
        *,
        durable: bool | None = None,
        timeout: float | None = None,
    ) -> T:
        """transact() for asyncio; function may be a coroutine function. Cancelled, it may be committed all the same."""
        deadline = Deadline(timeout)
        attempt = 0
        while True:
            transaction = Transaction(self)
            try:
                called = function(transaction)
                result: T = await called if inspect.isawaitable(called) else called
                await transaction.acommit(durable=durable)
                return result
            except Refused as refusal:
                if not transaction.has_lost_a_race or deadline.is_over or is_own(self, refusal, is_task=True):
                    raise
                attempt += 1
                await self._await_after(refusal, attempt, deadline)

    def snapshot(self, keys: Iterable[Key] | None = None, *, prefix: Key = "") -> dict[Any, Entry]:
        """The values that all these keys had at one instant; without `keys`, all keys that start with `prefix`.

        By key: as given, those without a value too; of a prefix, sorted, str if it is str.
        """
        if keys is None:
            return {_like(prefix, key): entry for key, entry in self._snapshot_prefix(prefix)}
        if isinstance(keys, (str, bytes)):
            raise TypeError("keys is a list of keys; of a prefix: snapshot(prefix=...)")
        if prefix:
            raise TypeError("snapshot() takes keys or a prefix, not both")
        names = list(keys)
        return {name: entry for name, (_, entry) in zip(names, self._snapshot_keys(names), strict=True)}

    def list(self, prefix: Key = "", *, all: bool = False) -> list[Listed]:
        """Every key that starts with `prefix`, in no order; str if it is str. all: those without a value too.

        Keys that exist throughout are there once, those created meanwhile perhaps; snapshot() is a cut.
        """
        return [
            Listed(_like(prefix, key), stamp, size, deleted, owner)
            for key, stamp, size, deleted, owner in self._list(prefix, _core.LIST_ALL if all else 0)
        ]

    # ---- Waiting ----

    def watch(self, key: Key, stamp: Stamp | None = None, *, timeout: float | None = None) -> Stamp:
        """Wait until the key's stamp is not `stamp` any more (None: not what it is now). Returns what it is then.

        A commit, delete, claim, release and reclaim move it; changes in between may be seen as one. Raises Timeout.
        """
        seen = self._now(key) if stamp is None else stamp
        now = self._watch(key, seen, nanoseconds(timeout, "timeout"))
        if now is None:
            raise Timeout(f"{key!r} did not change for {timeout} s")
        return now

    def _now(self, key: Key) -> Stamp:
        """The key's stamp; get() gives NEVER for a key that was claimed and never written."""
        return self._watch(key, NEVER, 0) or NEVER

    async def awatch(self, key: Key, stamp: Stamp | None = None, *, timeout: float | None = None) -> Stamp:
        """watch() for asyncio."""
        deadline = Deadline(timeout)
        seen = self._now(key) if stamp is None else stamp
        now = self._watch(key, seen, 0)
        while now is None:
            if deadline.is_over:
                raise Timeout(f"{key!r} did not change for {timeout} s")
            now = await waited_in_thread(self._watch, key, seen, nanoseconds(deadline.slice(), "timeout"))
        return now

    def feed(self, from_lsn: int | str = 0, *, prefix: Key = "", timeout: float | None = None) -> Feed:
        """Every commit of this (durable) store, in order: `for commit in store.feed()`. See Feed."""
        return Feed(self._url, from_lsn, prefix=prefix, timeout=timeout)

    # ---- Durability; all of it is done at once in a volatile store ----

    def flush(self) -> None:
        """Return when every commit made so far, by anybody, is on disk."""
        self._flush()

    def wait_durable(self, stamp: Stamp | int, *, timeout: float | None = None) -> None:
        """Return when the commit with this stamp (or lsn), and all before it, are on disk. Raises Timeout."""
        lsn = stamp.version if isinstance(stamp, Stamp) else stamp
        if not self._wait_durable(lsn, nanoseconds(timeout, "timeout")):
            raise Timeout(f"commit {lsn} was not on disk after {timeout} s")

    def checkpoint(self) -> None:
        """Write what every key is into a checkpoint, and remove the journal files that no recovery needs any more."""
        self._checkpoint()

    async def aflush(self) -> None:
        """flush() for asyncio."""
        await in_thread(self._flush)

    async def await_durable(self, stamp: Stamp | int, *, timeout: float | None = None) -> None:
        """wait_durable() for asyncio."""
        await in_thread(lambda: self.wait_durable(stamp, timeout=timeout))

    async def acheckpoint(self) -> None:
        """checkpoint() for asyncio."""
        await in_thread(self._checkpoint)

    async def _in_thread_if(self, durable: bool | None, function: Callable[[], T]) -> T:
        """Call what commits: in a thread if that waits for the disk, else here and now."""
        if self.is_durable if durable is None else durable:
            return await in_thread(function)
        return function()

    async def acommit(
        self,
        key: Key,
        value: Value,
        stamp: Stamp,
        *,
        claim: Grant | None = None,
        durable: bool | None = None,
        release: bool = False,
    ) -> Stamp:
        """commit() for asyncio: a durable one waits for the disk in a thread.

        What the thread has begun it brings to its end: if the task is cancelled, or times out, it may be committed all
        the same. Read the key then: its stamp and value say what became of it.
        """
        return await self._in_thread_if(
            durable, lambda: self.commit(key, value, stamp, claim=claim, durable=durable, release=release)
        )

    async def atry_commit(
        self,
        key: Key,
        value: Value,
        stamp: Stamp,
        *,
        claim: Grant | None = None,
        durable: bool | None = None,
        release: bool = False,
    ) -> Answer:
        """try_commit() for asyncio, as acommit()."""
        return await self._in_thread_if(
            durable, lambda: self.try_commit(key, value, stamp, claim=claim, durable=durable, release=release)
        )

    async def adelete(
        self,
        key: Key,
        stamp: Stamp,
        *,
        claim: Grant | None = None,
        durable: bool | None = None,
        release: bool = False,
    ) -> Stamp:
        """delete() for asyncio, as acommit()."""
        return await self._in_thread_if(
            durable, lambda: self.delete(key, stamp, claim=claim, durable=durable, release=release)
        )

    async def atry_delete(
        self,
        key: Key,
        stamp: Stamp,
        *,
        claim: Grant | None = None,
        durable: bool | None = None,
        release: bool = False,
    ) -> Answer:
        """try_delete() for asyncio, as acommit()."""
        return await self._in_thread_if(
            durable, lambda: self.try_delete(key, stamp, claim=claim, durable=durable, release=release)
        )

    # ---- Looking after it ----

    def stats(self) -> Stats:
        """What the store is and takes, and the outcomes since it was created."""
        told = self._stats()
        return Stats(**{**told, "total": Counters(**told["total"])})

    def participants(self) -> Participants:
        """Who has the store open."""
        return [Participant(**{**one, "counters": Counters(**one["counters"])}) for one in self._participants()]

    def reap(self) -> int:
        """Reap what dead processes left behind, and say how many; it happens by itself too."""
        return self._reap()

    def check(self) -> Report:
        """Read the whole store and judge it, beside writers; changes nothing."""
        told, problems = self._check()
        return Report(**told, problems=problems)


_core.own_quick_methods(Store)


def _like(prefix: Key, key: bytes) -> str | bytes:
    return key.decode("utf-8", "surrogateescape") if isinstance(prefix, str) else key


def _refusal_of(key: Key, answer: _core.Answer) -> Refused:
    from ._errors import Conflict

    kinds: dict[str, type[Refused]] = {"KS_CONFLICT": Conflict, "KS_FENCED": Fenced, "KS_HELD": Held}
    return kinds[answer.status](key, answer.stamp, answer.owner)


def _held_slice(held: Held, deadline: Deadline) -> int:
    """Nanoseconds until somebody should look again: a lease that ends, or an owner that dies, moves no stamp."""
    owner = held.owner
    longest = SLICE if owner is None or owner.lease_left is None else min(SLICE, max(owner.lease_left, 0.001))
    return nanoseconds(deadline.slice(longest), "timeout")
