"""Plain files that many processes edit, and none overwrites what it has not seen."""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Awaitable, Callable, Collection, Generator, Mapping
from types import TracebackType
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from . import _core
from ._aliases import Value, key_bytes
from ._blocks import enter, entered, is_own, leave
from ._core import Entry, Stamp
from ._edits import DELETE, KEEP, Edit
from ._errors import Busy, ClosedError, Conflict, Fault, Fenced, ForeignEdit, Held, Refused, SessionBusyError, Timeout
from ._grants import Claimed, Claiming, lease_of
from ._opening import default_label
from ._store import NEVER, Store
from ._transactions import value_bytes
from ._values import Owner
from ._waiting import SLICE, Deadline, in_thread, nanoseconds, waited_in_thread

__all__ = ["FileGrant", "FileStatus", "Files"]

T = TypeVar("T")
Path: TypeAlias = "str | os.PathLike[str]"
P = TypeVar("P", bound=Path)  # one for each mapping: a mapping's keys are all of one kind
Q = TypeVar("Q", bound=Path)
R = TypeVar("R", bound=Path)

_EXPECT, _REMOVE, _ALL = 1, 2, 1
_STATES: Final = ("clean", "edited", "missing", "untracked", "pending", "deleted")
_REFUSALS: Final[dict[int, type[Refused]]] = {1: Conflict, 2: Fenced, 3: Held, 9: ForeignEdit}


class FileStatus(NamedTuple):
    """A file that status() met."""

    path: str
    state: str
    """clean · edited, missing (by another program) · untracked · pending (on its way to the disk) · deleted."""
    stamp: Stamp
    size: int
    hash: bytes | None
    """XXH3-128 of the content; None: not hashed."""
    mode: int
    owner: Owner | None
    """Who holds its claim."""


FileStatuses: TypeAlias = list[FileStatus]


class _Gate:
    """A gate whose effect runs."""

    is_over: Final = False

    def __init__(self, files: Files, paths: list[str]) -> None:
        self.files = files
        self._paths = paths

    def _keeps(self, store: Store, key: bytes, epoch: int) -> bool:
        return store is self.files.store and any(key_bytes(self.files.key(path)) == key for path in self._paths)

    def __enter__(self) -> None:
        enter(self)

    def __exit__(self, *of_what: object) -> None:
        leave(self)


class Files:
    """The plain files of a folder, the root. Agents edit them, every other tool can read them.

    A write is committed in a store first (root/.keystile, durable, if no other is named), content and stamp together,
    and then put on disk by a rename. So of all writers of one stamp one wins; the others get Conflict, Held or Fenced,
    and no byte on disk has changed. What a killed process had committed only is put on disk by the next one. What
    another program wrote without us is found by its hash: ForeignEdit, until somebody calls adopt() or restore().

    Paths are relative to the root and never leave it (PathError). All threads may use it; a forked child opens it
    again. A context manager that closes.
    """

    def __init__(self, root: Path, *, store: str | None = None, label: str | None = None) -> None:
        self._root = os.path.abspath(_path(root))
        self._url, self._label = store, label
        self._files = _core.open_files(self._root, store, default_label() if label is None else label)
        self._lent: Store | None = None
        self._is_closed = False

    @property
    def root(self) -> str:
        """The folder."""
        return self._root

    @property
    def store(self) -> Store:
        """The store behind the files, open as long as they are: key(path) names a file's key in it."""
        if self._lent is None:
            url = self._url or f"file:{self._root}/.keystile"
            is_durable = url.startswith("file:")  # as the files opened it
            self._lent = _core.store_of_files(Store, self._files, is_durable)
            self._lent._url = url
            self._lent._options = {"durable": True} if is_durable else {}
        return self._lent

    def key(self, path: Path) -> str:
        """The store's key of a path, in its one spelling."""
        return self._files.key(_path(path))

    def close(self) -> None:
        """Close the files and their store. In a gate's effect it raises SessionBusyError: it would wait for itself."""
        if any(isinstance(block, _Gate) and block.files is self for block in entered()):
            raise SessionBusyError("close() in a gate's effect would wait for its own end", "KS_E_SESSION_BUSY")
        self._is_closed = True
        if self._lent is not None:
            self._lent.close()
        self._files.close()

    def __repr__(self) -> str:
        return f"<keystile.Files {self._root}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._root, self._url, self._label)

    def __enter__(self) -> Files:
        if self._is_closed:
            raise ClosedError("the files are closed", "KS_E_HANDLE")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- One file ----

    def read(self, path: Path) -> Entry:
        """A file's content and stamp; value None: there is no such file, and the stamp creates it."""
        return self._files.read(_path(path))

    def write(self, path: Path, data: Value, stamp: Stamp, *, claim: FileGrant | None = None) -> Stamp:
        """Replace or create a file that was read with this stamp. Returns the new one.

        Raises Conflict, Held, Fenced, ForeignEdit: nothing was changed then, neither in the store nor on disk.
        """
        return _went_on(claim, self._files.write(_path(path), data, stamp, claim=claim))

    def remove(self, path: Path, stamp: Stamp, *, claim: FileGrant | None = None) -> Stamp:
        """Delete a file; deleting what is not there changes nothing."""
        return _went_on(claim, self._files.remove(_path(path), stamp, claim=claim))

    def rename(
        self,
        path: Path,
        stamp: Stamp,
        to: Path,
        to_stamp: Stamp = NEVER,
        *,
        claim: FileGrant | None = None,
        to_claim: FileGrant | None = None,
    ) -> Stamp:
        """Give a file another name in one step; `to_stamp` is of what is there and is replaced.

        Under these claims of the old name and of the new one.
        """
        try:
            new = self._files.rename(_path(path), stamp, _path(to), to_stamp, claim=claim, to_claim=to_claim)
        except Refused as refusal:
            now, of_to = (self.store.get(self.key(name)).stamp for name in (path, to))
            if of_to == refusal.stamp != now:  # that is what stood in the way
                raise type(refusal)(_path(to), refusal.stamp, refusal.owner) from None
            raise
        return _went_on(to_claim, new)

    def update(
        self, path: Path, function: Callable[[bytes | None], Value | Edit], *, timeout: float | None = None
    ) -> Entry:
        """Read, recompute and write, until it wins. Returns what the file is then.

        function gets the content (None: there is no file) and returns the new one, or DELETE, or KEEP; it is called
        once a try, and what it raises is raised. Who meets a claim waits for its end. A ForeignEdit is raised at once:
        it is somebody's decision.
        """
        name, deadline, attempt = _path(path), Deadline(timeout), 0
        while True:
            seen = self.read(name)
            value = function(seen.value)
            try:
                return self._edit(name, seen, value)
            except (Conflict, Held, Fenced) as refusal:
                told = self._of_store(name, refusal)
                if deadline.is_over or is_own(self.store, told):
                    raise
                attempt += 1
                self.store._wait_after(told, attempt, deadline)

    def _edit(self, path: str, seen: Entry, value: Value | Edit) -> Entry:
        if value is KEEP:
            return seen
        if value is DELETE:
            return Entry(None, self.remove(path, seen.stamp))
        if isinstance(value, Edit) or value is None:
            raise TypeError("update()'s function returns bytes, or keystile.DELETE, or keystile.KEEP; not None")
        copied = value_bytes(value)
        stamp = self.write(path, copied, seen.stamp)
        return Entry(copied, stamp)

    def _of_store(self, path: str, refusal: Refused) -> Refused:
        """The same refusal, of the store's key: that is what moves when a claim ends."""
        return Held(self.key(path), refusal.stamp, refusal.owner) if isinstance(refusal, Held) else refusal

    def adopt(self, path: Path, *, claim: FileGrant | None = None) -> Stamp:
        """Make what is on disk now the file's new version."""
        return _went_on(claim, self._files.adopt(_path(path), claim=claim))

    def restore(self, path: Path) -> Stamp:
        """Put the store's content back, over whatever is there. Raises NotFound if it has none."""
        return self._files.restore(_path(path))

    # ---- Many files ----

    def publish(
        self,
        changes: Mapping[P, Value | Edit],
        stamps: Mapping[Q, Stamp] | None = None,
        *,
        claims: Mapping[R, FileGrant] | None = None,
    ) -> None:
        """Write many files, all or none: {path: content, or DELETE, or KEEP to only compare}.

        stamps: what each path was read with; one without a stamp must be new. A path may be spelled in another way
        there; one that is not among the changes is a ValueError. The exception's `refusals` name every path in the
        way. A Fault with `committed`, the stamp of the first path that is written: all are. read() the new stamps.
        """
        names = [_path(path) for path in changes]
        keys = [self.key(name) for name in names]
        seen, held = self._by_key(stamps, keys, "stamps"), self._by_key(claims, keys, "claims")
        listed = [
            _change(name, value, seen.get(key, NEVER), held.get(key))
            for name, key, value in zip(names, keys, changes.values(), strict=True)
        ]
        status, results = self._files.publish(listed)
        if status != 0:
            _refuse(status, names, results)
        for key, (_, stamp, _) in zip(keys, results, strict=True):
            _went_on(held.get(key), stamp)

    def gate(
        self,
        stamps: Mapping[P, Stamp],
        effect: Callable[[], T],
        *,
        claims: Mapping[Q, FileGrant] | None = None,
    ) -> T:
        """Run an effect only if the files it was decided on are what they were, and let nobody change them meanwhile.

        Returns what effect() returned, or raises what it raised. Conflict, Held, Fenced, ForeignEdit: it did not run;
        Fenced with `has_run` set: it ran, and a claim was taken by force meanwhile. A Fault with `has_run` set: it ran,
        and a claim could not be given back. Read the files again afterwards: the stamps from before are Fenced. But not
        NEVER, of a file that was never written: that stays true, so such a gate runs its effect each time.
        The effect itself may read them; what would wait there for the gate's end, update() of them say, raises Held.
        """
        if not callable(effect):
            raise TypeError(f"a gate's effect is called, and {type(effect)!r} cannot be")
        if inspect.iscoroutinefunction(effect):
            raise TypeError("a gate's effect is a plain function: a coroutine would run when the gate is over")
        names = [_path(path) for path in stamps]
        keys = [self.key(name) for name in names]
        held = self._by_key(claims, keys, "claims")
        listed = [
            (name, 0, None, stamp, held.get(key)) for name, key, stamp in zip(names, keys, stamps.values(), strict=True)
        ]

        has_returned = False

        def inside() -> T:
            nonlocal has_returned
            with _Gate(self, names):
                value = effect()
            has_returned = True
            return value

        try:
            status, results, returned, has_run = self._files.gate(listed, inside)
        except Fault as fault:  # giving the claims back, then; what the effect itself raised is as it was
            fault.has_run = fault.has_run or has_returned
            raise
        if status != 0:
            _refuse(status, names, results, has_run)
        value: T = returned
        return value

    def _by_key(self, named: Mapping[P, T] | None, keys: Collection[str], what: str) -> dict[str, T]:
        """By the one spelling of each path, which is one of `keys`: what is left out by mistake is told."""
        found: dict[str, T] = {}
        for path, one in (named or {}).items():
            key = self.key(path)
            if key not in keys or key in found:
                why = "another spelling of it is there too" if key in found else "that path is not to be changed"
                raise ValueError(f"{what} of {_path(path)!r}: {why}")
            found[key] = one
        return found

    def status(self, prefix: Path = "", *, all: bool = False) -> FileStatuses:
        """Every file at or below `prefix`, sorted; all: untracked and deleted ones too. Changes nothing."""
        return [
            FileStatus(path, _STATES[state], stamp, size, hash, mode, owner)
            for path, state, stamp, size, hash, mode, owner in self._files.status(_path(prefix), _ALL if all else 0)
        ]

    # ---- Claims, watching ----

    def claim(
        self, path: Path, *, lease: float | None = None, wait: float | None = 0, detached: bool = False
    ) -> FileGrant:
        """Claim the exclusive right to write a file, which need not be there yet. As Store.claim()."""
        name, lease_ns, wait_ns = _path(path), lease_of(lease), nanoseconds(wait, "wait")
        if wait is None and entered():
            try:
                raw, stamp = self._files.claim(name, lease_ns, 0, detached)
                return FileGrant(self, name, raw, stamp, detached)
            except Held as held:
                if is_own(self.store, self._of_store(name, held)):
                    raise
        raw, stamp = self._files.claim(name, lease_ns, wait_ns, detached)
        return FileGrant(self, name, raw, stamp, detached)

    def grant(self, path: Path, token: str) -> FileGrant:
        """The detached claim of this file that another process gave the token of."""
        if not isinstance(token, str):
            raise TypeError(f"a token is str, not {type(token)!r}")
        name = _path(path)
        raw, stamp = self._files.parse(name, token)
        return FileGrant(self, name, raw, stamp, True)

    def watch(self, path: Path, stamp: Stamp | None = None, *, timeout: float | None = None) -> Stamp:
        """Wait until the file's stamp is not `stamp` any more. As Store.watch(); foreign edits do not wake."""
        with _told_of(path, timeout):
            return self.store.watch(self.key(path), stamp, timeout=timeout)

    # ---- asyncio: the same in threads, for each call may wait for the disk. What a thread has begun it brings to its
    # end: a call that is cancelled may have been done all the same. ----

    async def aread(self, path: Path) -> Entry:
        """read() for asyncio."""
        return await in_thread(self.read, path)

    async def awrite(self, path: Path, data: Value, stamp: Stamp, *, claim: FileGrant | None = None) -> Stamp:
        """write() for asyncio. Cancelled, it may have been written all the same: read again."""
        return await in_thread(lambda: self.write(path, data, stamp, claim=claim))

    async def aremove(self, path: Path, stamp: Stamp, *, claim: FileGrant | None = None) -> Stamp:
        """remove() for asyncio."""
        return await in_thread(lambda: self.remove(path, stamp, claim=claim))

    async def arename(
        self,
        path: Path,
        stamp: Stamp,
        to: Path,
        to_stamp: Stamp = NEVER,
        *,
        claim: FileGrant | None = None,
        to_claim: FileGrant | None = None,
    ) -> Stamp:
        """rename() for asyncio."""
        return await in_thread(lambda: self.rename(path, stamp, to, to_stamp, claim=claim, to_claim=to_claim))

    async def aadopt(self, path: Path, *, claim: FileGrant | None = None) -> Stamp:
        """adopt() for asyncio."""
        return await in_thread(lambda: self.adopt(path, claim=claim))

    async def arestore(self, path: Path) -> Stamp:
        """restore() for asyncio."""
        return await in_thread(self.restore, path)

    async def astatus(self, prefix: Path = "", *, all: bool = False) -> FileStatuses:
        """status() for asyncio."""
        return await in_thread(lambda: self.status(prefix, all=all))

    async def agate(
        self,
        stamps: Mapping[P, Stamp],
        effect: Callable[[], T],
        *,
        claims: Mapping[Q, FileGrant] | None = None,
    ) -> T:
        """gate() for asyncio: the effect, a plain function too, is called in the thread, and runs on if cancelled."""
        return await in_thread(lambda: self.gate(stamps, effect, claims=claims))

    async def apublish(
        self,
        changes: Mapping[P, Value | Edit],
        stamps: Mapping[Q, Stamp] | None = None,
        *,
        claims: Mapping[R, FileGrant] | None = None,
    ) -> None:
        """publish() for asyncio."""
        await in_thread(lambda: self.publish(changes, stamps, claims=claims))

    async def aupdate(
        self,
        path: Path,
        function: Callable[[bytes | None], Value | Edit | Awaitable[Value | Edit]],
        *,
        timeout: float | None = None,
    ) -> Entry:
        """update() for asyncio; function may be a coroutine function. Cancelled, it may be written all the same."""
        name, deadline, attempt = _path(path), Deadline(timeout), 0
        while True:
            seen = await in_thread(self.read, name)
            edited = function(seen.value)
            value: Value | Edit = await edited if inspect.isawaitable(edited) else edited
            try:
                return await in_thread(self._edit, name, seen, value)
            except (Conflict, Held, Fenced) as refusal:
                told = self._of_store(name, refusal)
                if deadline.is_over or is_own(self.store, told, is_task=True):
                    raise
                attempt += 1
                await self.store._await_after(told, attempt, deadline)

    async def awatch(self, path: Path, stamp: Stamp | None = None, *, timeout: float | None = None) -> Stamp:
        """watch() for asyncio."""
        with _told_of(path, timeout):
            return await self.store.awatch(self.key(path), stamp, timeout=timeout)

    def aclaim(
        self, path: Path, *, lease: float | None = None, wait: float | None = 0, detached: bool = False
    ) -> Claiming[FileGrant]:
        """claim() for asyncio: `await` it, or `async with` it."""

        async def claim() -> FileGrant:
            name, deadline = _path(path), Deadline(wait)
            while True:
                try:  # at once, so that a task that is cancelled while it waits is left with no claim
                    return self.claim(name, lease=lease, detached=detached)
                except Held as held:
                    if deadline.is_over or (
                        wait is None and is_own(self.store, self._of_store(name, held), is_task=True)
                    ):
                        raise
                    pause = nanoseconds(deadline.slice(SLICE), "wait")
                    await waited_in_thread(self.store._watch, self.key(name), held.stamp, pause)

        return Claiming(claim)

    # ---- What a Grant asks for ----

    def _renew(self, path: str, raw: bytes, lease_ns: int) -> Stamp:
        return self._files.renew(path, raw, lease_ns)

    def _release(self, path: str, raw: bytes) -> Stamp:
        return self._files.release(path, raw)

    def _format(self, raw: bytes) -> str:
        return self._files.format(raw)


class FileGrant(Claimed):
    """The exclusive right to write a file. Made by Files.claim() and Files.grant()."""

    __slots__ = ("_files",)

    def __init__(self, files: Files, path: str, raw: bytes, stamp: Stamp, detached: bool) -> None:
        super().__init__(files, path, raw, stamp, detached)
        self._files = files

    def _is_of(self, store: Store, key: bytes) -> bool:
        return self._files.store is store and key_bytes(self._files.key(self.key)) == key

    def read(self) -> Entry:
        """Read the file; the next write starts from what this saw."""
        entry = self._files.read(self.key)
        self._stamp = entry.stamp
        return entry

    def write(self, data: Value, stamp: Stamp | None = None) -> Stamp:
        """Write under the claim, from `stamp` or the one remembered. Raises Fenced, Conflict, ForeignEdit."""
        with self._fenced_is_over():
            return self._files.write(self.key, data, self._stamp if stamp is None else stamp, claim=self)

    def remove(self, stamp: Stamp | None = None) -> Stamp:
        """Delete the file, as write()."""
        with self._fenced_is_over():
            return self._files.remove(self.key, self._stamp if stamp is None else stamp, claim=self)

    async def aread(self) -> Entry:
        """read() for asyncio."""
        return await in_thread(self.read)

    async def awrite(self, data: Value, stamp: Stamp | None = None) -> Stamp:
        """write() for asyncio. Cancelled, it may have been written all the same: read again."""
        return await in_thread(self.write, data, stamp)

    async def aremove(self, stamp: Stamp | None = None) -> Stamp:
        """remove() for asyncio, as awrite()."""
        return await in_thread(self.remove, stamp)


def _path(path: Path) -> str:
    if isinstance(path, (str, os.PathLike)):
        name = os.fspath(path)
        if isinstance(name, str):
            return name
    raise TypeError(f"a path is str, or an os.PathLike of str (os.fsdecode() makes one of bytes), not {type(path)!r}")


def _went_on(claim: FileGrant | None, stamp: Stamp) -> Stamp:
    """The stamp, from which the claim that it was written under goes on."""
    if claim is not None:
        claim._stamp = stamp
    return stamp


def _change(
    name: str, value: Value | Edit, stamp: Stamp, claim: FileGrant | None
) -> tuple[str, int, bytes | None, Stamp, FileGrant | None]:
    flags = _EXPECT if value is KEEP else _REMOVE if value is DELETE else 0
    data = None if isinstance(value, Edit) else value_bytes(value)
    return name, flags, data, stamp, claim


def _refuse(
    status: int, names: list[str], results: list[tuple[int, Stamp, Owner | None]], has_run: bool = False
) -> None:
    moved = [(name, *told) for name, told in zip(names, results, strict=True) if told[0] != 0]
    worst = next((told for told in moved if told[1] == status), None)
    if worst is None or status not in _REFUSALS:
        raise Busy(f"it was not done, of {len(names)} files", f"KS_{status}")
    refusal = _REFUSALS[status](worst[0], worst[2], worst[3])
    refusal.has_run = has_run
    refusal.refusals = tuple(
        (os.fsencode(name), _REFUSALS[why]._status if why in _REFUSALS else str(why), stamp, owner)
        for name, why, stamp, owner in moved
    )
    raise refusal


@contextlib.contextmanager
def _told_of(path: Path, timeout: float | None) -> Generator[None]:
    try:
        yield
    except Timeout:
        raise Timeout(f"{path!r} did not change for {timeout} s") from None  # not: its key


def _reopen(root: str, url: str | None, label: str | None) -> Files:
    return Files(root, store=url, label=label)
