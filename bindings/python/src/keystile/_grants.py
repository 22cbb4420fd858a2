"""Claims that were granted."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, Protocol, Self, TypeVar

from ._aliases import Key, Value, key_bytes
from ._blocks import enter, leave
from ._core import Entry, Stamp
from ._errors import ArgumentError, Fenced, GrantError, KeystileError
from ._waiting import nanoseconds

if TYPE_CHECKING:
    from ._store import Store

__all__ = ["Claimed", "Claiming", "Grant"]


C = TypeVar("C", bound="Claimed")

_LEASE_MIN: Final = 1_000_000
_LEASE_MAX: Final = 365 * 86400 * 1_000_000_000
"""Nanoseconds, as of the engine."""


class Holder(Protocol):
    """What gives claims back: a Store, or Files."""

    def _renew(self, key: Any, raw: bytes, lease_ns: int, /) -> Stamp: ...
    def _release(self, key: Any, raw: bytes, /) -> Stamp: ...
    def _format(self, raw: bytes, /) -> str: ...


class Claimed:
    """An exclusive right to write: what a Grant of a key and a FileGrant have in common.

    A context manager: the end of the block gives the claim back. If it was taken away meanwhile (its lease was over,
    and somebody else claimed the key), the block's end raises Fenced, unless another exception is on its way.

    It remembers the stamp of its last read, or of what was committed under it since, and commits from that. It may be
    used in every thread of the process; of one that is detached, token() is the text with which another process goes
    on. It cannot be copied or pickled: the end of a copy would give the claim of all of them back.
    """

    __slots__ = ("_detached", "_holder", "_is_lost", "_raw", "_stamp", "epoch", "key")

    key: Any
    """The key, or the path."""
    epoch: int
    """The claim's fencing token, for other systems: larger than that of every earlier claim of the key."""

    def __init__(self, holder: Holder, key: Key, raw: bytes, stamp: Stamp, detached: bool) -> None:
        self._holder = holder
        self._raw: bytes | None = raw
        self._stamp = stamp
        self._detached = detached
        self._is_lost = False
        self.key = key
        self.epoch = stamp.epoch

    def __reduce__(self) -> NoReturn:
        raise TypeError("a grant is not copied or pickled: pass the token() of a detached one")

    def __repr__(self) -> str:
        state = "over" if self._raw is None else "detached" if self._detached else "held"
        return f"<{type(self).__name__} of {self.key!r}, epoch {self.epoch}, {state}>"

    @property
    def stamp(self) -> Stamp:
        """Of the last read or commit under this claim; at first, of the claim."""
        return self._stamp

    @property
    def is_over(self) -> bool:
        """Given back, or known to be taken away."""
        return self._raw is None

    def renew(self, lease: float | None) -> None:
        """Let the lease run `lease` seconds from now; None: until the owner dies. Raises Fenced if it is lost."""
        raw = self._live()
        with self._fenced_is_over():
            self._holder._renew(self.key, raw, lease_of(lease))

    def release(self) -> Stamp | None:
        """Give the claim back. Raises Fenced if it was taken away; does nothing (None) if it was given back already."""
        raw = self._raw
        if raw is None:
            return None
        with self._fenced_is_over():
            self._stamp = self._holder._release(self.key, raw)
        self._raw = None
        return self._stamp

    def token(self) -> str:
        """A detached claim as text, for another process's Store.grant(). Whoever has it holds the claim."""
        return self._holder._format(self._live())

    def keep(self) -> None:
        """Let this object go without giving the claim back: it stands until its lease, or its owner, ends."""
        self._raw = None

    def _live(self) -> bytes:
        """The grant. Raises Fenced if it is known to be taken away, GrantError if this object let it go."""
        raw = self._raw
        if raw is None:
            if self._is_lost:
                raise Fenced(self.key, self._stamp, None)
            raise GrantError(f"the claim of {self.key!r} was given back: claim it again", "KS_E_GRANT")
        return raw

    @contextlib.contextmanager
    def _fenced_is_over(self) -> Generator[None]:
        self._live()
        try:
            yield
        except Fenced:
            self._is_lost = True  # goes first: another thread may ask why there is no grant
            self._raw = None
            raise

    def _keeps(self, store: Store, key: bytes, epoch: int) -> bool:
        return not (self.is_over or self._detached) and self.epoch == epoch and self._is_of(store, key)

    def _is_of(self, store: Store, key: bytes) -> bool:
        raise NotImplementedError

    def __enter__(self) -> Self:
        enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        leave(self)
        if error is None:
            self.release()
        else:
            with contextlib.suppress(KeystileError):
                self.release()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __del__(self) -> None:
        # A detached claim outlives the object, that is what it is for.
        if getattr(self, "_raw", None) is not None and not self._detached:
            with contextlib.suppress(Exception):
                self.release()


class Grant(Claimed):
    """The exclusive right to write a key. Made by Store.claim() and Store.grant()."""

    __slots__ = ("_store",)

    def __init__(self, store: Store, key: Key, raw: bytes, stamp: Stamp, detached: bool) -> None:
        super().__init__(store, key, raw, stamp, detached)
        self._store = store

    def _is_of(self, store: Store, key: bytes) -> bool:
        return self._store is store and key_bytes(self.key) == key

    def get(self) -> Entry:
        """Read the key; the next commit starts from what this saw."""
        entry = self._store.get(self.key)
        self._stamp = entry.stamp
        return entry

    def commit(
        self, value: Value, stamp: Stamp | None = None, *, durable: bool | None = None, release: bool = False
    ) -> Stamp:
        """Commit under the claim, from `stamp` or the one remembered; `release`: and give it back in the same step.

        Raises Fenced (the claim was taken away, for ever) and Conflict (another with this grant committed meanwhile).
        """
        seen = self._stamp if stamp is None else stamp
        with self._fenced_is_over():
            return self._store.commit(self.key, value, seen, claim=self, durable=durable, release=release)

    def delete(self, stamp: Stamp | None = None, *, durable: bool | None = None, release: bool = False) -> Stamp:
        """Take the value away, as commit()."""
        seen = self._stamp if stamp is None else stamp
        with self._fenced_is_over():
            return self._store.delete(self.key, seen, claim=self, durable=durable, release=release)

    async def acommit(
        self, value: Value, stamp: Stamp | None = None, *, durable: bool | None = None, release: bool = False
    ) -> Stamp:
        """commit() for asyncio: a durable one waits for the disk in a thread. Cancelled, it may be committed."""
        return await self._store._in_thread_if(
            durable, lambda: self.commit(value, stamp, durable=durable, release=release)
        )

    async def adelete(self, stamp: Stamp | None = None, *, durable: bool | None = None, release: bool = False) -> Stamp:
        """delete() for asyncio, as acommit()."""
        return await self._store._in_thread_if(durable, lambda: self.delete(stamp, durable=durable, release=release))


def lease_of(lease: float | None) -> int:
    """A lease for the engine, to which 0 is none. Its own refusal would speak of 0 where Python says None."""
    if lease is None:
        return 0
    nanos = nanoseconds(lease, "lease")
    if not _LEASE_MIN <= nanos <= _LEASE_MAX:
        raise ArgumentError(
            f'a lease is 0.001 s to a year, or None for "until the owner dies", not {lease!r}', "KS_E_ARGUMENT"
        )
    return nanos


class Claiming(Generic[C]):
    """What aclaim() gives: `await` it for the Grant, or `async with` it."""

    __slots__ = ("_claim", "_grant")

    def __init__(self, claim: Callable[[], Awaitable[C]]) -> None:
        self._claim = claim
        self._grant: C | None = None

    def __await__(self) -> Generator[Any, Any, C]:
        return self._claim().__await__()

    async def __aenter__(self) -> C:
        self._grant = await self._claim()
        return self._grant.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._grant is not None
        self._grant.__exit__(kind, error, trace)
