"""CrewAI's tests of its persistence, of pauses for humans, and of what it locks, with ours (see ../upstream.py)."""

from __future__ import annotations

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from quiet import HOME  # noqa: I001

import crewai.flow.persistence
import crewai.flow.persistence.sqlite
from crewai_core.lock_store import set_lock_backend

from keystile.crewai import KeystileFlowPersistence, KeystileLockBackend

SUITES = {
    "crewai": (
        [
            "tests/test_flow_persistence.py",
            "tests/test_flow_persistence_factory.py",
            "tests/test_async_human_feedback.py",
            "tests/test_flow_resumability_regression.py",
            "tests/storage/test_kickoff_task_outputs_storage.py",
            "tests/utilities/test_file_handler.py",
            "tests/utilities/test_lock_store.py",
        ],
        {},
    ),
}

made: list[str] = []


class _OurPersistence(KeystileFlowPersistence):
    """Constructed as an SQLiteFlowPersistence is, with a folder where the file would be."""

    def __init__(self, db_path=f"{HOME.name}/flows.db", /, **fields):
        made.append(str(db_path))
        super().__init__(f"file:{db_path}", **fields)


def substitute():
    _OurPersistence.__name__ = _OurPersistence.__qualname__ = "SQLiteFlowPersistence"
    crewai.flow.persistence.SQLiteFlowPersistence = _OurPersistence
    crewai.flow.persistence.sqlite.SQLiteFlowPersistence = _OurPersistence
    set_lock_backend(KeystileLockBackend(f"shm:{HOME.name}/locks"))


def clean_up():
    HOME.cleanup()
