"""LangGraph's tests of its stores and savers in memory, with ours in their place (see ../upstream.py)."""

from __future__ import annotations

import itertools
import os

import keystile
from keystile.langgraph import KeystileSaver, KeystileStore

SUITES = {
    "langgraph-checkpoint": (
        ["tests/test_store.py", "tests/test_memory.py"],
        {
            "vectors: ours says that it has none": [
                "test_vector_search_scores_every_item",
                "test_cannot_put_empty_namespace",
                "test_vector_store_initialization",
                "test_vector_insert_with_auto_embedding",
                "test_async_vector_insert_with_auto_embedding",
                "test_vector_update_with_embedding",
                "test_async_vector_update_with_embedding",
                "test_vector_search_with_filters",
                "test_async_vector_search_with_filters",
                "test_async_batched_vector_search_concurrent",
                "test_vector_search_pagination",
                "test_async_vector_search_pagination",
                "test_embed_with_path",
                "test_non_ascii",
            ],
            "saves successors of checkpoints that were never saved: Conflict": ["test_search", "test_asearch"],
            "ours is no context manager: its store is": ["test_memory_saver"],
            "looks into the dicts of the saver in memory": [
                "test_load_blobs_omits_delta_channel",
                "test_get_channel_writes_collects_ancestor_writes_only",
                "test_get_channel_writes_at_root_returns_empty",
                "test_fallback_returns_ancestor_writes_oldest_first",
                "test_async_fallback_returns_ancestor_writes_oldest_first",
                "test_async_fallback_concurrent_tasks_do_not_interfere",
                "test_seed_from_pre_delta_ancestor_blob",
                "test_seed_bounds_walk_without_dropping_its_own_writes",
            ],
        },
    ),
}

URL = f"shm:py.upstream.{os.getpid()}"
made: list[str] = []
_numbers = itertools.count()


def _new_prefix() -> str:
    made.append(f"{next(_numbers)}/")
    return made[-1]


class _OurStore(KeystileStore):
    """Constructed as an InMemoryStore is."""

    def __init__(self, *, index=None):
        if index is not None:
            raise NotImplementedError("vectors")
        super().__init__(URL, prefix=_new_prefix())


class _OurSaver(KeystileSaver):
    """Constructed as an InMemorySaver is."""

    def __init__(self, *, serde=None):
        super().__init__(URL, prefix=_new_prefix(), serde=serde)


def substitute():
    import langgraph.checkpoint.memory
    import langgraph.store.memory

    langgraph.store.memory.InMemoryStore = _OurStore
    langgraph.checkpoint.memory.InMemorySaver = _OurSaver


def clean_up():
    keystile.shared(URL).close()
    keystile.destroy(URL, force=True)
