"""Sessions and workflow checkpoints of Microsoft's agent-framework in a Keystile store: nobody overwrites unseen work.

from keystile.agent_framework import CheckpointStorage, SessionStore

sessions = SessionStore("file:/var/lib/agents")
session = await sessions.get("user-7")             # a set() of it raises keystile.Conflict if somebody was faster

Needs the framework: pip install "./bindings/python[agent-framework]".
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from datetime import datetime
from typing import Any

try:
    import agent_framework as upstream
    from agent_framework import AgentSession, WorkflowCheckpoint, WorkflowCheckpointException
    from agent_framework._workflows._checkpoint_encoding import decode_checkpoint_value, encode_checkpoint_value
except ImportError as error:
    raise ImportError(
        "keystile.agent_framework needs agent-framework-core: "
        f'pip install "./bindings/python[agent-framework]" ({error})'
    ) from error

from ._adapting import join, split, store_of, transact
from ._errors import Conflict
from ._grants import Grant
from ._lineage import Lineage
from ._store import Store
from ._transactions import Transaction

__all__ = ["CheckpointStorage", "SessionStore"]

_log = logging.getLogger("keystile")


class SessionStore(upstream.SessionStore):
    """A session store that several processes may use.

    set() and delete() raise keystile.Conflict if somebody else has written the session since it was read: by get() of
    the object that is stored now, or else by the same asyncio task. Who has read nothing may create a session, and may
    not replace one.
    """

    def __init__(self, store: Store | str, *, prefix: str = "agent-framework/sessions/") -> None:
        """Keep sessions in `store` (an open one, or a URL: keystile.shared()), under keys that start with `prefix`."""
        super().__init__()
        self.store = store_of(store)
        self.prefix = prefix
        self._lineage: Lineage[AgentSession] = Lineage(self.store)

    async def get(self, session_id: str) -> AgentSession | None:
        """The session, a copy; None: there is none."""
        key = self._key(session_id)
        entry = self._lineage.read(key)
        if entry.value is None:
            return None
        session = AgentSession.from_dict(json.loads(entry.value))
        self._lineage.bind(key, session)
        return session

    async def set(self, session_id: str, session: AgentSession) -> None:
        """Store the session in place of the one that was read."""
        key = self._key(session_id)
        if type(session) is not AgentSession:
            raise TypeError(f"an AgentSession itself can be stored and read back, not {type(session)!r}")
        await self._lineage.awrite(key, json.dumps(session.to_dict()).encode(), session)

    async def delete(self, session_id: str) -> None:
        """Delete the session that was read; nothing, if there is none. Who has not read it deletes what is there."""
        key = self._key(session_id)
        if self.store.get(key).value is None:
            return
        if not self._lineage.has_read(key):
            self._lineage.read(key)
        await self._lineage.awrite(key, None)

    @contextlib.asynccontextmanager
    async def claim(
        self, session_id: str, *, lease: float | None = None, wait: float | None = None
    ) -> AsyncGenerator[Grant]:
        """Be the only one that writes this session: `async with sessions.claim("user-7", lease=60): ...`.

        Waits for its turn (wait: seconds, then keystile.Held). If the lease is over and somebody else claimed the
        session, this one gets keystile.Fenced. Yields the keystile.Grant, to renew() the lease.
        """
        async with self._lineage.aclaim(self._key(session_id), lease, wait) as grant:
            yield grant

    def _key(self, session_id: str) -> str:
        upstream.SessionStore.validate_session_id(session_id)
        return join(self.prefix, [session_id])


class CheckpointStorage:
    """A workflow's checkpoints (agent_framework.CheckpointStorage), for several processes.

    A checkpoint has one successor: of two workers that resume from the same one, the second to save gets
    keystile.Conflict, and nothing of its is stored. With may_fork=True both are kept.

    The framework's runner logs what save() raises and goes on with the run; `refused` is the last Conflict, so that
    who started the run can look at it.
    """

    def __init__(
        self,
        store: Store | str,
        *,
        prefix: str = "agent-framework/checkpoints/",
        may_fork: bool = False,
        allowed_checkpoint_types: Iterable[str] = (),
    ) -> None:
        """Keep checkpoints in `store` (an open one, or a URL), under keys that start with `prefix`.

        allowed_checkpoint_types: as FileCheckpointStorage's, what may be unpickled beside the framework's own types.
        """
        self.store = store_of(store)
        self.prefix = prefix
        self.may_fork = may_fork
        self.refused: Conflict | None = None
        self._allowed_types = frozenset(allowed_checkpoint_types)

    async def save(self, checkpoint: WorkflowCheckpoint) -> str:
        """Store a checkpoint; its id."""
        name = checkpoint.checkpoint_id
        try:
            value = json.dumps(encode_checkpoint_value(checkpoint.to_dict())).encode()
            self._decode(value)
        except WorkflowCheckpointException:
            raise
        except Exception as error:
            raise WorkflowCheckpointException(f"checkpoint {name} cannot be stored and read back: {error}") from error
        previous = checkpoint.previous_checkpoint_id

        def put(tx: Transaction) -> None:
            if previous is not None and not self.may_fork:
                successor = self._key("next", previous)
                entry = tx.get(successor)
                if entry.value is not None and entry.value != name.encode():
                    raise Conflict(successor, entry.stamp, None)
                tx.put(successor, name.encode())
            tx.put(self._key("id", name), value)
            tx.put(self._key("of", checkpoint.workflow_name, name), b"")

        try:
            await self._transact(put)
        except Conflict as conflict:
            self.refused = conflict
            raise
        return name

    async def load(self, checkpoint_id: str) -> WorkflowCheckpoint:
        """The checkpoint; WorkflowCheckpointException: there is none."""
        value = self.store.get(self._key("id", checkpoint_id)).value
        if value is None:
            raise WorkflowCheckpointException(f"No checkpoint found with ID {checkpoint_id}")
        try:
            return self._decode(value)
        except WorkflowCheckpointException:
            raise
        except Exception as error:
            raise WorkflowCheckpointException(f"checkpoint {checkpoint_id} cannot be read: {error}") from error

    async def list_checkpoints(self, *, workflow_name: str) -> list[WorkflowCheckpoint]:
        """A workflow's checkpoints, oldest first. One that cannot be decoded here is left out, and logged."""
        prefix = self._key("of", workflow_name, "")
        names = [split(self.prefix, one.key)[2] for one in self.store.list(prefix)]
        found = []
        for name, entry in zip(names, self.store.get_many([self._key("id", name) for name in names]), strict=True):
            if entry.value is None:
                continue
            try:
                checkpoint = self._decode(entry.value)
                found.append((_time_of(checkpoint), checkpoint))
            except Exception as error:  # of other types than this worker's, or damaged: the others are good
                _log.warning("checkpoint %s of workflow %s cannot be read: %s", name, workflow_name, error)
        return [checkpoint for _, checkpoint in sorted(found, key=lambda one: one[0])]

    async def delete(self, checkpoint_id: str) -> bool:
        """Delete a checkpoint, also one that cannot be decoded; False: there is none.

        That it had a successor stays known.
        """
        is_there = False

        def remove(tx: Transaction) -> None:
            nonlocal is_there
            key = self._key("id", checkpoint_id)
            value = tx.get(key).value
            is_there = value is not None
            if value is not None:
                tx.delete(key)
                for name in self._entries_of(checkpoint_id, value):
                    tx.delete(name)

        await self._transact(remove)
        return is_there

    async def get_latest(self, *, workflow_name: str) -> WorkflowCheckpoint | None:
        """A workflow's newest checkpoint, by its time, of those that can be decoded here."""
        found = await self.list_checkpoints(workflow_name=workflow_name)
        return found[-1] if found else None

    async def list_checkpoint_ids(self, *, workflow_name: str) -> list[str]:
        """The ids of a workflow's checkpoints that can be decoded here, as of FileCheckpointStorage."""
        return [one.checkpoint_id for one in await self.list_checkpoints(workflow_name=workflow_name)]

    async def _transact(self, function: Callable[[Transaction], None]) -> None:
        """Done at once; only the disk is waited for."""
        stamps = transact(self.store, function, durable=False)
        if self.store.is_durable and stamps:
            await self.store.await_durable(next(iter(stamps.values())))

    def _key(self, *parts: str) -> str:
        return join(self.prefix, parts)

    def _entries_of(self, checkpoint_id: str, value: bytes) -> list[str]:
        """The keys that make it one of a workflow; of a damaged one they are searched for."""
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
            return [self._key("of", json.loads(value)["workflow_name"], checkpoint_id)]
        keys = [str(one.key) for one in self.store.list(self._key("of", ""))]
        return [key for key in keys if split(self.prefix, key)[2] == checkpoint_id]

    def _decode(self, value: bytes) -> WorkflowCheckpoint:
        decoded: dict[str, Any] = decode_checkpoint_value(json.loads(value), allowed_types=self._allowed_types)
        return WorkflowCheckpoint.from_dict(decoded)


def _time_of(checkpoint: WorkflowCheckpoint) -> datetime:
    return datetime.fromisoformat(checkpoint.timestamp)
