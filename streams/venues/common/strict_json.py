"""JSON from outside, read strictly, and the items of a list taken apart before one of them can spoil the others. Pure.

Strictly: one meaning, and nothing that the warehouse could not keep. A key that stands twice in one object, an escaped
NUL, half of a surrogate pair, bytes that are not UTF-8, NaN, a number beyond all numbers and a depth that nobody means
are refused.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

MOST_DEPTH = 100
"""Levels of nesting; the venues' own answers have seven."""
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""An escaped NUL. After an escaped backslash the same letters are plain text."""
_SPACED = re.compile(rb'"\s+:')
# A text that does not end is one token up to the end: nothing in it is looked at twice.
_TOKENS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)


class AmbiguousJson(ValueError):
    """JSON that can be parsed and must not be used."""


def has_escaped_nul(raw: bytes) -> bool:
    """Return whether JSON text has an escaped NUL, which PostgreSQL keeps in no text."""
    return b"\\u0000" in raw and _NUL.search(raw) is not None


def strict_loads(raw: bytes) -> Any:
    """Return the value of JSON text.

    Raises:
        ValueError: If it is no JSON, or JSON that must not be used; the message says why.
    """
    value = orjson.loads(raw)
    if has_escaped_nul(raw):
        raise AmbiguousJson("an escaped NUL")
    # Each key is followed by a colon. Where the numbers differ a text may have such a pair too, so it is looked at.
    if raw.count(b'":') != _count_keys(value) or _SPACED.search(raw):
        _refuse_repeated_keys(raw)
    return value


def split_list(raw: bytes, name: str = "") -> tuple[bytes, list[bytes]]:
    """Return a JSON object without the items of one of its lists, and these items as they stand.

    Nothing is parsed: an item may be any bytes whose brackets and quotes are closed.

    Args:
        raw: The object.
        name: The key of the list; empty where the text itself is the list.

    Raises:
        ValueError: If there is no such list or it does not end.
    """
    within, wanted = (2, orjson.dumps(name)) if name else (1, b"")
    depth, key, start, head = 0, b"", -1, b""
    items: list[bytes] = []
    for token in _TOKENS.finditer(raw):
        text = token.group()
        if text[:1] == b'"':
            key = text if depth == 1 else key
        elif start >= 0 and depth == within and text in b",]":
            items.append(raw[start : token.start()].strip())
            start = token.end()
            if text == b"]":
                return head + raw[token.start() :], [] if items == [b""] else items
        elif text in b"[{":
            depth += 1
            if start < 0 and text == b"[" and depth == within and key == wanted:
                start, head = token.end(), raw[: token.end()]
        elif text in b"]}":
            depth -= 1
    raise ValueError(f"no list {name}".rstrip() if start < 0 else f"the list {name} does not end")


def split_fields(raw: bytes) -> list[tuple[str, bytes]]:
    """Return the fields of a JSON object: each key and its value's text, which may be any bytes that are closed.

    Raises:
        ValueError: If it is no object, does not end, or a key cannot be read.
    """
    text = raw.strip()
    if not text.startswith(b"{"):
        raise ValueError("not an object")
    depth, start = 0, 1
    parts: list[bytes] = []
    for token in _TOKENS.finditer(text):
        sign = token.group()
        depth += (sign in b"[{") - (sign in b"]}")
        if (depth == 1 and sign == b",") or (depth == 0 and sign == b"}"):
            parts.append(text[start : token.start()])
            start = token.end()
        if depth == 0:
            break
    if depth or start != len(text):
        raise ValueError("the object does not end")
    return [_field(part) for part in parts]


def _field(part: bytes) -> tuple[str, bytes]:
    key = _TOKENS.match(part.strip())
    name, value = (b"", b"") if key is None else (key.group(), part.strip()[key.end() :].lstrip())
    if not name.startswith(b'"') or not value.startswith(b":"):
        raise ValueError("a field without a key")
    return strict_loads(name), value[1:].strip()


def _count_keys(value: Any) -> int:
    """Return how many keys all objects of a value have together."""
    count, level = 0, [value]
    for _ in range(MOST_DEPTH):
        below: list[Any] = []
        for part in level:
            if isinstance(part, dict):
                count += len(part)
                below.extend(entry for entry in part.values() if isinstance(entry, dict | list))
            elif isinstance(part, list):
                below.extend(entry for entry in part if isinstance(entry, dict | list))
        if not below:
            return count
        level = below
    raise AmbiguousJson(f"nested deeper than {MOST_DEPTH} levels")


def _refuse_repeated_keys(raw: bytes) -> None:
    def once(pairs: list[tuple[str, Any]]) -> None:
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            raise AmbiguousJson(f"a key twice: {max(names, key=names.count)[:60]!r}")

    json.loads(raw, object_pairs_hook=once)
