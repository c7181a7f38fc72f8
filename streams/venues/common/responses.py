"""Reading HTTP responses: JSON into documents, documents into dataclasses, and what an unreadable one means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import orjson

from streams.market.errors import InvalidAmount, MalformedFrame, OutcomeUnknown

Document = TypeVar("Document")
Result = TypeVar("Result")
_KEPT = 1_000_000
# The last two are what a time beyond the calendar or the platform raises.
_UNREADABLE = (InvalidAmount, KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, OSError)


def json_of(raw: bytes) -> Any:
    """Return a response's JSON.

    Raises:
        MalformedFrame: If it is not JSON.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise MalformedFrame(raw[:_KEPT], f"answer is not JSON: {error}") from None


def document_of(raw: bytes) -> dict[str, Any]:
    """Return a response that must be a JSON object.

    Raises:
        MalformedFrame: If it is anything else.
    """
    document = json_of(raw)
    if not isinstance(document, dict):
        raise MalformedFrame(raw[:_KEPT], "answer is not an object")
    return document


def part_of(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the object under a key.

    Raises:
        MalformedFrame: If there is none.
    """
    part = document.get(name)
    if not isinstance(part, dict):
        raise MalformedFrame(_bytes_of(document)[:_KEPT], f"answer without {name}")
    return part


def items_of(document: Mapping[str, Any], name: str) -> list[Any]:
    """Return the list under a key; null is an empty one.

    Raises:
        KeyError: If there is no such key: that is another response than an empty list.
        InvalidAmount: If it is no list.
    """
    items = document[name]
    if items is None:
        return []
    if not isinstance(items, list):
        raise InvalidAmount(f"{name} is not a list")
    return items


def read(document: Document, parse: Callable[[Document], Result], raw: bytes | None = None) -> Result:
    """Return what `parse` makes of a document.

    Args:
        document: The JSON, or what was made of it.
        parse: What to make of it.
        raw: The bytes it came as, for the error; None has them written again.

    Raises:
        MalformedFrame: If a key is missing or a value cannot be one.
    """
    try:
        return parse(document)
    except _UNREADABLE as error:
        kept = _bytes_of(document) if raw is None else raw
        raise MalformedFrame(kept[:_KEPT], f"{type(error).__name__}: {error}") from None


def _bytes_of(document: Any) -> bytes:
    with suppress(TypeError):
        return orjson.dumps(document)
    # Not JSON of 64 bits, or nested deeper than it can be written.
    try:
        return repr(document).encode(errors="replace")
    except RecursionError:
        return b""


def read_write(raw: bytes, parse: Callable[[dict[str, Any]], Result]) -> Result:
    """Return what `parse` makes of the response of a write.

    Raises:
        OutcomeUnknown: If it cannot be read: the venue took the request, and only reads tell what it did.
    """
    try:
        return read(document_of(raw), parse, raw)
    except MalformedFrame as error:
        raise OutcomeUnknown(f"the venue took the request and its answer cannot be read: {error.reason}") from error
