"""LangGraph's checkpointer."""

from __future__ import annotations

import contextlib
import contextvars
import random
import uuid
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import ormsgpack
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_id,
    get_checkpoint_metadata,
    writes_sort_key,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from .._adapting import check_claim, claim_of, join, split, store_of, transact, under
from .._core import Stamp
from .._errors import Conflict, Refused
from .._grants import Grant
from .._store import Store
from .._transactions import Transaction
from .._waiting import in_thread

__all__ = ["KeystileSaver"]

T = TypeVar("T")
Records = dict[tuple[str, ...], bytes]
"""A thread's records, by the parts of their keys: see _Thread."""
Names = list[str]  # inside of the class, list() is a saver's
Checkpoints = list[tuple[str, str]]
Writes = list[tuple[str, str, Any]]


class _Thread:
    """The names of a thread's keys.

    PREFIX THREAD                             its life: what all else is under; deleting it deletes the thread
    PREFIX THREAD/LIFE/NS/tip                 the newest checkpoint's id
    PREFIX THREAD/LIFE/NS/checkpoint/ID       parent, checkpoint without values, metadata
    PREFIX THREAD/LIFE/NS/blob/CHANNEL/VERSION
    PREFIX THREAD/LIFE/NS/tasks/ID            who has written for that checkpoint
    PREFIX THREAD/LIFE/NS/writes/ID/TASK      what
    """

    def __init__(self, prefix: str, name: str, life: bytes) -> None:
        self.key = join(prefix, [name])
        self.life = life
        self.prefix = f"{self.key}/{life.decode()}/"

    def __call__(self, *parts: str) -> str:
        return join(self.prefix, parts)


class KeystileSaver(BaseCheckpointSaver[str]):
    """Checkpoints that several workers share; of two that go on from the same one, exactly one does.

    put() raises keystile.Conflict if the checkpoint that it goes on from is not the newest of its thread any more:
    another worker has gone on from it. update_state() and forks, which go on from any, are not refused. A checkpoint
    and its channels' values are one commit: a killed worker leaves all of it or nothing.

    claim(thread_id) makes its caller the only one that writes a thread; whoever lost that right gets keystile.Fenced.
    """

    def __init__(
        self, store: Store | str, *, prefix: str = "langgraph/checkpoints/", serde: SerializerProtocol | None = None
    ) -> None:
        """Keep them in `store` (an open one, or a URL: keystile.shared()), under keys that start with `prefix`."""
        super().__init__(serde=serde)
        self.store = store_of(store)
        self.prefix = prefix

    # ---- Reading ----

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        name, ns, wanted = _address(config)
        while True:
            thread = self._thread(name)
            if thread is None:
                return None
            checkpoint_id = wanted or _text(self.store.get(thread(ns, "tip")).value)
            if checkpoint_id is None:
                return None
            found = self._load(thread, name, ns, checkpoint_id)
            if found is not None or wanted:
                return found
            if _text(self.store.get(thread(ns, "tip")).value) == checkpoint_id:  # else it was deleted meanwhile
                return None

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        names = self._threads() if config is None else [str(config["configurable"]["thread_id"])]
        only_ns = None if config is None else config["configurable"].get("checkpoint_ns")
        only_id = None if config is None else get_checkpoint_id(config)
        end = None if before is None else get_checkpoint_id(before)
        count = 0
        for name in names:
            thread = self._thread(name)
            for ns, checkpoint_id in [] if thread is None else self._checkpoints(thread):
                if only_ns not in (None, ns) or only_id not in (None, checkpoint_id):
                    continue
                if end is not None and checkpoint_id >= end:
                    continue
                if limit is not None and count >= limit:
                    return
                assert thread is not None
                found = self._load(thread, name, ns, checkpoint_id, filter)
                if found is not None:
                    count += 1
                    yield found

    # ---- Writing ----

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        name, ns, parent = _address(config)
        bare = {field: value for field, value in checkpoint.items() if field != "channel_values"}
        values = checkpoint["channel_values"]
        told = get_checkpoint_metadata(config, metadata)
        record = _pack([parent, *self.serde.dumps_typed(bare), *self.serde.dumps_typed(told)])
        blobs = {
            (channel, str(version)): _pack(self.serde.dumps_typed(values[channel]))
            for channel, version in new_versions.items()
            if channel in values
        }
        goes_on = parent is not None and metadata.get("source") not in ("fork", "update")

        def write(tx: Transaction) -> None:
            thread = self._open(tx, name)
            tip = tx.get(thread(ns, "tip"))
            if goes_on and _text(tip.value) != parent:
                raise Conflict(thread(ns, "tip"), tip.stamp, None)
            tx.put(thread(ns, "tip"), checkpoint["id"].encode())
            tx.put(thread(ns, "checkpoint", checkpoint["id"]), record)
            for (channel, version), blob in blobs.items():
                tx.put(thread(ns, "blob", channel, version), blob)

        transact(self.store, write)
        return _config(name, ns, checkpoint["id"])

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        name, ns, checkpoint_id = _address(config)
        if checkpoint_id is None:
            raise ValueError("writes belong to a checkpoint: config['configurable']['checkpoint_id'] is missing")
        news = {
            WRITES_IDX_MAP.get(channel, index): [channel, *self.serde.dumps_typed(value), task_path]
            for index, (channel, value) in enumerate(writes)
        }

        def write(tx: Transaction) -> None:
            thread = self._open(tx, name)
            tasks = _unpack(tx.get(thread(ns, "tasks", checkpoint_id)).value, [])
            if task_id not in tasks:
                tx.put(thread(ns, "tasks", checkpoint_id), _pack([*tasks, task_id]))
            key = thread(ns, "writes", checkpoint_id, task_id)
            there = {index: rest for index, *rest in _unpack(tx.get(key).value, [])}
            for index, value in news.items():
                if index < 0 or index not in there:  # what a task wrote stands; its errors and interrupts are replaced
                    there[index] = value
            tx.put(key, _pack([[index, *rest] for index, rest in there.items()]))

        transact(self.store, write)

    # ---- Threads ----

    @contextlib.contextmanager
    def claim(
        self, thread_id: str, *, lease: float | None = None, wait: float | None = 0
    ) -> Generator[Grant, None, None]:
        """Be the only one that writes this thread: `with saver.claim("t1", lease=60): graph.invoke(..., config)`.

        What this context puts into the thread is under the claim then, and what it starts meanwhile (a graph, its nodes
        and tasks). Others get keystile.Held; and if the lease is over and somebody else claimed the thread, these get
        keystile.Fenced. Yields the keystile.Grant, to renew() the lease. lease and wait are keystile.Store.claim()'s.
        """
        with self.store.claim(join(self.prefix, [str(thread_id)]), lease=lease, wait=wait) as grant, under(grant):
            yield grant

    def delete_thread(self, thread_id: str) -> None:
        """Delete a thread, at one instant. A worker that is still at it gets keystile.Conflict."""
        name = str(thread_id)
        key = join(self.prefix, [name])

        def end(tx: Transaction) -> None:
            entry = tx.get(key)
            if entry.value is not None or entry.stamp.is_claimed:
                tx.delete(key, claim=claim_of(self.store, key))

        transact(self.store, end)
        self._sweep(key)

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread, at one instant of its. Raises keystile.Conflict if the target exists already."""
        source = self._thread(str(source_thread_id))
        if source is None:
            return
        target = _Thread(self.prefix, str(target_thread_id), _new_life())
        for parts, value in self._records(source).items():  # nobody sees them yet
            self.store.update(target(*parts), lambda _, value=value: value, durable=False)  # type: ignore[misc]

        def begin(tx: Transaction) -> None:
            entry = tx.get(target.key)
            if entry.value is not None:
                raise Conflict(target.key, entry.stamp, None)
            tx.put(target.key, target.life, claim=claim_of(self.store, target.key))

        try:
            transact(self.store, begin)
        except Refused:
            self._sweep(target.key)
            raise

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints that these runs made."""
        runs = set(run_ids)
        for name in self._threads():
            self._keep(name, lambda _, __, metadata: metadata.get("run_id") not in runs)

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Of these threads, keep the newest checkpoint of each namespace, or ("delete") nothing.

        Ancestors that a DeltaChannel of the newest one is rebuilt from are kept too.
        """
        if strategy not in ("keep_latest", "delete"):
            raise ValueError(f'prune knows "keep_latest" and "delete", not {strategy!r}')
        for thread_id in thread_ids:
            if strategy == "delete":
                self.delete_thread(thread_id)
            else:
                self._keep(str(thread_id), lambda checkpoint_id, kept, _: checkpoint_id in kept)

    # ---- asyncio: what waits for the disk is done in a thread, the rest just returns ----

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return self.get_tuple(config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        for found in self.list(config, filter=filter, before=before, limit=limit):
            yield found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        return await self._asynchronously(lambda: self.put(config, checkpoint, metadata, new_versions))

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        await self._asynchronously(lambda: self.put_writes(config, writes, task_id, task_path))

    async def adelete_thread(self, thread_id: str) -> None:
        await self._asynchronously(lambda: self.delete_thread(thread_id))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        await self._asynchronously(lambda: self.copy_thread(source_thread_id, target_thread_id))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        await self._asynchronously(lambda: self.delete_for_runs(run_ids))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        await self._asynchronously(lambda: self.prune(thread_ids, strategy=strategy))

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        return self.get_delta_channel_history(config=config, channels=channels)

    async def _asynchronously(self, function: Callable[[], T]) -> T:
        if not self.store.is_durable:
            return function()
        return await in_thread(contextvars.copy_context().run, function)  # with the claims of this context

    def get_next_version(self, current: str | int | float | None, channel: None) -> str:
        """A version that no other branch of the thread gives: their values lie side by side."""
        number = 0 if current is None else int(str(current).split(".")[0])
        return f"{number + 1:032}.{random.random():016}"

    # ---- Inside ----

    def _thread(self, name: str) -> _Thread | None:
        life = self.store.get(join(self.prefix, [name])).value
        return None if life is None else _Thread(self.prefix, name, life)

    def _open(self, tx: Transaction, name: str) -> _Thread:
        """The thread, made if there is none. What the transaction writes is under its claim, or refused by it."""
        key = join(self.prefix, [name])
        entry = tx.get(key)
        claim = claim_of(self.store, key)
        check_claim(key, entry.stamp, claim)
        life = _new_life() if entry.value is None else entry.value
        if claim is not None or entry.value is None or entry.stamp.is_claimed:
            tx.put(key, life, claim=claim)
        return _Thread(self.prefix, name, life)

    def _threads(self) -> Names:
        names = (split(self.prefix, listed.key) for listed in self.store.list(self.prefix))
        return sorted(name[0] for name in names if len(name) == 1)

    def _checkpoints(self, thread: _Thread) -> Checkpoints:
        """(namespace, id), the newest of a namespace first."""
        names = (split(thread.prefix, listed.key) for listed in self.store.list(thread.prefix))
        found = [(name[0], name[2]) for name in names if len(name) == 3 and name[1] == "checkpoint"]
        found.sort(key=lambda one: one[1], reverse=True)
        found.sort(key=lambda one: one[0])
        return found

    def _records(self, thread: _Thread) -> Records:
        entries = self.store.snapshot(prefix=thread.prefix)
        return {split(thread.prefix, key): entry.value for key, entry in entries.items() if entry.value is not None}

    def _load(
        self, thread: _Thread, name: str, ns: str, checkpoint_id: str, filter: dict[str, Any] | None = None
    ) -> CheckpointTuple | None:
        record = self.store.get(thread(ns, "checkpoint", checkpoint_id)).value
        if record is None:
            return None
        parent, checkpoint, metadata = self._unpacked(record)
        if any(metadata.get(field) != value for field, value in (filter or {}).items()):
            return None
        versions = checkpoint["channel_versions"]
        blobs = self.store.get_many(
            [thread(ns, "blob", channel, str(version)) for channel, version in versions.items()]
        )
        values = {
            channel: self.serde.loads_typed(tuple(_unpack(blob.value)))
            for channel, blob in zip(versions, blobs, strict=True)
            if blob.value is not None
        }
        return CheckpointTuple(
            config=_config(name, ns, checkpoint_id),
            checkpoint={**checkpoint, "channel_values": values},
            metadata=metadata,
            parent_config=None if parent is None else _config(name, ns, parent),
            pending_writes=self._pending(thread, ns, checkpoint_id),
        )

    def _unpacked(self, record: bytes) -> tuple[str | None, Any, Any]:
        parent, kind, checkpoint, metadata_kind, metadata = _unpack(record)
        return parent, self.serde.loads_typed((kind, checkpoint)), self.serde.loads_typed((metadata_kind, metadata))

    def _pending(self, thread: _Thread, ns: str, checkpoint_id: str) -> Writes:
        tasks = _unpack(self.store.get(thread(ns, "tasks", checkpoint_id)).value, [])
        entries = self.store.get_many([thread(ns, "writes", checkpoint_id, task) for task in tasks])
        found = [
            (writes_sort_key(path, task, index), (task, channel, self.serde.loads_typed((kind, value))))
            for task, entry in zip(tasks, entries, strict=True)
            for index, channel, kind, value, path in _unpack(entry.value, [])
        ]
        found.sort(key=lambda one: one[0])
        return [write for _, write in found]

    def _keep(self, name: str, is_kept: Callable[[str, set[str], Any], bool]) -> None:
        """Delete the checkpoints of a thread that is_kept(id, what prune() keeps, metadata) does not want.

        The new tips are one commit, in which the thread is what it was when this was decided; what nobody sees any
        more is deleted then.
        """
        while True:
            thread = self._thread(name)
            if thread is None:
                return
            tips = self._tips(thread)
            records = self._records(thread)
            told = {
                (parts[0], parts[2]): self._unpacked(value)
                for parts, value in records.items()
                if parts[1] == "checkpoint"
            }
            needed = {ns: _needed(records, told, ns, tip) for ns, (tip, _) in tips.items()}
            kept = {
                one for one, (_, _, metadata) in told.items() if is_kept(one[1], needed.get(one[0], set()), metadata)
            }
            if kept == set(told):
                return
            if self._move_tips(thread, name, tips, kept):
                break
        live = {
            (ns, channel, str(version))
            for ns, checkpoint_id in kept
            for channel, version in told[ns, checkpoint_id][1]["channel_versions"].items()
        }
        for parts in records:
            ns, kind, *rest = parts
            is_live = kind == "tip" or ((ns, *rest) in live if kind == "blob" else (ns, rest[0]) in kept)
            if not is_live:
                self._erase(thread(*parts))
        self._settle()

    def _tips(self, thread: _Thread) -> dict[str, tuple[str, Stamp]]:
        entries = self.store.snapshot(prefix=thread.prefix)
        return {
            split(thread.prefix, key)[0]: (entry.value.decode(), entry.stamp)
            for key, entry in entries.items()
            if split(thread.prefix, key)[1] == "tip" and entry.value is not None
        }

    def _move_tips(
        self, thread: _Thread, name: str, tips: dict[str, tuple[str, Stamp]], kept: set[tuple[str, str]]
    ) -> bool:
        tx = self.store.transaction()
        if self._open(tx, name).life != thread.life:
            return False
        for ns, (tip, stamp) in tips.items():
            key = thread(ns, "tip")
            tx.expect(key, stamp)
            if (ns, tip) not in kept:
                rest = [checkpoint_id for of, checkpoint_id in kept if of == ns]
                if rest:
                    tx.put(key, max(rest).encode())
                else:
                    tx.delete(key)
        try:
            tx.commit()
        except Conflict:
            return False
        return True

    def _sweep(self, key: str) -> None:
        """Erase what nobody can reach any more: records of a thread under a life that is not its own."""
        life = _text(self.store.get(key).value)
        for listed in self.store.list(f"{key}/"):
            if life is None or split(f"{key}/", listed.key)[0] != life:
                self._erase(str(listed.key))
        self._settle()

    def _erase(self, key: str) -> None:
        self.store.try_delete(key, self.store.get(key).stamp, durable=False)

    def _settle(self) -> None:
        if self.store.is_durable:
            self.store.flush()


def _needed(records: Records, told: dict[tuple[str, str], tuple[str | None, Any, Any]], ns: str, tip: str) -> set[str]:
    """The newest checkpoint, and those before it that its DeltaChannels are rebuilt from."""
    needed = {tip}
    if (ns, tip) not in told:
        return needed
    _, checkpoint, metadata = told[ns, tip]
    open_channels = set(metadata.get("counters_since_delta_snapshot") or ())
    at: str | None = tip
    while at is not None and (ns, at) in told:
        parent, checkpoint, _ = told[ns, at]
        needed.add(at)
        versions = checkpoint["channel_versions"]
        open_channels -= {one for one in versions if (ns, "blob", one, str(versions[one])) in records}
        if not open_channels:
            break
        at = parent
    return needed


def _address(config: RunnableConfig) -> tuple[str, str, str | None]:
    told = config["configurable"]
    return str(told["thread_id"]), told.get("checkpoint_ns") or "", get_checkpoint_id(config)


def _config(name: str, ns: str, checkpoint_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": name, "checkpoint_ns": ns, "checkpoint_id": checkpoint_id}}


def _new_life() -> bytes:
    return uuid.uuid4().hex[:12].encode()


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _pack(value: Any) -> bytes:
    return ormsgpack.packb(value)


def _unpack(value: bytes | None, default: Any = None) -> Any:
    return default if value is None else ormsgpack.unpackb(value)
