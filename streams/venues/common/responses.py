"""Reading HTTP responses: JSON into documents, documents into dataclasses, and what an unreadable one means.

An answer that is not what the call gives is an `UnreadableAnswer`. An item of a list that cannot be read costs that
item: it stands in `Items.unreadable` with its bytes and reason. A field beside the list costs itself: its value is then
the `MalformedFrame` that says why.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import orjson

from streams.market.documents import JsonDocument
from streams.market.errors import InvalidAmount, MalformedFrame, OutcomeUnknown, UnreadableAnswer
from streams.venues.common.paging import Items, Page
from streams.venues.common.strict_json import has_escaped_nul, split_fields, split_list, strict_loads

Document = TypeVar("Document")
Result = TypeVar("Result")
_KEPT = 1_000_000
_LONGEST_CURSOR = 4_096
_NEAR = 8_192
# The last two are what a time beyond the calendar or the platform raises.
_UNREADABLE = (InvalidAmount, KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, OSError)


def json_of(raw: bytes) -> Any:
    """Return a response's JSON.

    Raises:
        UnreadableAnswer: If it is not JSON, or such that it must not be used (see `strict_json`).
    """
    try:
        return strict_loads(raw)
    except ValueError as error:
        raise UnreadableAnswer(raw[:_KEPT], f"answer is not JSON: {error}") from None


def document_of(raw: bytes) -> dict[str, Any]:
    """Return a response that must be a JSON object.

    Raises:
        UnreadableAnswer: If it is anything else.
    """
    document = json_of(raw)
    if not isinstance(document, dict):
        raise UnreadableAnswer(raw[:_KEPT], "answer is not an object")
    return document


def part_of(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the object under a key.

    Raises:
        UnreadableAnswer: If there is none.
    """
    part = document.get(name)
    if not isinstance(part, dict):
        raise UnreadableAnswer(bytes_of(document)[:_KEPT], f"answer without {name}")
    return part


def items_of(document: Mapping[str, Any], name: str) -> list[Any]:
    """Return the list under a key; null is an empty one.

    Raises:
        KeyError: If there is no such key: that is another response than an empty list.
        InvalidAmount: If it is no list, or an error stands beside it.
    """
    items = document[name]
    if document.get("error"):
        raise InvalidAmount(f"an error beside {name}: {str(document['error'])[:200]}")
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
        UnreadableAnswer: If a key is missing or a value cannot be one.
    """
    try:
        return parse(document)
    except _UNREADABLE as error:
        kept = bytes_of(document) if raw is None else raw
        raise UnreadableAnswer(kept[:_KEPT], f"{type(error).__name__}: {error}") from None


def read_item(item: Document, parse: Callable[[Document], Result], raw: bytes | None = None) -> Result:
    """Return what `parse` makes of one item of a list; arguments as for `read`.

    Raises:
        MalformedFrame: If a key is missing or a value cannot be one.
    """
    try:
        return read(item, parse, raw)
    except UnreadableAnswer as error:
        raise MalformedFrame(error.raw, error.reason) from None


def read_items(rows: Iterable[Any], parse: Callable[[JsonDocument], Result]) -> Items[Result]:
    """Return what `parse` makes of each object of a list; what cannot be read is set aside."""
    found: list[Result] = []
    unreadable: list[MalformedFrame] = []
    for row in rows:
        try:
            found.append(read_item(row, lambda item: parse(object_of(item))))
        except MalformedFrame as error:
            unreadable.append(error)
    return Items(found, unreadable)


def check_storable(document: Any) -> None:
    """Refuse a document that the warehouse could not keep as JSON.

    Raises:
        MalformedFrame: If it has a NUL, half of a surrogate pair, a number of more than 64 bits or too many levels.
    """
    try:
        has_nul = has_escaped_nul(orjson.dumps(document))
    except TypeError as error:
        raise MalformedFrame(bytes_of(document)[:_KEPT], f"cannot be kept: {error}") from None
    if has_nul:
        raise MalformedFrame(bytes_of(document)[:_KEPT], "cannot be kept: a NUL")


def as_sent(item: JsonDocument) -> JsonDocument:
    """Return an item of a list as the venue's JSON."""
    return item


def read_page(
    raw: bytes, name: str, parse: Callable[[JsonDocument], Result], *, nested: str = "", cursor: str = ""
) -> tuple[JsonDocument, Items[Result]]:
    """Return an answer that is a list of objects, or has one, and what `parse` makes of each.

    Where an item, or a field beside the list, spoils the JSON of the whole, they are read one by one.

    Args:
        raw: The answer.
        name: The key of the list; empty where the answer is the list.
        parse: What to make of an item.
        nested: The key of a list in each item whose own items are to be read one by one too.
        cursor: The key of the next page's cursor; empty where the list has no pages.

    Returns:
        The answer ({} where it is a list) and its items. Items that could not be read are not in it; a field that could
        not be read is there as the `MalformedFrame` that says why.

    Raises:
        UnreadableAnswer: If it is no such answer.
    """
    try:
        answer = strict_loads(raw)
        unreadable: list[MalformedFrame] = []
    except ValueError as error:
        try:
            answer, unreadable = _taken_apart(raw, name, nested, is_outermost=True)
        except (ValueError, MalformedFrame):
            told = _told_cursor(raw, name, cursor)
            raise UnreadableAnswer(raw[:_KEPT], f"answer is not JSON: {error}", told) from None
    if not isinstance(answer, dict if name else list):
        raise UnreadableAnswer(raw[:_KEPT], "answer is not an object" if name else "answer is not a list")
    rows = read(answer, lambda found: items_of(found, name), raw) if name else answer
    items = read_items(rows, parse)
    return answer if name else {}, Items(items, [*unreadable, *items.unreadable])


def _told_cursor(raw: bytes, name: str, cursor: str) -> str | None:
    """Return the cursor before or behind a list that cannot even be taken apart; None where none can be seen."""
    if not cursor or b'"%s"' % name.encode() not in raw:
        return None
    pattern = re.compile(rb'"%s"\s*:\s*"([!#-\[\]-~]{0,%d})"' % (re.escape(cursor.encode()), _LONGEST_CURSOR))
    found = pattern.findall(raw[:_NEAR])[:1] + pattern.findall(raw[-_NEAR:])[-1:]
    return found[0].decode("ascii") if found else None


def cursor_of(document: Mapping[str, Any], name: str) -> str:
    """Return the cursor of the next page, empty where there is none.

    Raises:
        UnreadableAnswer: If it is none that could be sent back.
    """
    cursor = document.get(name)
    if isinstance(cursor, MalformedFrame):
        raise UnreadableAnswer(cursor.raw, f"{name}: {cursor.reason}")
    if isinstance(cursor, int) and not isinstance(cursor, bool):
        cursor = str(cursor)
    if cursor is None:
        return ""
    if not isinstance(cursor, str) or len(cursor) > _LONGEST_CURSOR or not cursor.isprintable():
        raise UnreadableAnswer(bytes_of(document)[:_KEPT], f"{name} is no cursor")
    return cursor


def page_of(items: Items[Result], cursor: Callable[[], str]) -> Page[Result]:
    """Return a page; a cursor that cannot be read (`UnreadableAnswer`) costs what comes after the page."""
    try:
        return Page(items, cursor(), items.unreadable)
    except UnreadableAnswer as error:
        return Page(items, "", items.unreadable, error)


def bytes_of(document: Any) -> bytes:
    """Return a document as bytes for a dead letter: as JSON where it can be written as such."""
    with suppress(TypeError):
        return orjson.dumps(document)
    # Not JSON of 64 bits, not valid Unicode, or nested deeper than it can be written.
    for write in (json.dumps, repr):
        with suppress(TypeError, ValueError, RecursionError):
            return write(document).encode(errors="backslashreplace")
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


def read_done(raw: bytes) -> None:
    """Read the response of a write that says nothing but that it is done: an object, the word OK, or no body at all.

    Raises:
        OutcomeUnknown: If it is something else, or tells an error.
    """
    if raw.strip().strip(b'"') not in (b"", b"OK"):
        read_write(raw, _refuse_error)


def _refuse_error(document: dict[str, Any]) -> None:
    if document.get("error"):
        raise InvalidAmount(f"an error: {str(document['error'])[:200]}")


def _taken_apart(raw: bytes, name: str, nested: str, *, is_outermost: bool = False) -> tuple[Any, list[MalformedFrame]]:
    """Return an answer with those items of its list that are JSON, and those that are not."""
    rest, pieces = split_list(raw, name)
    answer = _fields_of(rest, name) if name and is_outermost else strict_loads(rest)
    if not isinstance(answer, dict if name else list):
        raise ValueError(f"no list {name}")
    rows: list[Any] = []
    unreadable: list[MalformedFrame] = []
    for piece in pieces:
        try:
            rows.append(strict_loads(piece))
        except ValueError as error:
            try:
                row, lost = _taken_apart(piece, nested, "") if nested else ({}, [])
            except ValueError:
                row, lost = {}, []
            rows += [row] if lost else []
            unreadable += lost or [MalformedFrame(piece[:_KEPT], f"not JSON: {error}")]
    if not name:
        return rows, unreadable
    return answer | {name: rows}, unreadable


def _fields_of(raw: bytes, name: str) -> dict[str, Any]:
    """Return an object whose field `name` can be read; each other one that cannot is the `MalformedFrame` of it."""
    with suppress(ValueError):
        whole: dict[str, Any] = strict_loads(raw)
        return whole
    found: dict[str, Any] = {}
    for key, value in split_fields(raw):
        try:
            if key in found:
                raise ValueError(f"a key twice: {key[:60]!r}")
            found[key] = strict_loads(value)
        except ValueError as error:
            if key == name:
                raise
            found[key] = MalformedFrame(value[:_KEPT], str(error))
    return found


def object_of(item: Any) -> JsonDocument:
    """Return an item of a list that must be an object.

    Raises:
        InvalidAmount: If it is anything else.
    """
    if not isinstance(item, dict):
        raise InvalidAmount("not an object")
    return item
