"""Many keys in one commit."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from ._aliases import Key, Value, key_bytes
from ._core import Entry, Stamp
from ._errors import ArgumentError, Conflict, Fenced, Held, Refused
from ._grants import Grant
from ._values import Owner

if TYPE_CHECKING:
    from ._store import Store

__all__ = ["Transaction"]

_REFUSALS: dict[int, type[Refused]] = {1: Conflict, 2: Fenced, 3: Held}


def value_bytes(value: Value) -> bytes:
    """A value's bytes, copied if they could change."""
    if isinstance(value, bytes):
        return value
    if value is None:
        raise TypeError("a value is bytes, not None: deleting is what takes a value away")
    if isinstance(value, str):
        raise TypeError("a value is bytes, not str: encode it, value.encode()")
    try:
        return bytes(memoryview(value))
    except TypeError:
        raise TypeError(f"a value is bytes or has a buffer, not {type(value)!r}") from None


class Transaction:
    """Keys that were read, expected, put, deleted or released, committed all or not at all. See Store.transaction().

    Every key it names is compared at the instant of the commit, those that were only read too: transactions are
    strictly serializable. Nothing is visible before the commit, everything after. It costs the store nothing until
    then. One thread at a time.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: dict[bytes, Entry] = {}
        self._written: dict[bytes, bytes | None] = {}
        self._expected: dict[bytes, Stamp] = {}
        self._operations: list[tuple[str, Key, object, Grant | None]] = []
        self._stamps: dict[bytes, Stamp] | None = None
        self.has_lost_a_claim = False
        """commit() raised Fenced for a claim that it wrote under: trying again cannot help."""
        self.has_lost_a_race = False
        """It raised what is others' doing (and not a lost claim's): another transaction may win."""

    def get(self, key: Key) -> Entry:
        """Read a key: the commit will find it unchanged, or raise Conflict. What was put here is seen."""
        self._open()
        name = key_bytes(key)
        entry = self._read.get(name)
        if entry is None:
            entry = self._read[name] = self._store.get(key)
            if name not in self._expected:
                self._expect(name, key, entry.stamp)
            elif entry.stamp != self._expected[name]:
                self.has_lost_a_race = True
                raise Conflict(key, entry.stamp, None)
        if name in self._written:
            return Entry(self._written[name], entry.stamp)
        return entry

    def expect(self, key: Key, stamp: Stamp) -> None:
        """Compare a key without writing it; the stamp may be of any age."""
        self._open()
        name = key_bytes(key)
        known = self._expected.get(name)
        if known is None:
            self._expect(name, key, stamp)
        elif known != stamp:
            raise ArgumentError(f"{key!r} is expected at {known!r} already", "KS_E_ARGUMENT")

    def put(self, key: Key, value: Value, *, claim: Grant | None = None) -> None:
        """Write a key; compared to what was read or expected, else to the claim, else not at all."""
        self._write(key, "put", value_bytes(value), claim)

    def delete(self, key: Key, *, claim: Grant | None = None) -> None:
        """Take a key's value away; what has none is only compared."""
        self._write(key, "delete", None, claim)

    def release(self, claim: Grant) -> None:
        """Give a claim back in the same step; the key's value stays."""
        self._open()
        self._check(claim)
        self._operations.append(("release", claim.key, None, claim))

    def commit(self, *, durable: bool | None = None) -> dict[Key, Stamp]:
        """Commit: all of it, or Conflict, Fenced or Held is raised, whose `refusals` name all keys in the way.

        Returns the new stamps. One without writes compares its reads: they were true together at one instant.
        """
        self._open()
        self._stamps = {}
        try:
            status, results = self._store._commit_many(self._operations, durable)
        except Fenced:  # a claim that is over already
            self.has_lost_a_claim = True
            raise
        if status != 0:
            self._refuse(status, results)
        self._stamps = {key: stamp for key, _, _, stamp, _ in results}
        for kind, _, _, grant in self._operations:
            if grant is not None:
                if kind == "release":
                    grant.keep()
                else:
                    grant._stamp = self._stamps[key_bytes(grant.key)]
        return {key: self._stamps[key_bytes(key)] for _, key, _, _ in self._operations}

    async def acommit(self, *, durable: bool | None = None) -> dict[Key, Stamp]:
        """commit() for asyncio: a durable one waits for the disk in a thread. Cancelled, it may be committed."""
        return await self._store._in_thread_if(durable, lambda: self.commit(durable=durable))

    def _refuse(self, status: int, results: list[tuple[bytes, int, bool, Stamp, Owner | None]]) -> None:
        names = {1: "KS_CONFLICT", 2: "KS_FENCED", 3: "KS_HELD"}
        moved = [told for told in results if told[1] != 0]
        worst = next((told for told in moved if told[1] == status), moved[0])
        self.has_lost_a_claim = any(told[1] == 2 and told[2] for told in moved)
        self.has_lost_a_race = not self.has_lost_a_claim
        refusal = _REFUSALS[status](worst[0].decode("utf-8", "surrogateescape"), worst[3], worst[4])
        refusal.refusals = tuple((key, names.get(why, str(why)), stamp, owner) for key, why, _, stamp, owner in moved)
        raise refusal

    def _write(self, key: Key, kind: str, value: bytes | None, claim: Grant | None) -> None:
        self._open()
        name = key_bytes(key)
        if name in self._written:
            raise ArgumentError(f"{key!r} is written in this transaction already", "KS_E_ARGUMENT")
        if claim is not None:
            self._check(claim)
        self._operations.append((kind, key, value, claim))
        self._written[name] = value

    def _check(self, claim: Grant) -> None:
        """At once, and not at the commit: the claim is known to be over."""
        if not isinstance(claim, Grant):
            raise TypeError(f"a claim is what store.claim() gave, not {type(claim)!r}")
        try:
            claim._live()
        except Fenced:
            self.has_lost_a_claim = True
            raise

    def _expect(self, name: bytes, key: Key, stamp: Stamp) -> None:
        self._operations.append(("expect", key, stamp, None))
        self._expected[name] = stamp

    def _open(self) -> None:
        if self._stamps is not None:
            raise ArgumentError("the transaction is over: begin another", "KS_E_ARGUMENT")

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._stamps is None:
            self.commit()

    async def __aenter__(self) -> Transaction:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._stamps is None:
            await self.acommit()
