"""Every exception of the package.

    KeystileError(Exception)            status ("KS_CONFLICT"), errno
      Refused                           key, stamp, version, epoch, owner: nothing was changed
        Conflict                        read fresh, recompute, commit again
        Fenced(RuntimeError)            with a claim: it was taken away, for ever
        Held                            somebody's live claim: wait, or come back
        ForeignEdit(RuntimeError)       another program wrote the file: adopt it, or restore ours
      Timeout(TimeoutError)             the time given ran out
      Busy, Lagged                      ask again; a feed whose place was removed
      Fault(RuntimeError)               the call, the system or the store is at fault

Retry policies that look at classes (LangGraph's default is one) retry Conflict, Held and Busy, which are plain
exceptions, and nothing else: a Fenced or a Fault that is tried again is the same again.
"""

from __future__ import annotations

from typing import Any

from . import _core
from ._core import Conflict, KeystileError, Refused, Stamp
from ._values import Owner

__all__ = [
    "ArgumentError",
    "Busy",
    "ClosedError",
    "Conflict",
    "CorruptError",
    "DestroyedError",
    "Fault",
    "Fenced",
    "ForeignEdit",
    "ForkedError",
    "FullError",
    "GrantError",
    "Held",
    "InUseError",
    "IncompatibleError",
    "JournalError",
    "KeySizeError",
    "KeystileError",
    "Lagged",
    "LimitError",
    "NoStoreError",
    "NotFound",
    "PathError",
    "PermissionDenied",
    "ReadOnlyError",
    "Refused",
    "SessionBusyError",
    "StoreExistsError",
    "SystemFault",
    "Timeout",
    "UrlError",
    "ValueSizeError",
]


class Fenced(Refused, RuntimeError):
    """With a claim: it was taken away, for ever. Without: somebody owned the key since the stamp was read."""

    __slots__ = ()  # here and below: nothing but the arguments

    _status = "KS_FENCED"
    _says = "the claim, or what was read, is from before somebody else's ownership"


class Held(Refused):
    """Somebody's live claim (`owner`): wait, or come back."""

    __slots__ = ()

    _status = "KS_HELD"

    def __str__(self) -> str:
        """Key, and who holds it for how long."""
        owner = self.owner
        if owner is None:
            return f"{self.key!r}: somebody holds its claim"
        lease = "until it ends" if owner.lease_left is None else f"for {owner.lease_left:.3g} s more"
        who = owner.label if owner.detached else f"{owner.label} (pid {owner.pid})"
        return f"{self.key!r}: {who} holds its claim {lease}"


class ForeignEdit(Refused, RuntimeError):
    """Another program wrote, made or removed the file: somebody decides, Files.adopt() or Files.restore()."""

    __slots__ = ()

    _status = "KS_FOREIGN_EDIT"
    _says = "another program has written the file: adopt() makes that the new version, restore() puts ours back"


class _Told(KeystileError):
    """With the arguments (message, status, errno)."""

    def __init__(self, message: str, status: str = "KS_UNKNOWN", errno: int = 0, *rest: Any) -> None:
        super().__init__(message, status, errno, *rest)

    @property
    def status(self) -> str:
        """The status' name in keystile.h."""
        status: str = self.args[1]
        return status

    @property
    def errno(self) -> int:
        """The system's error behind it, or 0."""
        number: int = self.args[2]
        return number

    def __str__(self) -> str:
        """The sentence, and the status' name."""
        return f"{self.args[0]} [{self.status}]"


class Timeout(KeystileError, TimeoutError):
    """The time given ran out; nothing was changed."""

    @property
    def status(self) -> str:
        """The status' name in keystile.h."""
        return "KS_TIMEOUT"

    @property
    def errno(self) -> int:  # type: ignore[override]
        """0: it is no error of the system."""
        return 0


class Busy(_Told):
    """A bounded number of tries was lost to others: ask again."""


class Lagged(_Told):
    """A feed: checkpoints replaced the commits that were to be read. Read the values anew, go on from `oldest`."""

    @property
    def oldest(self) -> int:
        """The oldest lsn that can be asked for."""
        oldest: int = self.args[3]
        return oldest


class Fault(_Told, RuntimeError):
    """The call, the system or the store is at fault: trying again alone does not help."""

    has_run: bool = False
    """Of Files.gate(): its effect ran all the same."""

    @property
    def committed(self) -> Stamp | None:
        """Of Files: what was committed all the same, and is not on disk yet; the next read or write tries again."""
        stamp: Stamp | None = self.args[3] if len(self.args) > 3 else None
        return stamp if stamp is not None and stamp.version else None


class ArgumentError(Fault, ValueError):
    """A value out of range, options that contradict each other."""


class KeySizeError(ArgumentError):
    """A key has 1 to 1024 bytes."""


class ValueSizeError(ArgumentError):
    """A value has at most 16 MiB."""


class UrlError(ArgumentError):
    """Not a store's URL: shm:NAME, shm:/DIR/NAME or file:/DIR."""


class PathError(ArgumentError):
    """A path that would leave the root, or names no regular file."""


class GrantError(Fault, ValueError):
    """No grant, or one of another key, owner or store."""


class ClosedError(Fault):
    """The store, or the feed, is closed."""


class ForkedError(Fault):
    """Opened before fork(): open the store again in the child."""


class ReadOnlyError(Fault):
    """The store was opened read-only."""


class SessionBusyError(Fault):
    """Inside of another call: of a signal handler that interrupted one, of a gate's effect that closes the files, of a
    second thread or task in one feed.
    """


class NotFound(Fault, LookupError):
    """There is no such key."""


class SystemFault(Fault):
    """The system said no; `errno` says why."""


class FullError(SystemFault):
    """No memory is left in the store, on its file system, or in the process."""


class PermissionDenied(SystemFault):
    """The file's permissions."""


class NoStoreError(SystemFault):
    """There is no such store."""


class StoreExistsError(SystemFault):
    """There is one already."""


class InUseError(SystemFault):
    """Live processes have it open."""


class LimitError(SystemFault):
    """A limit of processes, sessions or counters is reached."""


class JournalError(SystemFault):
    """The journal cannot be written. A durable commit that raises this is committed, but not known to be on disk."""


class CorruptError(Fault):
    """Bytes cannot be true: stop using the store, run `keystile check` or `keystile verify`."""


class IncompatibleError(Fault):
    """Not a store, or one of another version or time namespace."""


class DestroyedError(Fault):
    """The store was destroyed while it was open here."""


FAULTS: dict[int, type[KeystileError]] = {
    4: NotFound,
    5: Busy,
    6: Lagged,
    7: Fault,
    8: Busy,
    -1: ArgumentError,
    -2: KeySizeError,
    -3: ValueSizeError,
    -4: IncompatibleError,
    -5: UrlError,
    -6: ClosedError,
    -7: ForkedError,
    -8: GrantError,
    -9: ReadOnlyError,
    -10: SessionBusyError,
    -11: PathError,
    -100: SystemFault,
    -101: FullError,
    -102: PermissionDenied,
    -103: NoStoreError,
    -104: StoreExistsError,
    -105: LimitError,
    -106: InUseError,
    -107: LimitError,
    -108: FullError,
    -109: SystemFault,
    -110: JournalError,
    -111: InUseError,
    -112: SystemFault,
    -113: InUseError,
    -200: CorruptError,
    -201: IncompatibleError,
    -202: IncompatibleError,
    -203: DestroyedError,
    -204: IncompatibleError,
    -205: CorruptError,
}
"""By the number of a ks_status. A test holds it against keystile.h."""

_core.take_classes(globals() | {"Owner": Owner})
