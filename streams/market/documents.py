"""JSON documents: what venues send and what is kept as JSON, for values whose keys no type of ours names."""

from __future__ import annotations

from typing import Any, TypeAlias

JsonDocument: TypeAlias = dict[str, Any]
"""One JSON object: a venue's payload, a request, the detail of a row. Never a row of a table: those have types."""
