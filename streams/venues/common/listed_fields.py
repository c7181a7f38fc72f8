"""Fields of what venues list, read so that what cannot be meant is refused and what is only shown left out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from streams.market.errors import InvalidAmount
from streams.venues.common.times import parse_time

_LONGEST_LAG_S = 10 * 366 * 86_400
_NEVER = ("0000-", "0001-")
_FLAGS = {"true": True, "false": False}


def text(payload: Mapping[str, Any], name: str) -> str:
    """Return a text, empty where it is absent.

    Raises:
        InvalidAmount: If it is something else.
    """
    value = payload.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidAmount(f"{name} is not a text")
    return value


def id_of(payload: Mapping[str, Any], name: str) -> str:
    """Return an id: a text, or a whole number written as one.

    Raises:
        KeyError, InvalidAmount: If there is none, or none that names anything.
    """
    value = payload[name]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise InvalidAmount(f"{name} is no id: {str(value)[:40]!r}")
    return value


def id_as_asked(payload: Mapping[str, Any], name: str, asked: str) -> str:
    """Return an id that must be the one that was asked for, in whatever letters.

    Raises:
        KeyError, InvalidAmount: If it is none or another.
    """
    found = id_of(payload, name)
    if found.casefold() != asked.casefold():
        raise InvalidAmount(f"asked for {asked[:80]!r} and got {found[:80]!r}")
    return found


def flag(payload: Mapping[str, Any], name: str, *, default: bool) -> bool:
    """Return a yes or no that may be written as a text, `default` where it is absent.

    Raises:
        InvalidAmount: If it is something else.
    """
    value = payload.get(name)
    if isinstance(value, str):
        value = _FLAGS.get(value.lower(), value)
    if value is None or value == "":
        return default
    if not isinstance(value, bool):
        raise InvalidAmount(f"{name} is neither true nor false")
    return value


def stated_flag(payload: Mapping[str, Any], name: str) -> bool:
    """Return a yes or no that must be there.

    Raises:
        KeyError, InvalidAmount: If it is not, or is something else.
    """
    if payload[name] in (None, ""):
        raise InvalidAmount(f"{name} is neither true nor false")
    return flag(payload, name, default=False)


def end_time(payload: Mapping[str, Any], name: str) -> datetime | None:
    """Return when a market ends, None where the venue does not say; the years 0000 and 0001 say nothing.

    Raises:
        InvalidAmount: If it says something that is no time: the market may end before anybody knows.
    """
    value = payload.get(name)
    found = parse_time(value)
    is_unset = value in (None, "") or (isinstance(value, str) and value.startswith(_NEVER))
    if found is None and not is_unset:
        raise InvalidAmount(f"{name} is no time: {str(value)[:40]!r}")
    return found


def lag_s(value: Any) -> int:
    """Return a time to wait in whole seconds.

    Raises:
        InvalidAmount: If it is none from 0 to ten years.
    """
    try:
        seconds = int(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidAmount(f"not a number of seconds: {str(value)[:40]!r}") from None
    if isinstance(value, bool) or not 0 <= seconds <= _LONGEST_LAG_S:
        raise InvalidAmount(f"seconds out of range: {str(value)[:40]}")
    return seconds


def ornament(payload: Mapping[str, Any], name: str) -> str:
    """Return a text that is only shown, empty where it is absent or something else."""
    value = payload.get(name)
    return value if isinstance(value, str) else ""


def shown(value: Any, read: Callable[[Any], Any]) -> Any:
    """Return what `read` makes of a value that is only shown, None where it cannot be read."""
    try:
        return read(value)
    except InvalidAmount:
        return None
