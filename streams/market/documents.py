"""JSON documents: what venues send and what is kept as JSON, for values whose keys no type of ours names."""

from __future__ import annotations

from typing import Any, TypeAlias

JsonDocument: TypeAlias = dict[str, Any]
"""One JSON object: a venue's payload, a request, the detail of a row. Never a row of a table: those have types."""


def storable_text(text: str) -> str:
    """Return a text as PostgreSQL can keep it: a NUL and half of a surrogate pair are written as escapes."""
    return text.encode(errors="backslashreplace").decode().replace("\x00", "\\u0000")
