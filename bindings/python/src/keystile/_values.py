"""Small records that the package answers with."""

from __future__ import annotations

from typing import NamedTuple


class Owner(NamedTuple):
    """Who holds a claim."""

    label: str
    """Of the process that opened the store; "(detached)" of a detached claim."""
    pid: int
    """As its own pid namespace counts; 0 of a detached claim."""
    epoch: int
    """Names the claim: what reclaim() takes."""
    lease_left: float | None
    """Seconds; 0: over, may be reclaimed; None: until the owner dies."""
    detached: bool
    """Held by whoever has its token."""


class Counters(NamedTuple):
    """Outcomes told to callers since the store was created (or a process opened it)."""

    commits: int
    conflicts: int
    fenced: int
    held: int
    claims: int
    releases: int
    reclaims: int
    retries: int
    bytes: int


class Stats(NamedTuple):
    """What a store is and takes."""

    store_id: int
    keys: int
    bytes_reserved: int
    bytes_used: int
    participants: int
    sessions: int
    total: Counters


class Participant(NamedTuple):
    """A process that has the store open (each open is one)."""

    pid: int
    is_alive: bool
    is_self: bool
    sessions: int
    label: str
    counters: Counters


class Report(NamedTuple):
    """What check() found; the store is consistent if there are no problems."""

    keys: int
    claimed: int
    deleted: int
    blocks_live: int
    blocks_free: int
    blocks_in_flight: int
    blocks_unreaped: int
    problems: list[str]
