"""search()'s filters: fields by their values, by nested fields, or by $eq, $ne, $gt, $gte, $lt, $lte."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def matches(value: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> bool:
    """Every field that is named is what is wanted."""
    return all(_is(value.get(field), want) for field, want in (wanted or {}).items())


def _is(value: Any, want: Any) -> bool:
    if isinstance(want, Mapping):
        if any(str(key).startswith("$") for key in want):
            return all(_compare(value, how, what) for how, what in want.items())
        return isinstance(value, Mapping) and matches(value, want)
    if isinstance(want, (list, tuple)):
        is_list = isinstance(value, (list, tuple)) and len(value) == len(want)
        return is_list and all(_is(one, other) for one, other in zip(value, want, strict=True))
    return bool(value == want)


def _compare(value: Any, how: str, what: Any) -> bool:
    if how == "$eq":
        return bool(value == what)
    if how == "$ne":
        return bool(value != what)
    if how not in _COMPARE:
        raise ValueError(f"a filter knows $eq, $ne, {', '.join(_COMPARE)}, not {how!r}")
    try:
        return bool(_COMPARE[how](value, what))
    except TypeError:  # no such field, or one of another type: it is neither more nor less
        return False
