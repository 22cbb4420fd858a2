"""LangGraph's BaseStore."""

from __future__ import annotations

import contextlib
import inspect
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from langgraph.store.base import (
    NOT_PROVIDED,
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    MatchCondition,
    NotProvided,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    validate_op_namespace,
)

from .._adapting import conflict_of, join, split, store_of
from .._core import MULTI_KEYS_MAX, Entry, Stamp
from .._edits import Edit
from .._errors import Conflict, LimitError, Refused
from .._grants import Grant
from .._store import Store
from .._transactions import Transaction
from .._waiting import in_thread, pause_of
from . import _scope
from ._filter import matches

__all__ = ["ClaimedItem", "KeystileStore"]

Namespace = tuple[str, ...]
Edited = Mapping[str, Any] | Edit


class _Put(NamedTuple):
    key: str
    value: str | None
    """JSON; None: delete."""
    stamp: Stamp | None
    """What the task read; None: it did not."""


class KeystileStore(BaseStore):
    """Items that processes, threads and nodes share, and none of them loses what another wrote.

    A put (or delete) of a key that the same task has read by get or search raises keystile.Conflict if the key has
    moved since: LangGraph's default RetryPolicy runs the node again. A put of what the task has not read overwrites, as
    with every BaseStore; so does update(namespace, key, lambda old: new). A put of a key that somebody has claimed
    raises keystile.Held.

    The operations of one batch are one: its reads are of before its writes, its writes happen all or not at all.
    Values are stored as JSON, which any tool can read. No vectors and no TTL: NotImplementedError.
    """

    supports_ttl = False

    def __init__(self, store: Store | str, *, prefix: str = "langgraph/store/") -> None:
        """Keep the items in `store` (an open one, or a URL: keystile.shared()), under keys that start with `prefix`."""
        self.store = store_of(store)
        self.prefix = prefix

    # ---- BaseStore ----

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        reads = _scope.current()
        results, seen, puts = self._read(list(ops), reads)
        self._remember(reads, seen, puts, self._write(puts))
        return results

    def abatch(self, ops: Iterable[Op]) -> Coroutine[Any, Any, list[Result]]:
        return _scope.bound(self._abatch(list(ops)))

    async def _abatch(self, ops: list[Op]) -> list[Result]:
        reads = _scope.current()
        results, seen, puts = self._read(ops, reads)
        is_slow = puts and self.store.is_durable
        self._remember(reads, seen, puts, await in_thread(self._write, puts) if is_slow else self._write(puts))
        return results

    # What these read and write is their caller's, whoever runs the coroutine: BaseStore's would learn of it too late.

    def aget(
        self, namespace: Namespace, key: str, *, refresh_ttl: bool | None = None
    ) -> Coroutine[Any, Any, Item | None]:
        return _scope.bound(super().aget(namespace, key, refresh_ttl=refresh_ttl))

    def asearch(
        self,
        namespace_prefix: Namespace,
        /,
        *,
        query: str | None = None,
        filter: dict[str, Any] | None = None,
        limit: int = 10,
        offset: int = 0,
        refresh_ttl: bool | None = None,
    ) -> Coroutine[Any, Any, list[SearchItem]]:
        search = super().asearch
        return _scope.bound(
            search(namespace_prefix, query=query, filter=filter, limit=limit, offset=offset, refresh_ttl=refresh_ttl)
        )

    def aput(
        self,
        namespace: Namespace,
        key: str,
        value: Mapping[str, Any],
        index: Literal[False] | list[str] | None = None,
        *,
        ttl: float | NotProvided | None = NOT_PROVIDED,
    ) -> Coroutine[Any, Any, None]:
        return _scope.bound(super().aput(namespace, key, value, index, ttl=ttl))

    def adelete(self, namespace: Namespace, key: str) -> Coroutine[Any, Any, None]:
        return _scope.bound(super().adelete(namespace, key))

    # ---- What BaseStore has not ----

    def update(
        self,
        namespace: Namespace,
        key: str,
        function: Callable[[dict[str, Any] | None], Edited],
        *,
        timeout: float | None = None,
    ) -> dict[str, Any] | None:
        """Read, recompute and write one item until it wins; returns its value then (None: there is none).

        function gets the value, or None, and returns the new one, keystile.DELETE or keystile.KEEP. It is called once
        a try, so it should have no side effects; a retried node repeats all of its own.
        """
        name = self._name(namespace, key)

        def edit(old: bytes | None) -> bytes | Edit:
            value = function(None if old is None else json.loads(old)["value"])
            return value if isinstance(value, Edit) else _dump(value, old)

        return self._updated(name, self.store.update(name, edit, timeout=timeout))

    async def aupdate(
        self,
        namespace: Namespace,
        key: str,
        function: Callable[[dict[str, Any] | None], Edited | Awaitable[Edited]],
        *,
        timeout: float | None = None,
    ) -> dict[str, Any] | None:
        """update() for asyncio; function may be a coroutine function."""
        name = self._name(namespace, key)

        async def edit(old: bytes | None) -> bytes | Edit:
            called = function(None if old is None else json.loads(old)["value"])
            value: Edited = await called if inspect.isawaitable(called) else called
            return value if isinstance(value, Edit) else _dump(value, old)

        return self._updated(name, await self.store.aupdate(name, edit, timeout=timeout))

    def claim(
        self, namespace: Namespace, key: str, *, lease: float | None = None, wait: float | None = 0
    ) -> ClaimedItem:
        """Claim the exclusive right to write an item: `with store.claim(("team",), "plan", lease=60) as item`.

        While it lasts, the puts of others raise keystile.Held. Over (the lease ran out, and somebody else claimed it),
        this one's raise keystile.Fenced, for ever. lease and wait are keystile.Store.claim()'s.
        """
        name = self._name(namespace, key)
        return ClaimedItem(self.store.claim(name, lease=lease, wait=wait), namespace, key)

    @contextlib.asynccontextmanager
    async def aclaim(
        self, namespace: Namespace, key: str, *, lease: float | None = None, wait: float | None = 0
    ) -> AsyncGenerator[ClaimedItem, None]:
        """claim() for asyncio: `async with store.aclaim(("team",), "plan", lease=60, wait=5) as item`."""
        grant = await self.store.aclaim(self._name(namespace, key), lease=lease, wait=wait)
        with ClaimedItem(grant, namespace, key) as item:
            yield item

    # ---- Inside ----

    def _name(self, namespace: Namespace, key: str) -> str:
        validate_op_namespace(GetOp(namespace, key))
        if not namespace:
            raise ValueError("a namespace has one label or more")
        return join(self.prefix, (*namespace, key))

    def _remember(
        self, reads: _scope.Reads, seen: list[tuple[str, Stamp]], puts: list[_Put], written: list[Stamp]
    ) -> None:
        url = self.store.url
        if seen:
            reads.read(((url, name), stamp) for name, stamp in seen)
        if puts:
            reads.wrote(((url, put.key), put.stamp, stamp) for put, stamp in zip(puts, written, strict=True))

    def _updated(self, name: str, entry: Entry) -> dict[str, Any] | None:
        _scope.current().wrote([((self.store.url, name), None, entry.stamp)])
        return None if entry.value is None else json.loads(entry.value)["value"]

    def _read(self, ops: list[Op], reads: _scope.Reads) -> tuple[list[Result], list[tuple[str, Stamp]], list[_Put]]:
        """Do what reads, and say what was seen and what is to be written."""
        results: list[Result] = []
        seen: list[tuple[str, Stamp]] = []
        puts: dict[str, str | None] = {}
        for op in ops:
            validate_op_namespace(op)
            result: Result = None
            if isinstance(op, GetOp):
                name = self._name(op.namespace, op.key)
                entry = self.store.get(name)
                seen.append((name, entry.stamp))
                result = None if entry.value is None else Item(**_fields(op.namespace, op.key, entry.value))
            elif isinstance(op, SearchOp):
                result = self._search(op, seen)
            elif isinstance(op, ListNamespacesOp):
                result = self._namespaces(op)
            elif isinstance(op, PutOp):
                if op.ttl is not None:
                    raise NotImplementedError("KeystileStore has no TTL: leave ttl out")
                puts[self._name(op.namespace, op.key)] = None if op.value is None else json.dumps(_checked(op.value))
            else:
                raise ValueError(f"not an operation of a store: {op!r}")
            results.append(result)
        if len(puts) > MULTI_KEYS_MAX:
            raise LimitError(f"a batch writes all or nothing, at most {MULTI_KEYS_MAX} items", "KS_E_LIMIT")
        url = self.store.url  # the batch's reads do not count: what it writes was computed before them
        return results, seen, [_Put(name, value, reads.stamp((url, name))) for name, value in puts.items()]

    def _search(self, op: SearchOp, seen: list[tuple[str, Stamp]]) -> list[SearchItem]:
        if op.query is not None:
            raise NotImplementedError("KeystileStore has no vectors: search with filter=..., without query")
        if op.limit < 0 or op.offset < 0:
            raise ValueError(f"limit and offset are 0 or more, not {op.limit} and {op.offset}")
        prefix = join(self.prefix, (*op.namespace_prefix, ""))
        found: list[tuple[SearchItem, str, Stamp]] = []
        for name, entry in self.store.snapshot(prefix=prefix).items():
            assert entry.value is not None  # a snapshot of a prefix is of what is there
            *namespace, key = split(self.prefix, name)
            item = SearchItem(**_fields(tuple(namespace), key, entry.value))
            if matches(item.value, op.filter):
                found.append((item, name, entry.stamp))
        found.sort(key=lambda one: one[1])
        found.sort(key=lambda one: one[0].updated_at, reverse=True)
        found = found[op.offset : op.offset + op.limit]
        seen.extend((name, stamp) for _, name, stamp in found)
        return [item for item, _, _ in found]

    def _namespaces(self, op: ListNamespacesOp) -> list[Namespace]:
        names = (split(self.prefix, listed.key)[:-1] for listed in self.store.list(self.prefix))
        kept = {name[: op.max_depth] for name in names if all(_is_like(name, one) for one in op.match_conditions or ())}
        return sorted(kept)[op.offset : op.offset + op.limit]

    def _write(self, puts: list[_Put]) -> list[Stamp]:
        """Commit them all: what the task has read, from what it read; the rest from what is there."""
        attempt = 0
        while puts:
            tx = self.store.transaction()
            for put in puts:
                self._stage(tx, put)
            try:
                stamps = tx.commit()
                return [stamps[put.key] for put in puts]
            except Refused as refusal:
                told = conflict_of(refusal)
                read = {put.key.encode("utf-8", "surrogateescape") for put in puts if put.stamp is not None}
                if not isinstance(told, Conflict) or any(key in read for key, *_ in refusal.refusals):
                    raise told from None
            attempt += 1
            time.sleep(pause_of(attempt))
        return []

    def _stage(self, tx: Transaction, put: _Put) -> None:
        entry = self.store.get(put.key)
        tx.expect(put.key, entry.stamp if put.stamp is None else put.stamp)
        if put.value is None:
            tx.delete(put.key)
        else:
            tx.put(put.key, _wrap(put.value, entry.value))


class ClaimedItem:
    """A claimed item. A context manager that gives the claim back.

    What a task reads and writes by it, that task knows afterwards, as of a get() and put() of the store.
    """

    def __init__(self, grant: Grant, namespace: Namespace, key: str) -> None:
        self.grant = grant
        """The keystile.Grant: renew(), epoch, stamp."""
        self.namespace = namespace
        self.key = key
        self._name = (grant._store.url, str(grant.key))

    def get(self) -> Item | None:
        """Read it; the next put is compared to what this saw."""
        entry = self.grant.get()
        _scope.current().read([(self._name, entry.stamp)])
        return None if entry.value is None else Item(**_fields(self.namespace, self.key, entry.value))

    def put(self, value: Mapping[str, Any]) -> None:
        """Write it. Raises keystile.Fenced if the claim was taken away."""
        old = self.grant.stamp
        new = self.grant.commit(_dump(value, self.grant._store.get(self.grant.key).value))
        _scope.current().wrote([(self._name, old, new)])

    def delete(self) -> None:
        """Take it away."""
        old = self.grant.stamp
        _scope.current().wrote([(self._name, old, self.grant.delete())])

    def aput(self, value: Mapping[str, Any]) -> Coroutine[Any, Any, None]:
        """put() for asyncio: a durable one waits for the disk in a thread. Cancelled, it may be written."""
        return _scope.bound(self._aput(value))

    def adelete(self) -> Coroutine[Any, Any, None]:
        """delete() for asyncio, as aput()."""
        return _scope.bound(self._adelete())

    async def _aput(self, value: Mapping[str, Any]) -> None:
        old = self.grant.stamp
        new = await self.grant.acommit(_dump(value, self.grant._store.get(self.grant.key).value))
        _scope.current().wrote([(self._name, old, new)])

    async def _adelete(self) -> None:
        old = self.grant.stamp
        _scope.current().wrote([(self._name, old, await self.grant.adelete())])

    def __enter__(self) -> ClaimedItem:
        self.grant.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        reads, last = _scope.current(), self.grant.stamp
        try:
            self.grant.__exit__(*error)
        finally:
            known = reads.stamp(self._name)
            if known is not None and known.version == last.version:  # the end of the claim alone has moved it
                reads.wrote([(self._name, last, self.grant.stamp)])


def _checked(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"an item's value is a dict, not {type(value)!r}")
    return dict(value)


def _wrap(value: str, old: bytes | None) -> bytes:
    now = datetime.now(UTC).isoformat()
    created = now if old is None else json.loads(old)["created_at"]
    return f'{{"created_at": "{created}", "updated_at": "{now}", "value": {value}}}'.encode()


def _dump(value: Any, old: bytes | None) -> bytes:
    return _wrap(json.dumps(_checked(value)), old)


def _fields(namespace: Namespace, key: str, data: bytes) -> dict[str, Any]:
    told = json.loads(data)
    return {
        "namespace": namespace,
        "key": key,
        "value": told["value"],
        "created_at": datetime.fromisoformat(told["created_at"]),
        "updated_at": datetime.fromisoformat(told["updated_at"]),
    }


def _is_like(name: Namespace, condition: MatchCondition) -> bool:
    path = condition.path
    if condition.match_type not in ("prefix", "suffix"):
        raise ValueError(f"namespaces are matched by prefix or suffix, not {condition.match_type!r}")
    part = name[: len(path)] if condition.match_type == "prefix" else name[max(0, len(name) - len(path)) :]
    return len(part) == len(path) and all(wanted in ("*", label) for label, wanted in zip(part, path, strict=True))
