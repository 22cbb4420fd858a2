"""Types that signatures name."""

from __future__ import annotations

from typing import TypeAlias

Key: TypeAlias = str | bytes
"""A key: 1 to 1024 bytes of any content; a str is its UTF-8."""

Value: TypeAlias = bytes | bytearray | memoryview
"""A value: bytes, or anything with a contiguous buffer; up to 16 MiB."""
