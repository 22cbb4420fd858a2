"""Types that signatures name."""

from __future__ import annotations

from typing import TypeAlias

Key: TypeAlias = str | bytes
"""A key: 1 to 1024 bytes of any content; a str is its UTF-8."""

Value: TypeAlias = bytes | bytearray | memoryview
"""A value: bytes, or anything with a contiguous buffer; up to 16 MiB."""


def key_bytes(key: Key) -> bytes:
    """A key's bytes, whichever way it is spelled."""
    if isinstance(key, str):
        return key.encode("utf-8", "surrogateescape")
    if isinstance(key, bytes):
        return key
    raise TypeError(f"a key is str or bytes, not {type(key)!r}")
