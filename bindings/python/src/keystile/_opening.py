"""Opening stores, and removing them."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from typing import Any

from . import _core
from ._errors import ArgumentError
from ._store import Store
from ._waiting import nanoseconds

__all__ = ["destroy", "open", "shared"]


def default_label() -> str:
    """What others are shown of this process."""
    return os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] not in ("", "-c", "-m") else "python"


def open(
    url: str,
    *,
    durable: bool = False,
    must_exist: bool = False,
    must_create: bool = False,
    read_only: bool = False,
    label: str | None = None,
    group: int | None = None,
    expected_keys: int = 0,
    max_bytes: int = 0,
    flush_interval: float = 0.005,
    flusher: bool = True,
    prefault: bool = False,
    huge_pages: bool = False,
) -> Store:
    """Open a store; it is created if it does not exist.

    url             "shm:NAME" is volatile, in /dev/shm; "shm:/DIR/NAME" the same in another folder; "file:/DIR" is
                    durable, its journal in the folder DIR, and comes back after a crash of everything.
    durable         commits return when they are on disk, unless they say otherwise (file: stores).
    must_exist      never create: NoStoreError. must_create: never attach: StoreExistsError.
    read_only       be no participant; implies must_exist.
    label           what others are shown of this process; the program's name.
    group           create it for this group id too (mode 0660).
    expected_keys, max_bytes   of creation: sizes of the index and the address space; 0: the defaults.
    flush_interval  seconds that a commit which is not durable may wait for the disk. flusher: a thread keeps to it.
    prefault, huge_pages       what the engine does with its memory.
    """
    if not isinstance(url, str):
        raise TypeError(f"a store's URL is str, not {type(url)!r}")
    if durable and url.startswith("shm:"):
        raise ArgumentError(f"{url}: nothing of a shm: store is on disk, so it cannot be durable", "KS_E_ARGUMENT")
    flags = 0
    for is_set, flag in (
        (durable, _core.OPEN_DURABLE),
        (must_exist, _core.OPEN_MUST_EXIST),
        (must_create, _core.OPEN_MUST_CREATE),
        (read_only, _core.OPEN_READ_ONLY),
        (group is not None, _core.OPEN_GROUP),
        (prefault, _core.OPEN_PREFAULT),
        (huge_pages, _core.OPEN_HUGE_PAGES),
        (not flusher, _core.OPEN_NO_FLUSHER),
    ):
        flags |= flag if is_set else 0
    store = _core.open(
        Store,
        url,
        flags,
        group or 0,
        expected_keys,
        max_bytes,
        label=default_label() if label is None else label,
        flush_interval_ns=nanoseconds(flush_interval, "flush_interval"),
    )
    store._url = url
    store._options = {
        name: value
        for name, value, default in (
            ("durable", durable, False),
            ("read_only", read_only, False),
            ("label", label, None),
            ("group", group, None),
            ("expected_keys", expected_keys, 0),
            ("max_bytes", max_bytes, 0),
            ("flush_interval", flush_interval, 0.005),
            ("flusher", flusher, True),
            ("prefault", prefault, False),
            ("huge_pages", huge_pages, False),
        )
        if value != default
    }
    return store


_shared: weakref.WeakValueDictionary[tuple[Any, ...], Store] = weakref.WeakValueDictionary()
_shared_lock = threading.Lock()


def _renew_lock() -> None:
    global _shared_lock
    _shared_lock = threading.Lock()  # a thread of the parent may have held it


os.register_at_fork(after_in_child=_renew_lock)


def shared(url: str, **options: Any) -> Store:
    """The one opening of a store in this process: the same object for the same arguments, until nobody has it any more.

    In a forked child it is the child's own. For code that runs in many processes and does not want to pass a store
    around.
    """
    name = (os.getpid(), url, tuple(sorted(options.items())))
    store = _shared.get(name)
    if store is not None and not store.closed:
        return store
    opened = open(url, **options)  # may take long, so another thread may do the same meanwhile
    with _shared_lock:
        store = _shared.get(name)
        if store is None or store.closed:
            store = _shared[name] = opened
    if store is not opened:
        opened.close()
    return store


def reopen(url: str, options: dict[str, Any]) -> Store:
    return shared(url, **options)


def destroy(url: str, *, force: bool = False) -> None:
    """Remove a store. Refused (InUseError) while somebody has it open, unless `force`: they get DestroyedError."""
    if not isinstance(url, str):
        raise TypeError(f"a store's URL is str, not {type(url)!r}")
    _core.destroy(url, force)
