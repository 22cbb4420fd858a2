"""AutoGen's tests of memories, caches and saved teams, with ours in place of its own (see ../upstream.py)."""

from __future__ import annotations

import itertools
import os
from typing import TypeVar

import keystile
from keystile.autogen import CacheStore, Memory, load_team, save_team

SUITES = {
    "autogen-core": (
        ["tests/test_memory.py", "tests/test_cache_store.py"],
        {
            "the configuration of ListMemory": [
                "test_memory_component_load_config_from_base_model",
                "test_memory_component_dump_config_to_base_model",
            ]
        },
    ),
    "autogen-agentchat": (
        [
            "tests/test_group_chat_nested.py",
            "tests/test_group_chat_graph.py",
            "tests/test_magentic_one_group_chat.py",
            "tests/test_society_of_mind_agent.py",
        ],
        {},
    ),
}

T = TypeVar("T")
URL = f"shm:py.upstream.{os.getpid()}"
made: list[str] = []
_numbers = itertools.count()


def _new_key() -> str:
    made.append(f"key.{next(_numbers)}")
    return made[-1]


class _OurMemory(Memory):
    """Constructed as a ListMemory is."""

    def __init__(self, name=None, memory_contents=None):
        assert not memory_contents
        super().__init__(URL, _new_key())


class _OurStore(CacheStore[T]):
    """Constructed as an InMemoryStore is."""

    def __init__(self):
        super().__init__(URL, prefix=f"{_new_key()}/")


class _Saved:
    def __init__(self, state):
        self.state = state

    async def save_state(self):
        return self.state


class _Loader:
    def __init__(self, load):
        self.load_state = load


def _through_the_store(load_state):
    async def load(self, state):
        key = _new_key()
        await save_team(_Saved(state), URL, key, keystile.NEVER)
        await load_team(_Loader(lambda loaded: load_state(self, loaded)), URL, key)

    return load


def substitute():
    import autogen_core
    import autogen_core.memory
    from autogen_agentchat.teams import BaseGroupChat

    autogen_core.memory.ListMemory = _OurMemory
    autogen_core.InMemoryStore = _OurStore
    BaseGroupChat.load_state = _through_the_store(BaseGroupChat.load_state)


def clean_up():
    keystile.shared(URL).close()
    keystile.destroy(URL, force=True)
