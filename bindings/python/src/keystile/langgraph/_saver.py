"""LangGraph's checkpointer."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
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
from .._core import MULTI_KEYS_MAX, Entry
from .._errors import Conflict, Fenced
from .._grants import Grant
from .._store import Store
from .._transactions import Transaction
from .._waiting import in_thread
from ._threads import Early, OldId, Thread, Writes

__all__ = ["KeystileSaver"]

T = TypeVar("T")
Entries = dict[tuple[str, ...], Entry]
"""A namespace's, by the parts of their keys: see Thread."""
Told = tuple[str | None, Any, Any]
"""A checkpoint's parent, the checkpoint without its values, its metadata."""
Names = list[str]  # inside of the class, list() is a saver's
Checkpoints = list[tuple[str, str]]
Pending = list[tuple[str, str, Any]]


class KeystileSaver(BaseCheckpointSaver[str]):
    """Checkpoints that several workers share; of two that go on from the same one, exactly one does.

    put() raises keystile.Conflict if the newest checkpoint of its thread is not the one any more that it was when the
    run read what it goes on from: another worker was there. A run that names an older one by its checkpoint_id begins
    a fork; update_state() goes on from any. A checkpoint and its channels' values are one commit: a killed worker
    leaves all of it or nothing.

    claim(thread_id) makes its caller the only one that writes a thread; whoever lost that right gets keystile.Fenced.
    """

    def __init__(
        self, store: Store | str, *, prefix: str = "langgraph/checkpoints/", serde: SerializerProtocol | None = None
    ) -> None:
        """Keep them in `store` (an open one, or a URL: keystile.shared()), under keys that start with `prefix`."""
        super().__init__(serde=serde)
        self.store = store_of(store)
        self.prefix = prefix
        self._early = Early()

    # ---- Reading ----

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        name, ns, wanted = _address(config)
        while True:
            thread = self._thread(name)
            if thread is None:
                return None
            tip = self._tip(thread, ns)
            checkpoint_id = wanted or tip
            found = None if checkpoint_id is None else self._load(thread, ns, checkpoint_id, tip)
            if found is not None or wanted or self._tip(thread, ns) == tip:  # else it was deleted meanwhile
                return found

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
            if thread is None:
                continue
            for ns, checkpoint_id in self._checkpoints(thread):
                if only_ns not in (None, ns) or only_id not in (None, checkpoint_id):
                    continue
                if end is not None and checkpoint_id >= end:
                    continue
                if limit is not None and count >= limit:
                    return
                found = self._load(thread, ns, checkpoint_id, self._tip(thread, ns), filter)
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
        goes_on = metadata.get("source") not in ("fork", "update")
        read = parent.tip if isinstance(parent, OldId) else parent

        @functools.cache
        def packed(channel: str) -> bytes:
            return _pack(self.serde.dumps_typed(values[channel]))

        def write(tx: Transaction) -> None:
            thread = self._open(tx, name)
            entry = tx.get(thread(ns, "tip"))
            tip = _text(entry.value)
            key = thread(ns, "checkpoint", checkpoint["id"])
            is_late = parent is not None and (tip is None or (goes_on and tip not in (parent, read)))
            is_again = tip == checkpoint["id"] and tx.get(key).value == record
            if is_late and not is_again:
                raise Conflict(thread(ns, "tip"), entry.stamp, None)
            versions = new_versions
            if tip != parent:  # a fork: what it shares with others may have been pruned since it was read
                versions = {**checkpoint["channel_versions"], **new_versions}
                self._check_deltas(tx, thread, ns, parent, told)
            tx.put(thread(ns, "tip"), checkpoint["id"].encode())
            tx.put(key, record)
            for channel, version in versions.items():
                if channel in values:
                    tx.put(thread(ns, "blob", channel, str(version)), packed(channel))

        transact(self.store, write)
        for task_id, writes in self._early.take((name, ns, checkpoint["id"])):
            self._add(name, ns, checkpoint["id"], task_id, writes)
        return _config(name, ns, checkpoint["id"])

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        name, ns, checkpoint_id = _address(config)
        if checkpoint_id is None:
            raise ValueError("writes belong to a checkpoint: config['configurable']['checkpoint_id'] is missing")
        news: Writes = {
            WRITES_IDX_MAP.get(channel, index): [channel, *self.serde.dumps_typed(value), task_path]
            for index, (channel, value) in enumerate(writes)
        }
        with self._early.lock:
            thread = self._thread(name)
            if thread is None or self.store.get(thread(ns, "checkpoint", checkpoint_id)).value is None:
                self._early.add((name, ns, checkpoint_id), task_id, news)
                return
        self._add(name, ns, checkpoint_id, task_id, news)

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

    @contextlib.asynccontextmanager
    async def aclaim(
        self, thread_id: str, *, lease: float | None = None, wait: float | None = 0
    ) -> AsyncGenerator[Grant, None]:
        """claim() for asyncio: `async with saver.aclaim("t1", lease=60, wait=5): await graph.ainvoke(...)`."""
        async with self.store.aclaim(join(self.prefix, [str(thread_id)]), lease=lease, wait=wait) as grant:
            with under(grant):
                yield grant

    def delete_thread(self, thread_id: str) -> None:
        """Delete a thread, at one instant. A worker that is still at it gets keystile.Conflict from its next put()."""
        name = str(thread_id)
        key = join(self.prefix, [name])

        def end(tx: Transaction) -> None:
            entry = tx.get(key)
            if entry.value is not None or entry.stamp.is_claimed:
                tx.delete(key, claim=claim_of(self.store, key))

        transact(self.store, end)
        self._sweep(name)

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread, at one instant of its. Raises keystile.Conflict if the target exists already."""
        while not self._copy(str(source_thread_id), str(target_thread_id)):
            pass

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

    def _thread(self, name: str) -> Thread | None:
        life = self.store.get(join(self.prefix, [name])).value
        return None if life is None else Thread(self.prefix, name, life)

    def _open(self, tx: Transaction, name: str) -> Thread:
        """The thread, made if there is none. What the transaction writes is under its claim, or refused by it."""
        key = join(self.prefix, [name])
        entry = tx.get(key)
        claim = claim_of(self.store, key)
        check_claim(key, entry.stamp, claim)
        thread = Thread(self.prefix, name, entry.value)
        if claim is not None or entry.value is None or entry.stamp.is_claimed:
            tx.put(key, thread.life, claim=claim)
        return thread

    def _tip(self, thread: Thread, ns: str) -> str | None:
        return _text(self.store.get(thread(ns, "tip")).value)

    def _threads(self) -> Names:
        names = (split(self.prefix, listed.key) for listed in self.store.list(self.prefix))
        return sorted(name[0] for name in names if len(name) == 1)

    def _checkpoints(self, thread: Thread) -> Checkpoints:
        """(namespace, id), the newest of a namespace first."""
        names = (split(thread.prefix, listed.key) for listed in self.store.list(thread.prefix))
        found = [(name[0], name[2]) for name in names if len(name) == 3 and name[1] == "checkpoint"]
        found.sort(key=lambda one: one[1], reverse=True)
        found.sort(key=lambda one: one[0])
        return found

    def _load(
        self, thread: Thread, ns: str, checkpoint_id: str, tip: str | None, filter: dict[str, Any] | None = None
    ) -> CheckpointTuple | None:
        """A checkpoint with its values; tip was the newest before."""
        key = thread(ns, "checkpoint", checkpoint_id)
        while True:
            record = self.store.get(key)
            if record.value is None:
                return None
            parent, checkpoint, metadata = self._unpacked(record.value)
            if any(metadata.get(field) != value for field, value in (filter or {}).items()):
                return None
            versions = checkpoint["channel_versions"]
            blobs = self.store.get_many(
                [thread(ns, "blob", channel, str(version)) for channel, version in versions.items()]
            )
            checkpoint["channel_values"] = {
                channel: self.serde.loads_typed(tuple(_unpack(blob.value)))
                for channel, blob in zip(versions, blobs, strict=True)
                if blob.value is not None
            }
            pending = self._pending(thread, ns, checkpoint_id)
            if self.store.get(thread.key).value != thread.life:
                return None
            if self.store.get(key).stamp == record.stamp:  # else a value may be gone, too
                break
        read = checkpoint_id
        if tip != checkpoint_id:
            read = OldId(checkpoint_id)
            read.tip = tip
        return CheckpointTuple(
            config=_config(thread.name, ns, read),
            checkpoint=checkpoint,
            metadata=metadata,
            parent_config=None if parent is None else _config(thread.name, ns, parent),
            pending_writes=pending,
        )

    def _unpacked(self, record: bytes) -> Told:
        parent, kind, checkpoint, metadata_kind, metadata = _unpack(record)
        return parent, self.serde.loads_typed((kind, checkpoint)), self.serde.loads_typed((metadata_kind, metadata))

    def _pending(self, thread: Thread, ns: str, checkpoint_id: str) -> Pending:
        tasks = _unpack(self.store.get(thread(ns, "tasks", checkpoint_id)).value, [])
        entries = self.store.get_many([thread(ns, "writes", checkpoint_id, task) for task in tasks])
        found = [
            (writes_sort_key(path, task, index), (task, channel, self.serde.loads_typed((kind, value))))
            for task, entry in zip(tasks, entries, strict=True)
            for index, channel, kind, value, path in _unpack(entry.value, [])
        ]
        found.sort(key=lambda one: one[0])
        return [write for _, write in found]

    def _add(self, name: str, ns: str, checkpoint_id: str, task_id: str, news: Writes) -> None:
        """Add what a task wrote to a checkpoint that is there."""

        def write(tx: Transaction) -> None:
            thread = self._open(tx, name)
            record = tx.get(thread(ns, "checkpoint", checkpoint_id))
            if record.value is None:
                raise Conflict(thread(ns, "checkpoint", checkpoint_id), record.stamp, None)
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

    def _check_deltas(self, tx: Transaction, thread: Thread, ns: str, parent: str | None, metadata: Any) -> None:
        """What a fork's DeltaChannels are rebuilt from is not in it: a parent that is gone has taken it along."""
        if parent is None or not metadata.get("counters_since_delta_snapshot"):
            return
        key = thread(ns, "checkpoint", parent)
        entry = tx.get(key)
        if entry.value is None:
            raise Conflict(key, entry.stamp, None)

    def _copy(self, source_name: str, target_name: str) -> bool:
        """False: somebody who deletes the target took the copy for one that a crash has left."""
        source = self._thread(source_name)
        if source is None:
            return True
        target = Thread(self.prefix, target_name)
        self._stage(target("copy"), b"is made")
        for key, entry in self.store.snapshot(prefix=source.prefix).items():
            assert entry.value is not None  # a snapshot of a prefix is of what is there
            self._stage(target.prefix + key.removeprefix(source.prefix), entry.value)
        is_made = True

        def begin(tx: Transaction) -> None:
            nonlocal is_made
            entry = tx.get(target.key)
            if entry.value is not None:
                raise Conflict(target.key, entry.stamp, None)
            is_made = tx.get(target("copy")).value is not None
            if is_made:
                tx.delete(target("copy"))
                tx.put(target.key, target.life, claim=claim_of(self.store, target.key))

        try:
            transact(self.store, begin)
        except BaseException:
            self._sweep(target_name)
            raise
        if not is_made:
            self._sweep(target_name)
        return is_made

    def _stage(self, key: str, value: bytes) -> None:
        self.store.update(key, lambda _: value, durable=False)

    def _keep(self, name: str, is_kept: Callable[[str, set[str], Any], bool]) -> None:
        """Delete the checkpoints of a thread that is_kept(id, what prune() keeps, metadata) does not want."""
        while True:
            thread = self._thread(name)
            if thread is None:
                return
            spaces: dict[str, Entries] = {}
            for key, entry in self.store.snapshot(prefix=thread.prefix).items():
                ns, *parts = split(thread.prefix, key)
                spaces.setdefault(ns, {})[tuple(parts)] = entry
            if all([self._keep_in(thread, ns, entries, is_kept) for ns, entries in spaces.items()]):
                break
        self._settle()

    def _keep_in(
        self, thread: Thread, ns: str, entries: Entries, is_kept: Callable[[str, set[str], Any], bool]
    ) -> bool:
        """Of one namespace as it was at one instant. False: there is more, or somebody has gone on meanwhile."""
        told = {
            parts[1]: self._unpacked(entry.value)
            for parts, entry in entries.items()
            if parts[0] == "checkpoint" and entry.value is not None
        }
        tip = entries.get(("tip",))
        needed = set() if tip is None else _needed(entries, told, _text(tip.value))
        unwanted = [one for one, (_, _, metadata) in told.items() if tip and not is_kept(one, needed, metadata)]
        going = unwanted[: MULTI_KEYS_MAX - 2]  # beside the thread and the tip
        kept = {one: told[one] for one in told if one not in going}
        if going and tip and not self._forget(thread, ns, tip, going, kept):
            return False
        live = {
            (channel, str(version))
            for _, checkpoint, _ in kept.values()
            for channel, version in checkpoint["channel_versions"].items()
        }
        for parts, entry in entries.items():
            kind, *rest = parts
            if (kind == "blob" and tuple(rest) not in live) or (kind in ("tasks", "writes") and rest[0] not in kept):
                self.store.try_delete(thread(ns, *parts), entry.stamp, durable=False)  # if no fork has put it anew
        return len(going) == len(unwanted)

    def _forget(self, thread: Thread, ns: str, tip: Entry, going: Names, kept: dict[str, Told]) -> bool:
        """Delete the records of checkpoints, if nobody has put one since."""
        tx = self.store.transaction()
        if self._open(tx, thread.name).life != thread.life:
            return False
        key = thread(ns, "tip")
        tx.expect(key, tip.stamp)
        if _text(tip.value) in going:
            if kept:
                tx.put(key, max(kept).encode())
            else:
                tx.delete(key)
        for checkpoint_id in going:
            tx.delete(thread(ns, "checkpoint", checkpoint_id))
        try:
            tx.commit()
        except (Conflict, Fenced):
            if tx.has_lost_a_claim:
                raise
            return False
        return True

    def _sweep(self, name: str) -> None:
        """Erase the thread's lives that are over, whoever has left them: what a crash has cut off, too."""
        prefix = join(self.prefix, [name]) + "/"
        lives: dict[str, Names] = {}
        for listed in self.store.list(prefix):
            lives.setdefault(split(prefix, listed.key)[0], []).append(str(listed.key))
        for life, keys in lives.items():
            if self._is_over(Thread(self.prefix, name, life.encode())):
                for key in keys:
                    self.store.try_delete(key, self.store.get(key).stamp, durable=False)
        self._settle()

    def _is_over(self, thread: Thread) -> bool:
        """Whether a life that has keys is not the thread's any more: it was, or it is a copy, which this ends.

        In this order: a copy has its mark before its first key, and loses it when it becomes the thread's.
        """
        mark = self.store.get(thread("copy"))
        if mark.value is not None:
            return self.store.try_delete(thread("copy"), mark.stamp, durable=False).ok
        return self.store.get(thread.key).value != thread.life

    def _settle(self) -> None:
        if self.store.is_durable:
            self.store.flush()


def _needed(entries: Entries, told: dict[str, Told], tip: str | None) -> set[str]:
    """The newest checkpoint, and those before it that its DeltaChannels are rebuilt from."""
    needed: set[str] = set()
    at = tip
    open_channels: set[str] | None = None
    while at is not None and at in told:
        parent, checkpoint, metadata = told[at]
        if open_channels is None:
            open_channels = set(metadata.get("counters_since_delta_snapshot") or ())
        needed.add(at)
        versions = checkpoint["channel_versions"]
        open_channels -= {one for one in versions if ("blob", one, str(versions[one])) in entries}
        if not open_channels:
            break
        at = parent
    return needed


def _address(config: RunnableConfig) -> tuple[str, str, str | None]:
    told = config["configurable"]
    return str(told["thread_id"]), told.get("checkpoint_ns") or "", get_checkpoint_id(config)


def _config(name: str, ns: str, checkpoint_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": name, "checkpoint_ns": ns, "checkpoint_id": checkpoint_id}}


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _pack(value: Any) -> bytes:
    return ormsgpack.packb(value)


def _unpack(value: bytes | None, default: Any = None) -> Any:
    return default if value is None else ormsgpack.unpackb(value)
