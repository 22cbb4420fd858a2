"""AutoGen's team state, memory and cache in a Keystile store: nobody overwrites what it has not seen.

from keystile.autogen import load_team, save_team

stamp = await load_team(team, store, "team-7")
await team.run(task="go on")
stamp = await save_team(team, store, "team-7", stamp)      # raises keystile.Conflict if somebody was faster

Needs AutoGen: pip install "./bindings/python[autogen]".
"""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any, Protocol, TypeVar

try:
    from autogen_core import CacheStore as UpstreamCacheStore
    from autogen_core import CancellationToken, Component, Image
    from autogen_core.memory import ListMemory, MemoryContent, MemoryMimeType, MemoryQueryResult, UpdateContextResult
    from autogen_core.memory import Memory as UpstreamMemory
    from autogen_core.model_context import ChatCompletionContext
    from pydantic import BaseModel
except ImportError as error:
    raise ImportError(
        f'keystile.autogen needs autogen-core: pip install "./bindings/python[autogen]" ({error})'
    ) from error

from ._adapting import conflict_of, join, store_of
from ._core import Stamp
from ._errors import Refused
from ._grants import Grant
from ._lineage import Lineage
from ._store import Store

__all__ = ["CacheStore", "Memory", "load_team", "save_team"]

T = TypeVar("T")


class Stateful(Protocol):
    """A team, an agent or a runtime."""

    async def save_state(self) -> Any: ...
    async def load_state(self, state: Any) -> None: ...


async def load_team(team: Stateful, store: Store | str, key: str) -> Stamp:
    """Load a team's state, if there is one; the stamp with which save_team() replaces it, or creates it."""
    value, stamp = store_of(store).get(key)
    if value is not None:
        await team.load_state(json.loads(value))
    return stamp


async def save_team(team: Stateful, store: Store | str, key: str, stamp: Stamp, *, claim: Grant | None = None) -> Stamp:
    """Save a team's state in place of the one that was loaded; the new stamp.

    Raises keystile.Conflict if somebody else has saved since, and Held if somebody owns the key. With a claim of the
    key (store.claim()) that was lost: Fenced.
    """
    value = json.dumps(await team.save_state()).encode()
    try:
        return await store_of(store).acommit(key, value, stamp, claim=claim)
    except Refused as refusal:
        if claim is not None:
            raise
        raise conflict_of(refusal) from None


class _Config(BaseModel):
    url: str
    prefix: str


class CacheStore(UpstreamCacheStore[T], Component[_Config]):
    """A cache of values that JSON can say, for several processes.

    set() raises keystile.Conflict if somebody else has set the key since the same asyncio task, or thread, got its
    value. Who got none, for there was none or it did not ask, replaces what is there, as with every cache.
    """

    component_provider_override = "keystile.autogen.CacheStore"
    component_config_schema = _Config

    def __init__(self, store: Store | str, *, prefix: str = "autogen/cache/") -> None:
        """Keep values in `store` (an open one, or a URL: keystile.shared()), under keys that start with `prefix`."""
        self.store = store_of(store)
        self.prefix = prefix
        self._lineage: Lineage[Any] = Lineage(self.store)

    def get(self, key: str, default: T | None = None) -> T | None:
        """The key's value, or `default`."""
        name = join(self.prefix, [key])
        entry = self._lineage.read(name)
        if entry.value is None:
            self._lineage.forget(name)  # of two that miss at once, both have paid for a value, and either will do
            return default
        value: T = json.loads(entry.value)
        return value

    def set(self, key: str, value: T) -> None:
        """Set the key's value in place of the one this task got."""
        name = join(self.prefix, [key])
        data = json.dumps(value, default=_model).encode()
        if not self._lineage.has_read(name):
            self.store.update(name, lambda _: data)
            return
        self._lineage.write(name, data)

    def _to_config(self) -> _Config:
        return _Config(url=self.store.url, prefix=self.prefix)

    @classmethod
    def _from_config(cls, config: _Config) -> CacheStore[Any]:
        return cls(config.url, prefix=config.prefix)


def _model(thing: Any) -> Any:
    if isinstance(thing, BaseModel):
        return thing.model_dump(mode="json")
    raise TypeError(f"a cache's values are what JSON can say, and pydantic models; not {type(thing)!r}")


class _MemoryConfig(BaseModel):
    url: str
    key: str


class Memory(UpstreamMemory, Component[_MemoryConfig]):
    """A list of memories, in order, for several processes: none that was added is lost.

    As autogen_core.memory.ListMemory, query() gives all, and update_context() adds all as a system message.
    """

    component_provider_override = "keystile.autogen.Memory"
    component_config_schema = _MemoryConfig

    def __init__(self, store: Store | str, key: str) -> None:
        """Keep the memories in `key` of `store` (an open one, or a URL: keystile.shared()); 16 MiB of JSON at most."""
        self.store = store_of(store)
        self.key = key

    async def update_context(self, model_context: ChatCompletionContext) -> UpdateContextResult:
        """Add all memories to a model's context, as one system message."""
        return await ListMemory(memory_contents=self._all()).update_context(model_context)

    async def query(
        self, query: str | MemoryContent = "", cancellation_token: CancellationToken | None = None, **kwargs: Any
    ) -> MemoryQueryResult:
        """All memories, oldest first."""
        return MemoryQueryResult(results=self._all())

    async def add(self, content: MemoryContent, cancellation_token: CancellationToken | None = None) -> None:
        """Append a memory, whoever appends beside."""
        one = _plain(content)
        await self.store.aupdate(self.key, lambda old: json.dumps([*json.loads(old or b"[]"), one]).encode())

    async def clear(self) -> None:
        """Remove all memories."""
        await self.store.aupdate(self.key, lambda _: b"[]")

    async def close(self) -> None:
        """Nothing: the store is closed by who opened it."""

    def _all(self) -> list[MemoryContent]:
        return [_memory_of(one) for one in json.loads(self.store.get(self.key).value or b"[]")]

    def _to_config(self) -> _MemoryConfig:
        return _MemoryConfig(url=self.store.url, key=self.key)

    @classmethod
    def _from_config(cls, config: _MemoryConfig) -> Memory:
        return cls(config.url, config.key)


def _plain(memory: MemoryContent) -> dict[str, Any]:
    """What JSON can say of it; bytes and images, of which the mime type alone does not tell, beside the content."""
    plain = memory.model_dump(mode="json", exclude={"content"})
    content = memory.content
    if isinstance(content, bytes):
        return {**plain, "bytes": base64.b64encode(content).decode()}
    if isinstance(content, Image):
        return {**plain, "image": content.to_base64()}
    return {**plain, "content": content}


def _memory_of(plain: dict[str, Any]) -> MemoryContent:
    content = plain.get("content")
    if "bytes" in plain:
        content = base64.b64decode(plain["bytes"])
    if "image" in plain:
        content = Image.from_base64(plain["image"])
    mime_type = plain["mime_type"]
    with contextlib.suppress(ValueError):
        mime_type = MemoryMimeType(mime_type)
    return MemoryContent(content=content, mime_type=mime_type, metadata=plain["metadata"])
