"""Settings of a face out of a behaviour file: JSON values by name, checked against the dataclass that holds them."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

Settings = TypeVar("Settings")


def settings_of(kind: type[Settings], changes: Mapping[str, Any]) -> Settings:
    """Return the usual settings of a face with some of them changed.

    Args:
        kind: The dataclass of the face's settings; every field has a default.
        changes: New values by field name.

    Raises:
        ValueError: If there is no such setting or it cannot have that value; the message names it.
    """
    kinds = get_type_hints(kind)
    for name, value in changes.items():
        if name not in kinds:
            raise ValueError(f"{kind.__name__} has no {name!r}")
        if not _fits(kinds[name], value):
            raise ValueError(f"{name} cannot be {value!r}")
    return kind(**changes)


def _fits(kind: Any, value: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    kinds = get_args(kind) or (kind,)
    if type(value) in (int, float):
        return value >= 0 and (type(value) in kinds or (float in kinds and type(value) is int))
    return type(value) in kinds or (value is None and NoneType in kinds)
