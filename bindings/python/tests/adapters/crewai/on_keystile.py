"""A pytest plugin: CrewAI's own tests, with a store wherever they make an SQLite file, and our locks."""

import tempfile

import crewai.flow.persistence
import crewai.flow.persistence.sqlite
from crewai_core.lock_store import set_lock_backend

from keystile.crewai import KeystileFlowPersistence, KeystileLockBackend

HOME = tempfile.TemporaryDirectory(prefix="keystile-crewai-")
made = 0
"""Stores that the tests asked for, so that it shows if they come to ask in another way."""


class SQLiteFlowPersistence(KeystileFlowPersistence):
    """With a folder where the file would be."""

    def __init__(self, db_path=f"{HOME.name}/flows.db", /, **fields):
        global made
        made += 1
        super().__init__(f"file:{db_path}", **fields)


crewai.flow.persistence.SQLiteFlowPersistence = SQLiteFlowPersistence
crewai.flow.persistence.sqlite.SQLiteFlowPersistence = SQLiteFlowPersistence
set_lock_backend(KeystileLockBackend(f"shm:{HOME.name}/locks"))


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"stores made: {made}")
