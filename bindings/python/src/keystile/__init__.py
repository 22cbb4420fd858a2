"""Processes share keys; of all writers of one version exactly one wins, and the others are told.

import keystile

store = keystile.open("shm:demo")
value, stamp = store.get("plan")                   # value None: there is none, and stamp creates it
stamp = store.commit("plan", b"first", stamp)      # raises Conflict if somebody was faster
store.update("count", lambda old: b"%d" % (int(old or 0) + 1))
with store.claim("plan", lease=30) as grant:       # nobody else may write it now
    grant.commit(b"second")
"""

from __future__ import annotations

from . import _errors
from ._aliases import Key, Value
from ._core import KEY_SIZE_MAX, MULTI_KEYS_MAX, VALUE_SIZE_MAX, Answer, Entry, Stamp
from ._edits import DELETE, KEEP
from ._errors import *  # noqa: F403 - its __all__ is the list
from ._feeds import Change, Commit, Feed
from ._files import FileGrant, Files, FileStatus
from ._grants import Grant
from ._opening import destroy, open, shared
from ._store import NEVER, Listed, Store
from ._transactions import Transaction
from ._values import Counters, Owner, Participant, Report, Stats

__version__ = "0.1.0"

__all__ = [
    "DELETE",
    "KEEP",
    "KEY_SIZE_MAX",
    "MULTI_KEYS_MAX",
    "NEVER",
    "VALUE_SIZE_MAX",
    "Answer",
    "Change",
    "Commit",
    "Counters",
    "Entry",
    "Feed",
    "FileGrant",
    "FileStatus",
    "Files",
    "Grant",
    "Key",
    "Listed",
    "Owner",
    "Participant",
    "Report",
    "Stamp",
    "Stats",
    "Store",
    "Transaction",
    "Value",
    "destroy",
    "open",
    "shared",
    *_errors.__all__,
]
