"""What the adapters of frameworks have in common: names of keys, transactions without a claim, opening."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from ._errors import Conflict, Fenced, Refused
from ._store import Store, shared
from ._transactions import Transaction
from ._waiting import pause_of

T = TypeVar("T")


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


def transact(store: Store, function: Callable[[Transaction], T]) -> T:
    """Store.transact(), but for a claim that others hold: Held at once. What function itself raises is final."""
    attempt = 0
    while True:
        transaction = store.transaction()
        result = function(transaction)
        try:
            transaction.commit()
            return result
        except (Conflict, Fenced):
            if transaction.has_lost_a_claim:
                raise
        attempt += 1
        time.sleep(pause_of(attempt))
