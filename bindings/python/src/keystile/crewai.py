"""CrewAI's flow persistence and locks in a Keystile store: of two runs of one flow, one saves, and the other is told.

from keystile.crewai import KeystileFlowPersistence

@persist(KeystileFlowPersistence("file:/var/lib/agents"))
class Research(Flow[State]): ...

Needs CrewAI: pip install "./bindings/python[crewai]".
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Callable, Generator
from datetime import date
from typing import Any, cast
from weakref import WeakValueDictionary

try:
    from crewai.flow.async_feedback import PendingFeedbackContext
    from crewai.flow.persistence import FlowPersistence
    from portalocker.exceptions import LockException
    from pydantic import BaseModel, Field, PrivateAttr
    from pydantic_core import to_jsonable_python
except ImportError as error:
    raise ImportError(f'keystile.crewai needs CrewAI: pip install "./bindings/python[crewai]" ({error})') from error

from ._adapting import join, store_of
from ._core import KEY_SIZE_MAX
from ._errors import Conflict, Held, KeystileError
from ._grants import Grant, lease_of
from ._lineage import Lineage
from ._opening import shared
from ._store import Store

__all__ = ["KeystileFlowPersistence", "KeystileLockBackend", "unwrap"]

Record = dict[str, Any]
"""A flow's value: {"method", "state"}; while it waits for a human, also "pending": {"context", "state"}."""


def unwrap(error: BaseException | None) -> KeystileError | None:
    """The keystile error in what CrewAI raised; None: there is none.

    CrewAI puts what a persistence raises into a RuntimeError, and that sometimes into another one.
    """
    seen = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, KeystileError):
            return error
        seen.add(id(error))
        hides = error.__cause__ is not None or error.__suppress_context__
        error = error.__cause__ if hides else error.__context__
    return None


class _Opening:
    """A store; in a forked child the child's own opening of it, for what is set up once, before a server forks."""

    __slots__ = ("_pid", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pid = os.getpid()

    def __deepcopy__(self, memo: dict[int, Any]) -> _Opening:
        return self  # the same store, which knows what this process has seen of it: see _flows

    def store(self) -> Store:
        if self._pid != os.getpid():
            self._store = shared(self._store.url, **self._store._options)
            self._pid = os.getpid()
        return self._store


class _Flows:
    """What this process has seen of the flows under a prefix of a store."""

    __slots__ = ("__weakref__", "lineage", "lock")

    def __init__(self, store: Store) -> None:
        self.lineage: Lineage[Any] = Lineage(store, are_one=True)  # branches are; a kickoff() has its own context
        self.lock = threading.Lock()
        """Branches of one run save one state: each after the one before it, and the newest last."""

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()  # in a copy, or another process, None: _here() finds what is known there


_flows: WeakValueDictionary[tuple[int, str], _Flows] = WeakValueDictionary()
"""By the store's id() and the prefix: CrewAI may make several persistences for one flow, which know the same."""


class KeystileFlowPersistence(FlowPersistence):
    """A flow persistence that several processes may use, for @persist(...), and for set_flow_persistence_factory().

    Saving raises keystile.Conflict if somebody else has saved the flow since this run loaded it; CrewAI puts that into
    a RuntimeError, see unwrap(). Who has loaded nothing may create a flow, and may not replace one, but one that this
    process created and that nobody else has written since.
    """

    persistence_type: str = "KeystileFlowPersistence"
    url: str
    options: dict[str, Any] = Field(default_factory=dict)
    """Of keystile.open()."""
    prefix: str = "crewai/flows/"

    _opening: _Opening = PrivateAttr()
    _seen: _Flows | None = PrivateAttr(default=None)

    def __init__(self, store: Store | str | None = None, /, **fields: Any) -> None:
        """Keep flows in `store` (an open one, or a URL: keystile.shared()), under keys that start with `prefix`."""
        if isinstance(store, Store):
            fields |= {"url": store.url, "options": store._options}
        elif store is not None:
            fields["url"] = store
        super().__init__(**fields)
        self._opening = _Opening(store if isinstance(store, Store) else shared(self.url, **self.options))

    def init_db(self) -> None:
        """Nothing: the store is open."""

    def save_state(self, flow_uuid: str, method_name: str, state_data: dict[str, Any] | BaseModel) -> None:
        """Save the flow's state in place of the one that this run loaded."""
        _check_state(state_data)
        self._write(flow_uuid, lambda record: {**record, "method": method_name, "state": state_data})

    def load_state(self, flow_uuid: str) -> dict[str, Any] | None:
        """The state that was saved last; None: there is none."""
        record = self._read(flow_uuid)
        return None if record is None else record["state"]

    def save_pending_feedback(
        self, flow_uuid: str, context: PendingFeedbackContext, state_data: dict[str, Any] | BaseModel
    ) -> None:
        """Save the state, and that the flow waits for a human, in one commit."""
        _check_state(state_data)
        pending = {"context": context.to_dict(), "state": state_data}
        record = {"method": context.method_name, "state": state_data, "pending": pending}
        self._write(flow_uuid, lambda _: record)

    def load_pending_feedback(self, flow_uuid: str) -> tuple[dict[str, Any], PendingFeedbackContext] | None:
        """The state in which the flow waits for a human, and what it asked; None: it does not wait."""
        pending = (self._read(flow_uuid) or {}).get("pending")
        return None if pending is None else (pending["state"], PendingFeedbackContext.from_dict(pending["context"]))

    def clear_pending_feedback(self, flow_uuid: str) -> None:
        """The flow has its answer. Of two that resume one flow, one does; a flow that does not exist is left so."""

        def clear(record: Record) -> Record | None:
            return {name: record[name] for name in record if name != "pending"} or None

        self._write(flow_uuid, clear)

    @contextlib.contextmanager
    def claim(self, flow_uuid: str, *, lease: float | None = None, wait: float | None = None) -> Generator[Grant]:
        """Be the only one that saves this flow: `with persistence.claim("job-7", lease=60): flow.kickoff(...)`.

        Waits for its turn (wait: seconds, then keystile.Held). If the lease is over and somebody else claimed the flow,
        this one gets keystile.Fenced. Yields the keystile.Grant, to renew() the lease.
        """
        with self._here().lineage.claim(self._key(flow_uuid), lease, wait) as grant:
            yield grant

    def _key(self, flow_uuid: str) -> str:
        if not isinstance(flow_uuid, str):
            raise TypeError(f"a flow's id is a str, not {type(flow_uuid)!r}")
        return join(self.prefix, [flow_uuid])

    def _here(self) -> _Flows:
        store = self._opening.store()
        if self._seen is None or self._seen.lineage.store is not store:
            self._seen = _flows.setdefault((id(store), self.prefix), _Flows(store))
        return self._seen

    def _read(self, flow_uuid: str) -> Record | None:
        value = self._here().lineage.read(self._key(flow_uuid)).value
        return None if value is None else cast(Record, json.loads(value))

    def _write(self, flow_uuid: str, change: Callable[[Record], Record | None]) -> None:
        """Commit what change makes of the record, from what was read; None: nothing."""
        key, flows = self._key(flow_uuid), self._here()
        store = flows.lineage.store
        with flows.lock:
            value = store.get(key).value  # of a version that was not read, it is refused below
            record = change({} if value is None else json.loads(value))
            if record is None:
                return
            has_read = flows.lineage.has_read(key)
            try:
                stamp = flows.lineage.write(key, json.dumps(record, default=_jsonable).encode(), durable=False)
            except Conflict as conflict:
                if not has_read:
                    conflict.add_note("Neither this thread or task, nor one it was started from, has loaded the flow.")
                raise
        if store.is_durable:
            store.wait_durable(stamp)


class KeystileLockBackend:
    """CrewAI's named locks as claims: crewai_core.lock_store.set_lock_backend(KeystileLockBackend("shm:agents")).

    A lock ends with its `with` block or with its process, killed or not. With a lease it is renewed while the block
    runs; a process that stands still for longer loses it, and the end of its block raises keystile.Fenced.
    """

    def __init__(self, store: Store | str, *, prefix: str = "crewai/locks/", lease: float | None = None) -> None:
        """Keep locks in `store` (an open one, or a URL: keystile.shared()), under keys that start with `prefix`."""
        lease_of(lease)
        self.prefix = prefix
        self.lease = lease
        self._opening = _Opening(store_of(store))

    @contextlib.contextmanager
    def __call__(self, name: str, *, timeout: float) -> Generator[None]:
        """Hold the lock while the block runs; after `timeout` seconds of waiting: portalocker's LockException."""
        try:
            grant = self._opening.store().claim(self._key(name), lease=self.lease, wait=timeout)
        except Held as held:
            raise LockException(f"Failed to acquire lock {name!r} (timeout={timeout}s): {held}") from held
        with grant, contextlib.nullcontext() if self.lease is None else _renewed(grant, self.lease):
            yield

    def _key(self, name: str) -> str:
        """Names are of files, mostly; a name that is too long for a key is hashed."""
        key = self.prefix + name
        return key if len(os.fsencode(key)) <= KEY_SIZE_MAX else self.prefix + hashlib.sha256(name.encode()).hexdigest()


@contextlib.contextmanager
def _renewed(grant: Grant, lease: float) -> Generator[None]:
    is_over = threading.Event()
    lost: list[KeystileError] = []

    def renew() -> None:
        try:
            while not is_over.wait(lease / 3):
                grant.renew(lease)
        except KeystileError as error:
            lost.append(error)

    thread = threading.Thread(target=renew, name="keystile-lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
    if lost:
        raise lost[0]


def _check_state(state: Any) -> None:
    if not isinstance(state, (dict, BaseModel)):
        raise TypeError(f"a flow's state is a dict or a pydantic model, not {type(state)!r}")


def _jsonable(thing: Any) -> Any:
    """What JSON has no form for, as SQLiteFlowPersistence writes it; of what has no form at all, its str()."""
    return thing.isoformat() if isinstance(thing, date) else to_jsonable_python(thing, fallback=str)
