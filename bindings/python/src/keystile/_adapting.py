"""What the adapters of frameworks have in common: names of keys, transactions without a claim, opening."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterable
from contextvars import ContextVar

from ._aliases import Key
from ._core import Stamp
from ._errors import Conflict, Fenced, Refused
from ._grants import Grant
from ._opening import shared
from ._store import Store
from ._transactions import Transaction
from ._waiting import pause_of


def store_of(store: Store | str) -> Store:
    """An open store, or the process's shared opening of a URL."""
    if isinstance(store, Store):
        return store
    if isinstance(store, str):
        return shared(store)
    raise TypeError(f"store is a keystile.Store or its URL, not {type(store)!r}")


def join(prefix: str, parts: Iterable[str]) -> str:
    """A key of these parts, which may contain anything: "/" stands between them."""
    return prefix + "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)


def split(prefix: str, key: str | bytes) -> tuple[str, ...]:
    """The parts of a key that join() made."""
    text = key.decode("utf-8", "surrogateescape") if isinstance(key, bytes) else key
    return tuple(part.replace("%2F", "/").replace("%25", "%") for part in text[len(prefix) :].split("/"))


def conflict_of(refusal: Refused) -> Refused:
    """The refusal, but for Fenced without a claim, which only says who was faster: Conflict, worth a retry."""
    if not isinstance(refusal, Fenced):
        return refusal
    conflict = Conflict(refusal.key, refusal.stamp, None)
    conflict.refusals = refusal.refusals
    return conflict


def transact(
    store: Store, function: Callable[[Transaction], object], *, durable: bool | None = None
) -> dict[Key, Stamp]:
    """Commit what function does with a transaction, until it wins; the new stamps.

    As Store.transact(), but it does not wait for a claim that others hold (Held), and what function raises is final.
    """
    attempt = 0
    while True:
        transaction = store.transaction()
        function(transaction)
        try:
            return transaction.commit(durable=durable)
        except (Conflict, Fenced):
            if transaction.has_lost_a_claim:
                raise
        attempt += 1
        time.sleep(pause_of(attempt))


def check_claim(key: Key, stamp: Stamp, claim: Grant | None) -> None:
    """A claim that was taken away is told so, whatever else has happened to the key meanwhile."""
    if claim is not None and stamp.version and stamp.epoch != claim.epoch:  # never written: get() shows no claim
        raise Fenced(key, stamp, None)


_held: ContextVar[tuple[Grant, ...]] = ContextVar("keystile_claims", default=())


@contextlib.contextmanager
def under(grant: Grant) -> Generator[None]:
    """What this context writes is under the claim, and what the tasks do that it starts meanwhile: see claim_of()."""
    _held.set((*_held.get(), grant))
    try:
        yield
    finally:
        _held.set(tuple(one for one in _held.get() if one is not grant))


def claim_of(store: Store, key: Key) -> Grant | None:
    """The claim of a key that this context has, lost or not: an object may serve a zombie and its successor.

    Raises Fenced if it is over, for what was started under it and is at it still.
    """
    grant = next((one for one in reversed(_held.get()) if one.key == key and one._store is store), None)
    if grant is not None and grant.is_over:
        raise Fenced(key, grant.stamp, None)
    return grant
