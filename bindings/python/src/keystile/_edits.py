"""What update()'s function may return beside a value."""

from __future__ import annotations

from typing import Final

__all__ = ["DELETE", "KEEP", "Edit"]


class Edit:
    """DELETE and KEEP are the two there are."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"keystile.{self._name}"


DELETE: Final = Edit("DELETE")
"""Take the value away."""
KEEP: Final = Edit("KEEP")
"""Leave it as it is."""
